// One run: what was seen, where it is heading and how sure that is, and every decision with its reason.

import { get, post } from "./api.js";
import { Chart, level, quantiles, spread, upright } from "./chart.js";
import { h, segmented, skeleton, state, toast } from "./dom.js";
import { csv, save } from "./download.js";
import { ago, count, moment, num, percent, share, tick } from "./format.js";
import { ACTION, METRICS, STATE, reason, standing } from "./words.js";

const AGAIN_MS = 250;

export function run(root, parameters, store) {
  const id = parameters.get("run");
  const path = `v1/runs/${encodeURIComponent(id)}`;
  let detail = null, parts = null, gone = false, timer = 0, over = false;
  root.replaceChildren(h("div", { class: "stack", "aria-busy": "true" }, h("p", { class: "visually-hidden" }, "Loading the run"), skeleton(64), skeleton(120),
    h("div", { class: "grid charts" }, skeleton(280), skeleton(280), skeleton(280))));

  async function load() {
    timer = 0;
    try {
      const found = await get(path);
      if (over) return;
      detail = found;
      gone = false;
      parts ??= build();
      parts.update();
    } catch (problem) {
      if (over || (detail && problem.status === 0)) return; // the notice above says it
      if (problem.status === 404 && detail) {
        deleted();
        return;
      }
      parts?.destroy();
      parts = null;
      root.replaceChildren(problem.status === 404 || problem.status === 422
        ? state("There is no such run", `No run ${id} is stored, or it belongs to another key.`, back())
        : state("The run cannot be loaded", problem.message, h("div", { class: "actions" }, h("button", { class: "primary", onclick: load }, "Try again"))));
    }
  }

  const back = () => h("p", { style: { marginTop: "14px" } }, h("a", { href: "#/" }, "To the overview"));

  function deleted() {
    if (gone) return;
    gone = true;
    parts?.destroy();
    parts = null;
    root.replaceChildren(state("This run was deleted", `Everything stored about ${id} was deleted while you had it open.`, h("div", { class: "actions" },
      detail ? h("button", { onclick: () => save(`${id}.json`, JSON.stringify(detail, null, 2), "application/json") }, "Download what was shown") : null), back()));
  }

  async function overrule(what) {
    parts.busy(true);
    try {
      await post(`${path}/${what}`);
      toast(what === "keep" ? "Kept: it will not be stopped." : "It will be stopped at its next checkpoint.");
      await load();
    } catch (problem) {
      toast(problem.message);
    }
    parts?.busy(false);
  }

  async function share() {
    try {
      await navigator.clipboard.writeText(location.href);
      toast("Link copied.");
    } catch {
      toast(location.href);
    }
  }

  function build() {
    const sub = h("p", { class: "sub" }), marks = h("span");
    const keep = h("button", { type: "button", id: "keep", onclick: () => overrule("keep") }, "Keep");
    const stop = h("button", { type: "button", id: "stop", class: "danger", onclick: () => overrule("stop") }, "Stop");
    const menu = h("div", { hidden: true },
      h("button", { type: "button", id: "json", onclick: () => save(`${id}.json`, JSON.stringify(detail, null, 2), "application/json") }, "JSON, everything"),
      h("button", { type: "button", id: "csv", onclick: () => save(`${id}.csv`, csv(detail), "text/csv") }, "CSV, by checkpoint"));
    const menuButton = h("button", { type: "button", "aria-expanded": "false", onclick: () => toggle(menu.hidden) }, "Download");
    const toggle = (on) => {
      menu.hidden = !on;
      menuButton.setAttribute("aria-expanded", String(on));
    };
    const holder = h("div", { class: "menu" }, menuButton, menu);
    holder.addEventListener("keydown", (event) => { if (event.key === "Escape") toggle(false); });
    holder.addEventListener("focusout", (event) => { if (!holder.contains(event.relatedTarget)) toggle(false); });
    const verdict = h("section", { class: "panel" });
    const charts = METRICS.map((metric) => metricPanel(metric, () => detail));
    const moved = movedPanel(() => detail);
    const schedule = schedulePanel(() => detail);
    const decisions = h("section", { class: "panel", "aria-labelledby": "decisions-title" });
    const facts = h("section", { class: "panel" }), told = h("section", { class: "panel", id: "told" });
    root.replaceChildren(
      h("p", { class: "small" }, h("a", { href: "#/" }, "Overview"), h("span", { class: "muted" }, " / run")),
      h("div", { class: "head" }, h("div", { class: "grow" }, h("h1", {}, id, marks), sub),
        h("div", { class: "actions" }, keep, stop, h("button", { type: "button", onclick: share }, "Copy link"), holder)),
      h("div", { class: "stack" }, verdict, h("div", { class: "grid charts" }, charts.map((c) => c.element)),
        h("div", { class: "grid two" }, moved.element, schedule.element), decisions, told, facts));
    return {
      update() {
        const { run } = detail;
        const name = run.population;
        sub.replaceChildren(...(run.name && run.name !== id ? [`“${run.name}”, `] : []), STATE[standing(run)], run.progress === null ? `, epoch ${count(run.epoch)}` : `, ${percent(run.progress)} of ${count(run.total_epochs)} epochs`,
          `, ${count(run.n_checkpoints)} checkpoint${run.n_checkpoints === 1 ? "" : "s"}, heard of ${ago(run.updated_at)}`, ...(run.rewinds.length ? [`, attempt ${count(run.rewinds.length + 1)}`] : []), ...(name ? [", population ", h("a", { href: `#/?population=${encodeURIComponent(name)}` }, name)] : []));
        marks.replaceChildren(...[run.override === "keep" && h("span", { class: "tag kept" }, "kept"), run.override === "stop" && run.state === "running" && h("span", { class: "tag stop" }, "stopping"), run.control && h("span", { class: "tag" }, "control")].filter(Boolean));
        const ended = run.state === "finished";
        keep.disabled = ended || run.override === "keep";
        stop.disabled = ended || run.state === "stopped" || run.override === "stop";
        verdict.replaceChildren(...said(detail));
        charts.forEach((c) => c.update());
        moved.update();
        schedule.update();
        decisions.replaceChildren(...listed(detail, path));
        told.replaceChildren(...saidOfIt(run));
        told.hidden = !told.hasChildNodes();
        facts.replaceChildren(...basis(detail));
      },
      busy(on) {
        if (on) keep.disabled = stop.disabled = true;
        else this.update();
      },
      keep,
      destroy() {
        [...charts, moved, schedule].forEach((c) => c.destroy());
      },
    };
  }

  load();
  return {
    title: id,
    event({ kind, run: about }) {
      if (kind !== "gap" && about.run_id !== id) return;
      if (kind === "deleted") deleted();
      else if (!gone || kind !== "gap") timer ||= setTimeout(load, AGAIN_MS);
    },
    key(event) {
      if (event.key === "k" && parts && !parts.keep.disabled) parts.keep.click();
      return event.key === "k";
    },
    navigate(next) {
      return next.get("run") === id;
    },
    destroy() {
      over = true;
      clearTimeout(timer);
      parts?.destroy();
    },
  };
}

