// Line charts in our style over uPlot: x is aligned, bands are fans, the reading stands above.

import { colour, h } from "../words/dom.js";
import { num, power, tick } from "../words/format.js";
import { filesOf } from "./chart_files.js";

/* global uPlot */

const MOST_DECADES = 7;
const FONT = "12px system-ui, -apple-system, 'Segoe UI', sans-serif";

// One value a million times another's must not flatten all the others.
export function spread(values) {
  const found = values.filter((v) => v !== null && v !== undefined && Number.isFinite(v));
  if (!found.length) return { log: false, empty: true };
  const low = Math.min(...found), high = Math.max(...found);
  const positive = found.filter((v) => v > 0);
  const least = positive.length ? Math.min(...positive) : 0;
  return { low, high, least, log: least > 0 && high / least > 300, empty: false };
}

// A chart that follows its element's width and the theme.
//   make() -> { data: [x, ...columns], series: [{ label, color, width, dash, points, scale, edge: of a band alone }],
//               bands: [[upper, lower, colour name, label]], x: { name: of its column, label, format, range },
//               y: { label, log, range, format, also: a value that must be in sight }, y2,
//               marks: [what `bars`, `level` and `upright` below give], read(i) }
// Labels are those of its files (chart_files.js).
export class Chart {
  constructor(element, make, { height = 220, sync = null, label = "" } = {}) {
    this.element = element;
    this.make = make;
    this.height = height;
    this.sync = sync;
    element.classList.add("chart");
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", `${label}. Arrow keys read it.`);
    element.tabIndex = 0;
    element.style.minHeight = `${height}px`; // what stands below must not move when it is drawn
    this.read = null; // index that the keys have come to
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("blur", () => this.#reads(null));
    this.plot = null;
    this.width = 0;
    this.draw = () => this.redraw();
    document.addEventListener("themechange", this.draw);
    this.observer = new ResizeObserver(() => {
      const width = Math.floor(element.clientWidth);
      if (!width || width === this.width) return;
      this.width = width;
      if (this.plot) this.plot.setSize({ width, height: this.height });
      else this.redraw();
    });
    this.observer.observe(element);
  }

  #key(event) {
    const last = (this.plot?.data[0].length ?? 0) - 1;
    const to = { ArrowRight: (this.read ?? -1) + 1, ArrowLeft: (this.read ?? last + 1) - 1, Home: 0, End: last, Escape: null }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.element.closest(".panel")?.querySelector(".reading")?.setAttribute("aria-live", "polite");
    this.#reads(to === null ? null : Math.min(last, Math.max(0, to)));
  }

  #reads(i) {
    if (i === this.read) return;
    this.read = i;
    const { plot } = this;
    plot?.setCursor(i === null ? { left: -10, top: -10 } : { left: plot.valToPos(plot.data[0][i], "x"), top: 0 });
  }

  redraw() {
    if (!this.width) return;
    this.plot?.destroy();
    this.element.replaceChildren();
    this.plot = null;
    const spec = this.make();
    if (!spec) {
      this.element.append(h("p", { class: "muted small" }, "Nothing to draw yet."));
      return;
    }
    this.spec = spec;
    this.plot = new uPlot(this.#options(spec), spec.data, this.element);
  }

  #options(spec) {
    const muted = colour("muted"), line = colour("line");
    const axis = { stroke: muted, font: FONT, ticks: { show: false }, border: { show: false } };
    const scaleOf = (y) => ({ distr: y.log ? 3 : 1, range: y.range ?? ((u, low, high) => {
      // Of a forecast the middle half is in sight; one wide one must not flatten what was seen.
      const reach = high - low, near = (y.within ?? []).filter((v) => v >= low - reach && v <= high + reach);
      const ends = [low, high, y.also, ...near].filter((v) => v !== null && v !== undefined && !(y.log && !(v > 0)));
      const [least, most] = ends.length ? [Math.min(...ends), Math.max(...ends)] : [null, null];
      return y.log ? uPlot.rangeLog(least, most, 10, true) : around(least, most, y.floor);
    }) });
    const valueAxis = (y, scale, side, grid) => ({
      ...axis, scale, side, ...(y.log ? { splits: (u, i, low, high) => decades(low, high), filter: (u, splits) => splits } : {}), grid: grid ? { stroke: line, width: 1 } : { show: false }, size: (u, values) => 14 + 6.6 * Math.max(3, ...(values ?? []).map((v) => String(v).length)), gap: 6,
      values: (u, splits) => splits.map((v) => (v === null ? "" : (y.format ?? (y.log ? power : tick))(v, splits[1] - splits[0]))),
    });
    const series = spec.series.map((s) => ({
      label: s.label, scale: s.scale ?? "y", stroke: s.color ? colour(s.color) : "transparent", width: s.width ?? 0, dash: s.dash,
      spanGaps: s.spanGaps ?? false, alpha: s.alpha ?? 1,
      points: s.points ? { show: true, size: s.points, fill: colour(s.fill ?? s.color), stroke: colour(s.color), width: 1.5 } : { show: false },
    }));
    return {
      width: this.width, height: this.height, padding: [10, spec.y2 ? 0 : (spec.right ?? 22), 0, 0],
      legend: { show: false }, pxAlign: 1,
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false }, sync: this.sync ? { key: this.sync } : undefined },
      scales: { x: { time: false, range: spec.x.range }, y: scaleOf(spec.y), ...(spec.y2 ? { y2: scaleOf(spec.y2) } : {}) },
      axes: [
        { ...axis, grid: { show: false }, size: 30, gap: 6, space: 56, values: (u, splits) => splits.map(spec.x.format ?? tick) },
        valueAxis(spec.y, "y", 3, true),
        ...(spec.y2 ? [valueAxis(spec.y2, "y2", 1, false)] : []),
      ],
      series: [{}, ...series],
      bands: (spec.bands ?? []).map(([upper, lower, fill]) => ({ series: [upper, lower], fill: colour(fill) })),
      hooks: {
        draw: [(u) => spec.marks?.forEach((mark) => mark.paint(u))],
        setCursor: spec.read ? [(u) => spec.read(u.cursor.idx ?? null)] : [],
      },
    };
  }

  files() {
    return filesOf(this);
  }

  destroy() {
    document.removeEventListener("themechange", this.draw);
    this.observer.disconnect();
    this.plot?.destroy();
    this.plot = null; // what is taken out with the focus loses it only then
  }
}

