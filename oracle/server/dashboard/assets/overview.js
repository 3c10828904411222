// Where the search stands: what was saved, what that cost, where each run is heading.

import { h, inFrames, put, skeleton, state } from "./dom.js";
import { ago, amount, count, percent, plural } from "./format.js";
import { headingPanel } from "./heading.js";
import { runsPanel } from "./runs-panel.js";
import { reason } from "./words.js";

const EXAMPLE = `from oracle import watch

with watch(total_epochs=1000, dataset="iris", url="${location.origin}") as run:
    for epoch in range(1, 1001):
        ...  # train, and every so often:
        decision = run.report(
            epoch, mqe=..., topographic_error=..., dead_neuron_ratio=...
        )
        if decision.stop:
            break`;

export function overview(root, parameters, store) {
  let parts = null, said = parameters;

  const render = () => {
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
    const tiles = h("div", { class: "grid tiles" }), why = h("div");
    const population = h("select", { id: "population", onchange: () => { location.hash = `#/?population=${encodeURIComponent(population.value)}`; } });
    const heading = headingPanel(store, said), runs = runsPanel(store, said);
    const title = h("h1"), sub = h("p", { class: "sub" });
    root.replaceChildren(
      h("div", { class: "head" }, h("div", { class: "grow" }, title, sub), h("label", { class: "field" }, "Population ", population)),
      tiles, why,
      h("div", { class: "grid overview-body" }, heading.element, runs.element));

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
      title.textContent = store.population ?? "All runs";
      const last = [...store.runs.values()].reduce((a, r) => (r.updated_at > a ? r.updated_at : a), "");
      sub.textContent = `${plural(store.runs.size, "run")}, last heard of ${ago(last)}${store.loading ? ", loading more" : ""}`;
      choices();
      put(tiles, ...figures(store));
      put(why, ...whyNone(store));
    }
    const all = inFrames(summary, runs.stretch, runs.rows, heading.update);
    return {
      update: all.ask,
      search: runs.search,
      read() {
        heading.read(said);
        runs.read(said);
        all.ask();
      },
      destroy() {
        all.stop();
        heading.destroy();
        runs.destroy();
      },
    };
  }

  const stop = store.subscribe(render);
  const clock = setInterval(render, 20_000);
  render();
  return {
    title: "Overview",
    key(event) {
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

function figures(store) {
  const sum = store.summary();
  const share = sum.planned ? (sum.planned - sum.used) / sum.planned : null;
  const saved = h("section", { class: "panel tile saved" }, h("h2", {}, "Compute saved"),
    h("p", { class: "figure", id: "saved" }, share === null ? "–" : percent(share)),
    h("div", { class: "meter", "aria-hidden": "true" }, h("i", { style: { width: `${100 * (share ?? 0)}%` } })),
    h("p", { class: "muted small" }, share === null ? "Counted once the first run has ended." : `${amount(sum.planned - sum.used)} of ${amount(sum.planned)} planned epochs, over ${plural(sum.ended, "ended run")}`));
  const counts = h("section", { class: "panel tile" }, h("h2", {}, "Runs"), h("dl", { class: "counts" },
    [["running", "Live", sum.running], ["finished", "Finished", sum.finished], ["stopped", "Stopped", sum.stopped], ["kept", "Kept", sum.kept]].map(([name, text, n]) =>
      h("div", {}, h("dt", {}, h("i", { class: `dot ${name}` }), text), h("dd", { id: `count-${name}` }, count(n))))));
  return [saved, counts, wrong(store, sum)];
}

function wrong(store, sum) {
  const found = store.detail?.wrong_stops;
  const tile = h("section", { class: "panel tile", id: "wrong" }, h("h2", {}, "Wrong stops, as measured"));
  if (store.population === null) {
    tile.append(h("p", { class: "figure" }, "–"), h("p", { class: "muted small" }, "Choose a population: what counts as good is ranked within one."));
    return tile;
  }
  if (!found) {
    tile.append(skeleton(72));
    return tile;
  }
  const waiting = found.waiting ? `, ${count(found.waiting)} still running` : "";
  const held = found.stops ? ` (${count(found.held)} of ${count(found.stops)} so far${found.departs ? `, far from the ${percent(found.share)} that the policy asks for` : ""})` : "";
  const about = `A share of stops is let run on as a control${held}; wrong means it ended among the best ${percent(found.good)}.`;
  if (!found.controls) {
    tile.append(h("p", { class: "figure" }, "not known yet"), h("p", { class: "muted small" }, `No control run has ended${waiting}. ${about}`));
    return tile;
  }
  const lower = lowerBound(found.wrong, found.controls, found.confidence);
  tile.append(
    h("p", { class: "figure" }, `${count(found.wrong)} of ${count(found.controls)} `, h("small", {}, percent(found.rate))),
    h("div", { class: "interval", role: "img", "aria-label": `between ${percent(lower)} and ${percent(found.upper)}` },
      h("i", { class: "rail" }), h("i", { class: "range", style: { left: `${100 * lower}%`, width: `${100 * (found.upper - lower)}%` } }), h("i", { class: "at", style: { left: `${100 * found.rate}%` } })),
    h("p", { class: "muted small" }, `With ${percent(found.confidence)} confidence ${found.wrong ? `at least ${percent(lower)} and ` : ""}at most ${percent(found.upper)}${waiting}. ${about}`));
  return tile;
}

// Clopper-Pearson, one-sided lower end: the rate at which `wrong` or more happen with 1 - confidence.
function lowerBound(wrong, n, confidence) {
  if (!wrong) return 0;
  const tail = (p) => {
    let term = (1 - p) ** n, below = 0;
    for (let k = 0; k < wrong; k += 1) {
      below += term;
      term *= ((n - k) / (k + 1)) * (p / (1 - p));
    }
    return 1 - below;
  };
  let low = 0, high = wrong / n;
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2;
    if (tail(middle) < 1 - confidence) low = middle;
    else high = middle;
  }
  return low;
}

// When nothing was stopped: say why, from what was decided.
export function whyNone(store) {
  const runs = [...store.runs.values()];
  if (!runs.length || runs.some((run) => run.state === "stopped" || (run.state === "running" && run.action === "stop"))) return [];
  const reasons = new Map();
  for (const run of runs) reasons.set(run.reason, (reasons.get(run.reason) ?? 0) + 1);
  const ordered = [...reasons].sort((a, b) => b[1] - a[1]).slice(0, 5);
  return [h("section", { class: "panel why", id: "why-none", style: { marginBottom: "16px" } }, h("h2", {}, "Why nothing has been stopped"),
    h("ul", {}, ordered.map(([word, n]) => h("li", {}, `${plural(n, "run")}: ${reason(word)}`))))];
}

function empty(store) {
  const others = store.populations.filter((p) => p.name !== store.population);
  return state("No runs yet", "Runs appear here by themselves as soon as the first checkpoint is posted.",
    h("pre", { class: "snippet", tabindex: 0, "aria-label": "Example" }, EXAMPLE),
    h("p", { class: "small", style: { marginTop: "14px" } }, "To see it at work: ", h("code", {}, "make demo"), ". For other languages: ", h("a", { href: "docs" }, "the HTTP interface"), "."),
    others.length ? h("p", { class: "small" }, "Other populations: ", others.slice(0, 8).map((p, i) => [i ? ", " : "", h("a", { href: `#/?population=${encodeURIComponent(p.name)}` }, p.name)])) : null);
}

function loading() {
  return h("div", { class: "stack", "aria-busy": "true" }, h("p", { class: "visually-hidden" }, "Loading runs"),
    h("div", { class: "grid tiles" }, skeleton(136), skeleton(136), skeleton(136)), skeleton(420), skeleton(300));
}
