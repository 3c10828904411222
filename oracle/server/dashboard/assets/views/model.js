// The model that forecasts: its card, how wrong it is by how much it has seen, and whether it knows today's runs.

import { get } from "../data/api.js";
import { Chart, level } from "../charts/chart.js";
import { figureMenu } from "../charts/figure.js";
import { now } from "../words/clock.js";
import { h, named, segmented, skeleton, state } from "../words/dom.js";
import { count, moment, num, percent, plural } from "../words/format.js";
import { markdown } from "../words/markdown.js";

const ERRORS = [["quality", "Quality score"], ["final_mqe", "mqe, relative"], ["final_topographic_error", "Topographic error"], ["final_dead_neuron_ratio", "Dead neurons"]];
const SEEN = { name: "seen_percent", label: "share of the run seen, %", format: (v) => `${v} %`, range: [0, 100] };

export function model(root, parameters, store) {
  let charts = [], over = false, support = null, loading = false, shown;
  root.replaceChildren(h("div", { class: "stack", "aria-busy": "true" }, skeleton(64), skeleton(320), skeleton(320)));

  async function load() {
    loading = true;
    try {
      const found = await get("v1/models/active");
      if (!over) build(found);
    } catch (problem) {
      if (over) return;
      root.replaceChildren(problem.code === "no_model"
        ? state("No model is loaded", store.models?.failure?.message ?? "The service records runs, and every decision abstains. Train a model or activate one; the page notices by itself.",
          h("pre", { class: "snippet", tabindex: 0, "aria-label": "Commands" }, "oracle models list\noracle models activate NAME\noracle train --help"))
        : state("The model cannot be shown", problem.message, h("div", { class: "actions" }, h("button", { class: "primary", onclick: load }, "Try again"))));
    } finally {
      loading = false;
    }
  }

  function build(found) {
    charts.forEach((c) => c.destroy());
    charts = [];
    const { training, model: info } = found;
    shown = info.sha256;
    support = h("section", { class: "panel" });
    root.replaceChildren(
      h("div", { class: "head" }, h("div", { class: "grow" }, h("h1", {}, `${info.name} ${info.version}`), h("p", { class: "sub" }, `${found.architecture}, made ${moment(found.created)}, loaded ${moment(info.loaded_at)}`),
        h("p", { class: "sub small" }, "SHA-256 ", h("code", {}, info.sha256)))),
      h("div", { class: "stack" }, h("div", { class: "grid two" }, errors(training.score, charts), covered(training.score, charts)),
        h("div", { class: "grid two" }, support, trainedOn(training)), h("section", { class: "panel card" }, markdown(found.card))));
    showSupport();
  }

  function showSupport() {
    if (!support) return;
    const today = [...store.runs.values()].filter((run) => run.support !== null && now() - Date.parse(run.updated_at) < 86_400_000);
    const bins = Array(10).fill(0);
    for (const run of today) bins[Math.min(9, Math.floor(run.support * 10))] += 1;
    const most = Math.max(...bins, 1);
    // Decisions are counted, not runs' last ones: these are mostly that the budget is used up.
    let decisions = 0, without = 0;
    for (const { decided } of today) {
      for (const [word, n] of Object.entries(decided ?? {})) decisions += n;
      without += decided?.no_support ?? 0;
    }
    support.replaceChildren(h("header", {}, h("h2", {}, "Does it know today's runs?"), h("span", { class: "muted small" }, store.population ? ["population ", named(store.population)] : "all runs")),
      ...(!today.length && store.loading ? [skeleton(96)] : today.length ? [
        h("p", { class: "reading" }, `Support of ${plural(today.length, "run")} heard in the last 24 hours: how much each resembles the training data. `, h("strong", {}, !decisions ? "" : without ? `Of ${plural(decisions, "decision")} about them ${percent(without / decisions)} were not made for lack of it.` : `Of ${plural(decisions, "decision")} none was left open for lack of it.`)),
        h("div", { class: "bars", role: "img", "aria-label": `Support of ${today.length} runs; ${without} of ${decisions} decisions without enough`, style: { marginTop: "12px" } }, bins.flatMap((n, i) => [
          h("span", { class: "muted" }, `${i * 10} to ${i * 10 + 10} %`), h("i", { class: i === 0 ? "low" : "", style: { width: `${(100 * n) / most}%` } }), h("span", { class: "num" }, count(n))])),
      ] : [h("p", { class: "muted" }, "No run was heard of in the last 24 hours. Support is how much a run resembles the training data; policies abstain where it is too low.")]));
  }

  const stop = store.subscribe(showSupport);
  load();
  let heard = store.models?.active?.sha256;
  const stopModel = store.subscribe(() => {
    const now = store.models?.active?.sha256;
    if (now === heard) return;
    const first = heard === undefined;
    heard = now;
    // What is heard first is mostly the model that is here, or on its way, already.
    if (!(first && (loading || now === shown))) load();
  });
  return {
    title: "Model",
    destroy() {
      over = true;
      stop();
      stopModel();
      charts.forEach((c) => c.destroy());
    },
  };
}

function prefixes(score) {
  return score?.by_progress ? Object.keys(score.by_progress).sort((a, b) => a - b) : [];
}

