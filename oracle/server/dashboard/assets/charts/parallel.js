// Parallel coordinates: an axis a setting, a line a run. Drag on an axis to filter the page.

import { SCORE } from "../data/brush.js";
import { colour } from "../words/dom.js";
import { Picture, axis, disc, line } from "./drawing.js";
import { count, cut, num, setTo } from "../words/format.js";

const PAD = { left: 46, right: 46, top: 40, bottom: 26 };
const MANY = 600;
const MISSING = 10; // pixels below an axis, for runs that lack its setting
const NEAR = 6;
const NARROW = 76; // pixels between two axes at least

export class Parallel {
  // brush: of the page; pick(name): an axis' head was chosen; passes(run), hover(run or null), open(run)
  constructor(brush, { pick, passes, hover, open }) {
    Object.assign(this, { brush, pick, passes, hover, open });
    this.picture = new Picture((...to) => this.paint(...to), {
      height: 340, className: "parallel", label: () => `${count(this.runs.length)} runs over ${this.axes.map((a) => a.name).join(", ")}. Ranges are set by the fields below, too.`,
    });
    this.element = this.picture.element;
    this.axes = this.all = [];
    this.runs = [];
    this.best = new Set();
    this.#listen();
  }

  // axes: [{ name, label, kind, log, low, high, values }], the last one the score
  // runs: [{ run, score }]; best: Set of ids
  show(axes, runs, best, chosen) {
    [this.all, this.runs, this.best, this.chosen] = [axes, runs, best, chosen];
    this.picture.draw();
  }

  paint(context, width, height) {
    const box = { top: PAD.top, bottom: height - PAD.bottom - MISSING };
    this.box = box;
    this.axes = this.#fitting(width);
    const n = this.axes.length;
    this.axes.forEach((one, i) => {
      one.x = PAD.left + (n > 1 ? (i / (n - 1)) * (width - PAD.left - PAD.right) : 0);
      one.scale = one.kind === "word" ? null : axis(one.low, one.high === one.low ? one.low + 1 : one.high, box.bottom, box.top, { log: one.log });
    });
    const back = [], front = [], marked = [];
    for (const one of this.runs) {
      if (!this.passes(one.run)) continue;
      (this.best.has(one.run.run_id) ? front : back).push(one);
      if (one.run.run_id === this.marked) marked.push(one);
    }
    this.lines(context, back, colour("faint"), back.length > MANY ? 0.16 : 0.32, 0.9);
    this.lines(context, front, colour("ours"), front.length > 100 ? 0.5 : 0.85, 1.3);
    this.lines(context, marked, colour("s2"), 1, 2.4);
    for (const one of this.axes) {
      one.lacked = this.runs.some((run) => this.#lacks(one, run));
      this.axis(context, one);
    }
  }

  // Whether a run has no value on an axis; a word that is too rare for a place is none either.
  #lacks(a, one) {
    const value = this.valueOf(a, one);
    return a.kind === "word" ? !a.values.includes(String(value)) : typeof value !== "number";
  }

