// The table of runs to work in: filter, order, choice. What it shows is in the address.

import { note } from "../data/address.js";
import { differing, heads } from "../data/columns.js";
import { csvText } from "../charts/figure.js";
import { save } from "../charts/download.js";
import { h, inFrames, segmented } from "../words/dom.js";
import { ago, brief, count, cut, num, percent, plural } from "../words/format.js";
import { isWaiting, overrule } from "./overrule.js";
import { MAX_RUNS } from "../data/store.js";
import { RunTable } from "../charts/table.js";
import { STATE, label, reason, short, standing, toldAt, wentOn } from "../words/words.js";

export const MOST_COMPARED = 8;
const FILTERS = [["", "All"], ["running", "Live"], ["stopped", "Stopped"], ["finished", "Finished"], ["kept", "Kept"], ["went-on", "Went on"]];
const FIELDS = [["metrics", "Metrics"], ["settings", "Settings"]];
const MOST_SETTINGS = 6;
const SORT = { key: "rank", down: false };
const link = (id) => `#/run/${encodeURIComponent(id)}`;

export function runsPanel(store, parameters, shared) {
  const filter = { text: "", state: "" }, chosen = new Set(), reach = { low: 0, high: 1 };
  const search = h("input", { type: "search", id: "filter", placeholder: "Filter by run, tag, setting, reason", "aria-label": "Filter runs", autocomplete: "off", spellcheck: "false",
    oninput: () => { note({ q: search.value.trim() }); filter.text = search.value.trim().toLowerCase(); anew = true; list.ask(); } });
  const shown = h("span", { class: "muted small", role: "status" });
  const states = segmented("State", FILTERS, "", (value) => { note({ state: value }); filter.state = value; anew = true; list.ask(); });
  const fields = segmented("Columns", FIELDS, "metrics", (value) => { note({ cols: value === "metrics" ? null : value }); dressed(value); anew = true; list.ask(); });
  const csv = h("button", { type: "button", class: "quiet", id: "runs-csv", title: "The runs that are listed, in this order, with all their settings", onclick: () => save(`${store.population ?? "runs"}.csv`, csvText(listed(store, table.runs, ranks)), "text/csv") }, "CSV");
  const compareButton = h("button", { type: "button", disabled: true, onclick: () => { location.hash = `#/compare?runs=${[...chosen].map(encodeURIComponent).join(",")}`; } }, "Compare");
  const about = h("span", { class: "small muted", role: "status" });
  const word = (name, to) => h("button", { type: "button", id: `chosen-${name.toLowerCase()}`, hidden: true, class: to === "stop" ? "danger" : null, onclick: () => overrule(chosenAlive(to), to, () => table.refresh()) }, name);
  const words = [word("Keep", "keep"), word("Stop", "stop"), word("Policy", null)];
  words[2].title = "Give the runs back to the policy";
  const none = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => { chosen.clear(); marked(); } }, "None");
  const chosenAlive = (to) => [...chosen].filter((id) => store.runs.has(id) && canBeTold(store.runs.get(id), to));
  const show = () => {
    const n = chosen.size;
    compareButton.disabled = n < 2 || n > MOST_COMPARED;
    compareButton.textContent = n ? `Compare ${n}` : "Compare";
    about.textContent = n > MOST_COMPARED ? `${n} chosen; at most ${MOST_COMPARED} can be compared` : n ? `${n} chosen` : "";
    words.forEach((button, i) => {
      button.hidden = !n;
      button.disabled = !chosenAlive(["keep", "stop", null][i]).length;
    });
    none.hidden = !n;
  };
  const marked = () => {
    show();
    note({ runs: [...chosen].join(",") });
    table.refresh();
  };
  const choose = (id, on = !chosen.has(id)) => {
    if (on) chosen.add(id);
    else chosen.delete(id);
    marked();
  };
  const ranks = new Map();
  let anew = true; // what is shown was asked for just now: no row to hold still
  const all = columns(store, chosen, choose, reach, ranks, () => table.refresh()), plain = all.filter((column) => !column.of);
  let worn = "", wished = null; // names of the settings that are columns; the order that waits for its column
  // Metrics and reasons, or in their place the settings that differ, those first that explain most.
  function dressed(kind = worn ? "settings" : "metrics") {
    fields.set(kind);
    const told = shared.settings.length || kind === "metrics" ? shared.settings : differing([...store.runs.values()]);
    const asked = [wished, table.sort].map((one) => one?.key.slice(4)); // by which they are in order
    const names = kind === "settings" ? told.filter((name, i) => i < MOST_SETTINGS || asked.includes(name)) : [], key = `${kind} ${names.join(" ")}`;
    if (key === worn || (kind === "metrics" && !worn)) return;
    worn = kind === "metrics" ? "" : key;
    const at = plain.findIndex((column) => column.key === "say");
    table.fields(kind === "metrics" ? all : [...plain.slice(0, at), ...names.map((name) => setting(store, name)), ...plain.slice(at)]);
    if (wished) table.order(wished);
    if (!table.columns.some((column) => column.key === table.sort.key)) {
      wished = null;
      note({ sort: null });
      table.order({ ...SORT });
    }
  }
  const table = new RunTable(all, {
    caption: "Runs", sort: { ...SORT }, choose,
    sorted: ({ key, down }) => {
      wished = null;
      note({ sort: key === SORT.key && down === SORT.down ? null : `${down ? "-" : ""}${key}` });
    },
    scrolled: (row) => note({ row: row || null }),
    version: (run) => `${run.updated_at}${ago(run.updated_at)}${run.override}${chosen.has(run.run_id)}${reach.high}${reach.low}${ranks.get(run.run_id)}${isWaiting(run.run_id)}${standing(run)}`,
    rowClass: (run) => (run.state === "stopped" ? "is-stopped" : ""),
  });
  const element = h("section", { class: "panel", "aria-labelledby": "runs-title" },
    h("header", {}, h("h2", { id: "runs-title" }, "Runs"), shown),
    h("div", { class: "bar" }, search, states, h("div", { class: "end actions" }, about, ...words, none, fields, csv, compareButton, table.news)),
    table.element);

  // Take over what an address says: at the start, and on the way back.
  function read(said) {
    search.value = said.get("q") ?? "";
    filter.text = search.value.toLowerCase();
    filter.state = FILTERS.some(([name]) => name === said.get("state")) ? said.get("state") : "";
    states.set(filter.state);
    dressed(said.get("cols") === "settings" ? "settings" : "metrics");
    const sort = said.get("sort");
    wished = sort ? { key: sort.replace(/^-/, ""), down: sort.startsWith("-") } : { ...SORT };
    table.order(wished, Number(said.get("row")) || 0);
    chosen.clear();
    for (const id of (said.get("runs") ?? "").split(",").filter(Boolean)) chosen.add(id);
    show();
    anew = true;
    list.ask();
  }

  function rows() {
    rank(store, ranks);
    if (worn) dressed();
    const runs = [...store.runs.values()].filter((run) => passes(run, filter) && shared.passes(run));
    table.show(runs, anew);
    anew = false;
    show();
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
    element, read, rows, stretch, search, pass: () => table.refresh(), order: () => table.runs.map((run) => run.run_id),
    destroy() {
      list.stop();
      table.destroy();
    },
  };
}

