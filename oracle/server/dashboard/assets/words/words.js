// What machines call by one word, in words for a person. No list here has a prototype: a user may call
// a setting `constructor`, and a policy a reason `toString`.

import { now } from "./clock.js";
import { count, percent } from "./format.js";

export const STATE = { __proto__: null, running: "Running", stopped: "Stopped", finished: "Finished", left: "Left", converged: "Converged", silent: "Silent", abandoned: "Abandoned?" };

// How a run stands, in the words of STATE: a finished one may have been left or have converged early, and
// one that broke off tells nobody, so that long silence is all that is known of it.
export function standing(run) {
  if (run.state === "finished") return run.left ? "left" : run.reason === "converged" ? "converged" : "finished";
  if (run.state !== "running") return run.state;
  const silence = now() - Date.parse(run.updated_at);
  if (silence > HOUR_MS && silence > QUIET * step(run)) return "abandoned";
  return silence > SILENT_MS && silence > SILENT * step(run) ? "silent" : "running"; // of thousands most end here
}

// Whether a run was told to stop and went on: its caller does not look at what is answered. A person
// may have kept it, or given it back to its policy.
export const wentOn = (run) => run.first_stop !== null && run.first_stop !== undefined && run.epoch > run.first_stop && run.override !== "keep" && !(run.override === null && run.override_at) && !run.rewinds?.length;
export const toldAt = (run) => `told to stop ${run.total_epochs ? `at ${percent(run.first_stop / run.total_epochs)}` : `at ${count(run.first_stop)}`}, went on`;

// What a run counts its progress in: a budget that is its planned sample updates counts these.
export const unitOf = (run, updates = run.settings?.total_updates) => (updates && updates === run.total_epochs && updates > 1 ? "updates" : "epochs");

// A sentence of the service in the page's style: what stands beside it is left out.
export function plainly(message) {
  const text = message.replace(/^(Continue|Stop|Abstain): /, "").replaceAll("`", "").replace(/(\d)%/g, "$1 %");
  return `${text[0].toUpperCase()}${text.slice(1)}`;
}

const QUIET = 20;
const SILENT = 5;
export const SILENT_MS = 300_000;
const HOUR_MS = 3_600_000;
// From one checkpoint to the next, as it was so far; of one alone it is not known.
const step = ({ created_at: from, updated_at: to, n_checkpoints: n }) => (n > 1 ? (Date.parse(to) - Date.parse(from)) / (n - 1) : HOUR_MS);
export const ACTION = { __proto__: null, continue: "Continue", stop: "Stop", abstain: "Cannot tell" };

// What the chance is of that a policy tells.
export const chanceOf = (policy) => (policy?.name === "pareto" || policy?.goal === "gain" ? "Chance of a gain" : "Chance to end good");

export const REASON = {
  __proto__: null,
  good: "forecast well inside what is wanted",
  caution: "forecast between the caution and the stop threshold",
  promising: "still has a fair chance to end among the best, or of a gain",
  above_threshold: "predicted quality score beyond the threshold",
  unlikely_good: "almost no chance left to end among the best",
  unlikely_gain: "almost no chance left of a gain on what has finished",
  converged: "converged: what is left of its budget would hardly change its values",
  waiting: "would be stopped, but patience is not used up yet",
  best: "would be stopped, but is expected to be the best so far",
  control: "would be stopped, but was drawn to run on as a control",
  too_early: "too early in the budget to judge",
  too_few_checkpoints: "too few checkpoints to judge",
  too_few_runs: "too few runs of this population have ended",
  no_progress: "total_epochs is unknown, so progress is too",
  no_support: "unlike the runs the model was trained on",
  not_measured: "a metric that the policy asks for was not reported",
  other_scale: "its mqe_of_mean is not that of its population: another table or scaling",
  too_uncertain: "the forecast is too wide to tell",
  no_population: "belongs to no population to be ranked in",
  unknown_objective: "an objective that the model does not forecast",
  no_model: "no model is loaded",
  finished: "the budget is used up",
  overruled: "a person decided",
  error: "the forecast failed, which never stops a run",
};

// For a column of a table.
const SHORT = {
  __proto__: null,
  good: "forecast good", caution: "between the thresholds", promising: "fair chance to be good", above_threshold: "beyond the threshold",
  unlikely_good: "unlikely to end good", unlikely_gain: "unlikely to gain", converged: "converged", waiting: "patience not used up", best: "best so far",
  control: "a control",
  too_early: "too early to judge", too_few_checkpoints: "too few checkpoints", too_few_runs: "too few ended runs", no_progress: "budget unknown",
  no_support: "unlike the training data", not_measured: "a metric is missing", other_scale: "another scale", too_uncertain: "too uncertain", no_population: "no population", unknown_objective: "unknown objective",
  no_model: "no model", finished: "budget used up", overruled: "a person decided", error: "forecast failed",
};
export const short = (word) => SHORT[word] ?? word ?? "no decision yet";

export const reason = (word) => REASON[word] ?? word ?? "no decision yet";

export const METRICS = [
  { name: "mqe", final: "final_mqe", label: "Mean quantization error", short: "mqe", unit: "input units" },
  { name: "topographic_error", final: "final_topographic_error", label: "Topographic error", short: "topographic error", unit: "share of samples" },
  { name: "dead_neuron_ratio", final: "final_dead_neuron_ratio", label: "Dead neurons", short: "dead neurons", unit: "share of neurons" },
];

const CONTEXT = {
  __proto__: null,
  map_rows: "map rows", map_cols: "map columns", topology: "topology", toroidal: "without borders", neighborhood: "neighbourhood",
  n_samples: "samples", n_features: "features", initialization: "initialization", mqe_of_mean: "mqe of the mean",
  total_updates: "planned updates", batch_size: "batch size", total_epochs: "budget (epochs)", dataset: "dataset",
  learning_rate_start: "learning rate, start", learning_rate_end: "learning rate, end",
  radius_start: "radius, start", radius_end: "radius, end",
};
// A setting as a person reads it.
export const label = (name) => CONTEXT[name] ?? name.replace(/(?<=[^_])_+(?=[^_])/g, " ");
