// What a line chart gives to files: its lines painted anew on any context, its rows, its figure as code.

import { colour } from "../words/dom.js";
import { keysOf } from "./framed.js";

const LEVELS = ["05", "25", "50", "75", "95"];
const FONT = "12px system-ui, sans-serif";
const ASIDE = 0.015; // of the axis across: from the end, and from one to the next, of what stands right of a plot
const LINE = 18; // a line of text: what stands around a chart on the page is not in its file

// Of a Chart of chart.js, as `figureMenu` takes them; each gives null while nothing is drawn.
export function filesOf(chart) {
  const drawn = (make) => () => (chart.plot ? make(chart.plot, chart.spec) : null);
  return {
    draw: drawn((plot, spec) => ({ width: plot.width, height: plot.height + 2 * LINE, paint: (context) => whole(plot, spec, context) })),
    rows: drawn(rowsOf), plot: drawn(axesOf),
    keys: () => keysOf(drawn(axesOf)() ?? []).map((one) => ({ ...one, label: one.label.replaceAll("_", " ") })),
  };
}

// The chart with the names of its axes.
function whole(plot, spec, context) {
  const { width, height } = plot, ratio = devicePixelRatio || 1, left = plot.bbox.left / ratio, right = left + plot.bbox.width / ratio;
  const say = (text, x, y, align) => {
    context.textAlign = align;
    context.fillText(text, x, y);
  };
  context.font = FONT;
  context.fillStyle = colour("muted");
  context.textBaseline = "top";
  say(spec.y.label ?? "", 4, 4, "left");
  if (spec.y2) say(spec.y2.label ?? "", width - 4, 4, "right");
  say(spec.x.label ?? "", (left + right) / 2, height + LINE, "center");
  context.translate(0, LINE);
  paint(plot, spec, context);
}

// uPlot keeps its canvas to itself: places, ticks and their words are asked of it, the lines are drawn here.
function paint(plot, spec, context) {
  const ratio = devicePixelRatio || 1, { bbox } = plot;
  const [left, top, width, height] = [bbox.left, bbox.top, bbox.width, bbox.height].map((v) => v / ratio);
  const x = (v) => left + plot.valToPos(v, "x"), y = (v, scale) => top + plot.valToPos(v, scale);
  plot.axes.forEach((axis, i) => axisOf(context, axis, { left, top, width, height, x, y, across: i === 1 }));
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  for (const [upper, lower, fill] of spec.bands ?? []) {
    const scale = spec.series[upper - 1].scale ?? "y", both = placesOf(spec.data, upper, lower);
    if (both.length < 2) continue;
    context.fillStyle = colour(fill);
    context.beginPath();
    both.forEach(([at, high], i) => (i ? context.lineTo(x(at), y(high, scale)) : context.moveTo(x(at), y(high, scale))));
    both.reverse().forEach(([at, , low]) => context.lineTo(x(at), y(low, scale)));
    context.closePath();
    context.fill();
  }
  spec.series.forEach((one, k) => {
    const column = spec.data[k + 1], ink = one.color && colour(one.color), scale = one.scale ?? "y";
    if (!ink) return;
    context.strokeStyle = ink;
    context.lineWidth = one.width ?? 0;
    context.setLineDash(one.dash ?? []);
    context.beginPath();
    let open = false;
    column.forEach((v, i) => {
      if (v === null || v === undefined) open &&= Boolean(one.spanGaps);
      else {
        if (open) context.lineTo(x(spec.data[0][i]), y(v, scale));
        else context.moveTo(x(spec.data[0][i]), y(v, scale));
        open = true;
      }
    });
    if (one.width) context.stroke();
    context.setLineDash([]);
    context.fillStyle = ink;
    if (one.points) column.forEach((v, i) => {
      if (v === null || v === undefined) return;
      context.beginPath();
      context.arc(x(spec.data[0][i]), y(v, scale), one.points / 2, 0, 2 * Math.PI);
      context.fill();
    });
  });
  context.restore();
  context.save();
  context.scale(1 / ratio, 1 / ratio); // marks count the pixels of the screen, as uPlot does
  const place = { ctx: context, bbox, valToPos: (...of) => plot.valToPos(...of) };
  spec.marks?.forEach((mark) => mark.paint(place));
  context.restore();
}