// Of a long name its end tells it from others: the middle is what is cut, on a phone of short ones, too.
const TAIL = 6, WHOLE = 9, HEAD = 26;
const named = (id) => (id.length > WHOLE ? { class: "cut", "aria-label": id } : {});
const ends = (id) => (id.length > WHOLE ? [h("span", {}, id.slice(0, -TAIL)), h("span", {}, id.slice(-TAIL))] : [id]);

// A setting that is sometimes a number is a word everywhere: there is one order of all its values.
function setting(store, name) {
  const all = [...store.runs.values()].map((run) => run.settings?.[name]), num = all.every((v) => v === undefined || v === null || typeof v === "number");
  const said = (v) => (v === undefined || v === null ? null : num ? v : String(v));
  return {
    key: `set:${name}`, label: cut(label(name), HEAD), title: name, narrow: true, num, value: (run) => said(run.settings?.[name]),
    cell: (run) => { const v = said(run.settings?.[name]); return num ? (Number.isInteger(v) ? count(v) : brief(v)) : h("span", { title: v ?? "" }, v ?? "–"); },
  };
}

// The table as a file: what is listed, in its order.
function listed(store, runs, ranks) {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.settings ?? {})))];
  const finals = ["final_mqe", "final_topographic_error", "final_dead_neuron_ratio"];
  const head = ["run_id", "name", "state", "rank", "progress", "epoch", "total_epochs", ...["05", "25", "50", "75", "95"].map((q) => `score_${q}`), "mqe", "topographic_error", "dead_neuron_ratio", ...finals, "p_good", "reason", "control", "tags", "notes"];
  return [heads(head, names), ...runs.map((run) => [run.run_id, run.name, standing(run), ranks.get(run.run_id), run.progress, run.epoch, run.total_epochs, ...(store.qualityOf(run) ?? Array(5).fill(null)), run.mqe, run.topographic_error, run.dead_neuron_ratio,
    ...finals.map((name) => (run.final?.censored ? null : run.final?.[name])), run.p_good, run.reason, String(Boolean(run.control)), (run.tags ?? []).join(" "), run.notes, ...names.map((name) => { const v = run.settings?.[name]; return typeof v === "number" ? v : v === undefined || v === null ? null : String(v); })])];
}