// Powers of ten, so few that each can be read.
function decades(low, high) {
  const from = Math.ceil(Math.log10(low) - 1e-9), to = Math.floor(Math.log10(high) + 1e-9), step = Math.max(1, Math.ceil((to - from) / MOST_DECADES));
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => 10 ** (from + i * step));
}

// Room above and below; a flat line stays in the middle, and what cannot be negative starts at 0 when near it.
function around(low, high, floor) {
  if (low === null || high === null) return [0, 1];
  if (Math.max(Math.abs(low), Math.abs(high)) < 1e-12) return [0, 1]; // what `num` calls 0
  const size = high - low || Math.abs(high) * 0.2 || 1;
  const bottom = low - 0.08 * size;
  return [floor !== undefined && (bottom < floor || low < 0.35 * high) ? floor : bottom, high + 0.08 * size];
}

// Forecasts of a final value, made on the way: at each place a bar of 90 % and a thicker one of 50 %,
// with an arrow where it goes on beyond the plot.
// at: [{ x, q: five quantiles }]
export const bars = (at, label, color = "ours", width = 1) => ({ at, label, color, paint: (u) => paintBars(u, at, color, width) });

function paintBars(u, at, name, width) {
  const { ctx, bbox } = u, ratio = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.strokeStyle = colour(name);
  for (const { x, q } of at) {
    const px = u.valToPos(x, "x", true), y = q.map((v) => u.valToPos(v, "y", true));
    for (const [from, to, thick] of [[0, 4, 1.2], [1, 3, 3.6]]) {
      ctx.lineWidth = thick * width * ratio;
      ctx.beginPath();
      ctx.moveTo(px, y[from]);
      ctx.lineTo(px, y[to]);
      ctx.stroke();
    }
    // An end beyond the plot is an arrow there: it would pass for the end.
    const [top, bottom] = [bbox.top, bbox.top + bbox.height], head = 4 * ratio;
    ctx.lineWidth = 1.2 * width * ratio;
    for (const [beyond, at, back] of [[Math.min(...y) < top - 1, top, head], [Math.max(...y) > bottom + 1, bottom, -head]]) {
      if (!beyond) continue;
      ctx.beginPath();
      ctx.moveTo(px - head, at + back);
      ctx.lineTo(px, at + Math.sign(back) * ratio);
      ctx.lineTo(px + head, at + back);
      ctx.stroke();
    }
  }
  ctx.restore();
}

// A dashed line across the plot, with its name at the right.
export const level = (value, text, color, scale = "y") => ({ value, text, scale, paint: (u) => paintLevel(u, value, text, color, scale) });

function paintLevel(u, value, text, name, scale) {
  const y = u.valToPos(value, scale, true);
  const { left, top, width, height } = u.bbox;
  if (!(y >= top && y <= top + height)) return;
  const { ctx } = u;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour(name);
  ctx.lineWidth = 1.2 * ratio;
  ctx.setLineDash([5 * ratio, 4 * ratio]);
  ctx.beginPath();
  ctx.moveTo(left, y);
  ctx.lineTo(left + width, y);
  ctx.stroke();
  ctx.font = `${11.5 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = "right";
  ctx.textBaseline = y - top > 16 * ratio ? "bottom" : "top";
  ctx.fillText(text, left + width - 2 * ratio, y + (ctx.textBaseline === "bottom" ? -3 : 3) * ratio);
  ctx.restore();
}

// A thin line from top to bottom, with its name beside its head; `row` keeps names apart.
export const upright = (value, text, color, row = 0) => ({ upright: value, text, paint: (u) => paintUpright(u, value, text, color, row) });

function paintUpright(u, value, text, name, row) {
  const x = u.valToPos(value, "x", true);
  const { left, top, width, height } = u.bbox;
  if (!(x >= left && x <= left + width)) return;
  const { ctx } = u;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour(name);
  ctx.lineWidth = ratio;
  ctx.setLineDash([2 * ratio, 3 * ratio]);
  ctx.beginPath();
  ctx.moveTo(x, top);
  ctx.lineTo(x, top + height);
  ctx.stroke();
  ctx.font = `${11.5 * ratio}px system-ui, sans-serif`;
  const right = x + ctx.measureText(text).width + 8 * ratio > left + width;
  ctx.textAlign = right ? "right" : "left";
  ctx.textBaseline = "top";
  ctx.fillText(text, x + (right ? -4 : 4) * ratio, top + (2 + 14 * row) * ratio);
  ctx.restore();
}

export const quantiles = (values) => `${num(values[2])} (90 %: ${num(values[0])} to ${num(values[4])})`;
