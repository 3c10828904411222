// Which settings are good: parallel coordinates, what explains the score, one setting at a time, the range to copy.

import { get } from "../data/api.js";
import { note } from "../data/address.js";
import { SCORE } from "../data/brush.js";
import { differing, heads } from "../data/columns.js";
import { h, put, toast } from "../words/dom.js";
import { figureMenu } from "../charts/figure.js";
import { count, percent, plural, setTo } from "../words/format.js";
import { Parallel } from "../charts/parallel.js";
import { Slice } from "./slice.js";
import { Suggested } from "./suggested.js";
import { label } from "../words/words.js";

const MOST_AXES = 8;
const EVERY_MS = 4_000; // importance is asked for again at most so often
const BEST = [5, 10, 20, 30];
const PLACED = new Set(["generation", "gen"]); // where a run stands in its search: no setting

export function settingsPanel(store, shared, parameters, open) {
  let share = 10, chosen = null, picked = null, found = null, asked = null, timer = 0, axes = [], runs = [];
  const shares = h("select", { "aria-label": "Best share of the runs", onchange: () => { share = Number(shares.value); note({ best: share === 10 ? null : share }); ask(true); update(); } },
    BEST.map((n) => h("option", { value: n }, `best ${n} %`)));
  const clear = h("button", { type: "button", class: "quiet small", hidden: true, onclick: () => shared.brush.clear() }, "Clear filter");
  const parallel = new Parallel(shared.brush, { pick: choose, passes: (run) => shared.passes(run), hover: (run) => shared.highlight(run?.run_id ?? null), open });
  const slice = new Slice(store, shared), suggested = new Suggested(store, shared, brushed, copy);
  const bars = h("div", { class: "importance" }), ranges = h("div", { class: "ranges" }), why = h("p", { class: "muted small" });
  const lacked = h("p", { class: "muted small", id: "lacked", hidden: true }, "○ below an axis: runs that lack its setting, or have one of its rare words.");
  const copies = h("div", { class: "actions copies" },
    h("button", { type: "button", onclick: () => copy(asDict(range()), "Python dict") }, "Copy as dict"),
    h("button", { type: "button", onclick: () => copy(asOptuna(range()), "Optuna space") }, "Copy as Optuna space"),
    h("button", { type: "button", title: "A command that forecasts plans in this range before any is trained", onclick: () => copy(asSuggest(range()), "oracle suggest") }, "Suggest from here"));
  const body = h("div", { class: "settings-body" }, h("div", {}, parallel.element, lacked, ranges, slice.element), h("div", { class: "side" }, bars, copies), suggested.element);
  const none = h("p", { class: "muted", hidden: true }, "No setting differs between runs that have ended, or none was told: give them as ", h("code", {}, "config"), " and ", h("code", {}, "context"), ".");
  const menu = figureMenu({ name: "settings", title: "Which settings are good", draw: () => parallel.picture.drawn(), rows: () => table(), plot: () => (axes.length > 1 ? scatters() : null),
    keys: () => [{ label: `the best ${share} %`, color: "ours" }, { label: "the others", color: "faint" }, { label: "middle 80 % of the best", kind: "band", color: "ours" }, ...(parallel.lacked ? [{ label: "below an axis: not set in that run", color: "ink", kind: "rings" }] : [])] });
  const element = h("section", { class: "panel", id: "settings", "aria-labelledby": "settings-title" },
    h("header", {}, h("h2", { id: "settings-title" }, "Which settings are good?"), why, h("div", { class: "end actions" }, clear, shares, menu)), none, body);

  function choose(name) {
    picked = name;
    note({ setting: name });
    update();
  }

  // Settings of the runs that ended, as the axes show them; ordered by what they explain once that is known.
  function prepare() {
    runs = shared.course.ended.filter((one) => one.values).map((one) => ({ run: one.run, score: one.values[2], whole: one.whole }));
    const told = new Map((found?.settings ?? []).map((s) => [s.name, s]));
    const names = differing(runs.map((one) => one.run)).filter((name) => !PLACED.has(name));
    names.sort((a, b) => (told.get(b)?.share ?? -1) - (told.get(a)?.share ?? -1));
    shared.name(names);
    const shown = names.slice(0, MOST_AXES);
    for (const name of [...shared.brush.ranges.keys(), ...shared.brush.words.keys(), picked]) if (name && names.includes(name) && !shown.includes(name)) shown.push(name);
    axes = shown.map((name) => axisOf(name, runs.map((one) => one.run.settings?.[name]), told.get(name)));
    const scores = runs.map((one) => one.score).sort((a, b) => a - b);
    const high = scores[Math.floor(0.9 * (scores.length - 1))] ?? 1;
    axes.push({ name: SCORE, label: "quality score", kind: "number", low: scores[0] ?? 0, high, last: true });
    const limit = scores[Math.max(0, Math.round((share / 100) * scores.length) - 1)];
    return new Set(runs.filter((one) => one.score <= limit).map((one) => one.run.run_id));
  }

  function update() {
    const best = prepare();
    clear.hidden = !shared.brush.any;
    none.hidden = axes.length > 1;
    body.hidden = axes.length < 2;
    if (axes.length < 2) return;
    chosen = axes.some((a) => a.name === picked && !a.last) ? picked : axes[0].name; // what explains most, until one is picked
    parallel.show(axes, runs, best, chosen);
    const setting = axes.find((a) => a.name === chosen);
    slice.show(setting, runs.filter((one) => shared.passes(one.run)));
    const passing = runs.filter((one) => shared.passes(one.run)).length;
    why.textContent = shared.brush.any ? `${count(passing)} of ${plural(runs.length, "ended run")} pass; the filter holds for the whole page` : `the best ${share} % in blue, their middle 80 % shaded; drag on an axis to filter the page`;
    lacked.hidden = !parallel.lacked;
    put(bars, ...importance());
    fields();
    ask();
  }

  function importance() {
    if (!found) return [h("p", { class: "muted small" }, runs.length < 12 ? "What explains the score is told from twelve ended runs on." : "Looking for what explains the score…")];
    if (!found.settings.length) return [h("p", { class: "muted small" }, `What explains the score is told from twelve ended runs on; ${count(found.runs)} so far.`)];
    const most = Math.max(0.05, ...found.settings.map((s) => s.most));
    const wide = (v) => `${(100 * v) / most}%`;
    return [h("h3", {}, "What explains the score"), h("div", { class: "explains", title: found.way }, found.settings.slice(0, MOST_AXES).map((s) => h("button", {
      type: "button", "aria-pressed": String(s.name === chosen), "data-setting": s.name, title: `${percent(s.share)} of the score's ranks, ${percent(s.least)} to ${percent(s.most)} over halves of the runs`, onclick: () => choose(s.name),
    }, h("span", {}, label(s.name)), h("span", { class: "rail" }, h("i", { style: { width: wide(s.share) } }), h("u", { style: { left: wide(s.least), width: wide(s.most - s.least) } })), h("span", { class: "num" }, percent(s.share))))),
    h("p", { class: "muted small" }, `Share of the score's ranks that groups along each setting alone explain beyond chance (epsilon squared), with its spread over halves of ${count(found.runs)} runs; settings that go together share it.`,
      found.together.length ? ` Only together: ${found.together.slice(0, 2).map((t) => `${t.names.map(label).join(" with ")} ${percent(t.share)}`).join(", ")}.` : "")];
  }

  // The brush of the chosen setting by keyboard, and what would be copied.
  function fields() {
    const a = axes.find((one) => one.name === chosen);
    if (document.activeElement?.closest(".ranges") && ranges.contains(document.activeElement)) return;
    if (a.kind === "word") {
      put(ranges, h("span", { class: "muted small" }, `${a.label}: `), ...a.values.map((word) => h("button", { type: "button", class: "small", "aria-pressed": String(Boolean(shared.brush.words.get(a.name)?.has(word))), onclick: () => shared.brush.toggle(a.name, word) }, word)));
      return;
    }
    const now = shared.brush.ranges.get(a.name);
    const field = (i, text) => h("label", { class: "field" }, text, h("input", { type: "number", step: "any", value: now ? Number(now[i].toPrecision(4)) : "", placeholder: setTo([a.low, a.high][i]), onchange: (event) => {
      const range = [...(shared.brush.ranges.get(a.name) ?? [a.low, a.high])], value = event.target.value === "" ? [a.low, a.high][i] : Number(event.target.value);
      if (Number.isFinite(value)) shared.brush.range(a.name, Object.assign(range, { [i]: value }));
    } }));
    ranges.replaceChildren(h("span", { class: "muted small" }, `${a.label} `), field(0, "from"), field(1, "to"));
  }

  function ask(now = false) {
    const key = `${store.population} ${shared.course.ended.length} ${share}`;
    if (store.population === null || key === asked || (timer && !now)) return;
    clearTimeout(timer);
    asked = key;
    const name = store.population;
    get(`v1/populations/${encodeURIComponent(name)}/settings?best=${share / 100}`).then((answer) => {
      if (name !== store.population) return;
      found = answer;
      update();
    }).catch((problem) => { if (problem.code === undefined) throw problem; });
    timer = setTimeout(() => {
      timer = 0;
      if (element.isConnected) ask();
    }, EVERY_MS);
  }

  // What is copied: the brushed ranges, else where the best runs lie.
  function range() {
    return axes.filter((a) => !a.last).map((a) => {
      if (a.kind === "word") return { name: a.name, words: [...(shared.brush.words.get(a.name) ?? a.goodWords ?? a.values)] };
      const ends = shared.brush.ranges.get(a.name) ?? a.good ?? [a.low, a.high];
      const whole = runs.every((one) => one.run.settings?.[a.name] === undefined || Number.isInteger(one.run.settings[a.name]));
      return { name: a.name, log: a.log, whole, ends: whole ? [Math.ceil(ends[0]), Math.max(Math.ceil(ends[0]), Math.floor(ends[1]))] : ends.map((v) => Number(v.toPrecision(4))) };
    });
  }
  // The ranges that are brushed, as a space takes them.
  function brushed() {
    return Object.fromEntries(range().filter((one) => shared.brush.ranges.has(one.name) || shared.brush.words.has(one.name)).map((one) => [one.name, one.words ?? one.ends]));
  }
  const table = () => [heads(["run_id", "state", "score"], axes.filter((a) => !a.last).map((a) => a.name)),
    ...runs.map(({ run, score }) => [run.run_id, run.state, score, ...axes.filter((a) => !a.last).map((a) => run.settings?.[a.name] ?? null)])];

  // As code: a picture a setting, for matplotlib knows no parallel coordinates.
  const scatters = () => axes.filter((a) => !a.last).map((a, i) => {
    const told = runs.filter(({ run }) => run.settings?.[a.name] !== undefined && run.settings[a.name] !== null);
    const of = (whole, label, kind, color) => {
      const mine = told.filter((one) => one.whole === whole), at = ({ run }) => run.settings[a.name];
      return { label: i ? null : label, kind, color, x: mine.map((one) => (a.kind === "word" ? a.values.indexOf(String(at(one))) : at(one))), y: mine.map((one) => one.score) };
    };
    return { x: { label: a.label, log: a.log, ticks: a.kind === "word" ? a.values.map((word, j) => [j, word]) : undefined }, y: { label: i ? "" : "quality score" },
      series: [of(false, "stopped: forecast", "crosses", "faint"), of(true, "to its end", "points", "good")] };
  });

  function read(said) {
    share = BEST.includes(Number(said.get("best"))) ? Number(said.get("best")) : 10;
    shares.value = share;
    picked = said.get("setting") ?? picked;
  }
  read(parameters);
  return {
    element, update, read, mark: (id) => parallel.mark(id), redraw: () => parallel.picture.draw(), range, table,
    forget() { found = asked = null; },
    destroy() {
      clearTimeout(timer);
      parallel.destroy();
      slice.destroy();
      suggested.destroy();
    },
  };
}