// The word beside it says already what is done.
const plainly = (message) => {
  const text = message.replace(/^(Continue|Stop|Abstain): /, "");
  return `${text[0].toUpperCase()}${text.slice(1)}`;
};

function said({ run, decision }) {
  if (!decision) return [h("p", { class: "muted" }, "No decision yet: it comes with the first checkpoint.")];
  const kept = run.override === "keep" ? "A person keeps this run." : run.override === "stop" && run.state === "running" ? "A person stops this run at its next checkpoint." : null;
  const ending = run.ending ?? (standing(run) === "abandoned" ? `Last heard of ${ago(run.updated_at)}, far longer than from one checkpoint to the next: it seems to be abandoned. Should it report again, it is judged as before.` : null);
  const saved = run.progress === null ? "not known" : `${percent(1 - run.progress)} of the budget`;
  const facts = [
    ["Chance to end good", run.p_good === null ? "not asked" : percent(run.p_good)],
    ["Quality score, forecast", run.quality ? quantiles(run.quality.values) : "none"],
    standing(run) === "finished" ? ["Saved", "nothing: it ran to its end"] : run.left ? ["Saved", "nothing: its own loop ended it"] : [run.state === "running" ? "A stop now would save" : "Saved", saved],
    ["Support", run.support === null ? "none" : percent(run.support)],
    ["Policy", decision.policy.name],
    ["Model", decision.model ? `${decision.model.name} ${decision.model.version}` : "none"],
  ];
  if (run.final) facts.unshift([run.final.censored ? "Expected end, mqe" : "Ended at mqe", num(run.final.final_mqe)]);
  return [
    h("div", { class: "verdict" }, h("span", { class: `word ${decision.action}` }, ACTION[decision.action]), h("p", {}, plainly(decision.message))),
    ending ? h("p", { id: "ending", style: { marginTop: "6px" } }, ending) : "",
    kept ? h("p", { style: { marginTop: "6px" } }, h("strong", {}, kept)) : "",
    ...decision.advice.map((text) => h("p", { class: "muted", style: { marginTop: "6px" } }, text)),
    h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
  ];
}

