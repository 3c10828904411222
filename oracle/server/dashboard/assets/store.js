// All that the page knows of the service: runs, populations, models. Events keep it current;
// views are told a few times a second at most, rarely while thousands of runs come in.

import { get } from "./api.js";

export const MAX_RUNS = 5_000;
const POPULATION_EVERY_MS = 1_500;
const PAGE = 200;
const TELL_EVERY_MS = 100;
const TELL_LOADING_EVERY_MS = 1_000;

export class Store {
  runs = new Map();
  populations = [];
  models = null;
  detail = null; // of the population shown
  population = undefined; // a name, null = all runs, undefined = not chosen yet
  loading = true;
  complete = true;
  problem = null;
  #listeners = new Set();
  #telling = 0;
  #toldAt = -Infinity;
  #generation = 0;
  #detailTimer = 0;
  #detailAt = 0;
  #seen = new Set(); // ids met since the load began: the others are gone

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell() {
    const due = this.#toldAt + (this.loading && this.runs.size > PAGE ? TELL_LOADING_EVERY_MS : TELL_EVERY_MS);
    clearTimeout(this.#telling);
    this.#telling = setTimeout(() => {
      this.#toldAt = performance.now();
      [...this.#listeners].forEach((listener) => listener());
    }, Math.max(0, due - performance.now()));
  }

  // Load what belongs to a population; `wanted` undefined = the one last heard of.
  async load(wanted) {
    const generation = ++this.#generation;
    this.loading = true;
    this.problem = null;
    this.#tell();
    try {
      const [{ populations }, models] = await Promise.all([get("v1/populations"), get("v1/models")]);
      if (generation !== this.#generation) return;
      this.populations = populations;
      this.models = models;
      const chosen = wanted !== undefined ? wanted : (populations[0]?.name ?? null);
      if (chosen !== this.population) {
        this.population = chosen;
        this.runs = new Map();
        this.detail = null;
      }
      const seen = this.#seen = new Set();
      const filter = this.population === null ? "" : `&population=${encodeURIComponent(this.population)}`;
      let cursor = "", more = true;
      while (more && this.runs.size < MAX_RUNS) {
        const page = await get(`v1/runs?limit=${PAGE}${filter}${cursor}`);
        if (generation !== this.#generation) return;
        for (const run of page.runs) this.#keep(run);
        more = page.next_cursor !== null;
        cursor = `&cursor=${page.next_cursor}`;
        if (this.runs.size >= PAGE && more) this.#tell();
      }
      this.complete = !more;
      for (const id of this.runs.keys()) if (!seen.has(id)) this.runs.delete(id);
      await this.#loadDetail(generation);
    } catch (problem) {
      if (generation !== this.#generation) return;
      this.problem = problem;
    }
    this.loading = false;
    this.#tell();
  }

  reload() {
    return this.load(this.population);
  }

  async #loadDetail(generation) {
    this.#detailAt = Date.now();
    if (this.population === null) return;
    if (!this.runs.size) {
      this.detail = null; // a population without runs is not there to be asked for
      return;
    }
    try {
      const detail = await get(`v1/populations/${encodeURIComponent(this.population)}`);
      if (generation === this.#generation) this.detail = detail;
    } catch (problem) {
      if (problem.status !== 404) throw problem;
      if (generation === this.#generation) this.detail = null; // its last run was deleted
    }
  }

  #detailSoon() {
    if (this.#detailTimer || this.population === null) return;
    const wait = Math.max(100, this.#detailAt + POPULATION_EVERY_MS - Date.now());
    this.#detailTimer = setTimeout(async () => {
      this.#detailTimer = 0;
      try {
        await this.#loadDetail(this.#generation);
        this.#tell();
      } catch { /* the stream tells that the service is away; its return loads again */ }
    }, wait);
  }

  #keep(run) {
    this.#seen.add(run.run_id);
    const held = this.runs.get(run.run_id);
    if (!held || held.updated_at <= run.updated_at) this.runs.set(run.run_id, run);
  }

  take(kind, data) {
    if (kind === "model") {
      this.models = data;
    } else if (kind === "run") {
      const { run } = data;
      if (this.population === undefined) return;
      if (data.kind === "checkpoint" && this.population !== null && this.population !== run.population) return;
      if (data.kind === "deleted") this.runs.delete(run.run_id);
      else if (this.population === null && !this.loading && !this.runs.size) this.load(run.population ?? null);
      else if (this.population === null || this.population === run.population) this.#keep(run);
      if (data.kind === "created") this.#note(run);
      if (data.kind !== "checkpoint" || run.state !== "running") this.#detailSoon();
    }
    this.#tell();
  }

  #note(run) {
    if (run.population !== null && !this.populations.some((p) => p.name === run.population)) {
      this.populations = [{ name: run.population, running: 1, stopped: 0, finished: 0 }, ...this.populations];
    }
  }

  // Counts and savings from the runs themselves: current to the last event, also over all runs.
  summary() {
    const found = { running: 0, stopped: 0, finished: 0, kept: 0, controls: 0, planned: 0, used: 0, ended: 0 };
    for (const run of this.runs.values()) {
      found[run.state] += 1;
      if (run.override === "keep") found.kept += 1;
      if (run.control && run.state === "running") found.controls += 1;
      if (run.state !== "running" && run.total_epochs) {
        found.ended += 1;
        // A run that was left would have ended there without us: it saved nothing.
        const planned = run.left ? Math.min(run.epoch, run.total_epochs) : run.total_epochs;
        found.planned += planned;
        found.used += run.state === "stopped" || run.reason === "converged" ? run.epoch : planned;
      }
    }
    return found;
  }

  // Quality score of a run as far as known: [5 quantiles], or one value five times once it has ended.
  qualityOf(run) {
    if (run.state === "finished" && run.final && !run.final.censored) {
      const scale = run.quality?.scale === "relative" ? this.detail?.mqe_of_mean : 1;
      const { final_mqe: mqe, final_topographic_error: te, final_dead_neuron_ratio: dead } = run.final;
      const w = this.detail?.weights ?? run.quality?.weights;
      if (w && scale && te !== null && dead !== null) {
        const value = (w[0] * mqe) / scale + w[1] * te + w[2] * dead;
        return [value, value, value, value, value];
      }
    }
    return run.quality?.values ?? null;
  }
}