const texts = new WeakMap();
function textOf(run) {
  let text = texts.get(run);
  if (text === undefined) {
    const settings = run.settings ? Object.entries(run.settings).map(([name, value]) => `${name}=${value}`) : [];
    texts.set(run, text = [run.run_id, run.name, run.dataset, run.state, STATE[standing(run)], run.control && "control", reason(run.reason), wentOn(run) && "went on", ...(run.tags ?? []), ...settings].filter(Boolean).join(" ").toLowerCase());
  }
  return text;
}

function passes(run, filter) {
  if (filter.state === "went-on") {
    if (!wentOn(run)) return false;
  } else if (filter.state === "kept" ? run.override !== "keep" : filter.state && run.state !== filter.state) return false;
  return !filter.text || textOf(run).includes(filter.text);
}

// Places of the runs that have finished, by their score: within one search, where scores are of one scale.
function rank(store, ranks) {
  ranks.clear();
  if (store.population === null) return;
  const found = [...store.runs.values()].filter((run) => run.state === "finished" && run.final && !run.final.censored).map((run) => [store.qualityOf(run)?.[2], run.run_id]).filter(([score]) => Number.isFinite(score));
  found.sort(([a], [b]) => a - b).forEach(([, id], i) => ranks.set(id, i + 1));
}

// Whether a word would change anything.
const canBeTold = (run, to) => (to === "stop" ? run.state === "running" && run.override !== "stop" : to === "keep" ? run.state !== "finished" && run.override !== "keep" : run.state !== "finished" && run.override !== null);

// Live ones first, then by place, then what was stopped by what was expected of it.
const order = (store, ranks, run) => {
  const score = Math.min(9e5, store.qualityOf(run)?.[2] ?? 9e5);
  return run.state === "running" ? score - 1e6 : ranks.get(run.run_id) ?? 1e6 + score;
};

