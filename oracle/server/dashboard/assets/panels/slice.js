// One setting against the score: the runs, their running median, and what the oracle says of it before any run.

import { get, post } from "../data/api.js";
import { colour, h } from "../words/dom.js";
import { Picture, axis, cross, disc, grid, leftOf } from "../charts/drawing.js";
import { figureMenu } from "../charts/figure.js";
import { cut, num, tick } from "../words/format.js";
import { heads } from "../data/columns.js";
import { running } from "../data/search.js";

const PLACES = 9; // of a setting at which the oracle is asked
const FIELDS = new Set(["map_rows", "map_cols", "total_updates", "batch_size"]);
const SCHEDULED = /^(learning_rate|radius)_(start|end)$/;
export const isForecast = (name) => FIELDS.has(name) || SCHEDULED.test(name);

export class Slice {
  constructor(store, shared) {
    Object.assign(this, { store, shared, setting: null, points: [], surface: null, asked: "" });
    this.picture = new Picture((...to) => this.paint(...to), { height: 200, label: () => (this.setting ? `Quality score over ${this.setting.label}, ${this.points.length} runs` : "") });
    this.note = h("p", { class: "muted small" });
    this.title = h("h3");
    const drawn = (make) => () => (this.points.length ? make() : null);
    const menu = figureMenu({ name: "setting", title: "The chosen setting against the score", draw: drawn(() => ({ ...this.picture.drawn(), title: `Score over ${this.setting.label}` })), rows: drawn(() => this.rows()), plot: drawn(() => this.plot()) });
    this.element = h("div", { class: "slice" }, h("div", { class: "slice-head" }, this.title, menu), this.picture.element, this.note);
  }

  show(setting, runs) {
    this.setting = setting;
    this.points = runs.map(({ run, score, whole }) => [run.settings?.[setting.name], score, whole, run]).filter(([x]) => (setting.kind === "word" ? x !== undefined && x !== null : typeof x === "number"));
    this.title.textContent = `Score over ${setting.label}`;
    this.picture.draw();
    this.#ask();
  }

  rows() {
    const surface = this.surface ?? [];
    return [heads(["what", "run_id", "score", "score_25", "score_75", "to_its_end"], [this.setting.name]),
      ...this.points.map(([value, score, whole, run]) => ["run", run.run_id, score, null, null, String(whole), value]),
      ...surface.map((s) => ["forecast", null, s.values[2], s.values[1], s.values[3], null, s.x])];
  }

  plot() {
    const { setting, points, surface } = this, words = setting.kind === "word";
    const x = (value) => (words ? setting.values.indexOf(String(value)) : value);
    const of = (whole, label, kind, color) => ({ label, kind, color, x: points.filter((p) => p[2] === whole).map((p) => x(p[0])), y: points.filter((p) => p[2] === whole).map((p) => p[1]) });
    const middle = words ? [] : running(points);
    return { title: setting.label, x: { label: setting.label, log: setting.log, ticks: words ? setting.values.map((word, i) => [i, word]) : undefined }, y: { label: "quality score" }, series: [
      of(false, "stopped: forecast", "crosses", "faint"), of(true, "to its end", "points", "good"),
      ...(middle.length ? [{ label: "running median", color: "s2", x: middle.map((p) => p.x), y: middle.map((p) => p.middle), low: middle.map((p) => p.low), high: middle.map((p) => p.high) }] : []),
      ...(surface ? [{ label: "forecast before training", color: "ours", dash: true, x: surface.map((s) => s.x), y: surface.map((s) => s.values[2]), low: surface.map((s) => s.values[1]), high: surface.map((s) => s.values[3]) }] : [])] };
  }

