// A figure of a panel: a canvas that is drawn by one `paint(context, width, height)`, sharp on every
// screen, anew when its size or the theme changes. The same `paint` makes its files (figure.js).

import { colour, h } from "../words/dom.js";
import { tick } from "../words/format.js";

export const FONT = "12px system-ui, sans-serif";

export class Picture {
  // label(): what it shows, in a sentence, for people who do not see it
  constructor(paint, { height = 260, className = "", label = () => "" } = {}) {
    this.paint = paint;
    this.label = label;
    this.canvas = h("canvas", { role: "img", tabindex: 0 });
    this.tip = h("div", { class: "tip", hidden: true });
    this.element = h("div", { class: `picture ${className}`, style: { height: `${height}px` } }, this.canvas, this.tip);
    this.redraw = () => this.draw();
    this.observer = new ResizeObserver(this.redraw);
    this.observer.observe(this.element);
    document.addEventListener("themechange", this.redraw);
  }

  get size() {
    return { width: this.element.clientWidth, height: this.element.clientHeight };
  }

  draw() {
    const { width, height } = this.size, ratio = devicePixelRatio || 1;
    if (!width || !height) return;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.font = FONT;
    this.paint(context, width, height);
    this.canvas.setAttribute("aria-label", this.label());
  }

  drawn() {
    return { ...this.size, paint: (context, width, height) => { context.font = FONT; this.paint(context, width, height); } };
  }

  // Show a tip at a place of the figure; nothing without nodes.
  say(x, y, ...nodes) {
    this.tip.hidden = !nodes.length;
    if (!nodes.length) return;
    this.tip.replaceChildren(...nodes);
    const right = x > this.size.width * 0.6;
    this.tip.style.left = right ? "" : `${x + 14}px`;
    this.tip.style.right = right ? `${this.size.width - x + 14}px` : "";
    this.tip.style.top = `${Math.max(4, y - 24)}px`;
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  destroy() {
    this.observer.disconnect();
    document.removeEventListener("themechange", this.redraw);
  }
}

// A straight or logarithmic axis from values to places.
export function axis(low, high, from, to, { log = false } = {}) {
  const real = log ? Math.log10 : (v) => v;
  const a = real(low), b = real(high), size = b - a || 1;
  return {
    low, high, log,
    at: (v) => from + ((real(v) - a) / size) * (to - from),
    of: (place) => {
      const v = a + ((place - from) / (to - from || 1)) * size;
      return log ? 10 ** v : v;
    },
    ticks: (n) => (log ? decades(a, b, n) : steps(low, high, n)),
  };
}

function decades(a, b, n) {
  const every = Math.max(1, Math.ceil((b - a) / n)), found = [];
  for (let power = Math.ceil(a - 1e-9); power <= b + 1e-9; power += every) found.push(10 ** power);
  return found.length > 1 ? found : [10 ** a, 10 ** b];
}

export function steps(low, high, n) {
  const rough = (high - low) / n, power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = [1, 2, 5, 10].map((s) => s * power).find((s) => s >= rough) ?? rough;
  const found = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + 1e-9 * step; t += step) found.push(Number(t.toPrecision(10)));
  return found;
}

// Where a plot begins, so that its numbers at the left and the name of their axis stand side by side.
const NAMED = 27; // pixels for the name, and beside the numbers
export function leftOf(context, y, { yText = tick, yTicks = 5 } = {}) {
  return NAMED + Math.ceil(Math.max(24, ...y.ticks(yTicks).map((t) => context.measureText(yText(t)).width)));
}

// Lines across with their numbers at the left, numbers below.
//   box: { left, right, top, bottom } of the plot
export function grid(context, box, x, y, { xText = tick, yText = tick, xTicks = 6, yTicks = 5, xLabel = "", yLabel = "" } = {}) {
  context.strokeStyle = colour("line");
  context.fillStyle = colour("muted");
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const t of y.ticks(yTicks)) {
    const at = Math.round(y.at(t)) + 0.5;
    line(context, box.left, at, box.right, at);
    context.fillText(yText(t), box.left - 7, at);
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const t of x ? x.ticks(xTicks) : []) context.fillText(xText(t), x.at(t), box.bottom + 7);
  if (xLabel) context.fillText(xLabel, (box.left + box.right) / 2, box.bottom + 24);
  if (yLabel) {
    context.save();
    context.translate(11, (box.top + box.bottom) / 2);
    context.rotate(-Math.PI / 2);
    context.textBaseline = "middle";
    context.fillText(yLabel, 0, 0);
    context.restore();
  }
}

export function line(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

export function cross(context, x, y, size) {
  context.moveTo(x - size, y - size);
  context.lineTo(x + size, y + size);
  context.moveTo(x - size, y + size);
  context.lineTo(x + size, y - size);
}

export function disc(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
}
