// The charts of one run: what was seen with what was forecast on the way, and the plan.

import { Chart, bars, level, quantiles, spread, upright } from "../charts/chart.js";
import { figureMenu } from "../charts/figure.js";
import { h, segmented } from "../words/dom.js";
import { count, num, percent, share } from "../words/format.js";
import { chanceOf } from "../words/words.js";

// Progress in percent where the budget is known, the run's own epochs elsewhere.
function clock({ run, history }) {
  const total = run.total_epochs;
  return { x: history.epochs.map((e) => (total ? (100 * e) / total : e)), of: (e) => (total ? (100 * e) / total : e), end: total ? 100 : null,
    format: total ? (v) => (v === null ? "" : `${v} %`) : undefined, unit: total ? " %" : "", name: total ? "progress_percent" : "epoch", label: total ? "share of the budget, %" : "epoch" };
}

const axisOf = (time) => ({ name: time.name, label: time.label, format: (v) => (time.format ? time.format(v) : String(v)), range: time.end !== null ? [0, 100] : undefined });
const QUANTILES = ["05", "25", "50", "75", "95"];

// The five lines of a forecast; of the outer ones the bands are seen.
const fiveLines = (more = {}) => QUANTILES.map((q, i) => ({ label: `forecast_${q}`, color: i === 2 ? "ours" : i % 4 ? null : "ours-too", width: i === 2 ? 2.2 : i % 4 ? 0 : 1, edge: i !== 2, ...(i === 2 ? more.middle : {}), spanGaps: more.spanGaps }));

// Where the run went on from an earlier map, and as which attempt.
const wentBack = ({ run }, time) => run.rewinds.map(({ epoch }, i) => upright(time.of(epoch), `attempt ${count(i + 2)}`, "warn", i % 3));

// A panel with one chart; `draws(make, options)` gives it, and brings its figure to the menu.
function panel(now, name, title, note, extra = null) {
  const box = h("div"), reading = h("p", { class: "reading" }), end = h("div", { class: "end actions" }, extra);
  const element = h("section", { class: "panel", "aria-label": title }, h("header", {}, h("h2", {}, title), note ? h("span", { class: "muted small" }, note) : null, end), reading, box);
  const draws = (make, label) => {
    const chart = new Chart(box, make, { sync: "run", label });
    end.append(figureMenu({ name: `${now().run.run_id}-${name}`, title, ...chart.files() }));
    return chart;
  };
  return { element, reading, draws };
}

// What is to come, from the next look to the end: [{ x, q: five quantiles }], by the last decision's
// curve; without one there is the final value alone.
function ahead({ run, decision }, metric, at, end) {
  const q = run.state === "finished" ? null : run.forecast?.[metric.final];
  if (!q || end === null || at >= end) return [];
  const curve = decision?.forecast?.curve;
  if (!curve) return [{ x: end, q }];
  return curve.of_the_rest.map((share, i) => ({ x: share === 1 ? end : at + share * (end - at), q: curve[metric.name][i] }));
}

const endOf = (run, metric) => (run.state === "finished" && run.final ? run.final[metric.final] : null);

// The quartiles of the population at a place, between what is told straight.
function banded(band, metric, x) {
  if (!band?.progress.length) return null;
  const at = band.progress.map((share) => 100 * share), told = band[metric.name];
  const found = x.map((v) => {
    const i = at.findIndex((share) => share >= v - 1e-9);
    if (i < 0 || !told[i] || (i === 0 && v < at[0] - 1e-9)) return null;
    if (i === 0 || !told[i - 1]) return told[i];
    const way = (v - at[i - 1]) / (at[i] - at[i - 1]);
    return told[i].map((q, k) => told[i - 1][k] + way * (q - told[i - 1][k]));
  });
  return found.some(Boolean) ? found : null;
}

