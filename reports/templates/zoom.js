// Zooms charts of ratios about 1×: marks that lie beyond the part that is shown stand at its edge.
"use strict";
(() => {
  const percent = (text) => Number.parseFloat(text);
  for (const table of document.querySelectorAll("table.changes")) {
    const low = Math.log(table.dataset.low), span = Math.log(table.dataset.high) - low;
    const ticks = table.dataset.ticks.split(" ").filter(Boolean).map(Number);
    const axis = table.querySelector(".axis"), before = axis.innerHTML;
    const marks = [...table.querySelectorAll(".plot i, .plot b")].map((mark) => ({ mark, left: percent(mark.style.left), right: percent(mark.style.right) }));
    const bands = [...table.querySelectorAll(".plot")].map((plot) => ({ plot, ends: ["--one", "--from", "--to"].map((name) => [name, percent(plot.style.getPropertyValue(name))]) }));
    table.zoom = (factor) => {
      const from = factor ? Math.max(0, (-Math.log(factor) - low) / span * 100) : 0;
      const to = factor ? Math.min(100, (Math.log(factor) - low) / span * 100) : 100;
      const at = (value) => Math.max(0, Math.min(100, (value - from) / (to - from) * 100));
      for (const { mark, left, right } of marks) {
        mark.style.left = `${at(left)}%`;
        if (!Number.isNaN(right)) mark.style.right = `${100 - at(100 - right)}%`;
        mark.classList.toggle("beyond", left < from - 0.01 || left > to + 0.01);
      }
      for (const { plot, ends } of bands) for (const [name, value] of ends) plot.style.setProperty(name, `${at(value)}%`);
      if (!factor) { axis.innerHTML = before; return; }
      const inside = ticks.map((tick) => [tick, (Math.log(tick) - low) / span * 100]).filter(([, place]) => place >= from && place <= to);
      const every = Math.ceil(inside.length / 7);
      axis.replaceChildren(...inside.filter((_, index) => index % every === 0).map(([tick, place]) => {
        const label = document.createElement("span");
        label.style.left = `${at(place)}%`;
        label.textContent = `${tick}×`;
        return label;
      }));
    };
  }
  for (const group of document.querySelectorAll(".zoom")) {
    group.hidden = false;
    group.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (!button) return;
      for (const other of group.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
      for (const table of group.parentElement.querySelectorAll("table.changes")) table.zoom(Number(button.dataset.zoom));
    });
  }
})();