function columns(store, chosen, choose, reach, ranks, changed) {
  const score = (run) => (store.population === null && run.quality?.scale === "raw" ? null : store.qualityOf(run)?.[2]); // raw ones of other tables are on no common scale
  const say = (run, to, text, title) => h("button", { type: "button", class: `quiet small${to === "stop" ? " danger" : ""}`, title, "aria-label": `${title}: ${run.run_id}`, onclick: () => overrule([run.run_id], to, changed) }, text);
  const where = (v) => `${100 * Math.min(1, Math.max(0, (v - reach.low) / (reach.high - reach.low || 1)))}%`;
  return [
    { key: "choose", label: "Compare", width: "38px",
      cell: (run) => h("input", { type: "checkbox", "aria-label": `Compare ${run.run_id}`, checked: chosen.has(run.run_id), onchange: (event) => choose(run.run_id, event.target.checked) }) },
    { key: "rank", label: "#", title: "Place among those that have finished; live ones stand first", width: "48px", num: true, wide: true, value: (run) => order(store, ranks, run), cell: (run) => h("span", { class: "muted" }, ranks.has(run.run_id) ? count(ranks.get(run.run_id)) : "") },
    { key: "run", label: "Run", width: "172px", value: (run) => run.run_id, cell: (run) => h("a", { href: link(run.run_id), title: run.name ?? run.run_id, ...named(run.run_id) }, ...ends(run.run_id)) },
    { key: "state", label: "State", width: "158px", value: (run) => `${standing(run)}${run.override ?? ""}`,
      cell: (run) => h("span", { class: "chip", title: run.ending }, h("i", { class: `dot ${standing(run)}` }), STATE[standing(run)], run.override === "keep" ? h("span", { class: "tag kept" }, "kept") : (run.override === "stop" && run.state === "running") || isWaiting(run.run_id) ? h("span", { class: "tag stop" }, "stopping") : wentOn(run) ? h("span", { class: "tag stop", title: toldAt(run) }, "went on") : run.control ? h("span", { class: "tag" }, "control") : null) },
    { key: "progress", label: "Progress", width: "96px", num: true, downFirst: true, value: (run) => run.progress,
      cell: (run) => (run.progress === null ? h("span", { title: `epoch ${count(run.epoch)}; its budget is unknown` }, brief(run.epoch)) : h("span", { class: "progress" }, h("span", { class: "meter" }, h("i", { style: { width: percent(run.progress, 1).replace(" ", "") } })), h("span", { class: "share" }, percent(run.progress)))) },
    { key: "quality", label: "Quality score", title: "Forecast of the quality score, lower is better", width: "96px", num: true, value: score, cell: (run) => brief(store.qualityOf(run)?.[2]) },
    { key: "reach", label: "90 % and 50 %", title: "Width of the forecast", width: "108px", wide: true, value: (run) => { const q = store.qualityOf(run); return q && q[4] - q[0]; },
      cell: (run) => {
        const q = store.qualityOf(run);
        return q && h("span", { class: "reach", title: `90 %: ${num(q[0])} to ${num(q[4])}` },
          h("i", { style: { left: where(q[0]), right: `calc(100% - ${where(q[4])})` } }), h("b", { style: { left: where(q[1]), right: `calc(100% - ${where(q[3])})` } }), h("u", { style: { left: where(q[2]) } }));
      } },
    { key: "mqe", of: "metrics", label: "mqe now", title: "Mean quantization error at the last checkpoint, input units", width: "88px", num: true, wide: true, value: (run) => run.mqe, cell: (run) => brief(run.mqe) },
    { key: "te", of: "metrics", label: "Topogr.", title: "Topographic error at the last checkpoint", width: "70px", num: true, wide: true, value: (run) => run.topographic_error, cell: (run) => percent(run.topographic_error, 1) },
    { key: "dead", of: "metrics", label: "Dead", title: "Dead neurons at the last checkpoint", width: "66px", num: true, wide: true, value: (run) => run.dead_neuron_ratio, cell: (run) => percent(run.dead_neuron_ratio, 1) },
    { key: "p", of: "metrics", label: "P(good)", title: "Probability to end among the best; by the pareto policy and the goal gain, to improve on what has finished", width: "72px", num: true, wide: true, downFirst: true, value: (run) => run.p_good, cell: (run) => percent(run.p_good) },
    { key: "reason", of: "metrics", label: "Why", wide: true, value: (run) => short(run.reason), cell: (run) => (wentOn(run) ? h("span", { class: "warn", title: "Its caller does not look at what is answered: end the loop where decision.stop is true." }, toldAt(run)) : h("span", { class: "muted", title: run.message ?? reason(run.reason) }, run.reason === "finished" ? "" : short(run.reason))) },
    { key: "say", label: "Say", width: "126px", wide: true,
      cell: (run) => (run.state === "finished" ? null : isWaiting(run.run_id) ? h("span", { class: "muted small" }, "stopping…") : h("span", { class: "say" }, run.override === null ? say(run, "keep", "Keep", "Keep") : say(run, null, "Policy", "Back to the policy"), canBeTold(run, "stop") ? say(run, "stop", "Stop", "Stop") : null)) },
    { key: "updated", of: "metrics", label: "Last heard", width: "94px", num: true, wide: true, downFirst: true, value: (run) => run.updated_at, cell: (run) => h("span", { class: "muted" }, ago(run.updated_at)) },
  ];
}
