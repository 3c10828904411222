// One run: what was seen, where it is heading and how sure that is, and every decision with its reason.

import { get, post, renew } from "../data/api.js";
import { overviewAt } from "../data/address.js";
import { h, named, skeleton, state, toast } from "../words/dom.js";
import { csv, save } from "../charts/download.js";
import { ago, count, percent } from "../words/format.js";
import { isWaiting, overrule } from "../panels/overrule.js";
import { chancePanel, metricPanel, movedPanel, schedulePanel } from "./run-charts.js";
import { againstBest, basis, listed, said, saidOfIt, why } from "./run-words.js";
import { METRICS, STATE, standing, unitOf } from "../words/words.js";

const AGAIN_MS = 250;

export function run(root, parameters, store) {
  const id = parameters.get("run");
  const path = `v1/runs/${encodeURIComponent(id)}`;
  let detail = null, parts = null, gone = false, timer = 0, over = false, asked = false;
  root.replaceChildren(h("div", { class: "stack", "aria-busy": "true" }, h("p", { class: "visually-hidden" }, "Loading the run"), skeleton(64), skeleton(120),
    h("div", { class: "grid charts" }, skeleton(280), skeleton(280), skeleton(280))));

  async function load() {
    timer = 0;
    try {
      const found = await get(path);
      if (over) return;
      detail = { ...found, band: detail?.band ?? null, control: detail?.control ?? null };
      gone = false;
      parts ??= build();
      parts.update();
      around();
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

  const back = () => h("p", { style: { marginTop: "14px" } }, h("a", { href: overviewAt() }, "To the overview"));

  function deleted() {
    if (gone) return;
    gone = true;
    parts?.destroy();
    parts = null;
    root.replaceChildren(state("This run was deleted", `Everything stored about ${id} was deleted while you had it open.`, h("div", { class: "actions" },
      detail ? h("button", { onclick: () => save(`${id}.json`, JSON.stringify(detail, null, 2), "application/json") }, "Download what was shown") : null), back()));
  }

  // What the run is seen against: its search, the course of the others, the verdict on a control.
  async function around() {
    const { run } = detail, name = run.population;
    if (name === null || asked) return;
    asked = true;
    if (store.population !== name) store.load(name);
    const address = `v1/populations/${encodeURIComponent(name)}`;
    try {
      const band = await renew(`${address}/band`);
      if (over || !detail) return;
      detail.band = band;
      if (run.control && run.state === "finished") {
        const audit = await renew(`${address}/audit`);
        if (over || !detail) return;
        detail.control = audit.controls.find((one) => one.run_id === id) ?? null;
      }
      parts?.update();
    } catch { /* the run is shown without them */ }
  }

  const say = (to) => overrule([id], to, () => {
    if (over || !detail) return;
    parts?.update();
    if (!isWaiting(id)) load();
  });

  async function explain(button, box) {
    button.disabled = true;
    try {
      box.replaceChildren(...why(await post("v1/explain", detail.history)));
      button.remove();
    } catch (problem) {
      toast(problem.message);
      button.disabled = false;
    }
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
    const keep = h("button", { type: "button", id: "keep", onclick: () => say("keep") }, "Keep");
    const stop = h("button", { type: "button", id: "stop", class: "danger", onclick: () => say("stop") }, "Stop");
    const policy = h("button", { type: "button", id: "policy", title: "Give the run back to its policy", onclick: () => say(null) }, "Back to policy");
    const reasons = h("div"), ask = h("button", { type: "button", id: "explain", onclick: () => explain(ask, reasons) }, "Why this forecast?");
    const explained = h("div", { class: "why-box" }, ask, reasons), opened = new Set();
    const menu = h("div", { hidden: true },
      h("button", { type: "button", id: "json", onclick: () => save(`${id}.json`, JSON.stringify({ ...detail, band: undefined, control: undefined }, null, 2), "application/json") }, "JSON, everything"),
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
    const schedule = schedulePanel(() => detail), chance = chancePanel(() => detail);
    const decisions = h("section", { class: "panel", "aria-labelledby": "decisions-title" });
    const facts = h("section", { class: "panel" }), told = h("section", { class: "panel", id: "told" }), best = h("section", { class: "panel", id: "against-best", hidden: true });
    root.replaceChildren(
      h("p", { class: "small" }, h("a", { href: overviewAt() }, "Overview"), h("span", { class: "muted" }, " / run")),
      h("div", { class: "head" }, h("div", { class: "grow" }, h("h1", {}, id, marks), sub),
        h("div", { class: "actions" }, keep, stop, policy, h("button", { type: "button", onclick: share }, "Copy link"), holder)),
      h("div", { class: "stack" }, verdict, h("div", { class: "grid charts" }, charts.map((c) => c.element)),
        h("div", { class: "grid two" }, chance.element, moved.element), h("div", { class: "grid two" }, schedule.element, best), decisions, told, facts));
    return {
      update() {
        const { run } = detail;
        const name = run.population;
        sub.replaceChildren(...(run.name && run.name !== id ? ["“", named(run.name), "”, "] : []), STATE[standing(run)], run.progress === null ? `, epoch ${count(run.epoch)}` : `, ${percent(run.progress)} of ${count(run.total_epochs)} ${unitOf(run, detail.history.context.total_updates)}`,
          `, ${count(run.n_checkpoints)} checkpoint${run.n_checkpoints === 1 ? "" : "s"}, last heard ${ago(run.updated_at)}`, ...(run.rewinds.length ? [`, attempt ${count(run.rewinds.length + 1)}`] : []), ...(name ? [", population ", h("a", { href: `#/?population=${encodeURIComponent(name)}` }, named(name))] : []));
        marks.replaceChildren(...[run.override === "keep" && h("span", { class: "tag kept" }, "kept"), (isWaiting(id) || (run.override === "stop" && run.state === "running")) && h("span", { class: "tag stop" }, "stopping"), run.control && h("span", { class: "tag" }, "control")].filter(Boolean));
        const ended = run.state === "finished";
        keep.disabled = ended || run.override === "keep";
        stop.disabled = ended || run.state === "stopped" || run.override === "stop" || isWaiting(id);
        policy.hidden = ended || run.override === null;
        explained.hidden = !detail.decision?.forecast;
        verdict.replaceChildren(...said(detail, store, explained));
        charts.forEach((c) => c.update());
        moved.update();
        schedule.update();
        chance.update();
        decisions.replaceChildren(...listed(detail, path, opened));
        this.search();
        told.replaceChildren(...saidOfIt(run));
        told.hidden = !told.hasChildNodes();
        facts.replaceChildren(...basis(detail));
      },
      // What follows from the other runs of the search.
      search() {
        best.replaceChildren(...againstBest(detail.run, store));
        best.hidden = !best.hasChildNodes();
      },
      retell: () => verdict.replaceChildren(...said(detail, store, explained)),
      keep, stop, policy,
      destroy() {
        [...charts, moved, schedule, chance].forEach((c) => c.destroy());
      },
    };
  }

  load();
  const heard = store.subscribe(() => {
    if (!detail || !parts || store.loading) return;
    parts.search();
    if (detail.run.state === "finished") parts.retell();
  });
  return {
    title: id,
    event({ kind, run: about }) {
      if (kind !== "gap" && about.run_id !== id) return;
      if (kind === "deleted") deleted();
      else if (!gone || kind !== "gap") timer ||= setTimeout(load, AGAIN_MS);
    },
    key(event) {
      const button = parts?.[{ k: "keep", s: "stop", u: "policy" }[event.key]];
      if (button && !button.disabled && !button.hidden) button.click();
      return Boolean(button);
    },
    navigate(next) {
      return next.get("run") === id;
    },
    destroy() {
      over = true;
      heard();
      clearTimeout(timer);
      parts?.destroy();
    },
  };
}
