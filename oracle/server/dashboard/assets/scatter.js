// Runs where they are heading: two objectives, the middle half of each forecast as whiskers, the
// Pareto front of what is not stopped. Drawn by hand: 2,000 whiskers are one pass over a canvas.

import { colour, h } from "./dom.js";
import { num, percent, tick } from "./format.js";
import { METRICS, STATE, reason, standing } from "./words.js";

const PAD = { left: 62, right: 18, top: 14, bottom: 44 };
const NEAR = 14;
const FEW = 12;

export class Scatter {
  constructor(element, open) {
    this.element = element;
    this.canvas = h("canvas", { role: "img", "aria-label": "Scatter of forecasts" });
    this.tip = h("div", { class: "tip", hidden: true });
    element.classList.add("scatter");
    element.append(this.canvas, this.tip);
    this.points = [];
    this.draw = () => this.redraw();
    this.observer = new ResizeObserver(this.draw);
    this.observer.observe(element);
    document.addEventListener("themechange", this.draw);
    this.canvas.addEventListener("pointermove", (event) => this.#hover(event));
    this.canvas.addEventListener("pointerleave", () => this.#hover(null));
    this.canvas.addEventListener("click", (event) => {
      const found = this.#nearest(event);
      if (found) open(found.run.run_id);
    });
  }

  // runs: summaries; x, y: metrics of words.js; scale: mqe_of_mean or null
  show(runs, x, y, scale) {
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
    this.front = pareto(this.points.filter((p) => !p.stopped));
    this.canvas.setAttribute("aria-label", `${this.points.length} runs by forecast of ${x.short} and ${y.short}; ${this.front.length} on the Pareto front, ${this.points.filter((p) => p.stopped).length} stopped. The table below has the same numbers.`);
    this.redraw();
  }

  redraw() {
    if (!this.axes || !this.canvas.clientWidth) return;
    const ratio = devicePixelRatio, width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const ctx = this.ctx = this.canvas.getContext("2d");
    ctx.scale(ratio, ratio);
    this.scaleX = scaleOf(this.points.map((p) => p.x), PAD.left, width - PAD.right, this.axes[0].metric);
    this.scaleY = scaleOf(this.points.map((p) => p.y), height - PAD.bottom, PAD.top, this.axes[1].metric);
    this.#grid(ctx, width, height);
    ctx.save();
    ctx.beginPath();
    ctx.rect(PAD.left - 6, PAD.top - 6, width - PAD.left - PAD.right + 12, height - PAD.top - PAD.bottom + 12);
    ctx.clip();
    this.#front(ctx, width);
    const many = this.points.length > 400;
    for (const p of this.points) {
      p.px = this.scaleX.at(p.x[1]);
      p.py = this.scaleY.at(p.y[1]);
    }
    const ours = colour("ours"), good = colour("good"), faint = colour("faint"), paper = colour("surface");
    ctx.lineWidth = 1;
    for (const stopped of [true, false]) {
      ctx.strokeStyle = stopped ? faint : ours;
      ctx.globalAlpha = stopped ? (many ? 0.1 : 0.3) : many ? 0.25 : 0.45;
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
    ctx.globalAlpha = many ? 0.8 : 1;
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
      ctx.fillStyle = p.run.state === "finished" ? good : ours;
      ctx.beginPath();
      ctx.arc(p.px, p.py, many ? 3.2 : 4.6, 0, 7);
      ctx.fill();
      ctx.stroke();
    }
    ctx.restore();
    if (!this.points.length) {
      ctx.fillStyle = colour("muted");
      ctx.textAlign = "center";
      ctx.fillText("Forecasts appear here with the first checkpoints.", (PAD.left + width) / 2, height / 2);
    }
  }

  #grid(ctx, width, height) {
    const muted = colour("muted"), line = colour("line");
    ctx.font = "12px system-ui, sans-serif";
    ctx.lineWidth = 1;
    ctx.strokeStyle = line;
    ctx.fillStyle = muted;
    ctx.textAlign = "center";
    ctx.textBaseline = "top";
    for (const t of this.scaleX.ticks(Math.max(3, Math.floor(width / 130)))) ctx.fillText(tick(t), this.scaleX.at(t), height - PAD.bottom + 8);
    ctx.fillText(this.axes[0].label, (PAD.left + width - PAD.right) / 2, height - 17);
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    for (const t of this.scaleY.ticks(6)) {
      const y = Math.round(this.scaleY.at(t)) + 0.5;
      ctx.beginPath();
      ctx.moveTo(PAD.left, y);
      ctx.lineTo(width - PAD.right, y);
      ctx.stroke();
      ctx.fillText(tick(t), PAD.left - 8, y);
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

  #hover(event) {
    const found = event && this.#nearest(event);
    this.tip.hidden = !found;
    this.canvas.style.cursor = found ? "pointer" : "crosshair";
    if (!found) return;
    const { run } = found;
    const line = (axis, q) => h("div", { class: "muted" }, `${axis.metric.short}: `, h("b", {}, axis.metric.name === "mqe" ? num(q[1]) : percent(q[1], 1)),
      q[0] === q[2] ? "" : axis.metric.name === "mqe" ? ` (${num(q[0])} to ${num(q[2])})` : ` (${percent(q[0], 1)} to ${percent(q[2], 1)})`);
    this.tip.replaceChildren(h("strong", {}, run.run_id), line(this.axes[0], found.x), line(this.axes[1], found.y),
      h("div", { class: "muted" }, `${STATE[standing(run)]}; ${reason(run.reason)}`));
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
      at: (v) => from + ((Math.log10(Math.max(v, 10 ** low)) - low) / size) * (to - from),
      ticks: (n) => steps(low, high, n).filter((t) => Number.isInteger(t)).map((t) => 10 ** t),
    };
  }
  const size = high - low || Math.abs(high) || 1;
  low = low >= 0 && low < 0.5 * size ? 0 : low - 0.07 * size;
  high += 0.07 * size;
  return {
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