// Progress in percent where the budget is known, the run's own epochs elsewhere.
function clock({ run, history }) {
  const total = run.total_epochs;
  return { x: history.epochs.map((e) => (total ? (100 * e) / total : e)), of: (e) => (total ? (100 * e) / total : e), end: total ? 100 : null,
    format: total ? (v) => (v === null ? "" : `${v} %`) : undefined, unit: total ? " %" : "" };
}

// Where the run went on from an earlier map, and as which attempt.
function wentBack(u, { run }, time) {
  run.rewinds.forEach(({ epoch }, i) => upright(u, time.of(epoch), `attempt ${count(i + 2)}`, "warn", i % 3));
}

function panel(title, note, extra) {
  const chart = h("div"), reading = h("p", { class: "reading" });
  const element = h("section", { class: "panel", "aria-label": title }, h("header", {}, h("h2", {}, title), note ? h("span", { class: "muted small" }, note) : null, extra ? h("div", { class: "end" }, extra) : null), reading, chart);
  return { element, chart, reading };
}

// What is to come, from the next look to the end: [{ x, q: five quantiles }], by the last decision's
// curve; without one there is the final value alone.
function ahead({ run, decision }, metric, at, end) {
  const q = run.state === "finished" ? null : run.forecast?.[metric.final];
  if (!q || end === null || at >= end) return [];
  const curve = decision?.forecast?.curve;
  if (!curve) return [{ x: end, q }];
  return curve.of_the_rest.map((share, i) => ({ x: share === 1 ? end : at + share * (end - at), q: curve[metric.name][i] }));
}

const endOf = (run, metric) => (run.state === "finished" && run.final ? run.final[metric.final] : null);

