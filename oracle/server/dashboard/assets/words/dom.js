// Elements in one call. Text is always set as text, never parsed: ids and messages are data.

import { cut } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

// A name that people gave: what is written from right to left in it turns nothing beside it.
export const named = (text) => h("bdi", {}, text);

// A text of any length in a cell: without its middle where it is long, whole in its title.
export const within = (text, most = 40) => h("bdi", text.length > most ? { title: text } : {}, cut(text, most));

// Put nodes into a box, unless they are what it holds: what is selected or pointed at stays so.
export function put(box, ...nodes) {
  const held = [...box.childNodes];
  if (held.length !== nodes.length || nodes.some((node, i) => !node.isEqualNode(held[i]))) box.replaceChildren(...nodes);
}

// Work in pieces, each in a frame of its own, so that none keeps the page from answering for long.
// Asked for while at work, it begins again after its last piece.
export function inFrames(...pieces) {
  let at = -1, again = false;
  const next = () => {
    if (at < 0) return;
    pieces[at]();
    at += 1;
    if (at === pieces.length) {
      at = again ? 0 : -1;
      again = false;
    }
    if (at >= 0) requestAnimationFrame(next);
  };
  const ask = () => {
    if (at >= 0) again = true;
    else {
      at = 0;
      requestAnimationFrame(next);
    }
  };
  return { ask, stop() { at = -1; } };
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// A colour as the light theme has it: what is printed stands on white paper.
export function onPaper(name) {
  for (const sheet of document.styleSheets) {
    for (const rule of sheet.cssRules) if (rule.selectorText === ":root") return rule.style.getPropertyValue(`--${name}`).trim();
  }
  return "";
}

let toastTimer = 0;
// Say something for a while; `action` = [what a button says, what it does].
export function toast(text, action = null, ms = 3500) {
  const element = document.getElementById("toast");
  const over = () => {
    clearTimeout(toastTimer);
    element.classList.remove("on");
    element.replaceChildren();
  };
  element.replaceChildren(h("span", {}, text), action ? h("button", { type: "button", id: "undo", onclick: () => { over(); action[1](); } }, action[0]) : "");
  element.classList.add("on");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(over, ms);
  return over;
}

export function skeleton(height) {
  return h("div", { class: "skeleton", style: { height: `${height}px` }, "aria-hidden": "true" });
}

// A whole-view state: nothing yet, not found, failed. The picture is a forecast fan drawn empty.
export function state(title, text, ...more) {
  return h("section", { class: "state" },
    svg("svg", { viewBox: "0 0 132 70", "aria-hidden": "true" },
      svg("path", { d: "M52 40 128 12v54z", fill: "var(--fan-wide)" }),
      svg("path", { d: "M52 40 128 28v26z", fill: "var(--fan-narrow)" }),
      svg("path", { d: "M4 6c8 24 22 32 48 34", fill: "none", stroke: "var(--line-strong)", "stroke-width": 2.5, "stroke-linecap": "round", "stroke-dasharray": "1 6" }),
      svg("circle", { cx: 52, cy: 40, r: 4, fill: "var(--ours)" })),
    h("h1", {}, title), h("p", {}, text), ...more);
}

export function segmented(label, options, chosen, choose) {
  const group = h("div", { class: "segmented", role: "group", "aria-label": label });
  const buttons = options.map(([value, text]) => h("button", {
    type: "button", "aria-pressed": String(value === chosen), "data-value": value,
    onclick: () => {
      group.set(value);
      choose(value);
    },
  }, text));
  group.append(...buttons);
  group.set = (value) => buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.value === value)));
  return group;
}
