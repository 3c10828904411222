// Runs where they are heading: two objectives, the middle half of each forecast as whiskers, the
// Pareto front of what is not stopped. Drawn by hand: 2,000 whiskers are one pass over a canvas.

import { colour, h } from "../words/dom.js";
import { FONT, leftOf } from "./drawing.js";
import { num, percent, power, share, tick } from "../words/format.js";
import { METRICS, STATE, reason, standing, toldAt, wentOn } from "../words/words.js";

const PAD = { right: 18, top: 14, bottom: 44 };
const NEAR = 14;
const FEW = 12;
const UP = 6; // numbers at the left, about so many

export class Scatter {
  constructor(element, open) {
    this.element = element;
    this.canvas = h("canvas", { role: "application", tabindex: 0, "aria-roledescription": "scatter", "aria-label": "Scatter of forecasts" });
    this.at = null; // the run that is pointed at
    this.tip = h("div", { class: "tip", hidden: true });
    element.classList.add("scatter");
    element.append(this.canvas, this.tip);
    this.points = [];
    this.draw = () => this.redraw();
    this.observer = new ResizeObserver(this.draw);
    this.observer.observe(element);
    document.addEventListener("themechange", this.draw);
    this.canvas.addEventListener("pointermove", (event) => this.#point(this.#nearest(event)));
    this.canvas.addEventListener("pointerleave", () => this.#point(null));
    this.canvas.addEventListener("blur", () => this.#point(null));
    this.canvas.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && this.at) open(this.at.run.run_id);
      else if (event.key === "Escape") this.#point(null);
      else if (event.key.startsWith("Arrow") && this.points.length) this.#step(event.key);
      else return;
      event.preventDefault();
    });
    this.canvas.addEventListener("click", (event) => {
      const found = this.#nearest(event);
      if (found) open(found.run.run_id);
    });
  }

  // runs: summaries; x, y: metrics of words.js; scale: mqe_of_mean or null; weights: of the quality
  // score; score(run): its quantiles
  show(runs, x, y, scale, weights = null, score = () => null) {
    Object.assign(this, { scale, weights, score });
    this.axes = [x, y].map((metric) => ({
      metric, relative: metric.name === "mqe" && scale,
      label: metric.name === "mqe" ? (scale ? "Final mqe, relative to the mqe of the mean" : "Final mqe, input units") : `Final ${metric.short}, ${metric.unit}`,
      factor: metric.name === "mqe" && scale ? 1 / scale : 1,
    }));
    this.points = [];
    for (const run of runs) {
      const [px, py] = this.axes.map((axis) => place(run, axis));
      if (px && py) this.points.push({ run, x: px, y: py, stopped: run.state === "stopped" });
    }
    const third = METRICS.find((m) => m !== x && m !== y);
    this.third = x !== y && weights && (scale || weights[0] === 0 || x.name !== "mqe") ? { metric: third, relative: third.name === "mqe" && scale, factor: third.name === "mqe" && scale ? 1 / scale : 1 } : null;
    const others = this.third ? this.points.map((p) => place(p.run, this.third)?.[1]).filter(Number.isFinite).sort((a, b) => a - b) : [];
    this.middle = others[Math.floor(others.length / 2)] ?? null;
    this.front = pareto(this.points.filter((p) => !p.stopped));
    this.canvas.setAttribute("aria-label", `${this.points.length} runs by forecast of ${x.short} and ${y.short}; ${this.front.length} on the Pareto front, ${this.points.filter((p) => p.stopped).length} stopped. Arrow keys go from run to run, Enter opens one; the table below has the same numbers.`);
    this.redraw();
  }

  redraw() {
    if (!this.axes || !this.canvas.clientWidth) return;
    const ratio = devicePixelRatio, width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const ctx = this.canvas.getContext("2d");
    ctx.scale(ratio, ratio);
    this.#paint(ctx, width, height);
    if (!this.at) return;
    ctx.strokeStyle = colour("ink");
    ctx.lineWidth = 2;
    ctx.beginPath();
    ctx.arc(this.at.px, this.at.py, 8, 0, 7);
    ctx.stroke();
  }

