// Makes elements from texts that a page holds as data, in the form in which its template writes them.
"use strict";
const SYMBOLS = { faster: "▲", slower: "▼", same: "■", unclear: "○", failed: "✕", missing: "−", new: "+" };
// An element with its attributes and its children; texts are never parsed as HTML.
const make = (tag, { svg, ...attributes } = {}, ...inside) => {
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  node.append(...inside);
  return node;
};
const drawn = (tag, attributes, ...inside) => make(tag, { svg: true, ...attributes }, ...inside);
// Names as the page writes them: isolated in direction, shortened if long, with line breaks allowed after underscores.
const MAX_LETTERS = 300;
const shortened = (name) => {
  const letters = [...name];
  if (letters.length <= MAX_LETTERS) return name;
  return `${letters.slice(0, MAX_LETTERS / 2).join("")}…${letters.slice(-MAX_LETTERS / 2).join("")}`;
};
const breakable = (name) => {
  const text = shortened(name);
  const parts = text.split("_").flatMap((part, index) => (index ? ["_", make("wbr"), part] : [part]));
  return [make("bdi", { title: text === name ? null : name }, ...parts)];
};
const pill = (verdict, text = "") => make("span", { class: `verdict ${verdict}` },
  make("span", { "aria-hidden": "true" }, SYMBOLS[verdict]), ` ${text || verdict}`,
  ...(text ? [make("span", { class: "hidden" }, ` ${verdict}`)] : []));
