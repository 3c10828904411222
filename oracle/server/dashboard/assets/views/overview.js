// Where the search stands: what was saved, what that cost, where each run is heading.

import { h, inFrames, named, put, skeleton, state } from "../words/dom.js";
import { ago, count, percent, plural } from "../words/format.js";
import { headingPanel } from "../panels/heading.js";
import { searchPanels } from "../panels/panels.js";
import { runsPanel } from "../panels/runs-panel.js";
import { runSheet } from "../panels/sheet.js";
import { reason, wentOn } from "../words/words.js";

const EXAMPLE = `from oracle import watch

with watch(total_epochs=1000, dataset="iris", url="${new URL(".", document.baseURI).href.replace(/\/$/, "")}") as run:
    for epoch in range(1, 1001):
        ...  # train, and every so often:
        decision = run.report(
            epoch, mqe=..., topographic_error=..., dead_neuron_ratio=...
        )
        if decision.stop:
            break`;

const CLOCK_MS = 20_000;

export function overview(root, parameters, store) {
  let parts = null, said = parameters;

  let drawn = -1;
  // Times and silence are told anew where nothing else has changed.
  const pass = () => (parts && store.version === drawn ? parts.pass() : render());
  const render = () => {
    drawn = store.version;
    if (store.problem && !store.runs.size) {
      parts?.destroy();
      parts = null;
      root.replaceChildren(state("The runs cannot be loaded", store.problem.message,
        h("div", { class: "actions" }, h("button", { class: "primary", onclick: () => store.reload() }, "Try again"))));
      return;
    }
    if (!store.runs.size && (store.loading || store.population === undefined)) {
      if (!parts) root.replaceChildren(loading());
      return;
    }
    if (!store.runs.size) {
      parts?.destroy();
      parts = null;
      root.replaceChildren(empty(store));
      return;
    }
    parts ??= build();
    parts.update();
  };

  function build() {
    const why = h("div"), counts = h("dl", { class: "counts" });
    const panels = searchPanels(store, said, (id) => sheet.open(id));
    const sheet = runSheet(store, panels.shared, () => runs.order());
    const population = h("select", { id: "population", onchange: () => { location.hash = `#/?population=${encodeURIComponent(population.value)}`; } });
    const heading = headingPanel(store, said), runs = runsPanel(store, said, panels.shared);
    panels.onBrush(() => all.ask());
    const title = h("h1", { dir: "auto" }), sub = h("p", { class: "sub" });
    root.replaceChildren(
      h("div", { class: "head" }, h("div", { class: "grow" }, title, sub), counts, h("label", { class: "field" }, "Population ", population)),
      panels.strip, why, panels.element,
      h("div", { class: "grid overview-body" }, runs.element, heading.element));

    let names = "";
    function choices() {
      const wanted = [...store.populations.map((p) => p.name), ""];
      if (store.population && !wanted.includes(store.population)) wanted.unshift(store.population);
      if (names !== JSON.stringify([wanted, store.population])) {
        names = JSON.stringify([wanted, store.population]);
        population.replaceChildren(...wanted.map((name) => h("option", { value: name, selected: name === (store.population ?? "") }, name || "All runs")));
      }
    }
    function summary() {
      title.textContent = title.title = store.population ?? "All runs";
      const last = [...store.runs.values()].reduce((a, r) => (r.updated_at > a ? r.updated_at : a), "");
      sub.textContent = `${plural(store.runs.size, "run")}, last heard ${ago(last)}${store.loading ? ", loading more" : ""}`;
      choices();
      put(counts, ...countsOf(store));
      put(why, ...whyNone(store));
    }
    sheet.read(said);
    summary(); // what stands above must not push down what is drawn below
    panels.pass();
    const all = inFrames(summary, runs.stretch, runs.rows, heading.update, sheet.update);
    const passing = inFrames(panels.pass, summary, runs.pass);
    return {
      update() {
        panels.update();
        all.ask();
      },
      pass: passing.ask,
      search: runs.search,
      key: (event) => sheet.key(event),
      read() {
        panels.read(said);
        heading.read(said);
        sheet.read(said);
        runs.read(said);
        all.ask();
      },
      destroy() {
        all.stop();
        passing.stop();
        panels.destroy();
        sheet.destroy();
        heading.destroy();
        runs.destroy();
      },
    };
  }

  const stop = store.subscribe(render);
  const clock = setInterval(pass, CLOCK_MS);
  render();
  return {
    title: "Overview",
    key(event) {
      if (parts?.key(event)) return true;
      if (event.key !== "/" || !parts) return false;
      parts.search.focus();
      return true;
    },
    navigate(parameters) {
      said = parameters;
      const wanted = parameters.has("population") ? parameters.get("population") || null : store.population;
      if (wanted !== store.population) {
        parts?.destroy();
        parts = null;
        root.replaceChildren(loading());
        store.load(wanted);
      } else parts?.read();
      return true;
    },
    destroy() {
      stop();
      clearInterval(clock);
      parts?.destroy();
    },
  };
}