export function metricPanel(metric, now) {
  const { element, reading, draws } = panel(now, metric.name, metric.label, metric.unit);
  const show = metric.name === "mqe" ? (v) => num(v) : (v) => percent(v, 1);
  const rest = () => {
    const { history, run } = now();
    const q = run.state === "finished" ? null : run.forecast?.[metric.final];
    const last = history[metric.name].at(-1), end = endOf(run, metric);
    if (end !== null) reading.replaceChildren("Ended at ", h("strong", {}, show(end)));
    else reading.replaceChildren("Now ", h("strong", {}, last === null ? "not measured" : show(last)), ...(q ? [", final ", h("strong", {}, show(q[2])), `, 90 %: ${show(q[0])} to ${show(q[4])}`] : []));
  };
  const drawn = draws(() => {
    const data = now(), { history, run } = data, time = clock(data);
    const seen = history[metric.name];
    const from = seen.findLastIndex((v) => v !== null);
    const way = ahead(data, metric, time.x.at(-1), time.end), fan = way.length > 0;
    const past = data.track.epochs.map((e, i) => ({ x: time.of(e), q: data.track[metric.final][i] })).filter((p) => p.q && p.x < (time.end ?? Infinity));
    const x = [...time.x, ...way.map((w) => w.x)], columns = [];
    const others = time.end === null ? null : banded(data.band, metric, x);
    if (others) columns.push(others.map((q) => q?.[0] ?? null), others.map((q) => q?.[2] ?? null));
    const more = others ? 2 : 0; // behind the rest: what comes later is drawn over it
    columns.push([...seen, ...way.map(() => null)]);
    for (let k = 0; fan && k < 5; k += 1) {
      const line = [...seen.map(() => null), ...way.map((w) => w.q[k])];
      if (from >= 0) line[from] = seen[from];
      columns.push(line);
    }
    const s = spread(seen);
    if (s.empty) return null;
    const log = s.log && metric.name === "mqe"; // shares end at 1: there is nothing to tame
    const outcome = endOf(run, metric);
    return {
      data: [x, ...columns],
      series: [...(others ? [0, 1].map((i) => ({ label: i ? "others_75" : "others_25", color: "line-strong", width: 1, spanGaps: true, edge: true })) : []),
        { label: metric.name, color: "ink", width: 2, points: seen.length < 60 ? 5 : 0, spanGaps: true },
        ...(fan ? fiveLines({ middle: { dash: [6, 4] }, spanGaps: true }) : [])],
      bands: [...(others ? [[2, 1, "sunken", "middle half of the others"]] : []), ...(fan ? [[6 + more, 2 + more, "fan-wide", "90 %"], [5 + more, 3 + more, "fan-narrow", "50 %"]] : [])],
      x: axisOf(time),
      y: { label: metric.label, log, floor: 0, format: metric.name === "mqe" ? undefined : share, also: outcome, within: past.flatMap((p) => [p.q[1], p.q[3]]) },
      marks: [...wentBack(data, time), bars(past, "forecast_of_the_end", "ours-too"), ...(outcome !== null ? [level(outcome, `final ${show(outcome)}`, "good")] : [])],
      read: (i) => {
        const to = fan && i !== null ? way[i - seen.length] : null;
        if (i === null || (to && to.x === time.end)) rest();
        else if (to) reading.replaceChildren(`At ${num(to.x)}${time.unit} `, h("strong", {}, show(to.q[2])), `, 90 %: ${show(to.q[0])} to ${show(to.q[4])}`);
        else reading.replaceChildren(`At ${num(x[i])}${time.unit}: `, h("strong", {}, seen[i] === null || seen[i] === undefined ? "not measured" : show(seen[i])));
      },
    };
  }, `${metric.label} over progress with its forecast`);
  const coming = [h("span", {}, h("i", { class: "key dash" }), "median"), h("span", {}, h("i", { class: "key narrow" }), "50 %"), h("span", {}, h("i", { class: "key wide" }), "90 % of what is to come")];
  const others = h("span", {}, h("i", { class: "key band" }), "middle half of the other runs");
  element.append(h("div", { class: "legend" }, h("span", {}, h("i", { class: "key ink" }), "seen"), coming, h("span", {}, h("i", { class: "key bar" }), "bars: what was forecast of the end, there (an arrow: it goes on)"), others));
  const legend = () => {
    const data = now(), time = clock(data);
    const fan = ahead(data, metric, time.x.at(-1), time.end).length > 0;
    coming.forEach((one) => { one.hidden = !fan; });
    others.hidden = !data.band?.progress.length || time.end === null;
  };
  return { element, update() { rest(); legend(); drawn.redraw(); }, destroy: () => drawn.destroy() };
}

