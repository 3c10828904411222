// A panel's figure leaves the page: as PNG, SVG, CSV, and as matplotlib code that draws it again.

import { colour, h, toast } from "../words/dom.js";
import { save } from "./download.js";
import { framed, keysOf } from "./framed.js";
import { pyplot } from "./matplotlib.js";
import { SvgContext } from "./svg_context.js";

const TIMES = 2; // pixels of a PNG a pixel of the page
const DRAWN = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linecap", "stroke-linejoin",
  "opacity", "font-family", "font-size", "font-weight", "text-anchor", "dominant-baseline", "visibility", "display"];

// The menu of one figure, for the panel's header.
//   name: of the files, without an ending
//   title: what the menu belongs to, for people who do not see the panel, and over a painted figure; `title` of what `draw` gives is told in its place
//   draw: () => an SVG element, a canvas, or { width, height, paint(context) } where `paint` is what paints the
//         panel's own canvas: then SVG and PNG are made of lines, not of pixels
//   rows: () => [head, ...rows] of plain values
//   plot: () => one axes or several, as `pyplot` of matplotlib.js takes them
//   keys: () => what the marks of a painted figure mean (framed.js); by default as the code's series say
// What is left out is not offered; null of one of them says that nothing is drawn yet.
export function figureMenu({ name, title, draw, rows, plot, keys = () => keysOf(plot?.() ?? []) }) {
  const whole = draw && (() => {
    const drawn = draw();
    return drawn?.paint ? framed(drawn, drawn.title ?? title, keys()) : drawn;
  });
  const offered = [
    ["PNG, two times", whole, async (drawn) => save(`${name}.png`, await png(drawn), "image/png")],
    ["SVG", whole, (drawn) => save(`${name}.svg`, svgText(drawn), "image/svg+xml")],
    ["CSV, what is drawn", rows, (told) => save(`${name}.csv`, csvText(told), "text/csv")],
    ["Matplotlib code", plot, (axes) => copy(pyplot(axes, name), `${name}.py`)],
  ].filter(([, make]) => make);
  const list = h("div", { hidden: true }, offered.map(([label, make, give]) => h("button", {
    type: "button",
    onclick: async () => {
      toggle(false);
      button.focus();
      try {
        const made = make();
        if (made) await give(made);
        else toast("Nothing is drawn yet.");
      } catch {
        toast("This browser could not make the file.");
      }
    },
  }, label)));
  const button = h("button", { type: "button", class: "quiet small", "aria-haspopup": "true", "aria-expanded": "false",
    "aria-label": `Save the figure: ${title}`, title: "Save this figure", onclick: () => toggle(list.hidden) }, "Save");
  const toggle = (on) => {
    list.hidden = !on;
    button.setAttribute("aria-expanded", String(on));
    if (on) list.querySelector("button")?.focus();
  };
  const menu = h("div", { class: "menu figure-menu" }, button, list);
  menu.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") {
      toggle(false);
      button.focus();
    } else if (step && !list.hidden) {
      const buttons = [...list.children], at = buttons.indexOf(document.activeElement);
      buttons[(at + step + buttons.length) % buttons.length].focus();
      event.preventDefault();
    } else return;
    event.stopPropagation();
  });
  menu.addEventListener("focusout", (event) => { if (!menu.contains(event.relatedTarget)) toggle(false); });
  return menu;
}

// One SVG document that needs nothing of the page: its colours and fonts stand in it.
export function svgText(drawn) {
  const paper = colour("surface");
  let root;
  if (drawn instanceof SVGElement) root = standing(drawn, paper);
  else if (drawn instanceof HTMLCanvasElement) {
    const { width, height } = sizeOf(drawn);
    root = new SvgContext(width, height, paper).root;
    const image = document.createElementNS(root.namespaceURI, "image");
    for (const [key, value] of Object.entries({ width, height, href: drawn.toDataURL("image/png") })) image.setAttribute(key, value);
    root.append(image);
  } else {
    const context = new SvgContext(drawn.width, drawn.height, paper);
    drawn.paint(context, drawn.width, drawn.height);
    root = context.root;
  }
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(root)}\n`;
}

// A copy of an element of the page with what the page's style gives it.
function standing(element, paper) {
  const copy = element.cloneNode(true), { width, height } = element.getBoundingClientRect();
  const froms = [element, ...element.querySelectorAll("*")], tos = [copy, ...copy.querySelectorAll("*")];
  froms.forEach((from, i) => {
    const style = getComputedStyle(from);
    for (const name of DRAWN) {
      tos[i].removeAttribute(name);
      tos[i].style.setProperty(name, style.getPropertyValue(name));
    }
    tos[i].removeAttribute("class");
  });
  if (!copy.getAttribute("viewBox")) copy.setAttribute("viewBox", `0 0 ${width} ${height}`);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  copy.style.background = paper;
  return copy;
}

// A PNG of twice the page's pixels; a canvas that only has its own is stretched.
export async function png(drawn) {
  const { width, height } = sizeOf(drawn);
  const canvas = h("canvas", { width: Math.round(TIMES * width), height: Math.round(TIMES * height) });
  const context = canvas.getContext("2d");
  context.fillStyle = colour("surface");
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (drawn instanceof HTMLCanvasElement) context.drawImage(drawn, 0, 0, canvas.width, canvas.height);
  else if (drawn instanceof SVGElement) context.drawImage(await loaded(svgText(drawn)), 0, 0, canvas.width, canvas.height);
  else {
    context.scale(TIMES, TIMES);
    drawn.paint(context, width, height);
  }
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png"));
}

function sizeOf(drawn) {
  if (!(drawn instanceof Element)) return drawn;
  const { width, height } = drawn.getBoundingClientRect();
  return { width, height };
}

function loaded(text) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("no picture"));
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`; // `blob:` is not among what the page may load
  });
}

// Rows as a file that spreadsheets read; text that would be a formula there stays text.
export function csvText(rows) {
  const cell = (value) => {
    if (value === null || value === undefined || (typeof value === "number" && !Number.isFinite(value))) return "";
    if (typeof value === "number") return String(value);
    const text = /^'*[=+\-@\t\r]/.test(String(value)) ? `'${value}` : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

async function copy(text, name) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Matplotlib code copied");
  } catch { // no clipboard without HTTPS, or not allowed
    save(name, text, "text/x-python");
  }
}
