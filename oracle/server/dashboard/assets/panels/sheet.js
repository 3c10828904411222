// A run at the side of the table: what it is, what was said of it, and a word to it; j and k walk on.

import { note } from "../data/address.js";
import { get, post } from "../data/api.js";
import { h, named, put, toast } from "../words/dom.js";
import { ago, num, percent, setTo } from "../words/format.js";
import { prose } from "../words/prose.js";
import { ACTION, STATE, label, reason, standing } from "../words/words.js";
import { isWaiting, overrule } from "./overrule.js";

export const PIN = "pinned";
export const isPinned = (run) => (run.tags ?? []).includes(PIN);

// order(): ids in the order of the table
export function runSheet(store, shared, order) {
  let id = null, detail = null, writing = false, pending = null, area = null, kept = null;
  const body = h("div", { class: "sheet-body" });
  const element = h("aside", { class: "sheet", hidden: true, tabindex: -1, "aria-label": "Run" }, body);
  document.body.append(element);

  // What is being written is of the run that was open: a field that goes with the focus says so only in
  // the midst of what is drawn of the next.
  const leave = () => { if (element.contains(document.activeElement)) document.activeElement.blur(); };

  function open(wanted) {
    if (!store.runs.has(wanted)) {
      location.hash = `#/run/${encodeURIComponent(wanted)}`;
      return;
    }
    leave();
    id = wanted;
    detail = pending = area = null;
    writing = false;
    element.hidden = false;
    note({ run: id });
    shared.point(id);
    show();
    const mine = id;
    get(`v1/runs/${encodeURIComponent(id)}`).then((found) => {
      if (mine !== id) return;
      detail = found;
      show();
    }).catch((problem) => { if (problem.code === undefined) throw problem; });
  }
  function close() {
    if (id === null) return;
    leave();
    const shown = id;
    id = null;
    element.hidden = true;
    note({ run: null });
    shared.point(null);
    document.querySelector(`tr[data-run="${CSS.escape(shown)}"] a`)?.focus({ preventScroll: true });
  }
  function step(by) {
    const ids = order(), at = ids.indexOf(id ?? document.activeElement?.closest?.("tr[data-run]")?.dataset.run);
    const next = ids[Math.max(0, Math.min(ids.length - 1, at < 0 ? 0 : at + by))];
    if (next && next !== id) open(next);
  }

  // A word to the run that is open; its answer comes as an event, too.
  async function say(path, what, done) {
    try {
      await post(`v1/runs/${encodeURIComponent(id)}/${path}`, what);
      if (done) toast(done);
    } catch (problem) {
      toast(problem.message);
    }
  }
  const tell = (to) => overrule([id], to, () => { if (id !== null) show(); });
  const stop = () => tell("stop"), keep = () => tell("keep"), undo = () => tell(null);
  function pin() {
    const run = store.runs.get(id), tags = run.tags ?? [];
    return about({ tags: isPinned(run) ? tags.filter((t) => t !== PIN) : [...tags, PIN] }, isPinned(run) ? "No longer pinned" : "Pinned: it stays in sight with the filter “pinned”");
  }
  const about = (changes, done) => say("about", changes, done);

  function show() {
    const run = store.runs.get(id);
    if (!run) {
      if (id !== null) close();
      return;
    }
    if (writing) return;
    const q = store.qualityOf(run), best = shared.course.best?.run, live = run.state === "running";
    const places = shared.course.ended.filter((one) => one.values).sort((a, b) => a.values[2] - b.values[2]);
    const place = places.findIndex((one) => one.run.run_id === id) + 1;
    const facts = [["Quality score", q ? (q[0] === q[4] ? num(q[2]) : `${num(q[2])} (90 %: ${num(q[0])} to ${num(q[4])})`) : "–"], ["Place", place ? `${place} of ${places.length} ended` : "–"],
      ["Seen", percent(run.progress)], ["P(good)", live || run.state === "stopped" ? percent(run.p_good) : "–"], ["mqe now", num(run.mqe)], ["Topographic error", percent(run.topographic_error, 1)], ["Dead neurons", percent(run.dead_neuron_ratio, 1)], ["Last heard", ago(run.updated_at)]];
    const valueOf = (name) => run.settings?.[name] ?? null;
    const names = Object.keys(run.settings ?? {}).filter((name) => !best || best === run || String(best.settings?.[name]) !== String(valueOf(name)));
    const tags = (run.tags ?? []).filter((t) => t !== PIN);
    put(body,
      h("header", {}, h("h2", {}, h("a", { href: `#/run/${encodeURIComponent(id)}` }, named(run.name ?? id))), h("button", { type: "button", class: "quiet small", "aria-label": "Close", title: "Close (Esc)", onclick: close }, "Close")),
      h("p", { class: "chip" }, h("i", { class: `dot ${standing(run)}` }), STATE[standing(run)], run.control ? h("span", { class: "tag" }, "control") : null, run.override ? h("span", { class: `tag ${run.override === "keep" ? "kept" : "stop"}` }, run.override === "keep" ? "kept" : "stopped by a person") : null),
      h("p", { class: "muted small" }, prose(run.ending ?? detail?.run.ending ?? detail?.run.message ?? run.message ?? `${ACTION[run.action] ?? ""} ${reason(run.reason)}`)),
      h("dl", { class: "facts" }, facts.map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text)))),
      h("div", { class: "actions" }, live ? [h("button", { type: "button", class: "small danger", disabled: run.override === "stop" || isWaiting(id), title: "s", onclick: stop }, "Stop"), h("button", { type: "button", class: "small", disabled: run.override === "keep", onclick: keep }, "Keep")] : null,
        live && (run.override || isWaiting(id)) ? h("button", { type: "button", class: "small", title: "u", onclick: undo }, "Undo") : null,
        h("button", { type: "button", class: "small", "aria-pressed": String(isPinned(run)), title: "p", onclick: pin }, isPinned(run) ? "Pinned" : "Pin")),
      h("h3", {}, best && best !== run ? "What differs from the best" : "Settings"),
      names.length ? h("table", { class: "plain small" }, h("thead", { class: best && best !== run ? "" : "visually-hidden" }, h("tr", {}, h("th", { scope: "col" }, "Setting"), h("th", { scope: "col" }, "here"), best && best !== run ? h("th", { scope: "col" }, "best") : null)),
        h("tbody", {}, names.slice(0, 60).map((name) => h("tr", {}, h("th", { scope: "row" }, named(label(name))), h("td", {}, named(setTo(valueOf(name)))), best && best !== run ? h("td", { class: "muted" }, named(setTo(best.settings?.[name]))) : null)))) : h("p", { class: "muted small" }, "None is known."),
      h("h3", {}, "Tags"),
      h("div", { class: "tags" }, tags.map((tag) => h("span", { class: "tag" }, named(tag), h("button", { type: "button", class: "link", "aria-label": `Remove tag ${tag}`, onclick: () => about({ tags: (run.tags ?? []).filter((t) => t !== tag) }) }, "×"))),
        h("form", { class: "inline", onsubmit: (event) => { event.preventDefault(); const word = event.target.elements[0].value.trim(); if (word) about({ tags: [...new Set([...(run.tags ?? []), word])] }); event.target.elements[0].blur(); writing = false; } },
          h("input", { type: "text", maxlength: 200, "aria-label": "New tag", placeholder: "New tag", onfocus: () => { writing = true; }, onblur: () => { writing = false; } }))),
      h("h3", {}, "Note"), notes(detail?.run.notes ?? run.notes));
  }

  // One field as long as a run is open: what is drawn anew around it takes nothing from who writes.
  function notes(text) {
    area ??= h("textarea", { dir: "auto", rows: 4, maxlength: 10_000, "aria-label": "Note", id: "sheet-note", placeholder: "What is worth remembering of this run", onfocus: () => { writing = true; }, onblur: (event) => {
      writing = false;
      const now = event.target.value.trim() || null;
      if (now === kept) return;
      kept = now;
      if (detail) detail.run.notes = now;
      about({ notes: now }, "Note kept");
    } });
    kept = text ?? null;
    if (!writing) area.value = text ?? "";
    return area;
  }

  return {
    open, close,
    get shown() { return id; },
    update() {
      if (pending !== null && store.runs.has(pending)) open(pending);
      else if (id !== null) show();
    },
    read(said) {
      const wanted = said.get("run");
      if (wanted && !store.runs.has(wanted)) pending = wanted; // it may come yet
      else if (wanted && wanted !== id) open(wanted);
      else if (!wanted && id !== null) close();
    },
    key(event) {
      if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
      else if (id === null) return false;
      else if (event.key === "Escape") close();
      else if (event.key === "Enter" && !event.target.closest("a, button")) location.hash = `#/run/${encodeURIComponent(id)}`;
      else if (event.key === "s" && store.runs.get(id)?.state === "running") stop();
      else if (event.key === "u") undo();
      else if (event.key === "p") pin();
      else if (event.key === "n") element.querySelector("#sheet-note")?.focus();
      else return false;
      return true;
    },
    destroy() {
      leave();
      element.remove();
    },
  };
}
