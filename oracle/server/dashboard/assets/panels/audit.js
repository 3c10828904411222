// Is the oracle right on these runs: what it said of them, against how they ended.

import { colour, h, put, skeleton } from "../words/dom.js";
import { Picture, axis, disc, grid, line } from "../charts/drawing.js";
import { figureMenu } from "../charts/figure.js";
import { count, num, percent, plural } from "../words/format.js";
import { prose } from "../words/prose.js";
import { WORDS, lostText } from "./strip.js";

const COVERED = "Ends within its intervals", PROMISED = "P(good): said, and came";
const CAPTION = 20; // pixels
const LEVEL_COLOUR = { 0.9: "ours", 0.5: "ours-too" };

export function auditPanel(store, shared, open) {
  let found = null;
  const word = h("div", { class: "audit-word" }), below = h("div", { class: "audit-below" });
  const coverage = new Picture(paintCoverage, { height: 200, label: () => (found ? `Share of ends within the 90 and 50 % intervals: ${found.coverage.filter((c) => c.rate !== null).map((c) => `at ${percent(c.seen)} seen ${percent(c.rate)} of ${percent(c.level)}`).join(", ")}` : "") });
  const promised = new Picture(paintPromised, { height: 200, label: () => (found ? `Chance of a good end, said and came: ${found.promised.map((g) => `${percent(g.said)} said, ${percent(g.rate)} came`).join(", ")}` : "") });
  const menu = figureMenu({ name: "oracle-audit", title: "Is the oracle right", draw: drawBoth, rows: () => rows(), plot: () => found && plot() });
  const element = h("section", { class: "panel", id: "audit", "aria-labelledby": "audit-title" },
    h("header", {}, h("h2", { id: "audit-title" }, "Is the oracle right on these runs?"), h("div", { class: "end actions" }, menu)),
    word,
    h("div", { class: "audit-charts" },
      h("figure", {}, h("figcaption", {}, "Ends within its ", h("b", { class: "ours" }, "90 %"), " and ", h("b", { class: "ours-too" }, "50 %"), " interval, by what it had seen"), coverage.element),
      h("figure", {}, h("figcaption", {}, "P(good): said, and came"), promised.element)),
    below);

  function paintCoverage(context, width, height) {
    if (!found) return;
    const box = { left: 46, right: width - 8, top: 8, bottom: height - 40 };
    const y = axis(0, 1, box.bottom, box.top), seen = [...new Set(found.coverage.map((c) => c.seen))];
    grid(context, box, null, { ticks: () => [0, 0.5, 0.9], at: y.at }, { yText: (v) => percent(v), xLabel: "" });
    context.setLineDash([4, 3]);
    context.strokeStyle = colour("line-strong");
    for (const level of [0.5, 0.9]) line(context, box.left, y.at(level), box.right, y.at(level));
    context.setLineDash([]);
    seen.forEach((share, i) => {
      const px = box.left + ((i + 0.5) / seen.length) * (box.right - box.left);
      context.fillStyle = colour("muted");
      context.textAlign = "center";
      context.textBaseline = "top";
      context.fillText(percent(share), px, box.bottom + 6);
      found.coverage.filter((c) => c.seen === share && c.rate !== null).forEach((c) => bar(context, px + (c.level === 0.9 ? -6 : 6), y, c, colour(LEVEL_COLOUR[c.level])));
    });
    context.fillStyle = colour("muted");
    context.textAlign = "center";
    context.fillText("share of the run seen", (box.left + box.right) / 2, box.bottom + 22);
  }

  function paintPromised(context, width, height) {
    if (!found) return;
    const box = { left: 46, right: width - 22, top: 8, bottom: height - 40 };
    const x = axis(0, 1, box.left + 4, box.right), y = axis(0, 1, box.bottom, box.top);
    grid(context, box, { ticks: () => [0, 0.5, 1], at: x.at }, { ticks: () => [0, 0.5, 1], at: y.at }, { xText: (v) => percent(v), yText: (v) => percent(v), xLabel: "P(good) said" });
    context.strokeStyle = colour("line-strong");
    context.setLineDash([4, 3]);
    line(context, x.at(0), y.at(0), x.at(1), y.at(1));
    context.setLineDash([]);
    for (const group of found.promised) bar(context, x.at(group.said), y, group, colour("ours"));
  }

  function drawBoth() {
    const one = coverage.size, other = promised.size;
    return {
      width: one.width + other.width + 20, height: CAPTION + Math.max(one.height, other.height),
      paint(context) {
        context.font = "12px system-ui, sans-serif";
        [COVERED, PROMISED].forEach((text, i) => {
          context.fillStyle = colour("muted");
          context.textAlign = "left";
          context.textBaseline = "top";
          context.fillText(text, i * (one.width + 20) + 6, 2);
        });
        context.translate(0, CAPTION);
        paintCoverage(context, one.width, one.height);
        context.save();
        context.translate(one.width + 20, 0);
        paintPromised(context, other.width, other.height);
        context.restore();
      },
    };
  }
  const rows = () => [["what", "seen_or_said", "level", "rate", "low", "high", "runs", "runs_in_effect"],
    ...(found?.coverage ?? []).map((c) => ["coverage", c.seen, c.level, c.rate, c.low, c.high, c.n, c.n_effective]),
    ...(found?.promised ?? []).map((g) => ["p_good", g.said, null, g.rate, g.low, g.high, g.n, g.n_effective]),
    ...(found?.mistakes ?? []).map((m) => ["error", m.seen, null, m.error, null, m.promised, m.n, null])];
  const plot = () => [
    { title: COVERED, x: { label: "share seen", percent: true }, y: { percent: true, range: [-0.02, 1.02] },
      series: [0.9, 0.5].map((level) => {
        const of = found.coverage.filter((c) => c.level === level && c.rate !== null);
        return { label: `${percent(level)} interval, bars 95 %`, kind: "points", x: of.map((c) => c.seen), y: of.map((c) => c.rate), low: of.map((c) => c.low), high: of.map((c) => c.high), color: level === 0.9 ? "ours" : "ours-too" };
      }), levels: [{ y: 0.9 }, { y: 0.5 }] },
    { title: PROMISED, x: { label: "P(good) said", percent: true, range: [-0.02, 1.02] }, y: { label: "came", percent: true, range: [-0.02, 1.02] },
      series: [{ kind: "line", dash: true, color: "line-strong", x: [0, 1], y: [0, 1] }, { kind: "points", color: "ours", x: found.promised.map((g) => g.said), y: found.promised.map((g) => g.rate), low: found.promised.map((g) => g.low), high: found.promised.map((g) => g.high) }] }];

  function update() {
    if (found === shared.audit && found !== null) return;
    found = shared.audit;
    if (!found) {
      put(word, store.population === null ? h("p", { class: "muted" }, "Choose a search: runs of several cannot be ranked among each other.") : skeleton(40));
      return;
    }
    const [state, sign] = WORDS[found.word];
    put(word, h("p", { class: `verdict-line ${state}` }, h("strong", {}, `${sign} ${found.word[0].toUpperCase()}${found.word.slice(1)}`), h("span", {}, found.sentence ? [": ", prose(found.sentence), "."] : ".")),
      h("p", { class: "muted small" }, prose(found.advice)));
    put(below, errors(), lost(), controls());
    coverage.draw();
    promised.draw();
  }

  function errors() {
    const told = found.mistakes.filter((m) => m.error !== null);
    if (!told.length) return h("p", { class: "muted small" }, "No run with a forecast has gone to its end yet.");
    return h("div", { class: "wide-scroll" }, h("table", { class: "plain small mistakes" }, h("caption", { class: "visually-hidden" }, "Mean error of the forecast score"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Mean error of the score"), told.map((m) => h("th", { scope: "col", class: "num" }, `at ${percent(m.seen)}`)))),
      h("tbody", {}, h("tr", {}, h("th", { scope: "row" }, "here"), told.map((m) => h("td", { class: "num", title: plural(m.n, "run") }, num(m.error, 2)))),
        told.some((m) => m.promised !== null) ? h("tr", {}, h("th", { scope: "row" }, "on its test tables"), told.map((m) => h("td", { class: "num" }, num(m.promised, 2)))) : null)));
  }

  function lost() {
    const { lost: l } = found, m = l.measured;
    if (!l.stops && !found.controls.length) return h("p", { class: "note-bar" }, "Nothing was stopped yet, so nothing is lost.");
    return h("p", { class: "note-bar", id: "wrong" },
      l.asked ? `${plural(l.stops, "stop")} cost ${lostText(l.expected)} good runs by their own P(good); as many at random would cost ${lostText(l.by_chance)}. `
        : `${plural(l.stops, "stop")}, of which none said how likely a good end was. `,
      m.n ? `Controls: ${count(Math.round(m.rate * m.n))} of ${count(m.n)} ended good, at most ${percent(l.upper)} of stops with 95 % confidence at every look (random: ${percent(l.chance)}).`
        : "No control has ended yet: a share of stops is let run on to measure it.",
      l.upper >= l.chance && m.n ? " So few controls cannot tell it from chance yet." : "");
  }

  function controls() {
    if (!found.controls.length) return h("div");
    const items = [...found.controls].reverse();
    const list = items.slice(0, 60).map((c) => h("li", { class: c.good ? "wrong" : "" },
      h("button", { type: "button", class: "link", onclick: () => open(c.run_id) }, c.run_id),
      ` a stop${c.told_at === null ? "" : ` at ${percent(c.told_at)}`} would have been `, h("b", {}, c.rank === null ? "judged by nothing: it has no score" : c.good ? "wrong" : "right"),
      c.rank === null ? "" : `: ended ${ordinal(c.rank)} of ${count(c.of)}${c.p_good === null ? "" : `, P(good) was ${percent(c.p_good)}`}`));
    return h("details", { class: "controls" }, h("summary", {}, `${plural(items.length, "control")}, one by one`), h("ul", {}, list),
      items.length > 60 ? h("p", { class: "muted small" }, `The latest 60 of ${count(items.length)}; all are in the answer of /v1/populations/NAME/audit.`) : null);
  }

  return { element, update, destroy() { coverage.destroy(); promised.destroy(); } };
}

// A rate with its interval.
function bar(context, x, y, { rate, low, high }, ink) {
  context.strokeStyle = context.fillStyle = ink;
  context.lineWidth = 2;
  line(context, x, y.at(low), x, y.at(high));
  disc(context, x, y.at(rate), 4);
  context.fill();
}

export function ordinal(n) {
  const rest = n % 100, sign = rest > 10 && rest < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] ?? "th";
  return `${count(n)}${sign}`;
}
