// Reads the page's data, and builds from it the rows of tables that are too large to be written out.
"use strict";
const data = JSON.parse(document.getElementById("comparison").textContent);
const ofCase = ([id, settings, text, seconds, samples, blocks, facts]) => ({
  id,
  ...Object.fromEntries(data.filters.map((name, index) => [name, data.texts[settings[index]]])),
  text: data.texts[text],
  side: { text: data.texts[text], seconds, scale: seconds, samples, blocks, facts },
});
const cases = data.cases.map(ofCase);
const filtered = (settings) => Object.fromEntries(data.filters.map((name) => [`data-${name}`, settings[name]])); // a row's attributes
const runs = data.runs.map(({ name, rows }) => ({
  name,
  rows: rows.map(([at, verdict, ratio, ratioRaw, interval, widthRaw, threshold, thresholdRaw, speedup, speedupRaw, its, itsInterval, memory, memoryRaw, why,
    text, seconds, samples, blocks, facts]) => ({
    at,
    case: cases[at],
    verdict: data.texts[verdict],
    ratio: data.texts[ratio],
    interval: data.texts[interval],
    threshold: data.texts[threshold],
    speedup: data.texts[speedup],
    its: data.texts[its],
    itsInterval: data.texts[itsInterval],
    memory: data.texts[memory],
    why: data.texts[why],
    raw: { ratio: ratioRaw, width: widthRaw, threshold: thresholdRaw, speedup: speedupRaw, memory: memoryRaw },
    side: { text: data.texts[text], seconds, scale: cases[at].side.seconds, samples, blocks, facts },
  })),
}));
const byCase = runs.map(({ rows }) => new Map(rows.map((row) => [row.at, row])));

const button = (run, at, { id }) => make("button", { type: "button", class: "open", "data-case": `${run}:${at}` }, ...breakable(id));

// The rows of a table that is too large to be written out: what filters and sorting need, and the row once it is shown.
const rowsOf = (table) => (table.dataset.source === "lines" ? linesOf() : changesOf(Number(table.dataset.source)));
const lazily = (entry) => {
  let text, row;
  return {
    ...entry,
    get text() { return (text ??= entry.words().toLowerCase()); },
    row: () => (row ??= entry.built()),
  };
};
const changesOf = (run) => runs[run].rows.map((row, index) => {
  const { at, case: ofBase, side } = row;
  const values = [ofBase.id, row.verdict, row.raw.ratio, row.raw.width, ofBase.side.seconds, side.seconds, row.raw.threshold, row.raw.speedup, row.its, ...(data.memory ? [row.raw.memory] : []), row.why];
  const rowText = () => [ofBase.id, row.verdict, row.ratio, row.interval, ofBase.side.text, side.text, row.threshold, row.speedup, row.its, ...(data.memory ? [row.memory] : []), row.why];
  return lazily({
    index,
    has: (name, value) => (name === "verdict" ? row.verdict : ofBase[name]) === value,
    value: (column) => values[column],
    words: () => `${ofBase.suite}.${rowText().join(" ")}`,
    built: () => {
      const [, , ...texts] = rowText();
      const quiet = (text) => (text ? [text] : [make("span", { class: "faint" }, "none")]);
      return make("tr", { ...filtered(ofBase), "data-verdict": row.verdict },
        make("th", { scope: "row" }, button(run, at, ofBase), make("span", { class: "stacked" }, ` ${ofBase.side.text} → ${side.text}, ${row.threshold}`)),
        make("td", {}, pill(row.verdict)),
        ...["num strong", "num quiet", "num which", "num which", "num which", "num"].map((classes, column) =>
          make("td", { class: classes, "data-v": values[column + 2] ?? "" }, ...(column === 1 ? quiet(texts[1]) : [texts[column]]))),
        row.speedup ? make("td", {}, pill(row.its)) : make("td", { class: "quiet" }, row.its),
        ...(data.memory ? [make("td", { class: "num memory", "data-v": row.raw.memory ?? "" }, row.memory)] : []),
        make("td", { class: "size quiet" }, row.why));
    },
  });
});
const linesOf = () => data.lines.map(([at, furthest, ...verdicts], index) => {
  const measured = cases[at];
  const names = verdicts.map((verdict) => (verdict < 0 ? "" : data.texts[verdict]));
  const rows = byCase.map((rows) => rows.get(at));
  return lazily({
    index,
    has: (name, value) => (name === "verdict" ? names.includes(value) : measured[name] === value),
    value: (column) => (column ? rows[column - 1]?.raw.ratio ?? null : measured.id),
    words: () => `${measured.suite}.${measured.id} ${rows.map((row, run) => `${row?.ratio ?? ""} ${names[run]}`).join(" ")}`,
    built: () => make("tr", { ...filtered(measured), "data-verdict": names.join(" ") },
      make("th", { scope: "row" }, button(furthest, at, measured)),
      ...rows.map((row, run) => make("td", { class: "num", "data-v": row?.raw.ratio ?? "" },
        ...(row ? [pill(names[run], row.ratio)] : names[run] ? [pill(names[run])] : [])))),
  });
});
