// The table of runs to work in: filter, order, choice. What it shows is in the address.

import { note } from "./address.js";
import { h, inFrames, segmented } from "./dom.js";
import { ago, count, num, percent, plural } from "./format.js";
import { MAX_RUNS } from "./store.js";
import { RunTable } from "./table.js";
import { STATE, reason, short, standing } from "./words.js";

export const MOST_COMPARED = 8;
const FILTERS = [["", "All"], ["running", "Live"], ["stopped", "Stopped"], ["finished", "Finished"], ["kept", "Kept"]];
const SORT = { key: "updated", down: true };
const link = (id) => `#/run/${encodeURIComponent(id)}`;

export function runsPanel(store, parameters, shared) {
  const filter = { text: "", state: "" }, chosen = new Set(), reach = { low: 0, high: 1 };
  const search = h("input", { type: "search", id: "filter", placeholder: "Filter by run, tag, setting, reason", "aria-label": "Filter runs", autocomplete: "off", spellcheck: "false",
    oninput: () => { note({ q: search.value.trim() }); filter.text = search.value.trim().toLowerCase(); list.ask(); } });
  const shown = h("span", { class: "muted small", role: "status" });
  const states = segmented("State", FILTERS, "", (value) => { note({ state: value }); filter.state = value; list.ask(); });
  const compareButton = h("button", { type: "button", disabled: true, onclick: () => { location.hash = `#/compare?runs=${[...chosen].map(encodeURIComponent).join(",")}`; } }, "Compare");
  const marked = () => {
    compareButton.disabled = chosen.size < 2;
    compareButton.textContent = chosen.size ? `Compare ${chosen.size}` : "Compare";
    note({ runs: [...chosen].join(",") });
    table.refresh();
  };
  const choose = (id, on = !chosen.has(id)) => {
    if (on && chosen.size >= MOST_COMPARED) return;
    if (on) chosen.add(id);
    else chosen.delete(id);
    marked();
  };
  const table = new RunTable(columns(store, chosen, choose, reach), {
    caption: "Runs", sort: { ...SORT }, choose,
    sorted: ({ key, down }) => note({ sort: key === SORT.key && down === SORT.down ? null : `${down ? "-" : ""}${key}` }),
    scrolled: (row) => note({ row: row || null }),
    version: (run) => `${run.updated_at}${ago(run.updated_at)}${run.override}${chosen.has(run.run_id)}${reach.high}${reach.low}`,
    rowClass: (run) => (run.state === "stopped" ? "is-stopped" : ""),
  });
  const element = h("section", { class: "panel", "aria-labelledby": "runs-title" },
    h("header", {}, h("h2", { id: "runs-title" }, "Runs"), shown),
    h("div", { class: "bar" }, search, states, h("div", { class: "end actions" }, compareButton)),
    table.element);

  // Take over what an address says: at the start, and on the way back.
  function read(said) {
    search.value = said.get("q") ?? "";
    filter.text = search.value.toLowerCase();
    filter.state = FILTERS.some(([name]) => name === said.get("state")) ? said.get("state") : "";
    states.set(filter.state);
    const sort = said.get("sort");
    table.order(sort ? { key: sort.replace(/^-/, ""), down: sort.startsWith("-") } : { ...SORT }, Number(said.get("row")) || 0);
    chosen.clear();
    for (const id of (said.get("runs") ?? "").split(",").filter(Boolean).slice(0, MOST_COMPARED)) chosen.add(id);
    compareButton.disabled = chosen.size < 2;
    compareButton.textContent = chosen.size ? `Compare ${chosen.size}` : "Compare";
    list.ask();
  }

  function rows() {
    const runs = [...store.runs.values()].filter((run) => passes(run, filter) && shared.passes(run));
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
  const list = inFrames(rows);
  read(parameters);
  return {
    element, read, rows, stretch, search, order: () => table.runs.map((run) => run.run_id),
    destroy() {
      list.stop();
      table.destroy();
    },
  };
}

const texts = new WeakMap();
function textOf(run) {
  let text = texts.get(run);
  if (text === undefined) {
    const settings = run.settings ? Object.entries(run.settings).map(([name, value]) => `${name}=${value}`) : [];
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
