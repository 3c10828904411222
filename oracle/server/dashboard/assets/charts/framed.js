// What stands around a figure on the page stands in its file, too: its title, and what its marks mean.

import { colour } from "../words/dom.js";
import { cut } from "../words/format.js";
import { FONT, cross, disc, line } from "./drawing.js";

const TITLE = 26, ROW = 20, SIGN = 18, GAP = 18, EDGE = 6;
const LONGEST = 60; // letters of a label

// What the marks of axes mean, as `pyplot` of matplotlib.js takes them: each label once.
export function keysOf(axes) {
  const found = new Map();
  for (const one of [axes].flat()) for (const series of one?.series ?? []) if (series.label && !found.has(series.label)) found.set(series.label, series);
  return [...found.values()];
}

// drawn: { width, height, paint(context, width, height) }; keys: [{ label, kind, color, dash, dots, low, y }]; one alone
// is told by the axes. Gives the same with the title above it and the keys below.
export function framed(drawn, title, keys) {
  const { width, height } = drawn, rows = keys.length > 1 ? laid(keys, width) : [];
  return {
    width, height: TITLE + height + ROW * rows.length + (rows.length ? EDGE : 0),
    paint(context) {
      context.save();
      context.font = `600 14px ${FONT.replace(/^\S+ /, "")}`;
      context.fillStyle = colour("ink");
      context.textAlign = "left";
      context.textBaseline = "middle";
      context.fillText(title, EDGE, TITLE / 2);
      context.restore();
      context.save();
      context.translate(0, TITLE);
      drawn.paint(context, width, height);
      context.restore();
      rows.forEach((row, i) => row.forEach(({ key, x }) => said(context, key, x, TITLE + height + ROW * (i + 0.5))));
    },
  };
}

// Keys in rows, none wider than the figure.
function laid(keys, width) {
  const ruler = document.createElement("canvas").getContext("2d"), rows = [];
  ruler.font = FONT;
  let x = Infinity;
  for (const key of keys) {
    const wide = SIGN + 6 + ruler.measureText(cut(key.label, LONGEST)).width;
    if (x + wide > width - EDGE) {
      rows.push([]);
      x = EDGE;
    }
    rows.at(-1).push({ key, x });
    x += wide + GAP;
  }
  return rows;
}

function said(context, { label, kind = "line", color = "ink", dash, dots, low, y: at }, x, y) {
  const ink = colour(color), middle = x + SIGN / 2;
  context.save();
  context.font = FONT;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillStyle = colour("muted");
  context.fillText(cut(label, LONGEST), x + SIGN + 6, y);
  context.fillStyle = context.strokeStyle = ink;
  context.lineWidth = kind === "line" || kind === "steps" ? 2 : 1.4;
  if (kind === "band" || kind === "bars") {
    context.globalAlpha = kind === "band" ? 0.25 : 1;
    context.fillRect(x, y - 5, SIGN, 10);
  } else if (kind === "line" || kind === "steps") {
    context.setLineDash(dots ? [1, 3] : dash ? [5, 3] : []);
    line(context, x, y, x + SIGN, y);
  } else {
    if (low?.some((v, i) => v !== at[i])) line(context, middle, y - 7, middle, y + 7);
    if (kind === "crosses") {
      context.beginPath();
      cross(context, middle, y, 3.5);
      context.stroke();
    } else {
      if (kind === "rings") context.fillStyle = colour("surface");
      disc(context, middle, y, 3.8);
      context.fill();
      context.stroke();
    }
  }
  context.restore();
}
