// A figure as Python: data and matplotlib calls in one script that runs as it is.

import { onPaper } from "../words/dom.js";

const MARKER = { points: "o", rings: "o", crosses: "x" };
const ACROSS = 4; // pictures in a row
const LETTERS = 14, SIGN = 7; // of a legend: in an inch, and what a sign takes of them

// axes: one or a list of
//   { title, x: { label, log, percent, range, ticks: [[at, text]] }, y: the same,
//     series: [{ label, kind: "line" | "steps" | "points" | "rings" | "crosses" | "bars" | "band", x, y, low, high, color, dash,
//               dots: a dotted line, near: [low, high] of a thicker bar, sides: [left, right] of a bar across, name: said beside it }],
//     levels: [{ y, x, label }] }
// `low` and `high` are a band for lines and error bars for points; `color` is a name of the page's and may be left out.
// Bars lie: y are their names' places, x their lengths; a band has no line. What is not finite becomes `nan`.
export function pyplot(axes, name) {
  const all = Array.isArray(axes) ? axes : [axes];
  const rows = Math.ceil(all.length / ACROSS), columns = Math.ceil(all.length / rows) || 1, labels = all.flatMap(({ series = [], levels = [] }) => [...series, ...levels]).filter((one) => one.label).map((one) => one.label.length);
  const wide = Math.max(7.5, 4 * columns), beside = Math.max(1, Math.min(labels.length, Math.floor((LETTERS * wide) / (Math.max(...labels) + SIGN))));
  const lines = ["from math import nan", "", "from matplotlib import pyplot as plt", "",
    `figure, grid = plt.subplots(${rows}, ${columns}, figsize=(${wide}, ${4 * rows + 0.6}), squeeze=False, layout="constrained")`];
  all.forEach((one, i) => lines.push("", `axes = grid[${Math.floor(i / columns)}, ${i % columns}]`, ...axesLines(one)));
  for (let i = all.length; i < rows * columns; i += 1) lines.push(`grid[${Math.floor(i / columns)}, ${i % columns}].remove()`);
  if (labels.length) lines.push("", `figure.legend(loc="outside lower center", ncols=${beside}, frameon=False, fontsize="small")`); // on no point
  lines.push("", `figure.savefig(${text(`${name}.png`)}, dpi=200)`, "plt.show()");
  return `${lines.join("\n")}\n`;
}

function axesLines({ title, x = {}, y = {}, series = [], levels = [] }) {
  const lines = [];
  for (const one of series) lines.push(...seriesLines(one));
  for (const { y: at, x: across, label } of levels) {
    lines.push(`axes.${across === undefined ? "axhline" : "axvline"}(${value(across ?? at)}, color="gray", linestyle="--", linewidth=1${label ? `, label=${text(label)}` : ""})`);
  }
  for (const [letter, axis] of [["x", x], ["y", y]]) {
    if (axis.log) lines.push(`axes.set_${letter}scale("log")`);
    if (axis.label) lines.push(`axes.set_${letter}label(${text(axis.label)})`);
    if (axis.range) lines.push(`axes.set_${letter}lim(${axis.range.map(value).join(", ")})`);
    if (axis.ticks) lines.push(`axes.set_${letter}ticks(${list(axis.ticks.map(([at]) => at))}, [${axis.ticks.map(([, said]) => text(said)).join(", ")}]${letter === "x" ? ', rotation=20, ha="right"' : ""})`);
    else if (axis.percent) lines.push(`axes.${letter}axis.set_major_formatter(lambda value, _: f"{value:.0%}")`);
  }
  if (title) lines.push(`axes.set_title(${text(title)}, loc="left")`);
  return lines;
}

function seriesLines({ label, kind = "line", x, y, low, high, color: name = "ink", dash = false, dots = false, near, sides, name: at }) {
  const color = onPaper(name), named = label ? `, label=${text(label)}` : "", said = `, color=${text(color)}${named}`;
  if (kind === "band") return [`x, low, high = ${list(x)}, ${list(low)}, ${list(high)}`, `axes.fill_between(x, low, high, color=${text(color)}, alpha=0.15, linewidth=0${named})`];
  const lines = [`x = ${list(x)}`, `y = ${list(y)}`];
  if (kind === "bars") return [...lines, `axes.barh(y, x${said})`];
  if (low && high) lines.push(`low, high = ${list(low)}, ${list(high)}`);
  if (kind in MARKER) {
    if (low && high) lines.push(`axes.vlines(x, low, high, color=${text(color)}, alpha=0.5)`);
    if (near) lines.push(`axes.vlines(x, ${list(near[0])}, ${list(near[1])}, color=${text(color)}, alpha=0.7, linewidth=4)`);
    if (sides) lines.push(`axes.hlines(y, ${list(sides[0])}, ${list(sides[1])}, color=${text(color)}, alpha=0.5)`);
    return [...lines, `axes.plot(x, y, "${MARKER[kind]}", markersize=4${kind === "rings" ? ', markerfacecolor="white"' : ""}${said})`];
  }
  if (low && high) lines.push(`axes.fill_between(x, low, high, color=${text(color)}, alpha=0.2, linewidth=0)`);
  return [...lines, `axes.plot(x, y${kind === "steps" ? ', drawstyle="steps-post"' : ""}${dots ? ', linestyle=":"' : dash ? ', linestyle="--"' : ""}${said})`, ...(at ? [`axes.annotate(${text(at)}, (x[len(x) // 8], y[len(x) // 8]), fontsize=8, color="gray")`] : [])];
}

const value = (v) => (typeof v === "string" ? text(v) : typeof v === "number" && Number.isFinite(v) ? String(v) : "nan");
const list = (values) => `[${[...values].map(value).join(", ")}]`;
const text = (said) => JSON.stringify(String(said)); // what JSON escapes, Python reads alike