export function movedPanel(now) {
  const views = [["quality", "Quality score"], ["final_mqe", "mqe"], ["final_topographic_error", "Topographic"], ["final_dead_neuron_ratio", "Dead"]];
  let view = "quality";
  const { element, reading, draws } = panel(now, "forecasts", "How the forecast moved", null, segmented("Target", views, view, (v) => { view = v; update(); }));
  const drawn = draws(() => {
    const data = now(), { track, run } = data, time = clock(data);
    const kept = track.epochs.map((_, i) => i).filter((i) => track[view][i] !== null);
    if (!kept.length) return null;
    const x = kept.map((i) => time.of(track.epochs[i]));
    const columns = [0, 1, 2, 3, 4].map((level) => kept.map((i) => track[view][i][level]));
    // A checkpoint decided twice (a person overruled) keeps its last forecast.
    const once = x.map((v, i) => x.indexOf(v, i + 1) < 0);
    const pick = (list) => list.filter((_, i) => once[i]);
    const [px, ...pc] = [x, ...columns].map(pick);
    const s = spread(pc[2]);
    const end = run.state === "finished" && run.final && !run.final.censored && view !== "quality" ? run.final[view] : null;
    return {
      data: [px, ...pc],
      series: fiveLines({ middle: { points: px.length < 40 ? 5 : 0 } }),
      bands: [[5, 1, "fan-wide", "90 %"], [4, 2, "fan-narrow", "50 %"]],
      x: axisOf(time),
      y: { label: `forecast of the ${views.find(([name]) => name === view)[1]}`, log: s.log, floor: 0, also: end },
      marks: [...wentBack(data, time), ...(px.length === 1 ? [bars([{ x: px[0], q: pc.map((column) => column[0]) }], "forecast", "ours", 2)] : []),
        ...(end !== null && end !== undefined ? [level(end, `ended at ${num(end)}`, "good")] : [])],
      read: (i) => (i === null ? rest() : reading.replaceChildren(`At ${num(px[i])}${time.unit}: `, h("strong", {}, quantiles(pc.map((c) => c[i]))))),
    };
  }, "Forecast of the final value at each decision");
  const rest = () => reading.replaceChildren("The forecast of the final value, as each checkpoint came. It should narrow, and settle.");
  const update = () => { rest(); drawn.redraw(); };
  return { element, update, destroy: () => drawn.destroy() };
}

