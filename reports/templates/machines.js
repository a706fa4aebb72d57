// Builds the rows of tables that are too large to be written out, from the page's data.
"use strict";
const packed = JSON.parse(document.getElementById("machines-data").textContent);
const MARKS = { best: ["★", (best) => best], close: ["≈", () => "close to the best"] };
const prose = (text) => text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
const cellOf = (best, [kind, text, below, value]) => {
  const words = packed.texts[text], name = packed.texts[kind], under = below === undefined ? "" : packed.texts[below];
  const small = under ? [make("span", { class: "below" }, under)] : [];
  if (SYMBOLS[name]) return make("td", { class: "num", "data-v": value }, pill(name, words), ...small);
  const mark = MARKS[name];
  return make("td", { class: name ? `num ${name}` : "num", "data-v": value ?? "" },
    ...(mark ? [make("span", { "aria-hidden": "true" }, `${mark[0]} `)] : []), words,
    ...(mark ? [make("span", { class: "hidden" }, ` ${mark[1](best)}`)] : []), ...small);
};
const rowsOf = (table) => {
  const { best, rows } = packed.tables[table.dataset.source];
  return rows.map(([name, note, filters, cells], index) => {
    const values = Object.fromEntries(packed.filters.map((filter, place) => [filter, packed.texts[filters[place]]]));
    const noted = packed.texts[note];
    let text, row;
    return {
      index,
      get text() {
        return (text ??= [`${values.suite}.${name}`, noted.replaceAll("`", ""), ...cells.map(([kind, words, below]) =>
          [packed.texts[words], packed.texts[kind], below === undefined ? "" : packed.texts[below]].join(" "))].join(" ").toLowerCase());
      },
      has: (filter, value) => values[filter] === value,
      value: (column) => (column ? cells[column - 1][3] ?? null : name),
      row: () => (row ??= make("tr", Object.fromEntries(packed.filters.map((filter) => [`data-${filter}`, values[filter]])),
        make("th", { scope: "row" }, ...breakable(name), ...(noted ? [make("span", { class: "below" }, ...prose(noted))] : [])),
        ...cells.map((cell) => cellOf(best, cell)))),
    };
  });
};
