// The panels of a search over what they share: the course of its runs, what is brushed, its audit.

import { get } from "../data/api.js";
import { auditPanel } from "./audit.js";
import { bestPanel } from "./best.js";
import { Brush, ORDER, SCORE } from "../data/brush.js";
import { h, inFrames } from "../words/dom.js";
import { course } from "../data/search.js";
import { settingsPanel } from "./settings.js";
import { stripOf } from "./strip.js";

const AUDIT_EVERY_MS = 2_000;
const CALM_FROM = 400; // runs from which the panels are drawn less often
const CALM_MS = 1_000;

// open(run_id): shows a run
export function searchPanels(store, parameters, open) {
  const brush = new Brush(parameters), listeners = new Set();
  const shared = {
    brush, audit: null, highlighted: null,
    settings: [], // names of those that differ, those first that explain most
    course: course([], () => null),
    name(settings) {
      if (settings.join("\n") === shared.settings.join("\n")) return;
      shared.settings = settings;
      listeners.forEach((listener) => listener());
    },
    passes: (run) => !brush.any || brush.of(run, valueOf),
    highlight(id) {
      if (shared.highlighted === id) return;
      shared.highlighted = id;
      requestAnimationFrame(() => {
        best.redraw();
        for (const row of document.querySelectorAll("tr.pointed")) row.classList.remove("pointed");
        if (id) document.querySelector(`tr[data-run="${CSS.escape(id)}"]`)?.classList.add("pointed");
      });
    },
    point(id) {
      shared.highlight(id);
      settings.mark(id);
    },
  };
  const places = new Map();
  const valueOf = (name, run) => (name === SCORE ? store.qualityOf(run)?.[2] : name === ORDER ? places.get(run.run_id) : undefined);
  const strip = stripOf(store, shared), best = bestPanel(store, shared, parameters, open);
  const audit = auditPanel(store, shared, open), settings = settingsPanel(store, shared, parameters, open);
  const element = h("div", { class: "panels" }, h("div", { class: "pair" }, best.element, audit.element), settings.element);
  brush.onChange(() => {
    all.ask();
    listeners.forEach((listener) => listener());
  });

  let audited = null, timer = 0, drawnAt = -Infinity, later = 0, population;
  function derive() {
    if (population !== store.population) {
      population = store.population;
      shared.audit = audited = null;
      settings.forget();
    }
    // Runs of several tables cannot be ranked among each other: there is no best of all of them.
    element.hidden = store.population === null;
    shared.course = course(element.hidden ? [] : store.runs.values(), (run) => store.qualityOf(run));
    places.clear();
    for (const one of shared.course.ended) places.set(one.run.run_id, one.i + 1);
    ask();
  }
  // The audit is asked for when a run has ended, and at most so often.
  function ask() {
    const name = store.population, key = `${name} ${shared.course.ended.length} ${store.models?.active?.sha256}`;
    if (name === null || !store.runs.size || key === audited || timer) return;
    audited = key;
    timer = setTimeout(() => { timer = 0; if (element.isConnected) ask(); }, AUDIT_EVERY_MS);
    get(`v1/populations/${encodeURIComponent(name)}/audit`).then((found) => {
      if (name !== store.population) return;
      shared.audit = found;
      audits.ask();
    }).catch((problem) => { if (problem.code === undefined) throw problem; });
  }
  const audits = inFrames(strip.update, audit.update);
  const all = inFrames(derive, strip.update, best.update, audit.update, settings.update);
  return {
    strip: strip.element, element, shared, onBrush: (listener) => listeners.add(listener),
    pass: strip.update, // nothing but time has passed
    update() {
      const wait = store.runs.size < CALM_FROM || !shared.course.ended.length ? 0 : drawnAt + CALM_MS - performance.now();
      clearTimeout(later);
      later = setTimeout(() => { drawnAt = performance.now(); all.ask(); }, Math.max(0, wait));
    },
    read(said) {
      brush.read(said);
      best.read(said);
      settings.read(said);
      all.ask();
    },
    destroy() {
      all.stop();
      audits.stop();
      clearTimeout(timer);
      clearTimeout(later);
      for (const one of [strip, best, audit, settings]) one.destroy();
    },
  };
}
