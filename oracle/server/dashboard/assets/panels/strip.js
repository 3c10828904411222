// The strip, always in sight: when it is over, what was found, what was saved, whether the oracle is
// right and what the stops cost. Each opens its panel. The tab's title and icon follow.

import { colour, h, put } from "../words/dom.js";
import { ago, amount, count, num, percent, plural } from "../words/format.js";
import { anyBeats, isQuiet, timeLeft, worked } from "../data/search.js";

export const WORDS = { "in its promise": ["ok", "●"], "cannot say yet": ["wait", "◌"], "worse than promised": ["bad", "▲"] };

export function stripOf(store, shared) {
  const element = h("section", { class: "strip", "aria-label": "The search at a glance" });
  const cell = (id, name, value, note, to, state = "") => h("button", { type: "button", id: `strip-${id}`, class: `cell ${state}`, "data-to": to },
    h("span", { class: "name" }, name), h("strong", {}, value), h("span", { class: "note" }, note));
  element.addEventListener("click", (event) => {
    const to = event.target.closest("[data-to]")?.dataset.to, panel = to && document.getElementById(to);
    if (!panel) return;
    panel.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    panel.querySelector("h2")?.setAttribute("tabindex", "-1");
    panel.querySelector("h2")?.focus({ preventScroll: true });
  });

  function update() {
    const figures = figuresOf(store, shared);
    put(element, ...figures.cells.map((one) => cell(...one)));
    tab(store, figures);
  }
  return { element, update, destroy: () => { icon(null); } };
}

// What stands in the strip; also for the tests, which make each figure again.
export function figuresOf(store, shared) {
  const { course, audit } = shared, sum = store.summary(), quiet = isQuiet(store.runs.values());
  const left = timeLeft(course, store.planned), hours = worked(course.ended);
  const best = course.best, beats = best ? anyBeats(course.live, best.values[2]) : null;
  const share = sum.planned ? (sum.planned - sum.used) / sum.planned : null;
  const states = `${count(sum.running - sum.silent)} live · ${sum.silent ? `${count(sum.silent)} silent · ` : ""}${count(sum.finished)} finished · ${count(sum.stopped)} stopped`;
  const lost = audit?.lost, certificate = strictest((audit?.proven ?? []).filter((one) => one.holds !== false));
  const over = !sum.running && store.planned && course.ended.length >= store.planned;
  const promise = lossWord(lost, certificate);
  return {
    quiet, sum, best, share, left, hours, beats,
    cells: [
      ["left", "Time left", over ? "done" : quiet ? (sum.running ? "silent" : "no live run") : left === null ? "not known" : duration(left.seconds), over ? plural(course.ended.length, "run")
        : quiet && sum.running ? `nothing heard ${agoOf(store)}; ${states}`
          : store.planned ? `${count(course.ended.length)} of ${count(store.planned)} runs${left && !quiet ? `; ${spanOf(left)}` : ""}` : `${states}; planned size not told`, "best"],
      ["best", "Best", best ? num(best.values[2]) : "–", best ? `${shortName(best.run.run_id)}, ${ago(best.run.ended_at)}${beats === null ? "" : `; a live run beats it: P ${percent(beats)}`}` : "no run has finished", "best"],
      ["saved", "Saved", hours.saved > 0 ? duration(hours.saved, true) : share === null ? "–" : h("span", { id: "saved" }, percent(share)),
        share === null ? "counted once a run has ended" : hours.saved > 0 ? [h("b", { id: "saved" }, percent(share)), ` of the planned epochs; ${duration(hours.used, true)} used`] : `${amount(sum.planned - sum.used)} of ${amount(sum.planned)} epochs`, "best"],
      ["oracle", "Oracle on these runs", audit ? audit.word : "–", !audit ? (store.population === null ? "choose a search" : "…") : audit.pooled.rate === null ? "no run has gone to its end"
        : `90 % held ${percent(audit.pooled.rate)} (${percent(audit.pooled.low)} to ${percent(audit.pooled.high)}) of ${count(audit.pooled.n)}`, "audit", audit ? WORDS[audit.word][0] : ""],
      ["lost", "Good runs lost", lost ? (!lost.stops ? "none stopped" : lost.asked ? `${lostText(lost.expected)} expected` : "not told") : "–", promise, "audit"],
    ],
  };
}

function lossWord(lost, certificate) {
  const proven = certificate ? ` · certified: at most ${percent(certificate.alpha)} of the good` : "";
  if (!lost) return proven.replace(" · ", "");
  const { measured: m } = lost;
  return `of ${plural(lost.stops, "stop")}${lost.stops ? ` (random: ${lostText(lost.by_chance)})` : ""}; controls ${m.n ? `${count(Math.round(m.rate * m.n))} of ${count(m.n)}` : "none ended"}${proven}`;
}

// Of what was proven of the model: the promise to lose least.
const strictest = (certificates) => certificates.reduce((a, b) => (a === null || b.alpha < a.alpha ? b : a), null);

export const lostText = (x) => (x < 10 ? x.toFixed(1) : count(Math.round(x)));
const shortName = (id) => (id.length > 20 ? `…${id.slice(-18)}` : id);
const agoOf = (store) => ago([...store.runs.values()].reduce((a, r) => (r.updated_at > a ? r.updated_at : a), ""));

// 1.4 h, 35 min, 12 s; `work`: of workers, whose hours add up.
export function duration(seconds, work = false) {
  if (!Number.isFinite(seconds)) return "not known";
  const sign = work ? " of work" : "";
  if (seconds < 1) return work ? "< 1 s of work" : "moments";
  if (seconds < 100) return `${Math.round(seconds)} s${sign}`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min${sign}`;
  if (seconds < 172_800) return `${num(seconds / 3_600, 2)} h${sign}`;
  return `${num(seconds / 86_400, 2)} days${sign}`;
}

const spanOf = ({ low, high }) => (Number.isFinite(high) ? `${duration(low)} to ${duration(high)}` : `at least ${duration(low)}`);

// The tab: what goes on, the best, what was saved; its icon a ring that fills.
function tab(store, { sum, best, share, quiet, left }) {
  const name = store.population ?? "All runs";
  const parts = [sum.running && !quiet ? `◐ ${count(sum.running)} live` : "○", best && num(best.values[2]), share !== null && percent(share)].filter(Boolean);
  document.title = `${parts.join(" · ")} · ${name}`;
  const done = store.planned && left ? 1 - left.left / store.planned : sum.running ? 0.35 : 1;
  icon({ done, live: sum.running > 0 && !quiet, word: store.problem ? "bad" : "" });
}

let drawn = "";
const own = document.querySelector('link[rel="icon"]')?.href;
function icon(state) {
  const link = document.querySelector('link[rel="icon"]');
  if (!link) return;
  const key = JSON.stringify(state && { ...state, done: Math.round(state.done * 16) });
  if (drawn === key) return;
  drawn = key;
  if (!state) {
    link.href = own;
    return;
  }
  const long = 2 * Math.PI * 11, tone = (state.word ? colour("bad") : state.live ? colour("ours") : colour("good")) || "#1f4e8c";
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="11" fill="none" stroke="#b9c3cd" stroke-width="6"/><circle cx="16" cy="16" r="11" fill="none" stroke="${tone}" stroke-width="6" stroke-dasharray="${state.done * long} ${long}" transform="rotate(-90 16 16)"/>${state.live ? `<circle cx="16" cy="16" r="4" fill="${tone}"/>` : ""}</svg>`;
  link.href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

