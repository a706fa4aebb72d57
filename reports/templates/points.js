// The points of a plot, or the parts of a bar: one of them can be reached by Tab, the arrow keys lead to the others.
"use strict";
(() => {
  for (const plot of document.querySelectorAll(".runs, .stack")) {
    const points = [...plot.querySelectorAll(".point, .part")];
    if (!points.length) continue;
    let at = plot.matches(".stack") ? 0 : points.length - 1; // the latest run
    const reach = (index) => {
      points[at].tabIndex = -1;
      at = index;
      points[at].tabIndex = 0;
    };
    for (const [index, point] of points.entries()) {
      point.tabIndex = index === at ? 0 : -1;
      point.addEventListener("focus", () => reach(index));
    }
    plot.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: points.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      points[Math.max(0, Math.min(points.length - 1, to))].focus();
    });
  }
})();
