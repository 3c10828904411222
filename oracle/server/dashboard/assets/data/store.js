// All that the page knows of the service: runs, populations, models. Events keep it current;
// views are told a few times a second at most, rarely while thousands of runs come in.

import { get, renew } from "./api.js";
import { told, unfold } from "./columns.js";
import { endScore } from "./search.js";
import { standing, wentOn } from "../words/words.js";

export const MAX_RUNS = 20_000;
const POPULATION_EVERY_MS = 1_500;
const PAGE = 200;
const COLUMN = 5_000;
const MOST_LISTED = 200; // populations the service lists
const NEWCOMERS_EVERY_MS = 2_000;
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
  version = 0; // counts what changed: what is drawn of the same one is drawn already
  #listeners = new Set();
  #telling = 0;
  #toldAt = -Infinity;
  #generation = 0;
  planned = null; // runs the whole search is planned to have
  #newest = null;
  #newcomers = 0;
  #detailTimer = 0;
  #detailAt = 0;
  #seen = new Set(); // ids met since the load began: the others are gone

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell() {
    this.version += 1;
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
        this.detail = this.planned = this.#newest = null;
      }
      const seen = this.#seen = new Set();
      // One that is not in a list of all is not there to be asked for.
      const there = this.population === null || populations.length >= MOST_LISTED || populations.some((p) => p.name === this.population);
      const detail = there ? this.#loadDetail(generation) : Promise.resolve();
      detail.catch(() => {}); // it is waited for below; whatever fails first is told
      for (let cursor = there ? "" : null; cursor !== null && seen.size < MAX_RUNS;) {
        cursor = await (this.population === null ? this.#page(generation, cursor) : this.#columns(generation, cursor));
        if (generation !== this.#generation) return;
        this.complete = cursor === null;
        if (cursor !== null && this.runs.size >= PAGE) this.#tell();
      }
      for (const id of this.runs.keys()) if (!seen.has(id)) this.runs.delete(id);
      await detail;
      if (generation !== this.#generation) return;
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

  get #address() {
    return `v1/populations/${encodeURIComponent(this.population)}`;
  }

  // The runs of a population, thousands at once; gives where to go on, or null.
  async #columns(generation, cursor) {
    let table;
    try {
      table = await renew(`${this.#address}/table?limit=${COLUMN}${cursor}`);
    } catch (problem) {
      if (problem.status === 404) return null; // nothing of it is stored yet, or not any more
      throw problem;
    }
    if (generation !== this.#generation) return null;
    for (const run of unfold(table)) this.#keep(run);
    if (!cursor) [this.#newest, this.planned] = [table.newest, table.planned];
    return table.next_cursor && `&cursor=${table.next_cursor}`;
  }

  async #page(generation, cursor) {
    const page = await get(`v1/runs?limit=${PAGE}${cursor}`);
    if (generation !== this.#generation) return null;
    for (const run of page.runs) this.#keep(run);
    return page.next_cursor && `&cursor=${page.next_cursor}`;
  }

  // Events do not tell the settings of runs that began since: they are asked for.
  #newcomersSoon() {
    if (this.#newcomers || this.population === null) return;
    this.#newcomers = setTimeout(async () => {
      this.#newcomers = 0;
      const generation = this.#generation;
      try {
        const table = await get(`${this.#address}/table?limit=${COLUMN}${this.#newest === null ? "" : `&after=${this.#newest}`}`);
        if (generation !== this.#generation) return;
        this.#newest = table.newest;
        this.planned = table.planned ?? this.planned;
        for (const run of unfold(table)) {
          const held = this.runs.get(run.run_id);
          if (held) this.runs.set(run.run_id, held.updated_at > run.updated_at ? { ...held, settings: run.settings } : run);
        }
        this.#tell();
      } catch { /* the stream tells that the service is away; its return loads again */ }
    }, NEWCOMERS_EVERY_MS);
  }

  async #loadDetail(generation) {
    this.#detailAt = Date.now();
    if (this.population === null) return;
    if (!this.loading && !this.runs.size) {
      this.detail = null; // its last run was deleted
      return;
    }
    try {
      const detail = await renew(`${this.#address}?outcomes=0`);
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
    if (held && held.updated_at > run.updated_at) {
      held.settings ??= run.settings;
      return;
    }
    // An event tells a run without its context, a table without its sentences.
    if (!run.settings) run.settings = held?.settings ? told(held.settings, run.config) : null;
    if (held && run.message === null && held.updated_at === run.updated_at) run.message = held.message;
    this.runs.set(run.run_id, run);
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
      if (data.kind === "created") {
        this.#note(run);
        if (run.population === this.population) this.#newcomersSoon();
      }
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
    const found = { running: 0, silent: 0, wentOn: 0, stopped: 0, finished: 0, kept: 0, controls: 0, planned: 0, used: 0, ended: 0 };
    for (const run of this.runs.values()) {
      found[run.state] += 1;
      if (run.state === "running" && standing(run) !== "running") found.silent += 1;
      if (wentOn(run)) found.wentOn += 1;
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
    const value = endScore(run, this.detail?.mqe_of_mean, this.detail?.weights ?? run.quality?.weights);
    return value === null ? run.quality?.values ?? null : Array(5).fill(value);
  }
}