  // As `figureMenu` takes it; null while nothing is drawn.
  files() {
    const drawn = (make) => () => (this.axes && this.points.length ? make() : null);
    const name = (axis) => `${axis.metric.final}${axis.relative ? "_relative" : ""}`, middle = (p) => [p.x[1], p.y[1]];
    return {
      draw: drawn(() => ({ width: this.canvas.clientWidth, height: this.canvas.clientHeight, paint: (...to) => this.#paint(...to) })),
      rows: drawn(() => [["run_id", "state", ...this.axes.flatMap((axis) => ["25", "50", "75"].map((q) => `${name(axis)}_${q}`)), "on_front"],
        ...this.points.map((p) => [p.run.run_id, p.run.state, ...p.x, ...p.y, String(this.front.includes(p))])]),
      plot: drawn(() => {
        const [x, y] = this.axes, of = (label, color, kind, points) => ({ label, color, kind, x: points.map((p) => middle(p)[0]), y: points.map((p) => middle(p)[1]), low: points.map((p) => p.y[0]), high: points.map((p) => p.y[2]), sides: [points.map((p) => p.x[0]), points.map((p) => p.x[2])] });
        return { title: "Where the runs are heading", x: { label: x.label, log: Boolean(this.scaleX?.log), range: [this.scaleX.low, this.scaleX.high] }, y: { label: y.label, log: Boolean(this.scaleY?.log), range: [this.scaleY.low, this.scaleY.high] }, series: [
          of("stopped: last forecast", "mark", "crosses", this.points.filter((p) => p.stopped)),
          of("live: forecast, whiskers hold 50 %", "ours", "rings", this.points.filter((p) => p.run.state === "running")),
          of("finished", "good", "points", this.points.filter((p) => p.run.state === "finished")),
          { label: "Pareto front", color: "ours", kind: "steps", dash: true, x: this.front.map((p) => p.x[1]), y: this.front.map((p) => p.y[1]) },
          ...this.lines.map(({ score, at }, i) => ({ label: i ? null : "equal quality score", name: `score ${tick(score)}`, color: "mark", kind: "line", dots: true, x: at.map((p) => p[0]), y: at.map((p) => p[1]) }))].filter((one) => one.x.length) };
      }),
    };
  }

  #paint(ctx, width, height) {
    ctx.font = FONT;
    this.scaleY = scaleOf(this.points.map((p) => p.y), height - PAD.bottom, PAD.top, this.axes[1].metric);
    this.left = leftOf(ctx, this.scaleY, { yText: this.scaleY.text, yTicks: UP });
    this.scaleX = scaleOf(this.points.map((p) => p.x), this.left, width - PAD.right, this.axes[0].metric);
    this.#grid(ctx, width, height);
    ctx.save();
    ctx.beginPath();
    ctx.rect(this.left - 6, PAD.top - 6, width - this.left - PAD.right + 12, height - PAD.top - PAD.bottom + 12);
    ctx.clip();
    this.#equal(ctx, width, height);
    this.#front(ctx, width);
    const many = this.points.length > 400;
    for (const p of this.points) {
      p.px = this.scaleX.at(p.x[1]);
      p.py = this.scaleY.at(p.y[1]);
    }
    const ours = colour("ours"), good = colour("good"), faint = colour("mark"), paper = colour("surface");
    ctx.lineWidth = 1;
    for (const stopped of [true, false]) {
      ctx.strokeStyle = stopped ? faint : ours;
      if (many && stopped) continue; // thousands of whiskers hide each other and all else; the tip tells each
      ctx.beginPath();
      for (const p of this.points) {
        if (p.stopped !== stopped || p.x[0] === p.x[2]) continue;
        ctx.moveTo(this.scaleX.at(p.x[0]), p.py);
        ctx.lineTo(this.scaleX.at(p.x[2]), p.py);
        ctx.moveTo(p.px, this.scaleY.at(p.y[0]));
        ctx.lineTo(p.px, this.scaleY.at(p.y[2]));
      }
      ctx.stroke();
    }
    ctx.strokeStyle = faint;
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    for (const p of this.points) {
      if (!p.stopped) continue;
      ctx.moveTo(p.px - 3.5, p.py - 3.5);
      ctx.lineTo(p.px + 3.5, p.py + 3.5);
      ctx.moveTo(p.px - 3.5, p.py + 3.5);
      ctx.lineTo(p.px + 3.5, p.py - 3.5);
    }
    ctx.stroke();
    ctx.lineWidth = 1.2;
    ctx.strokeStyle = paper;
    for (const p of this.points) {
      if (p.stopped) continue;
      const finished = p.run.state === "finished", r = many ? 3.2 : 4.6;
      ctx.fillStyle = finished ? good : paper;
      ctx.strokeStyle = finished ? paper : ours;
      ctx.lineWidth = finished ? 1.2 : 2;
      ctx.beginPath();
      ctx.arc(p.px, p.py, finished ? r : r - 0.6, 0, 7);
      ctx.fill();
      ctx.stroke();
    }
    ctx.restore();
    if (!this.points.length) {
      ctx.fillStyle = colour("muted");
      ctx.textAlign = "center";
      ctx.fillText("Forecasts appear here with the first checkpoints.", (this.left + width) / 2, height / 2);
    }
  }

  #grid(ctx, width, height) {
    const muted = colour("muted"), line = colour("line");
    ctx.font = FONT;
    ctx.lineWidth = 1;
    ctx.strokeStyle = line;
    ctx.fillStyle = muted;
    ctx.textAlign = "center";
    ctx.textBaseline = "top";
    for (const t of this.scaleX.ticks(Math.max(3, Math.floor(width / 130)))) ctx.fillText(this.scaleX.text(t), this.scaleX.at(t), height - PAD.bottom + 8);
    ctx.fillText(this.axes[0].label, (this.left + width - PAD.right) / 2, height - 17);
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    for (const t of this.scaleY.ticks(UP)) {
      const y = Math.round(this.scaleY.at(t)) + 0.5;
      ctx.beginPath();
      ctx.moveTo(this.left, y);
      ctx.lineTo(width - PAD.right, y);
      ctx.stroke();
      ctx.fillText(this.scaleY.text(t), this.left - 8, y);
    }
    ctx.save();
    ctx.translate(11, (PAD.top + height - PAD.bottom) / 2);
    ctx.rotate(-Math.PI / 2);
    ctx.textAlign = "center";
    ctx.fillText(this.axes[1].label, 0, 0);
    ctx.restore();
  }

  #front(ctx, width) {
    if (this.front.length < 1) return;
    ctx.strokeStyle = colour("ours");
    ctx.lineWidth = 1.6;
    ctx.setLineDash([5, 4]);
    ctx.beginPath();
    this.front.forEach((p, i) => {
      const x = this.scaleX.at(p.x[1]), y = this.scaleY.at(p.y[1]);
      if (i === 0) ctx.moveTo(x, PAD.top - 8);
      else ctx.lineTo(x, this.scaleY.at(this.front[i - 1].y[1]));
      ctx.lineTo(x, y);
    });
    ctx.lineTo(width - PAD.right + 8, this.scaleY.at(this.front.at(-1).y[1]));
    ctx.stroke();
    ctx.setLineDash([]);
  }

