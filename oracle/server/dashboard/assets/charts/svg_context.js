// What a canvas is painted with, written down as SVG: one `paint(context)` gives both.

import { svg } from "../words/dom.js";

const ANCHOR = { left: "start", start: "start", center: "middle", right: "end", end: "end" };
const BASELINE = { top: "text-before-edge", hanging: "hanging", middle: "central", bottom: "text-after-edge", alphabetic: "auto" };
const STATE = ["fillStyle", "strokeStyle", "lineWidth", "lineCap", "lineJoin", "globalAlpha", "font", "textAlign", "textBaseline"];
let clips = 0; // several figures may stand in one document: names are given once
const round = (v) => Math.round(100 * v) / 100;

// The part of CanvasRenderingContext2D that figures are made of: paths, arcs, rectangles, text, dashes,
// clips, and moved, turned or scaled drawing.
export class SvgContext {
  fillStyle = "#000"; strokeStyle = "#000"; lineWidth = 1; lineCap = "butt"; lineJoin = "miter"; globalAlpha = 1;
  font = "10px sans-serif"; textAlign = "start"; textBaseline = "alphabetic";
  #dash = []; #path = ""; #transform = ""; #saved = []; #ruler = document.createElement("canvas").getContext("2d");

  constructor(width, height, background = null) {
    this.root = svg("svg", { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}` });
    if (background) this.root.append(svg("rect", { width, height, fill: background }));
    this.#group = this.root;
  }

  #group;

  save() {
    this.#saved.push({ ...Object.fromEntries(STATE.map((name) => [name, this[name]])), dash: this.#dash, transform: this.#transform, group: this.#group });
  }

  restore() {
    const held = this.#saved.pop();
    if (!held) return;
    for (const name of STATE) this[name] = held[name];
    [this.#dash, this.#transform, this.#group] = [held.dash, held.transform, held.group];
  }

  translate(x, y) { this.#transform += `translate(${round(x)} ${round(y)})`; }
  rotate(angle) { this.#transform += `rotate(${round((180 * angle) / Math.PI)})`; }
  scale(x, y) { this.#transform += `scale(${x} ${y})`; }
  setLineDash(dash) { this.#dash = [...dash]; }
  getLineDash() { return [...this.#dash]; }

  beginPath() { this.#path = ""; }
  moveTo(x, y) { this.#path += `M${round(x)} ${round(y)}`; }
  lineTo(x, y) { this.#path += `${this.#path ? "L" : "M"}${round(x)} ${round(y)}`; }
  closePath() { this.#path += "Z"; }
  rect(x, y, width, height) { this.#path += `M${round(x)} ${round(y)}h${round(width)}v${round(height)}h${round(-width)}Z`; }
  quadraticCurveTo(...at) { this.#path += `Q${at.map(round).join(" ")}`; }
  bezierCurveTo(...at) { this.#path += `C${at.map(round).join(" ")}`; }

  arc(x, y, radius, from, to) {
    if (Math.abs(to - from) >= 2 * Math.PI) {
      this.#path += `M${round(x - radius)} ${round(y)}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0Z`;
      return;
    }
    const at = (angle) => `${round(x + radius * Math.cos(angle))} ${round(y + radius * Math.sin(angle))}`;
    this.#path += `${this.#path ? "L" : "M"}${at(from)}A${radius} ${radius} 0 ${to - from > Math.PI ? 1 : 0} 1 ${at(to)}`;
  }

  stroke() { this.#add("path", { d: this.#path, fill: "none", ...this.#pen() }); }
  fill() { this.#add("path", { d: this.#path, fill: this.fillStyle }); }
  fillRect(x, y, width, height) { this.#add("rect", { ...box(x, y, width, height), fill: this.fillStyle }); }
  strokeRect(x, y, width, height) { this.#add("rect", { ...box(x, y, width, height), fill: "none", ...this.#pen() }); }
  clearRect() { /* nothing lies below */ }

  clip() {
    clips += 1;
    const id = `clip-${clips}`;
    this.root.append(svg("clipPath", { id }, svg("path", { d: this.#path, transform: this.#transform || null })));
    const group = svg("g", { "clip-path": `url(#${id})` });
    this.#group.append(group);
    this.#group = group;
  }

  measureText(text) {
    this.#ruler.font = this.font;
    return this.#ruler.measureText(text);
  }

  fillText(text, x, y) {
    this.#add("text", { x: round(x), y: round(y), fill: this.fillStyle, style: { font: this.font },
      "text-anchor": ANCHOR[this.textAlign], "dominant-baseline": BASELINE[this.textBaseline] }, String(text));
  }

  #pen() {
    return { stroke: this.strokeStyle, "stroke-width": this.lineWidth, "stroke-linecap": this.lineCap, "stroke-linejoin": this.lineJoin,
      "stroke-dasharray": this.#dash.length ? this.#dash.join(" ") : null };
  }

  #add(tag, attributes, ...children) {
    this.#group.append(svg(tag, { ...attributes, opacity: this.globalAlpha < 1 ? this.globalAlpha : null, transform: this.#transform || null }, ...children));
  }
}

const box = (x, y, width, height) => ({ x: round(x), y: round(y), width: round(width), height: round(height) });