function metricPanel(metric, now) {
  const { element, chart, reading } = panel(metric.label, metric.unit);
  const show = metric.name === "mqe" ? (v) => num(v) : (v) => percent(v, 1);
  const rest = () => {
    const { history, run } = now();
    const q = run.state === "finished" ? null : run.forecast?.[metric.final];
    const last = history[metric.name].at(-1), end = endOf(run, metric);
    if (end !== null) reading.replaceChildren("Ended at ", h("strong", {}, show(end)));
    else reading.replaceChildren("Now ", h("strong", {}, last === null ? "undefined" : show(last)), ...(q ? [", final ", h("strong", {}, show(q[2])), `, 90 %: ${show(q[0])} to ${show(q[4])}`] : []));
  };
  const drawn = new Chart(chart, () => {
    const data = now(), { history, run } = data, time = clock(data);
    const seen = history[metric.name];
    const from = seen.findLastIndex((v) => v !== null);
    const way = ahead(data, metric, time.x.at(-1), time.end), fan = way.length > 0;
    const x = [...time.x, ...way.map((w) => w.x)], columns = [[...seen, ...way.map(() => null)]];
    for (let k = 0; fan && k < 5; k += 1) {
      const line = [...seen.map(() => null), ...way.map((w) => w.q[k])];
      if (from >= 0) line[from] = seen[from];
      columns.push(line);
    }
    const s = spread(seen);
    if (s.empty) return null;
    const log = s.log && metric.name === "mqe"; // shares end at 1: there is nothing to tame
    const outcome = endOf(run, metric);
    return {
      data: [x, ...columns],
      series: [{ label: metric.label, color: "ink", width: 2, points: seen.length < 60 ? 5 : 0, spanGaps: true },
        ...(fan ? [0, 1, 2, 3, 4].map((i) => ({ label: String(i), color: i === 2 ? "ours" : null, width: i === 2 ? 2.2 : 0, dash: i === 2 ? [6, 4] : undefined, spanGaps: true })) : [])],
      bands: fan ? [[6, 2, "fan-wide"], [5, 3, "fan-narrow"]] : [],
      x: { format: (v) => (time.format ? time.format(v) : String(v)), range: time.end !== null ? [0, 100] : undefined },
      y: { log, floor: 0, format: metric.name === "mqe" ? undefined : share, also: outcome },
      marks: (u) => {
        wentBack(u, data, time);
        if (outcome !== null) level(u, outcome, `final ${show(outcome)}`, "good");
      },
      read: (i) => {
        const to = fan && i !== null ? way[i - seen.length] : null;
        if (i === null || (to && to.x === time.end)) rest();
        else if (to) reading.replaceChildren(`At ${num(to.x)}${time.unit} `, h("strong", {}, show(to.q[2])), `, 90 %: ${show(to.q[0])} to ${show(to.q[4])}`);
        else reading.replaceChildren(`At ${num(x[i])}${time.unit}: `, h("strong", {}, seen[i] === null || seen[i] === undefined ? "undefined" : show(seen[i])));
      },
    };
  }, { sync: "run", label: `${metric.label} over progress with its forecast` });
  element.append(h("div", { class: "legend" }, h("span", {}, h("i", { class: "key ink" }), "seen"), h("span", {}, h("i", { class: "key dash" }), "median"), h("span", {}, h("i", { class: "key narrow" }), "50 %"), h("span", {}, h("i", { class: "key wide" }), "90 % of what is to come")));
  return { element, update() { rest(); drawn.redraw(); }, destroy: () => drawn.destroy() };
}

function movedPanel(now) {
  const views = [["quality", "Quality score"], ["final_mqe", "mqe"], ["final_topographic_error", "Topographic"], ["final_dead_neuron_ratio", "Dead"]];
  let view = "quality";
  const { element, chart, reading } = panel("How the forecast moved", null, segmented("Target", views, view, (v) => { view = v; update(); }));
  const drawn = new Chart(chart, () => {
    const data = now(), { track, run } = data, time = clock(data);
    const kept = track.epochs.map((_, i) => i).filter((i) => track[view][i] !== null);
    if (!kept.length) return null;
    const x = kept.map((i) => time.of(track.epochs[i]));
    const columns = [0, 1, 2, 3, 4].map((level) => kept.map((i) => track[view][i][level]));
    // A checkpoint decided twice (a person overruled) keeps its last forecast.
    const once = x.map((v, i) => x.indexOf(v, i + 1) < 0);
    const pick = (list) => list.filter((_, i) => once[i]);
    const [px, ...pc] = [x, ...columns].map(pick);
    const s = spread(pc[2]);
    const end = run.state === "finished" && run.final && !run.final.censored && view !== "quality" ? run.final[view] : null;
    return {
      data: [px, ...pc],
      series: [0, 1, 2, 3, 4].map((i) => ({ label: String(i), color: i === 2 ? "ours" : null, width: i === 2 ? 2.2 : 0, points: i === 2 && px.length < 40 ? 5 : 0 })),
      bands: [[5, 1, "fan-wide"], [4, 2, "fan-narrow"]],
      x: { format: (v) => (time.format ? time.format(v) : String(v)), range: time.end !== null ? [0, 100] : undefined },
      y: { log: s.log, floor: 0, also: end },
      marks: (u) => {
        wentBack(u, data, time);
        if (end !== null && end !== undefined) level(u, end, `ended at ${num(end)}`, "good");
      },
      read: (i) => (i === null ? rest() : reading.replaceChildren(`At ${num(px[i])}${time.unit}: `, h("strong", {}, quantiles(pc.map((c) => c[i]))))),
    };
  }, { sync: "run", label: "Forecast of the final value at each decision" });
  const rest = () => reading.replaceChildren("The forecast of the final value, as each checkpoint came. It should narrow, and settle.");
  const update = () => { rest(); drawn.redraw(); };
  return { element, update, destroy: () => drawn.destroy() };
}