function axisOf(context, axis, { left, top, width, height, x, y, across }) {
  context.fillStyle = colour("muted");
  context.strokeStyle = colour("line");
  context.lineWidth = 1;
  context.font = FONT;
  (axis._splits ?? []).forEach((at, i) => {
    const said = axis._values?.[i];
    if (at === null || said === null || said === undefined) return;
    if (axis.side === 2) {
      context.textAlign = "center";
      context.textBaseline = "top";
      context.fillText(said, x(at), top + height + 6);
      return;
    }
    const place = y(at, axis.scale);
    if (across) {
      context.beginPath();
      context.moveTo(left, place);
      context.lineTo(left + width, place);
      context.stroke();
    }
    context.textAlign = axis.side === 3 ? "right" : "left";
    context.textBaseline = "middle";
    context.fillText(said, axis.side === 3 ? left - 6 : left + width + 6, place);
  });
}

const placesOf = ([x, ...columns], upper, lower) => x.map((at, i) => [at, columns[upper - 1][i], columns[lower - 1][i]]).filter(([, a, b]) => Number.isFinite(a ?? NaN) && Number.isFinite(b ?? NaN));

// One row a place; forecasts that are drawn as bars stand in columns of their own.
function rowsOf(plot, { data, series, x, marks = [] }) {
  const told = marks.filter((mark) => mark.at), width = 1 + series.length, rows = new Map();
  data[0].forEach((at, i) => rows.set(at, data.map((column) => column[i] ?? null)));
  told.forEach((mark, k) => mark.at.forEach(({ x: at, q }) => {
    if (!rows.has(at)) rows.set(at, [at]);
    q.forEach((v, j) => { rows.get(at)[width + 5 * k + j] = v; });
  }));
  const head = [x.name ?? "x", ...series.map((one) => one.label), ...told.flatMap((mark) => LEVELS.map((level) => `${mark.label}_${level}`))];
  return [head, ...[...rows.values()].sort((a, b) => a[0] - b[0]).map((row) => head.map((_, i) => row[i] ?? null))];
}

// Axes a scale, for matplotlib's have one.
function axesOf(plot, { data, series, bands = [], x, y, y2, marks = [] }) {
  return [["y", y], ["y2", y2]].filter(([, axis]) => axis).map(([name, axis]) => {
    const mine = (one) => (one.scale ?? "y") === name, bars = marks.filter((mark) => mark.at?.length && name === "y");
    const end = x.range?.[1], aside = bars.filter((mark) => mark.beside), step = (ASIDE * (end ?? data[0].at(-1))) || 1;
    const placeOf = (mark, at) => at + (mark.beside ? step * (aside.indexOf(mark) + 1) : 0), far = Math.max(...bars.flatMap((mark) => mark.at.map((p) => placeOf(mark, p.x))), -Infinity);
    return {
      x: { label: x.label, range: x.range && far >= end ? [x.range[0], far + step] : x.range }, y: { label: axis.label, log: Boolean(axis.log) },
      series: [
        ...bands.filter(([upper]) => mine(series[upper - 1])).map(([upper, lower, , label]) => {
          const both = placesOf(data, upper, lower);
          return { label, kind: "band", x: both.map((p) => p[0]), low: both.map((p) => p[2]), high: both.map((p) => p[1]), color: series[upper - 1].color ?? "ours" };
        }),
        ...series.map((one, k) => [one, data[k + 1]]).filter(([one]) => mine(one) && one.color && !one.edge).map(([one, column]) => {
          const seen = data[0].map((at, i) => [at, column[i] ?? null]).filter(([, v]) => v !== null);
          return { label: one.label, kind: one.width ? "line" : "points", x: seen.map((p) => p[0]), y: seen.map((p) => p[1]), color: one.color, dash: Boolean(one.dash) };
        }).filter((one) => one.x.length),
        ...bars.map((mark) => {
          const { label, at, color } = mark, of = (i) => at.map((p) => p.q[i]);
          return { label, kind: "points", x: at.map((p) => placeOf(mark, p.x)), y: of(2), low: of(0), high: of(4), near: [of(1), of(3)], color };
        }),
      ],
      levels: marks.filter((mark) => mark.scale === name || (mark.scale === undefined && name === "y")).flatMap((mark) => ("value" in mark ? [{ y: mark.value, label: mark.text }] : "upright" in mark ? [{ x: mark.upright, label: mark.text }] : [])),
    };
  });
}
