// Chosen runs over each other, and only what differs between them.

import { get } from "../data/api.js";
import { endScore } from "../data/search.js";
import { Chart, spread } from "../charts/chart.js";
import { figureMenu } from "../charts/figure.js";
import { colour, h, segmented, skeleton, state, within } from "../words/dom.js";
import { naturally, num, percent, setTo, share } from "../words/format.js";
import { whyNone } from "./overview.js";
import { MOST_COMPARED } from "../panels/runs-panel.js";
import { METRICS, STATE, label, standing } from "../words/words.js";

const AGAIN_MS = 500;
const SHOWN_CHOICES = 2_000;

export function compare(root, parameters, store) {
  const details = new Map();
  let ids = chosen(parameters), metric = METRICS[0], chart = null, over = false, timer = 0, listed = "";
  const body = h("div", { class: "stack" }), picker = h("div", { class: "actions" }), why = h("div");
  root.replaceChildren(h("div", { class: "head" }, h("div", { class: "grow" }, h("h1", {}, "Compare"), h("p", { class: "sub" }, `Up to ${MOST_COMPARED} runs over each other, with what differs between them.`)), picker), why, body);

  const go = (next) => { location.hash = `#/compare?runs=${next.map(encodeURIComponent).join(",")}`; };

  function pick() {
    const free = [...store.runs.keys()].filter((id) => !ids.includes(id)).sort(naturally);
    const key = JSON.stringify([ids, free.slice(0, SHOWN_CHOICES)]);
    if (key === listed || picker.contains(document.activeElement)) return;
    listed = key;
    const full = ids.length >= MOST_COMPARED;
    const add = h("input", { type: "search", size: 24, list: "runs-there", "aria-label": "Add a run", placeholder: full ? `${MOST_COMPARED} at most` : "Add a run by its name", disabled: !free.length || full, autocomplete: "off",
      onchange: () => { if (store.runs.has(add.value.trim()) && !ids.includes(add.value.trim())) go([...ids, add.value.trim()]); } });
    picker.replaceChildren(add, h("datalist", { id: "runs-there" }, free.slice(0, SHOWN_CHOICES).map((id) => h("option", { value: id }))), ids.length ? h("button", { type: "button", onclick: () => go([]) }, "Clear") : "");
  }

  async function load() {
    timer = 0;
    if (!ids.length) return draw();
    if (!details.size) body.replaceChildren(skeleton(420));
    const found = await Promise.allSettled(ids.map((id) => get(`v1/runs/${encodeURIComponent(id)}`)));
    if (over) return;
    found.forEach((result, i) => {
      if (result.status === "fulfilled") details.set(ids[i], result.value);
      else if (result.reason.status === 404 || result.reason.status === 422) details.set(ids[i], null);
    });
    draw();
  }

  function draw() {
    chart?.destroy();
    chart = null;
    pick();
    why.replaceChildren(...whyNone(store));
    if (!ids.length) {
      body.replaceChildren(h("section", { class: "panel" }, state("Choose runs to compare", "Tick them in the table of the overview (or press x on a row), or add them here.")));
      return;
    }
    const runs = ids.map((id, i) => ({ id, detail: details.get(id), color: `s${i + 1}` }));
    const there = runs.filter((r) => r.detail);
    const missing = runs.filter((r) => r.detail === null);
    const box = h("div");
    chart = new Chart(box, () => plotted(there, metric), { height: 360, label: "Chosen runs over progress" });
    const menu = figureMenu({ name: "compare", title: "Chosen runs over progress", ...chart.files() });
    body.replaceChildren(
      h("section", { class: "panel" },
        h("header", {}, h("h2", {}, "Over progress"), h("span", { class: "muted small" }, runs.some((r) => r.detail && !r.detail.run.total_epochs) && runs.some((r) => r.detail?.run.total_epochs) ? "bars at the right: forecast of the final value, 90 % and 50 %; a run without a budget is drawn to its last checkpoint" : "bars at the right: forecast of the final value, 90 % and 50 %"),
          h("div", { class: "end actions" }, segmented("Metric", METRICS.map((m) => [m.name, m.short]), metric.name, (name) => { metric = METRICS.find((m) => m.name === name); chart.redraw(); }), menu)),
        box,
        h("div", { class: "legend" }, runs.map((r) => h("span", {}, h("i", { class: "key", style: { borderColor: `var(--${r.color})` } }), r.detail ? h("a", { href: `#/run/${encodeURIComponent(r.id)}` }, r.id) : h("s", {}, r.id),
          h("button", { type: "button", class: "quiet", style: { minHeight: "24px", padding: "0 6px" }, "aria-label": `Remove ${r.id}`, onclick: () => go(ids.filter((id) => id !== r.id)) }, "×"))))),
      missing.length ? h("p", { class: "muted" }, `Not stored any more, or of another key: ${missing.map((r) => r.id).join(", ")}.`) : "",
      there.length ? differing(there, store) : "");
  }

  const stop = store.subscribe(() => { pick(); why.replaceChildren(...whyNone(store)); });
  load();
  return {
    title: "Compare",
    event({ kind, run }) {
      if (kind === "gap" || ids.includes(run.run_id)) timer ||= setTimeout(load, AGAIN_MS);
    },
    navigate(next) {
      ids = chosen(next);
      load();
      return true;
    },
    destroy() {
      over = true;
      stop();
      clearTimeout(timer);
      chart?.destroy();
    },
  };
}