  paint(context, width, height) {
    const { setting, points } = this;
    if (!setting || !points.length) return;
    const ys = points.map((p) => p[1]).sort((a, b) => a - b), most = ys[Math.floor(0.92 * (ys.length - 1))];
    const low = Math.min(ys[0], ...(this.surface ?? []).map((s) => s.values[1])), high = Math.max(most, ...(this.surface ?? []).map((s) => Math.min(s.values[3], 1.5 * most)));
    const size = high - low || 1, words = setting.kind === "word", y = axis(low - 0.05 * size, high + 0.05 * size, height - 40, 8);
    const box = { left: leftOf(context, y, { yTicks: 4 }), right: width - 10, top: 8, bottom: height - 40 };
    const x = words ? { at: (word) => box.left + ((setting.values.indexOf(String(word)) + 0.5) / setting.values.length) * (box.right - box.left), ticks: () => [] }
      : axis(setting.low, setting.high === setting.low ? setting.low + 1 : setting.high, box.left + 6, box.right - 6, { log: setting.log });
    grid(context, box, x, y, { xTicks: 5, yTicks: 4, xText: tick, xLabel: `${setting.label}${setting.log ? ", logarithmic" : ""}`, yLabel: "quality score" });
    const upTo = (v) => Math.max(box.top, Math.min(box.bottom, y.at(v)));
    if (this.surface) {
      this.band(context, this.surface.map((s) => [x.at(s.x), upTo(s.values[1]), upTo(s.values[3])]), colour("fan-narrow"));
      this.way(context, this.surface.map((s) => [x.at(s.x), upTo(s.values[2])]), colour("ours"), [5, 4]);
    }
    context.lineWidth = 1;
    context.globalAlpha = points.length > 400 ? 0.45 : 0.8;
    for (const [value, score, whole, run] of points) {
      const px = x.at(value) + (words ? 14 * jitter(run.run_id) : 0), py = upTo(score);
      if (words && setting.values.indexOf(String(value)) < 0) continue;
      context.fillStyle = colour("good");
      context.strokeStyle = colour("faint");
      if (whole) { disc(context, px, py, 2.6); context.fill(); } else { context.beginPath(); cross(context, px, py, 2.4); context.stroke(); }
    }
    context.globalAlpha = 1;
    if (words) {
      context.fillStyle = colour("muted");
      context.textAlign = "center";
      context.textBaseline = "top";
      setting.values.forEach((word) => {
        const mine = points.filter((p) => String(p[0]) === word).map((p) => p[1]).sort((a, b) => a - b);
        context.fillText(cut(word, 14), x.at(word), box.bottom + 7);
        if (!mine.length) return;
        context.strokeStyle = colour("s2");
        context.lineWidth = 2;
        this.way(context, [[x.at(word) - 18, upTo(mine[mine.length >> 1])], [x.at(word) + 18, upTo(mine[mine.length >> 1])]], colour("s2"), []);
      });
      return;
    }
    const line = running(points);
    this.band(context, line.map((p) => [x.at(p.x), upTo(p.low), upTo(p.high)]), colour("s2"), 0.16);
    this.way(context, line.map((p) => [x.at(p.x), upTo(p.middle)]), colour("s2"), []);
  }

  band(context, points, fill, alpha = 1) {
    if (points.length < 2) return;
    context.fillStyle = fill;
    context.globalAlpha = alpha;
    context.beginPath();
    points.forEach(([x, a], i) => (i ? context.lineTo(x, a) : context.moveTo(x, a)));
    [...points].reverse().forEach(([x, , b]) => context.lineTo(x, b));
    context.closePath();
    context.fill();
    context.globalAlpha = 1;
  }

  way(context, points, stroke, dash) {
    context.strokeStyle = stroke;
    context.lineWidth = 2;
    context.setLineDash(dash);
    context.beginPath();
    points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.stroke();
    context.setLineDash([]);
  }

  // The forecast of the best run's plan, with this setting alone changed: known before any training.
  async #ask() {
    const { setting, shared } = this, best = shared.course.best?.run;
    const key = best && isForecast(setting.name) ? `${setting.name} ${best.run_id} ${setting.low} ${setting.high}` : "";
    if (key === this.asked) return;
    this.asked = key;
    this.surface = null;
    this.#say();
    if (!key) return;
    try {
      const { history, run } = await get(`v1/runs/${encodeURIComponent(best.run_id)}`);
      const xs = axis(setting.low, setting.high, 0, PLACES - 1, { log: setting.log }), real = Array.from({ length: PLACES }, (_, i) => xs.of(i));
      const plans = [...new Set(FIELDS.has(setting.name) ? real.map(Math.round) : real)].map((value) => changed(history, setting.name, value)).filter(Boolean);
      if (!plans.length) return;
      const { results } = await post("v1/decide/batch", { histories: plans.map((p) => p.plan), policy: { name: "threshold" } });
      const scale = run.quality?.scale;
      const found = results.map(({ decision }, i) => {
        const q = decision?.forecast?.quality, told = q && (q.find((one) => one.scale === scale) ?? q.at(-1));
        return told ? { x: plans[i].value, values: told.values } : null;
      }).filter(Boolean);
      if (this.asked !== key) return;
      this.surface = found.length > 1 ? found : null;
      this.#say();
      this.picture.draw();
    } catch { /* a plan that cannot be forecast has no surface */ }
  }

  #say() {
    this.note.textContent = `Orange: running median of the runs and their middle half.${this.surface ? ` Blue: what the oracle forecasts for the best run's plan with this setting alone changed, before any training, and 50 % (best ${num(Math.min(...this.surface.map((s) => s.values[2])))}).` : ""}`;
  }

  destroy() {
    this.asked = "gone";
    this.picture.destroy();
  }
}

const jitter = (id) => ([...id].reduce((a, c) => (31 * a + c.charCodeAt(0)) % 997, 7) / 997 - 0.5) * 2;

// A plan alone, of a run's context with one setting changed.
function changed(history, name, value) {
  const context = structuredClone(history.context ?? {}), match = SCHEDULED.exec(name);
  if (match) {
    const [, what, end] = match, points = context.schedule?.[what];
    if (!points?.length) return null;
    const [first, last] = [points[0], points.at(-1)], [start, stop] = end === "start" ? [value, last] : [first, value];
    context.schedule[what] = points.map((v) => (first === last ? start + (stop - start) * 0.5 : start + ((v - first) / (last - first)) * (stop - start)));
  } else context[name] = value;
  return { value, plan: { total_epochs: history.total_epochs, dataset: history.dataset, context, epochs: [], mqe: [], topographic_error: [], dead_neuron_ratio: [] } };
}
