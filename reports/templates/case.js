// Opens a case: draws the samples of both runs, and lists what else they recorded of it. The address's fragment has the open
// case, beside the view of the tables.
"use strict";
// Circles and a solid line are the base, squares and a dashed line the new run.
let width = 560; // of a drawing, in its own units; narrower in a telephone's window
const HEIGHT = 230, LEFT = 62, RIGHT = 10, TOP = 10, FOOT = 38, STEPS = 1e4;
const UNITS = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
const secondsOf = (side, steps = side.samples) => steps.map((step) => side.scale * (1 + step / STEPS));
const median = (values) => {
  const ordered = [...values].sort((a, b) => a - b), middle = ordered.length >> 1;
  return ordered.length % 2 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2;
};
const unitFor = (seconds) => UNITS.find(([scale]) => seconds >= scale * 0.9995) ?? UNITS.at(-1);
const digits = (value) => value.toLocaleString("en", { maximumSignificantDigits: 4, minimumSignificantDigits: 4 });
const time = (seconds) => { const [scale, unit] = unitFor(seconds); return `${digits(seconds / scale)} ${unit}`; };
// An axis of times with round ticks in one unit; it extends beyond the values by a share of their range.
const axisOf = (values, beyond, number) => {
  const least = Math.min(...values), most = Math.max(...values);
  const [scale, unit] = unitFor(most);
  const room = (most - least || most * 0.01) * beyond;
  const low = Math.max(0, least - room) / scale, high = (most + room) / scale;
  const raw = (high - low) / number, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw);
  const ticks = [];
  for (let at = Math.ceil(low / step); at * step <= high; at += 1) ticks.push(at * step);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return { low, high, unit, ticks, label: (tick) => tick.toFixed(decimals), share: (seconds) => (seconds / scale - low) / (high - low), from: low ? `${low.toFixed(decimals + 1)} ${unit}, not at 0` : "0" };
};
const across = (share) => LEFT + share * (width - LEFT - RIGHT);
const up = (share) => HEIGHT - FOOT - share * (HEIGHT - FOOT - TOP);
const frame = (words, title, ...inside) => drawn("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": words },
  ...inside, drawn("text", { class: "axis", x: across(0.5), y: HEIGHT - 4, "text-anchor": "middle" }, title));
const level = (share, text) => [
  drawn("line", { class: "grid", x1: across(0), x2: across(1), y1: up(share), y2: up(share) }),
  drawn("text", { class: "axis", x: LEFT - 6, y: up(share) + 4, "text-anchor": "end" }, text)];
const below = (share, text) => [
  drawn("line", { class: "grid", x1: across(share), x2: across(share), y1: up(0), y2: up(0) + 4 }),
  drawn("text", { class: "axis", x: across(share), y: HEIGHT - FOOT + 17, "text-anchor": "middle" }, text)];
const mark = (kind, x, y) => (kind === "base" ? drawn("circle", { class: "base", cx: x, cy: y, r: 3.6 })
  : drawn("rect", { class: "fresh", x: x - 3.4, y: y - 3.4, width: 6.8, height: 6.8 }));
