// Where the search stands: what was saved, what that cost, where each run is heading.

import { h, inFrames, put, segmented, skeleton, state } from "./dom.js";
import { ago, amount, count, num, percent, plural } from "./format.js";
import { MAX_RUNS } from "./store.js";
import { Scatter } from "./scatter.js";
import { RunTable } from "./table.js";
import { METRICS, STATE, reason, short, standing } from "./words.js";

const link = (id) => `#/run/${encodeURIComponent(id)}`;
const EXAMPLE = `from oracle import watch

with watch(total_epochs=1000, dataset="iris", url="${location.origin}") as run:
    for epoch in range(1, 1001):
        ...  # train, and every so often:
        decision = run.report(
            epoch, mqe=..., topographic_error=..., dead_neuron_ratio=...
        )
        if decision.stop:
            break`;
const FILTERS = [["", "All"], ["running", "Live"], ["stopped", "Stopped"], ["finished", "Finished"], ["kept", "Kept"]];
export const MOST_COMPARED = 8;

export function overview(root, parameters, store) {
  const chosen = new Set();
  let parts = null, filter = { text: "", state: "" }, axes = [METRICS[0], METRICS[1]];

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
    const tiles = h("div", { class: "grid tiles" });
    const why = h("div");
    const scatterBox = h("div");
    const scatter = new Scatter(scatterBox, (id) => { location.hash = link(id); });
    const population = h("select", { id: "population", onchange: () => { location.hash = `#/?population=${encodeURIComponent(population.value)}`; } });
    const search = h("input", { type: "search", id: "filter", placeholder: "Filter by run, tag, setting, reason", "aria-label": "Filter runs", autocomplete: "off", spellcheck: "false",
      oninput: () => { filter.text = search.value.trim().toLowerCase(); list.ask(); } });
    const shown = h("span", { class: "muted small", role: "status" });
    const compareButton = h("button", { type: "button", disabled: true, onclick: () => { location.hash = `#/compare?runs=${[...chosen].map(encodeURIComponent).join(",")}`; } }, "Compare");
    const axisSelect = (i) => h("select", { "aria-label": i ? "Vertical axis" : "Horizontal axis", onchange: (event) => { axes[i] = METRICS[event.target.value]; points(); } },
      METRICS.map((m, j) => h("option", { value: j, selected: axes[i] === m }, m.label)));
    const choose = (id, on = !chosen.has(id)) => {
      if (on && chosen.size >= MOST_COMPARED) return;
      if (on) chosen.add(id);
      else chosen.delete(id);
      compareButton.disabled = chosen.size < 2;
      compareButton.textContent = chosen.size ? `Compare ${chosen.size}` : "Compare";
      table.refresh();
    };
    const reach = { low: 0, high: 1 };
    const table = new RunTable(columns(store, chosen, choose, reach), {
      caption: "Runs", sort: { key: "updated", down: true }, choose,
      version: (run) => `${run.updated_at}${ago(run.updated_at)}${run.override}${chosen.has(run.run_id)}${reach.high}${reach.low}`,
      rowClass: (run) => (run.state === "stopped" ? "is-stopped" : ""),
    });
    const title = h("h1"), sub = h("p", { class: "sub" });
    root.replaceChildren(
      h("div", { class: "head" }, h("div", { class: "grow" }, title, sub), h("label", { class: "field" }, "Population ", population)),
      tiles, why,
      h("div", { class: "grid overview-body" },
        h("section", { class: "panel", "aria-labelledby": "heading-to" },
          h("header", {}, h("h2", { id: "heading-to" }, "Where the runs are heading"),
            h("div", { class: "end actions" }, axisSelect(0), h("span", { class: "muted small" }, "against"), axisSelect(1))),
          scatterBox,
          h("div", { class: "legend" },
            h("span", {}, h("i", { class: "dot" }), "live: forecast, whiskers hold 50 %"), h("span", {}, h("i", { class: "dot finished" }), "finished: value"),
            h("span", {}, h("i", { class: "cross" }), "stopped: last forecast"), h("span", {}, h("i", { class: "key dash" }), "Pareto front"))),
        h("section", { class: "panel", "aria-labelledby": "runs-title" },
          h("header", {}, h("h2", { id: "runs-title" }, "Runs"), shown),
          h("div", { class: "bar" }, search, segmented("State", FILTERS, "", (value) => { filter.state = value; list.ask(); }), h("div", { class: "end actions" }, compareButton)),
          table.element)));

    let names = "";
    function choices() {
      const wanted = [...store.populations.map((p) => p.name), ""];
      if (store.population && !wanted.includes(store.population)) wanted.unshift(store.population);
      if (names !== JSON.stringify([wanted, store.population])) {
        names = JSON.stringify([wanted, store.population]);
        population.replaceChildren(...wanted.map((name) => h("option", { value: name, selected: name === (store.population ?? "") }, name || "All runs")));
      }
    }
    function points() {
      scatter.show(store.runs.values(), axes[0], axes[1], store.detail?.mqe_of_mean ?? null);
    }
    function rows() {
      const runs = [...store.runs.values()].filter((run) => passes(run, filter));
      table.show(runs);
      shown.textContent = runs.length === store.runs.size ? `${plural(runs.length, "run")}${store.complete ? "" : `, the latest ${count(MAX_RUNS)}`}` : `${count(runs.length)} of ${count(store.runs.size)} runs`;
    }
    function stretch() {
      const values = [...store.runs.values()].map((r) => store.qualityOf(r)).filter(Boolean);
      const ends = values.map((v) => v[4]).sort((a, b) => a - b);
      // One score far beyond the others must not flatten theirs.
      const high = Math.min(ends[Math.floor(0.95 * ends.length)] ?? 1, 8 * (ends[Math.floor(ends.length / 2)] ?? 1));
      const low = Math.min(...values.map((v) => v[0]), high);
      // Rounded, so that one new run does not redraw every row.
      reach.low = Number(low.toPrecision(1));
      reach.high = Number((high * 1.05).toPrecision(2));
    }
    function summary() {
      title.textContent = store.population ?? "All runs";
      const last = [...store.runs.values()].reduce((a, r) => (r.updated_at > a ? r.updated_at : a), "");
      sub.textContent = `${plural(store.runs.size, "run")}, last heard of ${ago(last)}${store.loading ? ", loading more" : ""}`;
      choices();
      put(tiles, ...figures(store));
      put(why, ...whyNone(store));
    }
    const list = inFrames(rows);
    const all = inFrames(summary, stretch, rows, points);
    return {
      update: all.ask,
      search,
      destroy() {
        all.stop();
        list.stop();
        scatter.destroy();
        table.destroy();
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
      const wanted = parameters.has("population") ? parameters.get("population") || null : store.population;
      if (wanted !== store.population) {
        parts?.destroy();
        parts = null;
        chosen.clear();
        root.replaceChildren(loading());
        store.load(wanted);
      }
      return true;
    },
    destroy() {
      stop();
      clearInterval(clock);
      parts?.destroy();
    },
  };
}

