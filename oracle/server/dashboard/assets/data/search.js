// What a search has come to, from its runs alone: pure functions, so that each figure of the strip
// and the panels is made in one place, and can be made again from what the service tells.

import { now } from "../words/clock.js";

const LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95];
const HOUR_MS = 3_600_000;
// Ends from which the pace of a search is told, and how few are too few for it.
const PACE_OF = 50;
const FEW = 4;

export const isEnded = (run) => run.state !== "running" && run.ended_at !== null;
export const secondsOf = (iso) => Date.parse(iso) / 1000;

// Quality score of a run that went to its end, by its own values; null = it did not, or cannot be told.
export function endScore({ state, final, quality }, mqeOfMean, weights) {
  const scale = quality?.scale === "relative" ? mqeOfMean : 1;
  if (state !== "finished" || !final || final.censored || !weights || !scale) return null;
  const { final_mqe: mqe, final_topographic_error: te, final_dead_neuron_ratio: dead } = final;
  return te === null || dead === null ? null : (weights[0] * mqe) / scale + weights[1] * te + weights[2] * dead;
}

// P(value < at) of a forecast at LEVELS, straight between them; beyond them a tail as long as the next stretch.
export function below(values, at) {
  if (!values) return null;
  if (values[0] === values[4]) return values[0] < at ? 1 : 0;
  const left = values[0] - (values[1] - values[0]), right = values[4] + (values[4] - values[3]);
  const xs = [left, ...values, right], ps = [0, ...LEVELS, 1];
  if (at <= xs[0]) return 0;
  for (let i = 1; i < xs.length; i += 1) {
    if (at <= xs[i]) return ps[i - 1] + (xs[i] > xs[i - 1] ? ((at - xs[i - 1]) / (xs[i] - xs[i - 1])) * (ps[i] - ps[i - 1]) : 0);
  }
  return 1;
}

// Runs in order of ending with what stands for each, the live ones, and the line of the best.
//   score(run): [5] quantiles, five times the same of a run that went to its end; null = none
export function course(runs, score) {
  const ended = [], live = [];
  for (const run of runs) {
    const values = score(run);
    if (isEnded(run)) ended.push({ run, values, whole: run.state === "finished" && !run.left, at: Date.parse(run.ended_at) });
    else if (values) live.push({ run, values });
  }
  ended.sort((a, b) => a.at - b.at || (a.run.run_id < b.run.run_id ? -1 : 1));
  let best = null, used = 0, planned = 0;
  ended.forEach((one, i) => {
    const { run } = one, total = run.total_epochs ?? run.epoch;
    one.i = i;
    used += run.state === "stopped" || run.reason === "converged" ? run.epoch : Math.min(run.epoch, total) || total;
    planned += run.left ? run.epoch : total;
    one.used = used;
    one.planned = planned;
    if (one.whole && one.values && (best === null || one.values[2] < best.values[2])) best = one;
    one.best = best;
  });
  live.sort((a, b) => a.values[2] - b.values[2]);
  return { ended, live, best, used, planned };
}

// The best without any stop, by compute: as many runs as the same epochs would have trained whole, in
// the same order, each stopped one ending at the median that it was stopped with. One place a run ended.
export function withoutStops({ ended }) {
  const found = [];
  let at = 0, best = null;
  for (const one of ended) {
    while (at < ended.length && ended[at].planned <= one.used * (1 + 1e-9)) {
      const value = ended[at].values?.[2];
      if (value !== undefined && value !== null && (best === null || value < best)) best = value;
      at += 1;
    }
    found.push({ runs: at, value: best });
  }
  return found;
}

// P(some live run ends better than the best), were they independent.
export function anyBeats(live, best) {
  if (best === null || !live.length) return null;
  return 1 - live.reduce((none, one) => none * (1 - below(one.values, best)), 1);
}

// Worker seconds that ended runs took and that stops saved, each by its own pace.
export function worked(ended) {
  const found = { used: 0, saved: 0, runs: 0 };
  for (const { run } of ended) {
    const took = secondsOf(run.ended_at) - secondsOf(run.created_at);
    if (!(took >= 0) || !run.epoch) continue;
    found.used += took;
    found.runs += 1;
    const early = run.state === "stopped" || run.reason === "converged";
    if (early && run.total_epochs > run.epoch) found.saved += (took * (run.total_epochs - run.epoch)) / run.epoch;
  }
  return found;
}

// Seconds until the last planned run has ended: by the ends of late, with the range that so many ends allow
// (ends a minute scatter by the root of their number). null = cannot be told.
export function timeLeft({ ended, live }, planned, at = now()) {
  if (!planned || ended.length < FEW) return null;
  const left = Math.max(0, planned - ended.length);
  const late = ended.slice(-PACE_OF);
  const from = late[0].at, until = Math.max(late.at(-1).at, live.length ? Math.min(at, late.at(-1).at + HOUR_MS) : late.at(-1).at);
  const took = (until - from) / 1000, n = late.length - 1;
  if (!left) return { left, seconds: 0, low: 0, high: 0, perMinute: took ? (60 * n) / took : null };
  if (!(took > 0)) return null;
  const pace = n / took, spread = 1.96 / Math.sqrt(n);
  return { left, seconds: left / pace, low: left / (pace * (1 + spread)), high: spread < 1 ? left / (pace * (1 - spread)) : Infinity, perMinute: 60 * pace };
}

// Nothing was heard of any live run for so long that the search is no more than a record.
export function isQuiet(runs, at = now()) {
  let last = 0, some = false;
  for (const run of runs) {
    last = Math.max(last, Date.parse(run.updated_at));
    some ||= run.state === "running";
  }
  return !some || at - last > HOUR_MS;
}

// Indices at which a number of runs falls into as many places: for slices and medians.
export function running(points, places = 12) {
  const sorted = [...points].sort((a, b) => a[0] - b[0]);
  const width = Math.max(5, Math.ceil(sorted.length / places));
  const found = [];
  for (let i = 0; i + Math.min(width, sorted.length) <= sorted.length && sorted.length; i += Math.max(1, Math.floor(width / 2))) {
    const part = sorted.slice(i, i + width), ys = part.map((p) => p[1]).sort((a, b) => a - b);
    const at = (q) => ys[Math.min(ys.length - 1, Math.floor(q * ys.length))];
    found.push({ x: part[Math.floor(part.length / 2)][0], low: at(0.25), middle: at(0.5), high: at(0.75) });
  }
  return found;
}