const chosen = (parameters) => [...new Set((parameters.get("runs") ?? "").split(",").filter(Boolean))].slice(0, MOST_COMPARED);

function plotted(runs, metric) {
  if (!runs.length) return null;
  // A run without a budget is drawn to its last checkpoint: in its own epochs it would squash the others.
  const known = runs.some((r) => r.detail.run.total_epochs);
  const xs = runs.map(({ detail: { history, run } }) => history.epochs.map((e) => (known ? (100 * e) / (run.total_epochs ?? history.epochs.at(-1)) : e)));
  const x = [...new Set(xs.flat())].sort((a, b) => a - b);
  const at = new Map(x.map((v, i) => [v, i]));
  const columns = runs.map(({ detail }, k) => {
    const column = x.map(() => null);
    xs[k].forEach((v, i) => { column[at.get(v)] = detail.history[metric.name][i]; });
    return column;
  });
  const fans = runs.map((r) => (r.detail.run.state === "finished" ? null : r.detail.run.forecast?.[metric.final]));
  const s = spread(columns.flat());
  if (s.empty) return null;
  const log = s.log && metric.name === "mqe";
  const ends = fans.filter(Boolean).flatMap((q) => [q[1], q[3]]).filter((v) => !log || v > 0);
  const high = Math.max(s.high, ...ends), low = Math.min(s.least, ...ends);
  return {
    data: [x, ...columns],
    series: runs.map((r) => ({ label: r.id, color: r.color, width: 2.2, spanGaps: true, points: xs.flat().length < 200 ? 4 : 0 })),
    x: { name: known ? "progress_percent" : "epoch", label: known ? "share of the budget, %" : "epoch", format: (v) => (known ? `${v} %` : String(v)), range: known ? [0, 100] : undefined },
    y: { label: metric.label, log, floor: 0, format: metric.name === "mqe" ? undefined : share, range: log ? [low / 1.3, high * 1.3] : [0, high * 1.06 || 1] },
    right: 22 + 12 * runs.length,
    marks: fans.flatMap((q, i) => (q ? [beside(q, i, runs[i], known ? 100 : x.at(-1), log)] : [])),
  };
}

// The forecast of a final value, right of the plot: a place each, so that none hides another.
const beside = (q, i, { id, color }, end, log) => ({
  at: [{ x: end, q }], label: `${id}_forecast`, color, beside: true,
  paint({ ctx, bbox, valToPos }) {
    const ratio = devicePixelRatio, left = bbox.left + bbox.width + (8 + 12 * i) * ratio;
    const clip = (v) => Math.min(bbox.top + bbox.height, Math.max(bbox.top, v));
    const y = q.map((v) => (log && !(v > 0) ? bbox.top + bbox.height : clip(valToPos(v, "y", true))));
    ctx.save();
    ctx.strokeStyle = colour(color);
    for (const [from, to, width] of [[0, 4, 1.4], [1, 3, 5]]) {
      ctx.lineWidth = width * ratio;
      ctx.beginPath();
      ctx.moveTo(left, y[from]);
      ctx.lineTo(left, y[to]);
      ctx.stroke();
    }
    ctx.restore();
  },
});

function settings({ run, history: { context } }) {
  const { schedule, geometry, ...rest } = context; // the geometry is of the table, which has a name
  return {
    __proto__: null, ...run.config, dataset: run.dataset, total_epochs: run.total_epochs, ...rest,
    learning_rate_start: schedule?.learning_rate?.[0], learning_rate_end: schedule?.learning_rate?.at(-1), radius_start: schedule?.radius?.[0], radius_end: schedule?.radius?.at(-1),
  };
}

function differing(runs, store) {
  const all = runs.map((r) => settings(r.detail));
  const names = [...new Set(all.flatMap(Object.keys))].filter((name) => new Set(all.map((s) => JSON.stringify(s[name] ?? null))).size > 1);
  const outcome = ({ run }) => (run.final ? run.final.final_mqe : run.forecast?.final_mqe[2]);
  const score = ({ run, history }) => endScore(run, history.context.mqe_of_mean, run.quality?.weights ?? store.detail?.weights) ?? run.quality?.values[2];
  const results = [
    ["state", (d) => `${STATE[standing(d.run)]}${d.run.progress === null ? "" : `, ${percent(d.run.progress)}`}`], ["mqe, final or forecast", (d) => num(outcome(d))],
    ["quality score, final or forecast", (d) => num(score(d))], ["P(good)", (d) => percent(d.run.p_good)],
  ];
  return h("section", { class: "panel", id: "differing" }, h("header", {}, h("h2", {}, "What differs"), h("span", { class: "muted small" }, names.length ? "settings that are the same everywhere are left out" : "all known settings are the same")),
    h("div", { class: "wide-scroll", tabindex: 0, role: "region", "aria-label": "What differs" }, h("table", { class: "plain" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Setting"), runs.map((r) => h("th", { scope: "col", class: "num" }, h("i", { class: "dot", style: { background: `var(--${r.color})`, marginRight: "6px" } }), within(r.id))))),
      h("tbody", {}, [...names.map((name) => [label(name), (_, i) => within(setTo(all[i][name]))]), ...results].map(([said, cell]) =>
        h("tr", {}, h("th", { scope: "row" }, within(said)), runs.map((r, i) => h("td", { class: "num" }, cell(r.detail, i)))))))));
}
