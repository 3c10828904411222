// What is said of one run: how it stands or ended, what was decided and why, what is known of it.

import { get } from "../data/api.js";
import { quantiles } from "../charts/chart.js";
import { h, named, within } from "../words/dom.js";
import { save } from "../charts/download.js";
import { NONE, ago, count, moment, num, ordinal, percent, tick } from "../words/format.js";
import { ACTION, chanceOf, label, plainly, reason, short, standing, toldAt, unitOf, wentOn } from "../words/words.js";

const GROUPED = 3; // so many decisions of one kind stand in one row

// Place of a finished run among those of its search that finished, where their scores are known.
function place(run, store) {
  if (run.state !== "finished" || store.population !== run.population) return null;
  const score = (one) => (one.state === "finished" && one.final && !one.final.censored ? store.qualityOf(one)?.[2] : null);
  const mine = score(run), all = [...store.runs.values()].map(score).filter(Number.isFinite);
  return Number.isFinite(mine) && all.length ? { score: mine, rank: 1 + all.filter((one) => one < mine).length, of: all.length } : null;
}

// What the oracle had said when about a tenth of the run was seen, and whether it held.
function before({ run, track }, score) {
  const share = (i) => (run.total_epochs ? track.epochs[i] / run.total_epochs : 0);
  const known = track.epochs.map((_, i) => i).filter((i) => track.quality[i] && share(i) < 0.9);
  const i = known.find((k) => share(k) >= 0.08) ?? known[0];
  if (i === undefined) return "";
  const q = track.quality[i], at = run.total_epochs ? percent(share(i)) : count(track.epochs[i]);
  return `At ${at} the oracle said ${num(q[0])} to ${num(q[4])} (90 %): ${score >= q[0] && score <= q[4] ? "so it came" : score < q[0] ? "it came better" : "it came worse"}.`;
}

// What a control tells of its stop.
function verdictOf(control) {
  if (!control) return "";
  const told = control.told_at === null ? "It would have been stopped" : `It would have been stopped at ${percent(control.told_at)}`;
  const ended = control.rank === null ? "" : `; it ended ${ordinal(control.rank)} of ${count(control.of)}`;
  return `${told}, and ran on as a control${ended}: the stop would have been ${control.good ? "wrong" : "right"}.`;
}

function headline(detail, store) {
  const { run, decision } = detail, by = run.override_by ? [" (", named(run.override_by), `, ${ago(run.override_at)})`] : run.override_at ? [` (${ago(run.override_at)})`] : [];
  const found = place(run, store), state = standing(run);
  if (state === "finished") return { word: found ? `Ended ${ordinal(found.rank)} of ${count(found.of)}` : "Ended", kind: "ended", text: found ? `Quality score ${num(found.score)}. ${before(detail, found.score)}` : "It ran to its end." };
  if (state === "left" || state === "converged") return { word: { left: "Left", converged: "Converged" }[state], kind: "ended", text: found ? `Quality score ${num(found.score)}, ${ordinal(found.rank)} of ${count(found.of)}.` : "" };
  if (wentOn(run)) return { word: "Went on", kind: "stop", text: `It was ${toldAt(run)}, and was told ${count(run.stops)} ${run.stops === 1 ? "time" : "times"}: its caller does not look at what is answered. End the loop where decision.stop is true.` };
  if (run.state === "stopped") return { word: "Stopped", kind: "stop", text: plainly(decision.message) };
  if (run.override === "keep") return { word: "Kept", kind: "continue", text: ["A person keeps this run", ...by, `: the policy does not stop it until it is given back. ${plainly(decision.message)}`] };
  if (run.override === "stop") return { word: "Stopping", kind: "stop", text: ["A person stops this run at its next checkpoint", ...by, "."] };
  return { word: ACTION[decision.action], kind: decision.action, text: plainly(decision.message) };
}

