// Unfolds the evidence for printing, writes tables out as CSV, copies commands, and sorts and filters the tables of cases.
// The view is kept in the address's fragment so that it can be shared.
"use strict";
// The evidence and the list of what was not measured are unfolded for printing and folded again after it.
(() => {
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.evidence:not([open]), details.claims:not([open]), #gaps details:not([open])")];
    for (const details of opened) details.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
    opened = [];
  });
})();
// Tables as files, unpacked from the page itself; nothing is loaded.
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
// What a button copies is its own text for that, or the command after it; where the browser does not let a page copy, it
// is selected for the reader to copy.
(() => {
  const selected = (node) => {
    if (node.select) node.select();
    else {
      const range = document.createRange();
      range.selectNodeContents(node);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
    }
    return document.execCommand("copy");
  };
  const shownBeside = (button) => {
    const field = document.createElement("textarea");
    field.className = "to-copy";
    field.readOnly = true;
    field.value = button.dataset.copy;
    field.setAttribute("aria-label", "Text to copy");
    button.parentElement.append(field);
    return field;
  };
  const copied = async (button) => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy ?? button.nextElementSibling.textContent);
      return true;
    } catch {
      const field = button.dataset.copy === undefined ? button.nextElementSibling : shownBeside(button);
      const done = selected(field);
      if (done && field.select) field.remove();
      return done;
    }
  };
  document.addEventListener("click", async ({ target }) => {
    const button = target.closest?.("button.copy");
    if (!button) return;
    const status = button.closest("dialog, section").querySelector(".copied");
    const label = button.firstElementChild ?? button, before = label.dataset.label ?? label.textContent;
    label.dataset.label = before;
    const done = await copied(button);
    label.textContent = done ? "Copied" : "Selected";
    status.textContent = done ? "Copied" : "The text is selected: copy it with the keyboard";
    setTimeout(() => { label.textContent = before; status.textContent = ""; }, 2_000);
  });
})();
// Flame graphs: a bar can be widened to the full width; the arrow keys follow the calls.
(() => {
  for (const graph of document.querySelectorAll(".flame")) {
    const bars = [...graph.children].map((bar) => ({
      bar,
      left: Number(bar.style.getPropertyValue("--x")),
      width: Number(bar.style.getPropertyValue("--w")),
      depth: Number(bar.style.getPropertyValue("--d")),
    }));
    const chosen = graph.parentElement.querySelector(".chosen");
    const slack = 0.011; // positions are rounded to a hundredth
    const within = (inner, outer) =>
      inner.left >= outer.left - slack && inner.left + inner.width <= outer.left + outer.width + slack;
    const widen = (frame) => {
      graph.style.setProperty("--from", frame.left);
      graph.style.setProperty("--span", Math.max(frame.width, 0.01));
      for (const other of bars) {
        other.bar.classList.toggle("above", other.depth < frame.depth && within(frame, other));
        other.bar.hidden = !within(other, frame) && !(other.depth < frame.depth && within(frame, other));
      }
      chosen.textContent = frame.bar.title;
    };
    const move = (to) => {
      if (!to) return;
      for (const { bar } of bars) bar.tabIndex = bar === to.bar ? 0 : -1;
      to.bar.focus();
      chosen.textContent = to.bar.title;
    };
    graph.addEventListener("click", (event) => {
      const frame = bars.find(({ bar }) => bar === event.target);
      if (frame) { widen(frame); move(frame); }
    });
    graph.addEventListener("keydown", (event) => {
      const frame = bars.find(({ bar }) => bar === event.target);
      if (!frame) return;
      const shown = bars.filter(({ bar }) => !bar.hidden);
      const level = shown.filter(({ depth }) => depth === frame.depth).sort((a, b) => a.left - b.left);
      const to = {
        ArrowDown: () => shown.find((other) => other.depth === frame.depth + 1 && within(other, frame)),
        ArrowUp: () => shown.find((other) => other.depth === frame.depth - 1 && within(frame, other)),
        ArrowRight: () => level[level.indexOf(frame) + 1],
        ArrowLeft: () => level[level.indexOf(frame) - 1],
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

  // The rows of a written table; those of a large table are made from the page's data by ``rowsOf`` when they are shown.
  const written = (table) => [...table.tBodies[0].rows].map((row, index) => ({
    row: () => row,
    index,
    text: `${row.dataset.suite}.${[...row.cells].map((cell) => cell.textContent.trim()).join(" ")} ${Object.values(row.dataset).join(" ")}`.toLowerCase(),
    has: (name, value) => row.dataset[name] === value || (name === "verdict" && (row.dataset.verdict ?? "").split(" ").includes(value)),
    value: (column) => valueOf(row, column),
  }));
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const raw = cell.dataset.v;
    return raw === undefined ? (cell.querySelector("a, button") ?? cell).textContent.trim() : raw === "" ? null : Number(raw);
  };
  const tables = [...document.querySelectorAll("table.cases")].map((table) => {
    const rows = table.dataset.source ? rowsOf(table) : written(table);
    const section = table.closest("section");
    const step = Number(table.dataset.window ?? Infinity);
    return {
      suite: table.dataset.suite,
      counted: "counted" in table.dataset,
      what: table.dataset.rows ?? "cases",
      body: table.tBodies[0],
      frame: table.parentElement,
      empty: section.querySelector(".empty"),
      more: section.querySelector(".more"),
      note: section.querySelector(".said"),
      headers: [...table.tHead.rows[0].cells],
      sort: "",
      step,
      limit: step,
      rows,
      order: rows,
      matching: rows,
    };
  });
  // If one table has every case of all runs, only that one is counted.
  const counted = tables.some((table) => table.counted) ? tables.filter((table) => table.counted) : tables;
  const total = counted.reduce((sum, table) => sum + table.rows.length, 0);
  const MORE = 3; // each press shows so many times as many as before
  const HELD_FRAMES = 30; // after a jump
  const number = (value) => value.toLocaleString("en");

  const filter = () => {
    const wanted = controls.filter((c) => c.dataset.filter !== "q" && c.value).map((c) => [c.dataset.filter, c.value]);
    const words = form.querySelector("[data-filter=q]").value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const table of tables) {
      const all = table.step === Infinity;
      table.matching = table.order.filter((entry) => {
        const matches = wanted.every(([name, value]) => entry.has(name, value)) && words.every((w) => entry.text.includes(w));
        if (all && entry.row().hidden === matches) entry.row().hidden = !matches;
        return matches;
      });
      table.empty.hidden = table.matching.length > 0;
      table.frame.hidden = table.matching.length === 0;
      if (!all) { table.limit = table.step; draw(table); }
    }
    const shown = counted.reduce((sum, table) => sum + table.matching.length, 0);
    const cases = total === 1 ? "case" : "cases";
    status.textContent = shown === total ? `${number(total)} ${cases}` : `${number(shown)} of ${number(total)} ${cases}`;
  };
  // A large table holds only the first of its matching rows; a button adds more.
  const draw = (table) => {
    const left = table.matching.length - table.limit;
    const rows = table.matching.slice(0, table.limit).map((entry) => entry.row());
    if (rows.length !== table.body.rows.length || rows.some((row, index) => row !== table.body.rows[index])) table.body.replaceChildren(...rows);
    table.note.textContent = left > 0 ? `The first ${number(table.limit)} of ${number(table.matching.length)} ${table.what}.` : "";
    table.more.hidden = left <= 0;
    table.more.textContent = `Show ${number(Math.min(left, MORE * table.limit))} more`;
  };

  // Sort one table: "seconds" ascending, "-seconds" descending, "" as in the file. Empty cells stay last.
  const sort = (table, wanted) => {
    const key = wanted.replace(/^-/, "");
    const column = table.headers.findIndex((header) => header.dataset.key === key);
    const sign = wanted.startsWith("-") ? -1 : 1;
    table.sort = column < 0 ? "" : wanted;
    table.headers.forEach((header, index) => {
      header.setAttribute("aria-sort", index !== column ? "none" : sign > 0 ? "ascending" : "descending");
    });
    const keyed = table.rows.map((entry) => ({ entry, index: entry.index, value: column < 0 ? null : entry.value(column) }));
    keyed.sort((a, b) => {
      if (a.value === b.value) return a.index - b.index;
      if (a.value === null || a.value === "") return 1;
      if (b.value === null || b.value === "") return -1;
      const order = typeof a.value === "number" ? a.value - b.value : collator.compare(a.value, b.value);
      return sign * order || a.index - b.index;
    });
    table.order = keyed.map(({ entry }) => entry);
    if (table.step === Infinity) table.body.append(...table.order.map((entry) => entry.row()));
  };

  let current = null; // the view that the tables show
  const save = () => {
    const view = new URLSearchParams();
    for (const control of controls) if (control.value) view.set(control.dataset.filter, control.value);
    for (const table of tables) if (table.sort) view.set(`sort.${table.suite}`, table.sort);
    current = view.toString();
    history.replaceState(null, "", current ? `#${current}` : location.pathname + location.search);
  };
  // A fragment with "=" is a view; any other is the id of an element and leaves the view as it is.
  const restore = (event) => {
    const text = location.hash.slice(1);
    if (text && !text.includes("=")) return open(text);
    const view = new URLSearchParams(text);
    // An opened case is not part of the view: opening and closing one leaves the tables as they are.
    const cases = [view, new URLSearchParams(event ? new URL(event.oldURL).hash.slice(1) : "")].some((params) => params.has("case"));
    view.delete("case");
    if (cases && view.toString() === current) return;
    current = view.toString();
    for (const control of controls) {
      const value = view.get(control.dataset.filter) ?? "";
      control.value = value;
      if (control.value !== value) control.value = "";
    }
    for (const table of tables) sort(table, view.get(`sort.${table.suite}`) ?? "");
    filter();
    if (current) form.closest("section").scrollIntoView();
  };
  const open = (id) => {
    const target = document.getElementById(id);
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    if (target) hold(target);
  };
  // What lies above is laid out only when it comes near, and then changes its height: scroll until that is over.
  const hold = (target) => {
    let frames = HELD_FRAMES;
    for (const kind of ["wheel", "touchstart", "pointerdown", "keydown"]) window.addEventListener(kind, () => { frames = 0; }, { once: true, passive: true });
    const again = () => {
      if (frames-- <= 0) return;
      target.scrollIntoView({ behavior: "instant" });
      requestAnimationFrame(again);
    };
    again();
  };

  for (const table of tables) {
    for (const header of table.headers) {
      header.firstElementChild.addEventListener("click", () => {
        const key = header.dataset.key;
        const first = header.classList.contains("num") && key !== "seconds" ? `-${key}` : key;
        const second = first === key ? `-${key}` : key;
        sort(table, table.sort === first ? second : table.sort === second ? "" : first);
        if (table.step !== Infinity) filter();
        save();
      });
    }
    if (table.more) table.more.addEventListener("click", () => {
      const next = table.matching[table.limit];
      table.limit *= 1 + MORE;
      draw(table);
      const place = next.row().querySelector("a, button") ?? next.row().cells[0];
      if (!place.matches("a, button")) place.tabIndex = -1; // the name of the row, where it leads nowhere
      place.focus();
    });
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