const plural = (number, what) => `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
const inVisits = ({ facts }) => (facts.visits ? ` in ${plural(facts.visits.length, "visit")}` : "");
// The placements of each visit, as their indices among all placements; of a run without visits all are in one part.
const visitsOf = ({ samples, facts }) => {
  let start = 0;
  return (facts.visits ?? [samples.length]).map((placements) => Array.from({ length: placements }, () => start++));
};
const range = (name, values, side) => `${name}: ${plural(values.length, "placement")}${inVisits(side)} from ${time(Math.min(...values))} to ${time(Math.max(...values))}, median ${time(median(values))}`;

const inOrder = (sides, names) => {
  const values = sides.map((side) => secondsOf(side));
  const single = sides.map((side) => (side.blocks ? side.blocks.map((steps) => secondsOf(side, steps)) : []));
  const axis = axisOf(values.flat(), sides[0].blocks ? 0.6 : 0.06, 5);
  const within = (seconds) => axis.share(seconds) >= 0 && axis.share(seconds) <= 1;
  const beyond = single.flat(2).filter((seconds) => !within(seconds)).length;
  const most = Math.max(...values.map((medians) => medians.length));
  const at = (index) => across((index + 0.5) / most);
  const every = Math.ceil(most * 38 / (width - LEFT - RIGHT));
  const how = `Each mark is a placement’s median${sides[0].blocks ? ", each dot beside it a block" : ""}.`;
  const visits = sides.map(visitsOf);
  const several = visits.flatMap((parts, run) => (parts.length > 1 ? [`${run ? "bottom" : "top"} for ${names[run]}`] : []));
  const joined = several.length ? ` A line joins the placements of one visit; short lines at the edge (${several.join(", ")}) stand where a visit ends.` : "";
  const left = beyond ? ` ${beyond} ${beyond === 1 ? "block lies" : "blocks lie"} beyond the axis.` : "";
  return [axis, how + joined + left, frame(`Medians of the placements in the order taken. ${names.map((name, run) => range(name, values[run], sides[run])).join("; ")}.`, "placement, in the order taken",
    ...axis.ticks.flatMap((tick) => level((tick - axis.low) / (axis.high - axis.low), `${axis.label(tick)} ${axis.unit}`)),
    ...Array.from({ length: most }, (_, index) => index).filter((index) => index % every === 0).flatMap((index) => below((index + 0.5) / most, `${index + 1}`)),
    ...single.flatMap((placements, run) => placements.flatMap((blocks, index) =>
      blocks.filter(within).map((seconds) => drawn("circle", { class: `block ${run ? "fresh" : "base"}`, cx: at(index) + (run ? 4 : -4), cy: up(axis.share(seconds)), r: 1.3 })))),
    ...values.flatMap((medians, run) => [
      ...visits[run].map((part) => drawn("polyline", { class: run ? "fresh" : "base", points: part.map((index) => `${at(index).toFixed(1)},${up(axis.share(medians[index])).toFixed(1)}`).join(" ") })),
      ...visits[run].slice(0, -1).map((part) => across((part.at(-1) + 1) / most)).map((x) => drawn("line", { class: `end ${run ? "fresh" : "base"}`, x1: x, x2: x, y1: run ? up(0) - 10 : TOP, y2: run ? up(0) : TOP + 10 })),
      ...medians.map((value, index) => mark(run ? "fresh" : "base", at(index), up(axis.share(value))))]))];
};
const distribution = (sides, names) => {
  const values = sides.map((side) => secondsOf(side).sort((a, b) => a - b));
  const axis = axisOf(values.flat(), 0.06, width / 90);
  const steps = (medians) => {
    let path = `M${across(0)},${up(0)}`;
    medians.forEach((value, index) => { const x = across(axis.share(value)).toFixed(1); path += `H${x}V${up((index + 1) / medians.length).toFixed(1)}`; });
    return `${path}H${across(1)}`;
  };
  const shares = names.map((name, run) => `${name}: half of its placements take at most ${time(median(values[run]))}`);
  return [axis, "Share of the placements that took at most that time.", frame(`Distribution of the placements’ medians. ${shares.join("; ")}.`, `time per call (${axis.unit})`,
    ...[0, 0.25, 0.5, 0.75, 1].flatMap((share) => level(share, `${100 * share} %`)),
    ...axis.ticks.flatMap((tick) => below((tick - axis.low) / (axis.high - axis.low), axis.label(tick))),
    ...values.map((medians, run) => drawn("path", { class: run ? "fresh" : "base", d: steps(medians) })))];
};
const figure = ([axis, how, svg], title) => make("figure", { class: "samples" }, make("h3", {}, title), svg,
  make("figcaption", {}, `${how} The axis of times starts at ${axis.from}.`));
const key = (kind, name) => make("li", {}, drawn("svg", { viewBox: "0 0 34 12", "aria-hidden": "true", class: "samples" },
  drawn("polyline", { class: kind, points: "1,6 33,6" }), mark(kind, 17, 6)), ` ${name}`);

// What a run recorded of the case beside its samples, in words; facts that it lacks are left out.
const bytes = (size) => { const [scale, unit] = [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]].find(([scale]) => size >= scale) ?? [1, "B"]; return `${+(size / scale).toPrecision(4)} ${unit}`; };
const STOPS = { precise: "precise enough", budget: "time budget used up", limit: "limit of placements reached", interrupted: "run interrupted" };
const stopOf = ({ visits, stop }) => (visits && data.texts[stop] === "limit" ? "limit of visits reached" : STOPS[data.texts[stop]] ?? data.texts[stop]);
const inWords = ({ seconds, samples, facts }) => {
  const { calls: [blocks, calls], time: interval, speedup, graphs } = facts, texts = data.texts;
  const spread = speedup && speedup[1] !== null ? ` (${speedup[1].toPrecision(3)} to ${speedup[2].toPrecision(3)})` : "";
  const entries = {
    "Time per call": time(seconds) + (interval ? ` (${time(interval[0])} to ${time(interval[1])})` : ""),
    "Speed-up over its reference": speedup && `${speedup[0].toPrecision(3)}×${spread}, ${texts[speedup[3]]}`,
    Samples: `${facts.visits ? `${plural(facts.visits.length, "visit")}, ` : ""}${plural(samples.length, "placement")}, ${plural(blocks, "block")} of ${plural(calls, "call")}; ${stopOf(facts)}`,
    Noise: texts[facts.noise],
    "Noise in figures": texts[facts.figures],
    "Interrupted blocks": facts.interrupted && facts.interrupted.toLocaleString("en"),
    Clock: texts[facts.clock],
    "Until launched": facts.launched && time(facts.launched),
    "Device work alone": facts.device && time(facts.device),
    Cache: texts[facts.cache],
    "First call": facts.first && time(facts.first),
    "Compiled to": graphs && `${plural(graphs[0], "graph")}, ${plural(graphs[1], "graph break")}`,
    "Peak memory": facts.peak === undefined ? undefined : bytes(facts.peak),
    "Reserved on the device": facts.reserved === undefined ? undefined : bytes(facts.reserved),
    "Energy per call": facts.joules && `${facts.joules} J`,
  };
  return Object.fromEntries(Object.entries(entries).filter(([, words]) => words));
};

const dialog = document.getElementById("case");
const copy = (words, text) => make("button", { type: "button", class: "copy", "data-copy": text }, words);
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`; // for a POSIX shell
const codeSpan = (text) => { const fence = "`".repeat(1 + Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length))); return /`/.test(text) ? `${fence} ${text} ${fence}` : `${fence}${text}${fence}`; };
const markdownOf = (ofBase, row, names) => `- ${codeSpan(ofBase.id)}: ${ofBase.side.text} in ${codeSpan(names[0])}, ${row.side.text} in ${codeSpan(names[1])}; base / new ${row.ratio}${row.interval ? ` (${row.interval})` : ""}, ${row.verdict}`;
const fill = (run, at, neighbours) => {
  const row = byCase[run].get(at), ofBase = row.case;
  const names = [data.base, runs[run].name], sides = [ofBase.side, row.side];
  const position = neighbours.indexOf(at);
  width = innerWidth < 600 ? 300 : 560;
  const step = (words, other) => make("button", { type: "button", "data-go": other === undefined ? null : `${run}:${other}`, disabled: other === undefined ? "" : null }, words);
  const recorded = sides.map(inWords);
  const facts = [...new Set(recorded.flatMap((record) => Object.keys(record)))];
  const speedup = row.speedup ? [make("p", {}, "Speed-up over its reference: ", make("strong", {}, row.speedup),
    row.itsInterval ? ` (${row.itsInterval}) ` : " ", pill(row.its))] : [];
  dialog.replaceChildren(
    make("header", {}, make("h2", { id: "case-h", tabindex: "-1", autofocus: "" }, ...breakable(ofBase.id)), make("button", { type: "button", "data-close": "" }, "Close")),
    ...(runs.length > 1 ? [make("p", { class: "others", role: "group", "aria-label": "Runs" }, ...runs.flatMap(({ name }, other) => byCase[other].has(at)
      ? [make("button", { type: "button", "data-go": `${other}:${at}`, "aria-pressed": String(other === run) }, name)] : []))] : []),
    make("p", {}, "Base / new: ", make("strong", {}, row.ratio), row.interval ? ` (${row.interval}) ` : " ", pill(row.verdict), ` at ${row.threshold}`,
      row.why ? `. ${row.why[0].toUpperCase()}${row.why.slice(1)}.` : ""),
    ...speedup,
    make("p", { class: "copies" }, copy("Copy as Markdown", markdownOf(ofBase, row, names)), copy("Copy as command", `${data.command} --case ${quoted(ofBase.id)}`), make("span", { class: "copied", role: "status" })),
    make("ul", { class: "keys" }, ...["base", "fresh"].map((kind, side) => key(kind, names[side]))),
    make("div", { class: "pair" },
      figure(inOrder(sides, names), "In the order taken"),
      figure(distribution(sides, names), "Distribution")),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "What both runs recorded" }, make("table", {},
      make("caption", { class: "hidden" }, "What both runs recorded of this case"),
      make("thead", {}, make("tr", {}, ...["What", ...names].map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...facts.map((name) => make("tr", {}, make("th", { scope: "row" }, name), ...recorded.map((record) => make("td", { class: "size" }, record[name] ?? ""))))))),
    make("p", { class: "steps" }, step("Previous case", neighbours[position - 1]), step("Next case", position < 0 ? undefined : neighbours[position + 1])));
};
(() => {
  let neighbours = [];
  const view = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const address = (run, at) => {
    const now = view();
    now.set("case", `${run + 1} ${cases[at].id}`);
    return `#${now}`;
  };
  const asked = (text) => text.split(":").map(Number);
  const show = (run, at) => {
    fill(run, at, neighbours);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    dialog.querySelector("h2").focus();
  };
  // Shows the case of a run that the address names, or none. A case that is in no run leaves the page as it is.
  const follow = () => {
    const wanted = view().get("case");
    const [, number, id] = /^(\d+) ([^]*)$/.exec(wanted ?? "") ?? [];
    const at = id === undefined ? -1 : cases.findIndex((base) => base.id === id);
    if (at >= 0 && byCase[number - 1]?.has(at)) show(number - 1, at);
    else if (dialog.open) dialog.close();
  };
  document.addEventListener("click", ({ target }) => {
    const opener = target.closest("[data-case]");
    if (!opener) return;
    const [run, at] = asked(opener.dataset.case);
    // The cases of this run in the order in which the table shows them now.
    neighbours = [...opener.closest("tbody").querySelectorAll("tr:not([hidden]) [data-case]")]
      .map((button) => asked(button.dataset.case)[1]).filter((other) => byCase[run].has(other));
    history.pushState({ opened: true }, "", address(run, at));
    show(run, at);
  });
  dialog.addEventListener("click", ({ target }) => {
    const go = target.closest("[data-go]");
    if (target.closest("[data-close]") || target === dialog) dialog.close();
    if (!go) return;
    const [run, at] = asked(go.dataset.go);
    const words = go.textContent;
    history.replaceState(history.state, "", address(run, at));
    show(run, at);
    const again = [...dialog.querySelectorAll("[data-go]")].find((button) => button.textContent === words);
    (again ?? dialog.querySelector("h2")).focus();
  });
  dialog.addEventListener("close", () => {
    const now = view();
    if (!now.has("case")) return;
    if (history.state?.opened) return history.back();
    now.delete("case");
    const text = now.toString();
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  });
  window.addEventListener("hashchange", follow);
  window.addEventListener("DOMContentLoaded", follow);
})();
document.documentElement.classList.add("live");
