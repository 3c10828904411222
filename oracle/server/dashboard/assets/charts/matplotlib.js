// A figure as Python: data and matplotlib calls in one script that runs as it is.

import { onPaper } from "../words/dom.js";

const MARKER = { points: "o", crosses: "x" };

// axes: one or a list of
//   { title, x: { label, log, percent, range, ticks: [[at, text]] }, y: the same,
//     series: [{ label, kind: "line" | "steps" | "points" | "crosses" | "bars" | "band", x, y, low, high, color, dash }],
//     levels: [{ y, x, label }] }
// `low` and `high` are a band for lines and error bars for points; `color` is a name of the page's and may be left out.
// Bars lie: y are their names' places, x their lengths; a band has no line. What is not finite becomes `nan`.
export function pyplot(axes, name) {
  const all = Array.isArray(axes) ? axes : [axes];
  const lines = ["from math import nan", "", "from matplotlib import pyplot as plt", "",
    `figure, grid = plt.subplots(1, ${all.length}, figsize=(${Math.max(7, 5 * all.length)}, 4.2), squeeze=False, layout="constrained")`];
  all.forEach((one, i) => lines.push("", `axes = grid[0, ${i}]`, ...axesLines(one)));
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
    if (axis.ticks) lines.push(`axes.set_${letter}ticks(${list(axis.ticks.map(([at]) => at))}, [${axis.ticks.map(([, said]) => text(said)).join(", ")}])`);
    else if (axis.percent) lines.push(`axes.${letter}axis.set_major_formatter(lambda value, _: f"{value:.0%}")`);
  }
  if (title) lines.push(`axes.set_title(${text(title)}, loc="left")`);
  if (series.some((one) => one.label) || levels.some((one) => one.label)) lines.push("axes.legend(frameon=False)");
  return lines;
}

function seriesLines({ label, kind = "line", x, y, low, high, color: name = "ink", dash = false }) {
  const color = onPaper(name), named = label ? `, label=${text(label)}` : "", said = `, color=${text(color)}${named}`;
  if (kind === "band") return [`x, low, high = ${list(x)}, ${list(low)}, ${list(high)}`, `axes.fill_between(x, low, high, color=${text(color)}, alpha=0.15, linewidth=0${named})`];
  const lines = [`x = ${list(x)}`, `y = ${list(y)}`];
  if (kind === "bars") return [...lines, `axes.barh(y, x${said})`];
  if (low && high) lines.push(`low, high = ${list(low)}, ${list(high)}`);
  if (kind in MARKER) {
    if (low && high) lines.push(`axes.vlines(x, low, high, color=${text(color)}, alpha=0.5)`);
    return [...lines, `axes.plot(x, y, "${MARKER[kind]}", markersize=4${said})`];
  }
  if (low && high) lines.push(`axes.fill_between(x, low, high, color=${text(color)}, alpha=0.2, linewidth=0)`);
  return [...lines, `axes.plot(x, y${kind === "steps" ? ', drawstyle="steps-post"' : ""}${dash ? ', linestyle="--"' : ""}${said})`];
}

const value = (v) => (typeof v === "string" ? text(v) : typeof v === "number" && Number.isFinite(v) ? String(v) : "nan");
const list = (values) => `[${[...values].map(value).join(", ")}]`;
const text = (said) => JSON.stringify(String(said)); // what JSON escapes, Python reads alike