  // Lines of equal quality score, the third metric at its median: what is stopped is not the front of
  // two, and this shows by what it is ranked.
  #equal(ctx, width, height) {
    this.lines = [];
    if (!this.third || this.middle === null) return;
    const weight = (metric) => this.weights[METRICS.indexOf(metric)];
    const [a, b] = this.axes.map((axis) => weight(axis.metric)), rest = weight(this.third.metric) * this.middle;
    if (!(a > 0 && b > 0)) return;
    const left = this.left, right = width - PAD.right, bottom = height - PAD.bottom;
    const scores = steps(rest + a * this.scaleX.low + b * this.scaleY.low, rest + a * this.scaleX.high + b * this.scaleY.high, 7);
    ctx.strokeStyle = colour("mark");
    ctx.textAlign = "left";
    ctx.font = "11px system-ui, sans-serif";
    ctx.lineWidth = 1;
    ctx.setLineDash([1, 4]);
    for (const s of scores) {
      ctx.beginPath();
      const at = []; // in sight
      let named = false;
      for (let i = 0; i <= 60; i += 1) {
        const px = left + ((right - left) * i) / 60, y = (s - rest - a * this.scaleX.of(px)) / b;
        const py = y > 0 || !this.scaleY.log ? this.scaleY.at(y) : bottom + 99;
        if (i) ctx.lineTo(px, py);
        else ctx.moveTo(px, py);
        if (y >= this.scaleY.low && y <= this.scaleY.high) at.push([this.scaleX.of(px), y]);
        if (!named && py > PAD.top + 6 && py < bottom - 6 && px > left + 20 && px < right - 60) {
          named = true;
          this.lines.push({ score: s, at });
          ctx.save();
          ctx.fillStyle = colour("muted");
          ctx.fillText(`score ${tick(s)}`, px + 4, py - 4);
          ctx.restore();
        }
      }
      ctx.stroke();
    }
    ctx.setLineDash([]);
  }

  // The next run in a direction, from the one that is pointed at.
  #step(key) {
    const across = key === "ArrowRight" || key === "ArrowLeft", sign = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
    const along = (p) => (across ? p.px : p.py) * sign;
    const from = this.at;
    const order = [...this.points].sort((p, q) => along(p) - along(q));
    const next = from ? order[order.findIndex((p) => p.run.run_id === from.run.run_id) + 1] : order[0];
    if (next) this.#point(next);
  }

  #nearest(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    let best = null, least = NEAR ** 2;
    for (const p of this.points) {
      const distance = (p.px - x) ** 2 + (p.py - y) ** 2;
      if (distance < least) [best, least] = [p, distance];
    }
    return best;
  }

  #point(found) {
    if (found !== this.at) {
      this.at = found;
      this.redraw();
    }
    this.tip.hidden = !found;
    this.canvas.style.cursor = found ? "pointer" : "crosshair";
    if (!found) return;
    const { run } = found;
    const line = (axis, q) => h("div", { class: "muted" }, `${axis.metric.short}: `, h("b", {}, axis.metric.name === "mqe" ? num(q[1]) : percent(q[1], 1)),
      q[0] === q[2] ? "" : axis.metric.name === "mqe" ? ` (${num(q[0])} to ${num(q[2])})` : ` (${percent(q[0], 1)} to ${percent(q[2], 1)})`);
    const third = this.third && place(run, this.third), score = this.score(run);
    this.tip.replaceChildren(h("strong", {}, run.run_id), line(this.axes[0], found.x), line(this.axes[1], found.y), third ? line(this.third, third) : "",
      score ? h("div", { class: "muted" }, "quality score: ", h("b", {}, num(score[2])), score[1] === score[3] ? "" : ` (${num(score[1])} to ${num(score[3])})`) : "",
      run.p_good === null ? "" : h("div", { class: "muted" }, run.state === "finished" ? "P(good), said last: " : "P(good): ", h("b", {}, percent(run.p_good))),
      h("div", { class: "muted" }, `${STATE[standing(run)]}; ${wentOn(run) ? toldAt(run) : reason(run.reason)}`));
    const right = found.px > this.canvas.clientWidth * 0.6;
    this.tip.style.left = right ? "" : `${found.px + 14}px`;
    this.tip.style.right = right ? `${this.canvas.clientWidth - found.px + 14}px` : "";
    this.tip.style.top = `${Math.max(4, found.py - 30)}px`;
  }

  destroy() {
    this.observer.disconnect();
    document.removeEventListener("themechange", this.draw);
  }
}