function schedulePanel(now) {
  const { element, chart, reading } = panel("Learning rate and radius", "solid: reported, dashed: planned");
  const drawn = new Chart(chart, () => {
    const data = now(), { history } = data, time = clock(data), plan = history.context.schedule;
    const has = (name) => history[name]?.some((v) => v !== null) || plan?.[name];
    if (!has("learning_rate") && !has("radius")) return null;
    const planned = plan && time.end !== null ? plan.progress.map((p) => 100 * p) : [];
    const x = [...new Set([...time.x, ...planned])].sort((a, b) => a - b);
    const column = (xs, values) => x.map((v) => { const at = xs.indexOf(v); return at < 0 ? null : (values?.[at] ?? null); });
    const series = [], columns = [];
    for (const [name, color, scale] of [["learning_rate", "ours", "y"], ["radius", "s2", "y2"]]) {
      columns.push(column(time.x, history[name]), column(planned, plan?.[name]));
      series.push({ label: name, color, width: 2.2, scale, spanGaps: true, points: time.x.length < 60 ? 4 : 0 }, { label: name, color, width: 1.3, dash: [5, 4], scale, spanGaps: true });
    }
    return {
      data: [x, ...columns], series,
      x: { format: (v) => (time.format ? time.format(v) : String(v)), range: time.end !== null ? [0, 100] : undefined },
      y: { floor: 0 }, y2: { floor: 0 },
      read: (i) => (i === null ? rest() : reading.replaceChildren(`At ${num(x[i])}${time.unit}: learning rate `, h("strong", {}, num(columns[0][i] ?? columns[1][i])), ", radius ", h("strong", {}, num(columns[2][i] ?? columns[3][i])), " grid units")),
    };
  }, { sync: "run", label: "Learning rate and radius over progress" });
  const rest = () => {
    const { history } = now();
    if (!history.learning_rate && !history.radius) reading.textContent = "Neither was reported.";
    else reading.replaceChildren("Now: learning rate ", h("strong", {}, num(history.learning_rate?.at(-1))), ", radius ", h("strong", {}, num(history.radius?.at(-1))), " grid units");
  };
  element.append(h("div", { class: "legend" }, h("span", {}, h("i", { class: "key" }), "learning rate (left)"), h("span", {}, h("i", { class: "key too" }), "radius, grid units (right)")));
  return { element, update() { rest(); drawn.redraw(); }, destroy: () => drawn.destroy() };
}