function axisOf(name, values, told) {
  const known = values.filter((v) => v !== null && v !== undefined);
  const good = told?.good_low !== null && told?.good_low !== undefined ? [told.good_low, told.good_high] : null;
  if (known.every((v) => typeof v === "number")) {
    const low = known.reduce((a, b) => Math.min(a, b), Infinity), high = known.reduce((a, b) => Math.max(a, b), -Infinity);
    return { name, label: label(name), kind: "number", low, high, log: low > 0 && Math.log10(high / low) >= 1.5, good };
  }
  const often = new Map();
  for (const v of known) often.set(String(v), (often.get(String(v)) ?? 0) + 1);
  return { name, label: label(name), kind: "word", values: [...often].sort((a, b) => b[1] - a[1]).slice(0, 12).map(([word]) => word), goodWords: told?.good_values };
}

const python = (v) => (v === "true" ? "True" : v === "false" ? "False" : JSON.stringify(v));
const ident = (name) => JSON.stringify(name);

export function asDict(range) {
  const lines = range.map((one) => `    ${ident(one.name)}: ${one.words ? `[${one.words.map(python).join(", ")}]` : `(${one.ends.join(", ")})`},${one.log ? "  # by its logarithm" : ""}`);
  return `space = {\n${lines.join("\n")}\n}\n`;
}

export function asOptuna(range) {
  const lines = range.map((one) => `    ${ident(one.name)}: trial.${one.words ? `suggest_categorical(${ident(one.name)}, [${one.words.map(python).join(", ")}])`
    : `suggest_${one.whole ? "int" : "float"}(${ident(one.name)}, ${one.ends.join(", ")}${one.log && one.ends[0] > 0 ? ", log=True" : ""})`},`);
  return `settings = {\n${lines.join("\n")}\n}\n`;
}

// What `oracle suggest` takes; names that a library has no parameter of are left to the reader.
function asSuggest(range) {
  const space = Object.fromEntries(range.map((one) => [one.name, one.words ?? one.ends]));
  return `from oracle import suggest\n\nfor plan in suggest("table.csv", n=10, space=${JSON.stringify(space)}):\n    print(plan.make)\n`;
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied`);
  } catch {
    const area = h("textarea", { style: { position: "fixed", opacity: 0 } });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    toast(`${what} copied`);
  }
}