export function said(detail, store, actions) {
  const { run, decision, control } = detail;
  if (!decision) return [h("p", { class: "muted" }, "No decision yet: it comes with the first checkpoint.")];
  const state = standing(run), live = run.state === "running";
  const silent = state === "abandoned" || state === "silent";
  const ending = run.ending ? plainly(run.ending) : silent ? `Last heard ${ago(run.updated_at)}, far longer than from one checkpoint to the next: it ${state === "abandoned" ? "seems to be abandoned" : "is silent"}. Should it report again, it is judged as before.` : null;
  const saved = run.progress === null ? "not known" : `${percent(1 - run.progress)} of the budget`;
  const back = run.override === null && run.override_at ? ["Given back to its policy", ...(run.override_by ? [" by ", named(run.override_by)] : []), `, ${ago(run.override_at)}.`] : null;
  const facts = [
    [live ? chanceOf(decision.policy) : "Chance said last", percent(run.p_good ?? (live ? null : detail.track.p_good.findLast((p) => p !== null)) ?? null).replace(NONE, "not asked")],
    state === "finished" ? null : ["Quality score, forecast", run.quality ? quantiles(run.quality.values) : "none"],
    state === "finished" ? ["Saved", "nothing: it ran to its end"] : run.left ? ["Saved", "nothing: its own loop ended it"] : [live ? "A stop now would save" : "Saved", saved],
    ["Support", run.support === null ? "none" : percent(run.support)],
    ["Policy", decision.policy.name],
    ["Model", decision.model ? `${decision.model.name} ${decision.model.version}` : "none"],
  ].filter(Boolean);
  if (run.final) facts.unshift([run.final.censored ? "Expected end, mqe" : "Ended at mqe", num(run.final.final_mqe)]);
  const { word, kind, text } = headline(detail, store);
  const note = (line, id) => (line ? h("p", { id, style: { marginTop: "6px" } }, line) : "");
  return [
    h("div", { class: "verdict" }, h("span", { class: `word ${kind}` }, word), h("p", {}, text)),
    note(verdictOf(control), "control"), note(ending, "ending"), note(back),
    ...(live ? decision.advice.map((line) => h("p", { class: "muted", style: { marginTop: "6px" } }, plainly(line))) : []),
    h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))), actions,
  ];
}

export function listed({ run, track, decision }, path, open) {
  const time = (e) => (run.total_epochs ? percent(e / run.total_epochs, 1) : count(e));
  const rows = track.epochs.flatMap((epoch, i) => {
    const back = run.rewinds.flatMap((rewind, k) => ((track.epochs[i - 1] ?? -1) < rewind.epoch && rewind.epoch <= epoch ? [h("tr", {}, h("td", {}, time(rewind.epoch)),
      h("td", { class: "act abstain" }, `Attempt ${count(k + 2)}`), h("td", {}, `The run went back to its map of before, ${moment(rewind.at)}: what it had told from here on is left behind.`), h("td", { class: "wide", colspan: 4 }))] : []));
    const last = i === track.epochs.length - 1;
    const words = h("span", {}, last && decision ? plainly(decision.message) : sentence(track.reason[i]));
    return [...back, h("tr", { "data-kind": `${track.action[i]} ${track.reason[i]}`, "data-at": time(epoch), "data-word": short(track.reason[i]) },
      h("td", {}, time(epoch)), h("td", { class: `act ${track.action[i]}` }, ACTION[track.action[i]] ?? track.action[i]), h("td", {}, words),
      h("td", { class: "num wide" }, percent(track.p_good[i])), h("td", { class: "num wide" }, num(track.quality[i]?.[2])), h("td", { class: "num wide" }, percent(track.support[i])),
      h("td", { class: "wide" }, h("button", { type: "button", class: "quiet small", "aria-label": `Inputs of the decision at ${time(epoch)}`, onclick: async () => {
        const found = await get(`${path}/decisions/${epoch}`);
        words.textContent = plainly(found.decision.message);
        save(`${run.run_id}-${epoch}.json`, JSON.stringify(found, null, 2), "application/json");
      } }, "Inputs")))];
  });
  rows.reverse();
  const found = grouped(rows, open);
  return [
    h("header", {}, h("h2", { id: "decisions-title" }, "Decisions"), h("span", { class: "muted small" }, "newest first; “Inputs” downloads all that one rested on, to replay it")),
    h("div", { class: "decisions", tabindex: 0, role: "region", "aria-label": "Decisions" }, h("table", { class: "plain" },
      h("thead", {}, h("tr", {}, ["At", "Decision", "Why"].map((t) => h("th", { scope: "col" }, t)), ["P(good)", "Quality", "Support"].map((t) => h("th", { scope: "col", class: "num wide" }, t)), h("th", { scope: "col", class: "wide" }, h("span", { class: "visually-hidden" }, "Inputs")))),
      h("tbody", {}, found.slice(0, 300)))),
    found.length > 300 ? h("p", { class: "muted small" }, `The latest 300 of ${count(found.length)}; the downloads hold all.`) : "",
  ];
}