const texts = new WeakMap();
function textOf(run) {
  let text = texts.get(run);
  if (text === undefined) {
    const settings = run.config ? Object.entries(run.config).map(([name, value]) => `${name}=${value}`) : [];
    texts.set(run, text = [run.run_id, run.name, run.dataset, run.state, STATE[standing(run)], run.control && "control", reason(run.reason), ...(run.tags ?? []), ...settings].filter(Boolean).join(" ").toLowerCase());
  }
  return text;
}

function passes(run, filter) {
  if (filter.state === "kept" ? run.override !== "keep" : filter.state && run.state !== filter.state) return false;
  return !filter.text || textOf(run).includes(filter.text);
}

function columns(store, chosen, choose, reach) {
  const where = (v) => `${100 * Math.min(1, Math.max(0, (v - reach.low) / (reach.high - reach.low || 1)))}%`;
  return [
    { key: "choose", label: "Compare", width: "38px", wide: true,
      cell: (run) => h("input", { type: "checkbox", "aria-label": `Compare ${run.run_id}`, checked: chosen.has(run.run_id), onchange: (event) => choose(run.run_id, event.target.checked) }) },
    { key: "run", label: "Run", width: "172px", value: (run) => run.run_id, cell: (run) => h("a", { href: link(run.run_id), title: run.name ?? run.run_id }, run.run_id) },
    { key: "state", label: "State", width: "164px", value: (run) => `${standing(run)}${run.override ?? ""}`,
      cell: (run) => h("span", { class: "chip", title: run.ending }, h("i", { class: `dot ${standing(run)}` }), STATE[standing(run)], run.override === "keep" ? h("span", { class: "tag kept" }, "kept") : run.override === "stop" && run.state === "running" ? h("span", { class: "tag stop" }, "stopping") : run.control ? h("span", { class: "tag" }, "control") : null) },
    { key: "progress", label: "Progress", width: "108px", num: true, downFirst: true, value: (run) => run.progress,
      cell: (run) => (run.progress === null ? `epoch ${count(run.epoch)}` : h("span", { class: "progress" }, h("span", { class: "meter" }, h("i", { style: { width: percent(run.progress, 1).replace(" ", "") } })), h("span", { class: "share" }, percent(run.progress)))) },
    { key: "quality", label: "Quality score", title: "Forecast of the quality score, lower is better", width: "108px", num: true, value: (run) => store.qualityOf(run)?.[2], cell: (run) => num(store.qualityOf(run)?.[2]) },
    { key: "reach", label: "90 % and 50 %", title: "Width of the forecast", width: "128px", wide: true, value: (run) => { const q = store.qualityOf(run); return q && q[4] - q[0]; },
      cell: (run) => {
        const q = store.qualityOf(run);
        return q && h("span", { class: "reach", title: `90 %: ${num(q[0])} to ${num(q[4])}` },
          h("i", { style: { left: where(q[0]), right: `calc(100% - ${where(q[4])})` } }), h("b", { style: { left: where(q[1]), right: `calc(100% - ${where(q[3])})` } }), h("u", { style: { left: where(q[2]) } }));
      } },
    { key: "mqe", label: "mqe now", title: "Mean quantization error at the last checkpoint, input units", width: "100px", num: true, wide: true, value: (run) => run.mqe, cell: (run) => num(run.mqe) },
    { key: "te", label: "Topogr.", title: "Topographic error at the last checkpoint", width: "80px", num: true, wide: true, value: (run) => run.topographic_error, cell: (run) => percent(run.topographic_error, 1) },
    { key: "dead", label: "Dead", title: "Dead neurons at the last checkpoint", width: "74px", num: true, wide: true, value: (run) => run.dead_neuron_ratio, cell: (run) => percent(run.dead_neuron_ratio, 1) },
    { key: "p", label: "P(good)", title: "Probability to end among the best", width: "82px", num: true, wide: true, downFirst: true, value: (run) => run.p_good, cell: (run) => percent(run.p_good) },
    { key: "reason", label: "Why", wide: true, value: (run) => short(run.reason), cell: (run) => h("span", { class: "muted", title: run.message ?? "" }, short(run.reason)) },
    { key: "updated", label: "Heard of", width: "102px", num: true, wide: true, downFirst: true, value: (run) => run.updated_at, cell: (run) => h("span", { class: "muted" }, ago(run.updated_at)) },
  ];
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