  lines(context, runs, stroke, alpha, width) {
    context.strokeStyle = stroke;
    context.globalAlpha = alpha;
    context.lineWidth = width;
    context.beginPath();
    for (const one of runs) {
      this.axes.forEach((a, i) => {
        const y = this.at(a, one);
        if (i) context.lineTo(a.x, y);
        else context.moveTo(a.x, y);
      });
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  // Whether some line passes below an axis.
  get lacked() {
    return this.axes.some((a) => a.lacked);
  }

  valueOf(a, { run, score }) {
    return a.name === SCORE && a.last ? score : run.settings?.[a.name];
  }

  at(a, one) {
    const value = this.valueOf(a, one);
    if (this.#lacks(a, one)) return this.box.bottom + MISSING;
    if (a.kind === "word") return this.wordAt(a, a.values.indexOf(String(value)));
    return Math.max(this.box.top, Math.min(this.box.bottom, a.scale.at(Math.max(value, a.log ? a.low : -Infinity))));
  }

  wordAt(a, i) {
    return a.values.length < 2 ? (this.box.top + this.box.bottom) / 2 : this.box.bottom - (i / (a.values.length - 1)) * (this.box.bottom - this.box.top);
  }

  axis(context, a) {
    const { top, bottom } = this.box;
    context.strokeStyle = colour("ink");
    context.lineWidth = 1.2;
    line(context, a.x, top, a.x, bottom);
    if (a.lacked) { // an open end below, for the runs without
      context.fillStyle = colour("surface");
      disc(context, a.x, bottom + MISSING, 2.6);
      context.fill();
      context.stroke();
    }
    context.fillStyle = colour(a.name === this.chosen ? "ours" : "ink");
    context.font = "600 12px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "alphabetic";
    const room = this.axes.length > 1 ? this.axes[1].x - this.axes[0].x - 8 : 200, first = a === this.axes[0], last = a === this.axes.at(-1);
    context.textAlign = first ? "left" : last ? "right" : "center"; // of the outer ones none is cut by the edge
    context.fillText(fit(context, a.label, Math.max(40, room)), a.x + (first ? -PAD.left : last ? PAD.right : 0), 12);
    context.textAlign = "center";
    context.font = "11.5px system-ui, sans-serif";
    context.fillStyle = colour("muted");
    const right = a.x > this.axes[0].x + 1 && a === this.axes.at(-1);
    if (a.kind === "word") {
      context.textAlign = right ? "right" : "left";
      context.textBaseline = "middle";
      a.values.forEach((word, i) => {
        const y = this.wordAt(a, i), on = this.brush.words.get(a.name)?.has(word);
        const text = fit(context, word, 80), wide = context.measureText(text).width;
        context.fillStyle = colour("surface"); // no line strikes a word out
        context.globalAlpha = 0.85;
        context.fillRect(right ? a.x - 10 - wide : a.x + 6, y - 8, wide + 4, 16);
        context.globalAlpha = 1;
        context.fillStyle = colour(on ? "ours" : "muted");
        if (on) context.fillRect(a.x - 4, y - 4, 8, 8);
        context.fillText(text, a.x + (right ? -8 : 8), y);
      });
    } else {
      context.textBaseline = "alphabetic";
      context.fillText(setTo(a.high), a.x, top - 8);
      context.textBaseline = "top";
      context.fillText(setTo(a.low), a.x, bottom + MISSING + 4);
    }
    const range = this.ranging?.name === a.name ? this.ranging.range : this.brush.ranges.get(a.name);
    if (!a.scale) return;
    if (a.good && !range) {
      context.fillStyle = colour("fan-narrow");
      const [y1, y2] = a.good.map((v) => a.scale.at(v));
      context.fillRect(a.x - 5, Math.min(y1, y2), 10, Math.max(2, Math.abs(y1 - y2)));
    }
    if (range) {
      const [y1, y2] = range.map((v) => Math.max(top, Math.min(bottom, a.scale.at(Math.max(v, a.log ? a.low / 2 : -Infinity)))));
      context.fillStyle = colour("fan-narrow");
      context.strokeStyle = colour("ours");
      context.fillRect(a.x - 8, Math.min(y1, y2), 16, Math.abs(y1 - y2));
      context.strokeRect(a.x - 8, Math.min(y1, y2), 16, Math.max(2, Math.abs(y1 - y2)));
    }
  }

  #listen() {
    const { canvas } = this.picture;
    const axisAt = (x) => this.axes.find((a) => Math.abs(a.x - x) < 18);
    canvas.addEventListener("pointerdown", (event) => {
      const at = this.picture.place(event), a = axisAt(at.x);
      if (event.button || !a) return;
      if (at.y < 20) {
        this.pick(a.name);
        return;
      }
      this.drag = { a, from: at.y };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const at = this.picture.place(event);
      if (this.drag?.a.scale) {
        this.ranging = { name: this.drag.a.name, range: [this.#value(this.drag.a, this.drag.from), this.#value(this.drag.a, at.y)].sort((a, b) => a - b) };
        this.picture.draw();
        return;
      }
      const found = this.#nearest(at);
      canvas.style.cursor = axisAt(at.x) ? (at.y < 20 ? "pointer" : "ns-resize") : found ? "pointer" : "default";
      if (found?.run.run_id !== this.marked) {
        this.marked = found?.run.run_id;
        this.hover(found?.run ?? null);
        this.picture.say(...(found ? [at.x, at.y, ...said(found)] : []));
        this.picture.draw();
      }
    });
    canvas.addEventListener("pointerup", (event) => {
      const at = this.picture.place(event), { drag } = this;
      this.drag = null;
      if (!drag) {
        const found = this.#nearest(at);
        if (found) this.open(found.run.run_id);
        return;
      }
      const { a } = drag, ranged = this.ranging;
      this.ranging = null;
      if (!a.scale) {
        const word = a.values.find((_, i) => Math.abs(this.wordAt(a, i) - at.y) < 12);
        if (word !== undefined) this.brush.toggle(a.name, word);
      } else if (ranged && Math.abs(at.y - drag.from) > 4) this.brush.range(a.name, ranged.range);
      else this.brush.range(a.name, null);
    });
    canvas.addEventListener("pointercancel", () => { this.drag = this.ranging = null; this.picture.draw(); });
    canvas.addEventListener("pointerleave", () => {
      if (this.marked === undefined) return;
      this.marked = undefined;
      this.hover(null);
      this.picture.say();
      this.picture.draw();
    });
  }

  // A narrow page has room for a few: those that explain most, what is brushed, and the score.
  #fitting(width) {
    const room = Math.max(2, Math.floor((width - PAD.left - PAD.right) / NARROW) + 1);
    if (this.all.length <= room) return this.all;
    const kept = (a) => this.brush.ranges.has(a.name) || this.brush.words.has(a.name) || a.name === this.chosen;
    const first = this.all.filter((a) => kept(a) && !a.last), rest = this.all.filter((a) => !kept(a) && !a.last);
    const shown = new Set([...first, ...rest.slice(0, Math.max(0, room - 1 - first.length))]);
    return this.all.filter((a) => a.last || shown.has(a));
  }

  #value(a, y) {
    return a.scale.of(Math.max(this.box.top, Math.min(this.box.bottom, y)));
  }

  #nearest({ x, y }) {
    if (!this.box || y < this.box.top) return null;
    const i = this.axes.findIndex((a) => a.x > x);
    if (i < 1) return null;
    const [one, other] = [this.axes[i - 1], this.axes[i]], share = (x - one.x) / (other.x - one.x);
    let found = null, least = NEAR;
    for (const each of this.runs) {
      if (!this.passes(each.run)) continue;
      const away = Math.abs(this.at(one, each) * (1 - share) + this.at(other, each) * share - y);
      if (away < least) [found, least] = [each, away];
    }
    return found;
  }

  mark(id) {
    this.marked = id ?? undefined;
    this.picture.draw();
  }

  destroy() {
    this.picture.destroy();
  }
}

const said = ({ run, score }) => [Object.assign(document.createElement("strong"), { textContent: run.run_id }), Object.assign(document.createElement("div"), { textContent: `quality score ${num(score)}` })];

export function fit(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let most = text.length - 1;
  while (most > 3 && context.measureText(cut(text, most)).width > width) most -= 1;
  return cut(text, most);
}
