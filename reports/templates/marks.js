// Shows what a mark or a cell of a chart stands for, to the pointer and to the keyboard alike. Escape hides it.
"use strict";
(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  document.body.append(tip);
  // The browser's own hint comes late, and never to the keyboard: the words are moved where both are served.
  for (const mark of document.querySelectorAll("a[data-tip]:not([aria-label])")) mark.setAttribute("aria-description", mark.dataset.tip);
  for (const mark of document.querySelectorAll("a[title], button.open[title]")) {
    mark.setAttribute("aria-description", mark.title);
    mark.removeAttribute("title");
  }
  let shown = null; // the mark whose words are shown
  const hide = () => { shown = null; tip.hidden = true; };
  const place = () => {
    if (!shown) return;
    const at = shown.getBoundingClientRect(), size = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(at.left, innerWidth - size.width - 4))}px`;
    tip.style.top = `${at.top - size.height - 6 > 0 ? at.top - size.height - 6 : at.bottom + 6}px`;
  };
  const show = (mark) => {
    const words = mark.dataset.tip ?? mark.getAttribute("aria-description") ?? mark.getAttribute("aria-label");
    if (!words) return hide();
    shown = mark;
    tip.textContent = words;
    tip.hidden = false;
    place();
  };
  const MARKED = "[aria-description], [data-tip], .point";
  const of = (node) => {
    const row = node.closest?.(".forest tr");
    return node.closest?.(MARKED) ?? row?.querySelector("th [aria-description]");
  };
  document.addEventListener("pointerover", ({ target }) => { const mark = of(target); if (mark) show(mark); else hide(); });
  document.addEventListener("focusin", ({ target }) => { const mark = target.closest?.(MARKED); if (mark) show(mark); else hide(); });
  document.addEventListener("keydown", ({ key }) => { if (key === "Escape") hide(); });
  window.addEventListener("scroll", place, { passive: true, capture: true }); // also when the focus scrolls a mark into view
})();