export function schedulePanel(now) {
  const { element, reading, draws } = panel(now, "schedule", "Learning rate and radius", "solid: reported, dashed: planned");
  const drawn = draws(() => {
    const data = now(), { history } = data, time = clock(data), plan = history.context.schedule;
    const has = (name) => history[name]?.some((v) => v !== null) || plan?.[name];
    if (!has("learning_rate") && !has("radius")) return null;
    const planned = plan && time.end !== null ? plan.progress.map((p) => 100 * p) : [];
    const x = [...new Set([...time.x, ...planned])].sort((a, b) => a - b);
    const column = (xs, values) => x.map((v) => { const at = xs.indexOf(v); return at < 0 ? null : (values?.[at] ?? null); });
    const series = [], columns = [];
    for (const [name, color, scale] of [["learning_rate", "ours", "y"], ["radius", "s2", "y2"]]) {
      columns.push(column(time.x, history[name]), column(planned, plan?.[name]));
      series.push({ label: name, color, width: 2.2, scale, spanGaps: true, points: time.x.length < 60 ? 4 : 0 }, { label: `${name}_planned`, color, width: 1.3, dash: [5, 4], scale, spanGaps: true });
    }
    return {
      data: [x, ...columns], series,
      x: axisOf(time), y: { label: "learning rate", floor: 0 }, y2: { label: "radius, grid units", floor: 0 },
      read: (i) => (i === null ? rest() : reading.replaceChildren(`At ${num(x[i])}${time.unit}: learning rate `, h("strong", {}, num(columns[0][i] ?? columns[1][i])), ", radius ", h("strong", {}, num(columns[2][i] ?? columns[3][i])), " grid units")),
    };
  }, "Learning rate and radius over progress");
  const rest = () => {
    const { history } = now();
    if (!history.learning_rate && !history.radius) reading.textContent = "Neither was reported.";
    else reading.replaceChildren("Now: learning rate ", h("strong", {}, num(history.learning_rate?.at(-1))), ", radius ", h("strong", {}, num(history.radius?.at(-1))), " grid units");
  };
  element.append(h("div", { class: "legend" }, h("span", {}, h("i", { class: "key" }), "learning rate (left)"), h("span", {}, h("i", { class: "key too" }), "radius, grid units (right)")));
  return { element, update() { rest(); drawn.redraw(); }, destroy: () => drawn.destroy() };
}

// The chance to end good as it was said, against the risk below which the policy stops.
export function chancePanel(now) {
  const { element, reading, draws } = panel(now, "chance", "Chance to end good", "said at each decision, against the risk that is taken");
  const drawn = draws(() => {
    const data = now(), { track, decision } = data, time = clock(data), policy = decision?.policy;
    const kept = track.epochs.map((_, i) => i).filter((i) => track.p_good[i] !== null);
    if (!kept.length) return null;
    const xs = kept.map((i) => time.of(track.epochs[i])), said = new Map(xs.map((x, k) => [x, track.p_good[kept[k]]]));
    const risk = (x) => (policy?.risk === undefined ? null : policy.risk * Math.min(1, policy.ramp > 0 && time.end !== null ? x / 100 / policy.ramp : 1));
    const x = [...new Set([...xs, ...(time.end !== null ? Array.from({ length: 51 }, (_, i) => 2 * i) : [])])].sort((a, b) => a - b);
    // Chances are told apart where they are small: on a line of their logarithms, from 1 in 10,000.
    const floor = 1e-4, low = (v) => (v === null ? null : Math.max(floor, v));
    return {
      data: [x, x.map((v) => low(said.get(v) ?? null)), x.map((v) => low(risk(v)))],
      series: [{ label: "p_good", color: "ours", width: 2.2, points: 6, spanGaps: true }, { label: "risk", color: "bad", width: 1.6, dash: [5, 4] }],
      x: axisOf(time),
      y: { label: chanceOf(policy).toLowerCase(), log: true, range: [floor, 1], format: chance },
      read: (i) => (i === null ? rest() : reading.replaceChildren(`At ${num(x[i])}${time.unit}: `, said.has(x[i]) ? h("strong", {}, percent(said.get(x[i]), 1)) : "not asked", risk(x[i]) === null ? "" : `, risk ${percent(risk(x[i]), 2)}`)),
    };
  }, "Chance to end good at each decision");
  const rest = () => {
    const { decision } = now(), policy = decision?.policy;
    reading.textContent = policy?.risk === undefined ? "This policy asks for no chance." : `Below the dashed line the policy stops: ${percent(policy.risk, 1).replace(".0 ", " ")}${policy.ramp > 0 ? `, and before ${percent(policy.ramp)} of the budget in proportion less` : ""}.`;
  };
  element.append(h("div", { class: "legend" }, h("span", {}, h("i", { class: "key" }), "P(good) as said; what is below 0.01 % stands there"), h("span", {}, h("i", { class: "key dash bad" }), "risk taken")));
  return { element, update() { rest(); drawn.redraw(); }, destroy: () => drawn.destroy() };
}

const chance = (v) => `${Number((100 * v).toPrecision(1))} %`;