// [quartile, median, quartile] of a run on an axis; three times the value once it has ended.
function place(run, { metric, factor }) {
  if (run.state === "finished" && run.final && !run.final.censored) {
    const value = run.final[metric.final];
    return value === null ? null : [value * factor, value * factor, value * factor];
  }
  const five = run.forecast?.[metric.final];
  return five ? [five[1] * factor, five[2] * factor, five[3] * factor] : null;
}

export function pareto(points) {
  let best = Infinity;
  return [...points].sort((a, b) => a.x[1] - b.x[1] || a.y[1] - b.y[1]).filter((p) => {
    if (p.y[1] >= best) return false;
    best = p.y[1];
    return true;
  });
}

// Linear from near zero, or logarithmic where values are far apart: of mqe alone, for shares end at 1 and may be 0.
function scaleOf(triples, from, to, metric) {
  // Few runs are shown with their whiskers, many by their medians: one wide forecast must not shrink all others.
  const values = (triples.length <= FEW ? triples.flat() : triples.map((t) => t[1])).sort((a, b) => a - b);
  let low = values[0] ?? 0, high = values.at(-1) ?? 1;
  const middle = values[Math.floor(values.length / 2)] ?? 1;
  const positive = values.find((v) => v > 0);
  const log = metric.name === "mqe" && positive !== undefined && high > 40 * middle && high / positive > 300;
  if (log) {
    low = Math.log10(positive) - 0.2;
    high = Math.log10(high) + 0.2;
    const size = high - low;
    return {
      log: true, low: 10 ** low, high: 10 ** high, text: power, of: (px) => 10 ** (low + ((px - from) / (to - from)) * size),
      at: (v) => from + ((Math.log10(Math.max(v, 10 ** low)) - low) / size) * (to - from),
      ticks: (n) => steps(low, high, n).filter((t) => Number.isInteger(t)).map((t) => 10 ** t),
    };
  }
  const size = high - low || Math.abs(high) || 1;
  low = low >= 0 && low < 0.5 * size ? 0 : low - 0.07 * size;
  high += 0.07 * size;
  const step = steps(low, high, 6), gap = step.length > 1 ? step[1] - step[0] : 0;
  return {
    low, high, text: metric.name === "mqe" ? tick : (t) => share(t, gap), of: (px) => low + ((px - from) / (to - from)) * (high - low),
    at: (v) => from + ((v - low) / (high - low)) * (to - from),
    ticks: (n) => steps(low, high, n),
  };
}

function steps(low, high, n) {
  const rough = (high - low) / n, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((s) => s * power).find((s) => s >= rough);
  const found = [];
  for (let t = Math.ceil(low / step) * step; t <= high + 1e-9 * step; t += step) found.push(Number(t.toPrecision(10)));
  return found;
}
