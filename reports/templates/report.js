// Unfolds the evidence for printing, writes tables out as CSV, and sorts and filters the tables of cases; the view is kept in the address's
// fragment so that it can be shared.
"use strict";
// Paper cannot be unfolded: evidence, and what was not measured, is opened for printing and closed again after it.
(() => {
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.evidence:not([open]), #gaps details:not([open])")];
    for (const one of opened) one.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
    opened = [];
  });
})();
// Tables as files: unpacked from the page itself, nothing is loaded.
(() => {
  const unpacked = (packed) => {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).blob();
  };
  for (const button of document.querySelectorAll("button.download")) {
    button.addEventListener("click", async () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([await unpacked(button.dataset.csv)], { type: "text/csv" }));
      link.download = button.dataset.file;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
  }
})();
// Flame graphs: a bar is widened to the whole, the arrow keys follow what called what.
(() => {
  for (const graph of document.querySelectorAll(".flame")) {
    const bars = [...graph.children].map((bar) => ({
      bar,
      left: Number(bar.style.getPropertyValue("--x")),
      width: Number(bar.style.getPropertyValue("--w")),
      depth: Number(bar.style.getPropertyValue("--d")),
    }));
    const chosen = graph.parentElement.querySelector(".chosen");
    const slack = 0.011; // places are rounded to a hundredth
    const within = (inner, outer) =>
      inner.left >= outer.left - slack && inner.left + inner.width <= outer.left + outer.width + slack;
    const widen = (one) => {
      graph.style.setProperty("--from", one.left);
      graph.style.setProperty("--span", Math.max(one.width, 0.01));
      for (const other of bars) {
        other.bar.classList.toggle("above", other.depth < one.depth && within(one, other));
        other.bar.hidden = !within(other, one) && !(other.depth < one.depth && within(one, other));
      }
      chosen.textContent = one.bar.title;
    };
    const move = (to) => {
      if (!to) return;
      for (const { bar } of bars) bar.tabIndex = bar === to.bar ? 0 : -1;
      to.bar.focus();
      chosen.textContent = to.bar.title;
    };
    graph.addEventListener("click", (event) => {
      const one = bars.find(({ bar }) => bar === event.target);
      if (one) { widen(one); move(one); }
    });
    graph.addEventListener("keydown", (event) => {
      const one = bars.find(({ bar }) => bar === event.target);
      if (!one) return;
      const shown = bars.filter(({ bar }) => !bar.hidden);
      const level = shown.filter(({ depth }) => depth === one.depth).sort((a, b) => a.left - b.left);
      const to = {
        ArrowDown: () => shown.find((other) => other.depth === one.depth + 1 && within(other, one)),
        ArrowUp: () => shown.find((other) => other.depth === one.depth - 1 && within(one, other)),
        ArrowRight: () => level[level.indexOf(one) + 1],
        ArrowLeft: () => level[level.indexOf(one) - 1],
        Escape: () => { widen(bars[0]); return bars[0]; },
      }[event.key];
      if (!to) return;
      event.preventDefault();
      move(to());
    });
  }
})();
(() => {
  const form = document.querySelector("form.filters");
  if (!form) return;
  const status = form.querySelector(".status");
  const controls = [...form.querySelectorAll("[data-filter]")];
  const collator = new Intl.Collator("en", { numeric: true });

  const tables = [...document.querySelectorAll("table.cases")].map((table) => ({
    suite: table.dataset.suite,
    body: table.tBodies[0],
    frame: table.parentElement,
    empty: table.closest("section").querySelector(".empty"),
    headers: [...table.tHead.rows[0].cells],
    sort: "",
    rows: [...table.tBodies[0].rows].map((row, place) => ({
      row,
      place,
      text: `${row.dataset.suite}.${[...row.cells].map((cell) => cell.textContent.trim()).join(" ")}`.toLowerCase(),
    })),
  }));
  const total = tables.reduce((sum, table) => sum + table.rows.length, 0);

  const filter = () => {
    const wanted = controls.filter((c) => c.dataset.filter !== "q" && c.value).map((c) => [c.dataset.filter, c.value]);
    const words = form.querySelector("[data-filter=q]").value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const table of tables) {
      let here = 0;
      for (const { row, text } of table.rows) {
        const matches = wanted.every(([name, value]) => row.dataset[name] === value) && words.every((w) => text.includes(w));
        if (row.hidden === matches) row.hidden = !matches;
        here += matches;
      }
      table.empty.hidden = here > 0;
      table.frame.hidden = here === 0;
      shown += here;
    }
    status.textContent = shown === total ? `${total} cases` : `${shown} of ${total} cases`;
  };

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const raw = cell.dataset.v;
    return raw === undefined ? (cell.querySelector("a") ?? cell).textContent.trim() : raw === "" ? null : Number(raw);
  };
  // Sort one table: "seconds" ascending, "-seconds" descending, "" as in the file. Empty cells stay last.
  const sort = (table, wanted) => {
    const key = wanted.replace(/^-/, "");
    const column = table.headers.findIndex((header) => header.dataset.key === key);
    const sign = wanted.startsWith("-") ? -1 : 1;
    table.sort = column < 0 ? "" : wanted;
    table.headers.forEach((header, place) => {
      header.setAttribute("aria-sort", place !== column ? "none" : sign > 0 ? "ascending" : "descending");
    });
    const keyed = table.rows.map((one) => ({ ...one, value: column < 0 ? null : valueOf(one.row, column) }));
    keyed.sort((a, b) => {
      if (a.value === b.value) return a.place - b.place;
      if (a.value === null || a.value === "") return 1;
      if (b.value === null || b.value === "") return -1;
      const order = typeof a.value === "number" ? a.value - b.value : collator.compare(a.value, b.value);
      return sign * order || a.place - b.place;
    });
    const fragment = document.createDocumentFragment();
    for (const { row } of keyed) fragment.append(row);
    table.body.append(fragment);
  };

  const save = () => {
    const view = new URLSearchParams();
    for (const control of controls) if (control.value) view.set(control.dataset.filter, control.value);
    for (const table of tables) if (table.sort) view.set(`sort.${table.suite}`, table.sort);
    const text = view.toString();
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  };
  // A fragment with "=" is a view; any other names a place in the page and leaves the view alone.
  const restore = () => {
    const text = location.hash.slice(1);
    if (text && !text.includes("=")) return open(text);
    const view = new URLSearchParams(text);
    for (const control of controls) {
      const value = view.get(control.dataset.filter) ?? "";
      control.value = value;
      if (control.value !== value) control.value = "";
    }
    for (const table of tables) sort(table, view.get(`sort.${table.suite}`) ?? "");
    filter();
    if (text) document.getElementById("cases").scrollIntoView();
  };
  const open = (id) => {
    const target = document.getElementById(id);
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    if (target) target.scrollIntoView();
  };

  for (const table of tables) {
    for (const header of table.headers) {
      header.firstElementChild.addEventListener("click", () => {
        const key = header.dataset.key;
        const first = header.classList.contains("num") && key !== "seconds" ? `-${key}` : key;
        const second = first === key ? `-${key}` : key;
        sort(table, table.sort === first ? second : table.sort === second ? "" : first);
        save();
      });
    }
  }
  form.addEventListener("input", () => { filter(); save(); });
  form.addEventListener("reset", () => {
    for (const table of tables) sort(table, "");
    setTimeout(() => { filter(); save(); });
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", restore);
  for (const element of document.querySelectorAll(".scripted")) element.hidden = false;
  restore();
  if (location.hash && !location.hash.includes("=")) filter();
})();