function errors(score, charts) {
  const keys = prefixes(score);
  const section = h("section", { class: "panel" });
  if (!keys.length) {
    section.append(h("h2", {}, "Error by how much was seen"), h("p", { class: "muted" }, "This model's manifest holds no scores; its card may."));
    return section;
  }
  let target = "quality";
  const box = h("div"), reading = h("p", { class: "reading" });
  const rest = () => { reading.textContent = `Mean absolute error over ${plural(score.runs, "run")} of ${plural(score.tables, "table")} that it never learned from.`; };
  const chart = new Chart(box, () => {
    const x = keys.map((k) => 100 * k);
    const ours = keys.map((k) => score.by_progress[k][target] ?? null);
    const naive = target === "quality" ? keys.map((k) => score.by_progress[k].last_value ?? null) : null;
    return {
      data: [x, ours, ...(naive ? [naive] : [])],
      series: [{ label: "model", color: "ours", width: 2.6, points: 7 }, ...(naive ? [{ label: "last_value", color: "faint", width: 1.6, points: 5 }] : [])],
      x: SEEN, y: { label: "mean absolute error", range: [0, 1.1 * Math.max(...ours, ...(naive ?? [0]))] },
      read: (i) => (i === null ? rest() : reading.replaceChildren(`After ${x[i]} %: `, h("strong", {}, num(ours[i])), naive ? `, the last value as the forecast: ${num(naive[i])}` : "")),
    };
  }, { height: 250, label: "Mean absolute error by share of the run seen" });
  charts.push(chart);
  rest();
  section.append(h("header", {}, h("h2", {}, "Error by how much was seen"), saving("model-error", "Error by how much was seen", chart)), segmented("Target", ERRORS, target, (t) => { target = t; chart.redraw(); }), reading, box,
    h("div", { class: "legend" }, h("span", {}, h("i", { class: "key" }), "this model"), h("span", {}, h("i", { class: "key muted" }), "the last value as the forecast")));
  return section;
}

// Coverage of the quality score's intervals: what fell inside, against what was promised.
function covered(score, charts) {
  const keys = prefixes(score).filter((k) => Object.keys(score.by_progress[k].coverage ?? {}).length);
  const head = h("header", {}, h("h2", {}, "Are its intervals honest?"));
  const section = h("section", { class: "panel", id: "coverage" }, head);
  if (!keys.length) {
    section.append(h("p", { class: "muted" }, "Intervals are calibrated on tables held out from training, by how much of a run was seen. How many outcomes then fell inside is not in this model's manifest: it was made before that was kept. Measure it:"),
      h("pre", { class: "snippet", tabindex: 0, "aria-label": "Command", style: { marginTop: "10px" } }, "oracle evaluate --dataset data/test.csv.gz"));
    return section;
  }
  const levels = Object.keys(score.by_progress[keys[0]].coverage).sort((a, b) => b - a);
  const x = keys.map((k) => 100 * k), columns = levels.map((l) => keys.map((k) => score.by_progress[k].coverage[l] ?? null));
  const colours = ["ours", "ours-too"];
  const box = h("div"), reading = h("p", { class: "reading" });
  const rest = () => { reading.textContent = `Share of outcomes of the quality score inside each interval, over ${plural(score.runs, "run")} that it never learned from.`; };
  const chart = new Chart(box, () => ({
    data: [x, ...columns],
    series: levels.map((l, i) => ({ label: `inside_${Math.round(100 * l)}`, color: colours[i % 2], width: 2.6, points: 7 })),
    x: SEEN, y: { label: "share of outcomes inside", range: [0, 1], format: (v) => percent(v) },
    marks: levels.map((l) => level(Number(l), `promised: ${percent(Number(l))}`, "muted")),
    read: (i) => (i === null ? rest() : reading.replaceChildren(`After ${x[i]} %: `, ...levels.flatMap((l, j) => [j ? ", " : "", `of the ${percent(Number(l))} interval `, h("strong", {}, percent(columns[j][i], 1))]))),
  }), { height: 250, label: `Outcomes inside by share of the run seen: ${levels.map((l, j) => `${percent(Number(l))} interval ${columns[j].map((v) => percent(v)).join(", ")}`).join("; ")}` });
  charts.push(chart);
  rest();
  head.append(saving("model-coverage", "Are its intervals honest?", chart));
  section.append(reading, box, h("div", { class: "legend" }, levels.map((l, i) => h("span", {}, h("i", { class: i ? "key ours-too" : "key" }), `${percent(Number(l))} interval`)), h("span", {}, h("i", { class: "key dash muted" }), "promised")));
  return section;
}

const saving = (name, title, chart) => h("div", { class: "end actions" }, figureMenu({ name, title, ...chart.files() }));

function trainedOn(training) {
  const data = training.data ?? {};
  const rows = ["train", "calibrate", "test"].filter((name) => data[name]).map((name) => h("tr", {}, h("th", { scope: "row" }, { train: "to learn", calibrate: "to calibrate", test: "to measure" }[name]), h("td", { class: "num" }, count(data[name].runs)), h("td", { class: "num" }, count(data[name].tables))));
  return h("section", { class: "panel" }, h("h2", {}, "What it was trained on"),
    rows.length ? h("table", { class: "plain", style: { marginTop: "8px" } }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Used"), h("th", { scope: "col", class: "num" }, "Runs"), h("th", { scope: "col", class: "num" }, "Tables"))), h("tbody", {}, rows)) : h("p", { class: "muted" }, "The manifest does not say."),
    training.command ? h("p", { class: "small", style: { marginTop: "10px", overflowWrap: "anywhere" } }, h("code", {}, training.command)) : null);
}