function listed({ run, track, decision }, path) {
  const time = (e) => (run.total_epochs ? percent(e / run.total_epochs, 1) : count(e));
  const rows = track.epochs.flatMap((epoch, i) => {
    const back = run.rewinds.flatMap((rewind, k) => ((track.epochs[i - 1] ?? -1) < rewind.epoch && rewind.epoch <= epoch ? [h("tr", {}, h("td", {}, time(rewind.epoch)),
      h("td", { class: "act abstain" }, `Attempt ${count(k + 2)}`), h("td", {}, `The run went back to its map of before, ${moment(rewind.at)}: what it had told from here on is left behind.`), h("td", { class: "wide", colspan: 4 }))] : []));
    const last = i === track.epochs.length - 1;
    const words = h("span", {}, last && decision ? plainly(decision.message) : sentence(track.reason[i]));
    return [...back, h("tr", {},
      h("td", {}, time(epoch)), h("td", { class: `act ${track.action[i]}` }, ACTION[track.action[i]] ?? track.action[i]), h("td", {}, words),
      h("td", { class: "num wide" }, percent(track.p_good[i])), h("td", { class: "num wide" }, num(track.quality[i]?.[2])), h("td", { class: "num wide" }, percent(track.support[i])),
      h("td", { class: "wide" }, h("button", { type: "button", class: "quiet small", "aria-label": `Inputs of the decision at ${time(epoch)}`, onclick: async () => {
        const found = await get(`${path}/decisions/${epoch}`);
        words.textContent = plainly(found.decision.message);
        save(`${run.run_id}-${epoch}.json`, JSON.stringify(found, null, 2), "application/json");
      } }, "Inputs")))];
  });
  rows.reverse();
  return [
    h("header", {}, h("h2", { id: "decisions-title" }, "Decisions"), h("span", { class: "muted small" }, "newest first; “Inputs” downloads all that one rested on, to replay it")),
    h("div", { class: "decisions", tabindex: 0, role: "region", "aria-label": "Decisions" }, h("table", { class: "plain" },
      h("thead", {}, h("tr", {}, ["At", "Decision", "Why"].map((t) => h("th", { scope: "col" }, t)), ["P(good)", "Quality", "Support"].map((t) => h("th", { scope: "col", class: "num wide" }, t)), h("th", { scope: "col", class: "wide" }, h("span", { class: "visually-hidden" }, "Inputs")))),
      h("tbody", {}, rows.slice(0, 300)))),
    rows.length > 300 ? h("p", { class: "muted small" }, `The latest 300 of ${count(rows.length)}; the downloads hold all.`) : "",
  ];
}

const sentence = (word) => {
  const text = reason(word);
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
};

// What its people say of it: settings, tags, notes.
function saidOfIt({ config, tags, notes }) {
  const facts = Object.entries(config ?? {}).map(([name, value]) => [name, typeof value === "number" && !Number.isInteger(value) ? tick(value) : String(value)]);
  if (tags?.length) facts.push(["Tags", tags.map((tag) => [h("span", { class: "tag" }, tag), " "])]);
  if (!facts.length && !notes) return [];
  return [h("h2", {}, "What was said of the run"), facts.length ? h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))) : "",
    notes ? h("p", { class: "notes" }, notes) : ""];
}

function basis({ run, history, decision }) {
  const c = history.context, p = decision?.policy;
  const facts = [
    ["Dataset", run.dataset ?? "not named"], ["Map", c.map_rows ? `${count(c.map_rows)} × ${count(c.map_cols)}${c.topology ? `, ${c.topology}` : ""}` : "not told"],
    ["Data", c.n_samples ? `${count(c.n_samples)} samples, ${count(c.n_features)} features` : "not told"], ["Neighbourhood", c.neighborhood ?? "not told"], ["Initialization", c.initialization ?? "not told"],
    ["mqe of the mean", num(c.mqe_of_mean)], ["Batch size", count(c.batch_size)], ["Planned updates", count(c.total_updates)], ["Started", moment(run.created_at)], ["Ended", run.ended_at ? moment(run.ended_at) : "not yet"],
  ];
  if (p) facts.push(["Policy in force", p.name === "threshold" ? `threshold: stop above ${num(p.threshold)}` : `${p.name}: stop below ${percent(p.risk)} risk, after ${percent(p.min_progress)} of the budget, patience ${p.patience}`]);
  return [h("h2", {}, "What is known of the run"), h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", { class: name.startsWith("Policy") ? "broad" : null }, h("dt", {}, name), h("dd", {}, value))))];
}