// Decisions of one kind that follow each other stand in one row, which opens: newest first.
function grouped(rows, open) {
  const found = [];
  for (let i = 0; i < rows.length;) {
    const kind = rows[i].dataset.kind;
    let end = i + 1;
    while (kind && end < rows.length && rows[end].dataset.kind === kind) end += 1;
    const group = rows.slice(i, end);
    if (i === 0) found.push(group.shift()); // the latest is always there to be read
    if (group.length < GROUPED) found.push(...group);
    else {
      const first = group.at(-1).dataset, last = group[0].dataset, key = `${kind} ${first.at}`;
      const button = h("button", { type: "button", class: "quiet small", "aria-expanded": String(open.has(key)), onclick: () => {
        const on = !open.has(key);
        if (on) open.add(key);
        else open.delete(key);
        button.setAttribute("aria-expanded", String(on));
        group.forEach((row) => { row.hidden = !on; });
      } }, `${count(group.length)} times ${first.word}, ${first.at} to ${last.at}`);
      group.forEach((row) => { row.hidden = !open.has(key); });
      found.push(h("tr", { class: "group" }, h("td", {}), h("td", { class: `act ${kind.split(" ")[0]}` }, ACTION[kind.split(" ")[0]] ?? ""), h("td", { colspan: 5 }, button)), ...group);
    }
    i = end;
  }
  return found;
}

const sentence = (word) => {
  const text = reason(word);
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
};

// What its people say of it: settings, tags, notes.
export function saidOfIt({ config, tags, notes }) {
  const facts = Object.entries(config ?? {}).map(([name, value]) => [name, typeof value === "number" && !Number.isInteger(value) ? tick(value) : String(value)]);
  if (tags?.length) facts.push(["Tags", tags.map((tag) => [h("span", { class: "tag" }, named(tag)), " "])]);
  if (!facts.length && !notes) return [];
  return [h("h2", {}, "What was said of the run"), facts.length ? h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", { dir: "auto" }, name), h("dd", { dir: "auto" }, value)))) : "",
    notes ? h("p", { class: "notes", dir: "auto" }, notes) : ""];
}