function countsOf(store) {
  const sum = store.summary();
  return [["running", "Live", sum.running - sum.silent], ...(sum.silent ? [["silent", "Silent", sum.silent]] : []), ["finished", "Finished", sum.finished], ["stopped", "Stopped", sum.stopped], ["kept", "Kept", sum.kept]].map(([name, text, n]) =>
    h("div", {}, h("dt", {}, h("i", { class: `dot ${name}` }), text), h("dd", { id: `count-${name}` }, count(n))));
}

// When nothing was stopped: say why, from all that was decided. Stops that were not obeyed are told, too.
export function whyNone(store) {
  const runs = [...store.runs.values()], ignoring = runs.filter(wentOn);
  const panel = (title, ...more) => h("section", { class: "panel why", id: "why-none", style: { marginBottom: "16px" } }, h("h2", {}, title), ...more);
  const told = ignoring.length ? h("p", { id: "went-on", style: { marginTop: "6px" } }, `${plural(ignoring.length, "run")} ${ignoring.length === 1 ? "was" : "were"} told to stop and went on: the caller does not look at what is answered. End its loop where `, h("code", {}, "decision.stop"), " is true.") : null;
  const obeyed = runs.some((run) => !wentOn(run) && (run.state === "stopped" || (run.state === "running" && run.action === "stop")));
  if (!runs.length || (obeyed && !told)) return [];
  if (obeyed || (told && ignoring.length === runs.length)) return [panel("Stops that were not obeyed", told)];
  // Runs that were counted before decisions were stand with their last one.
  const reasons = new Map();
  let decisions = 0;
  for (const run of runs) {
    for (const [word, n] of Object.entries(run.decided ?? (run.reason ? { [run.reason]: 1 } : {}))) {
      if (word === "finished") continue; // the end of every run that is not stopped: no cause of anything
      reasons.set(word, (reasons.get(word) ?? 0) + n);
      decisions += n;
    }
  }
  const title = told ? "Stops that were not obeyed" : "Why nothing has been stopped";
  if (!decisions) return [panel(title, told, told ? null : h("p", { class: "muted small" }, `No decision was asked for while one of ${plural(runs.length, "run")} could still be stopped: they were posted whole. A loop that posts as it trains is answered after each checkpoint.`))];
  const ordered = [...reasons].sort((x, y) => y[1] - x[1]).slice(0, 5);
  return [panel(title, told, told ? null : h("p", { class: "muted small" }, `Of ${plural(decisions, "decision")} about ${plural(runs.length, "run")}:`),
    h("ul", {}, ordered.map(([word, n]) => h("li", {}, `${percent(n / decisions)} ${reason(word)} (${count(n)})`))))];
}

function empty(store) {
  const others = store.populations.filter((p) => p.name !== store.population);
  return state("No runs yet", "Runs appear here by themselves as soon as the first checkpoint is posted.",
    h("pre", { class: "snippet", tabindex: 0, "aria-label": "Example" }, EXAMPLE),
    h("p", { class: "small", style: { marginTop: "14px" } }, "To see it at work: ", h("code", {}, "make demo"), ". For other languages: ", h("a", { href: "docs" }, "the HTTP interface"), "."),
    others.length ? h("p", { class: "small others" }, "Other populations: ", others.slice(0, 8).map((p, i) => [i ? ", " : "", h("a", { href: `#/?population=${encodeURIComponent(p.name)}` }, named(p.name))])) : null);
}

function loading() {
  return h("div", { class: "stack", "aria-busy": "true" }, h("p", { class: "visually-hidden" }, "Loading runs"),
    skeleton(68), h("div", { class: "grid panels" }, h("div", { class: "pair" }, skeleton(420), skeleton(420)), skeleton(430)), skeleton(300));
}