export function basis({ run, history, decision }) {
  const c = history.context, p = decision?.policy;
  const facts = [
    ["Dataset", run.dataset === null ? "not named" : named(run.dataset)], ["Map", c.map_rows ? `${count(c.map_rows)} × ${count(c.map_cols)}${c.topology ? `, ${c.topology}` : ""}` : "not told"],
    ["Data", c.n_samples ? `${count(c.n_samples)} samples, ${count(c.n_features)} features` : "not told"], ["Neighbourhood", c.neighborhood ?? "not told"], ["Initialization", c.initialization ?? "not told"],
    ["mqe of the mean", num(c.mqe_of_mean)], ["Batch size", count(c.batch_size)], ["Planned updates", count(c.total_updates)], ["Budget", run.total_epochs ? `${count(run.total_epochs)} ${unitOf(run, c.total_updates)}` : "not told"], ["Started", moment(run.created_at)], ["Ended", run.ended_at ? moment(run.ended_at) : "not yet"],
  ];
  if (p) facts.push(["Policy in force", p.name === "threshold" ? `threshold: stop above ${num(p.threshold)}` : `${p.name}: stop below ${percent(p.risk, 1).replace(".0 ", " ")} risk${p.ramp > 0 ? ` from ${percent(p.ramp)} of the budget on, in proportion less before` : ""}, after ${percent(p.min_progress)} of the budget, patience ${p.patience}`]);
  return [h("h2", {}, "What is known of the run"), h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", { class: name.startsWith("Policy") ? "broad" : null }, h("dt", {}, name), h("dd", {}, value))))];
}

// Why the forecast is what it is: each part hidden, and the oracle asked again.
export function why(explanation) {
  const parts = [...explanation.parts].sort((a, b) => b.moved - a.moved).slice(0, 10), most = parts[0]?.moved || 1;
  const direction = (part) => (Math.abs(part.shift) < 5e-4 ? "no better or worse" : `${num(Math.abs(part.shift))} ${part.shift < 0 ? "better" : "worse"}`);
  const sure = (part) => (part.width > 0 && Math.abs(part.width - 1) >= 0.02 ? `, ${part.width < 1 ? "surer" : "less sure"} (width × ${num(part.width, 2)})` : "");
  return [h("p", { class: "muted small" }, "Each part hidden, and the oracle asked again: how far its forecast of the quality score moves. Parts that tell the same stand in for each other."),
    h("div", { class: "bars" }, parts.map((part) => [h("span", {}, plainly(part.part)), h("i", { style: { width: `${(100 * part.moved) / most}%` } }), h("span", { class: "muted" }, `made it ${direction(part)}${sure(part)}`)]))];
}

// What differs between this run and the best of its search, of what was set before they began.
export function againstBest(run, store) {
  if (store.population !== run.population) return [];
  const mine = store.runs.get(run.run_id)?.settings;
  let best = null, least = Infinity;
  for (const one of store.runs.values()) {
    const score = one.state === "finished" && one.final && !one.final.censored ? store.qualityOf(one)?.[2] : null;
    if (Number.isFinite(score) && score < least) [best, least] = [one, score];
  }
  if (!best || !mine || !best.settings) return [];
  if (best.run_id === run.run_id) return [h("h2", {}, "Against the best run"), h("p", { class: "muted" }, "This is the best run of its search so far.")];
  const show = (v) => (v === undefined || v === null ? "–" : typeof v === "number" ? (Number.isInteger(v) ? count(v) : tick(Number(v.toPrecision(4)))) : String(v));
  const names = [...new Set([...Object.keys(mine), ...Object.keys(best.settings)])].filter((name) => mine[name] !== best.settings[name]);
  const rows = names.map((name) => h("tr", {}, h("th", { scope: "row" }, within(label(name))), h("td", { class: "num" }, within(show(mine[name]))), h("td", { class: "num" }, within(show(best.settings[name])))));
  return [h("header", {}, h("h2", {}, "Against the best run"), h("span", { class: "muted small" }, "settings that differ")),
    names.length ? h("div", { class: "wide-scroll", tabindex: 0, role: "region", "aria-label": "Against the best run" }, h("table", { class: "plain" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Setting"), h("th", { scope: "col", class: "num" }, "this run"), h("th", { scope: "col", class: "num" }, h("a", { href: `#/run/${encodeURIComponent(best.run_id)}` }, best.run_id), `, ${num(least)}`))), h("tbody", {}, rows)))
      : h("p", { class: "muted" }, "None of the settings that were told differs from those of ", h("a", { href: `#/run/${encodeURIComponent(best.run_id)}` }, best.run_id), ".")];
}
