// Plans that the oracle would train next: forecast for the table of the best run, before any training.

import { get, post } from "../data/api.js";
import { amount, brief, count, num, percent, setTo } from "../words/format.js";
import { h, put } from "../words/dom.js";

const LIBRARIES = ["minisom", "nexussom", "xpysom", "susi"];
const PLANS = 5, CANDIDATES = 1_000;
const TABLE = ["n_samples", "n_features", "mqe_of_mean", "geometry"];

export class Suggested {
  // ranges() = the ranges that are brushed, by setting; copy(text, what)
  constructor(store, shared, ranges, copy) {
    Object.assign(this, { store, shared, ranges, copy, asked: 0 });
    this.library = h("select", { "aria-label": "Library whose parameters are suggested" }, LIBRARIES.map((name) => h("option", { value: name }, name)));
    this.button = h("button", { type: "button", id: "suggest", title: "Forecasts a thousand plans for this table and tells the best; the ranges that are brushed hold", onclick: () => this.#ask() }, "Suggest plans");
    this.found = h("div", { class: "wide-scroll", "aria-live": "polite" });
    this.element = h("div", { class: "suggested" }, h("div", { class: "actions" }, h("h3", {}, "What to train next"), this.library, this.button), this.found);
  }

  async #ask() {
    const best = this.shared.course.best?.run, mine = ++this.asked;
    if (!best) return this.#say("No run has ended yet: its table is not known.");
    this.button.disabled = true;
    this.#say("Forecasting…");
    try {
      const { history } = await get(`v1/runs/${encodeURIComponent(best.run_id)}`), told = history.context ?? {};
      const context = Object.fromEntries(TABLE.filter((name) => told[name] !== undefined && told[name] !== null).map((name) => [name, told[name]]));
      const body = { context, library: this.library.value, ...(told.total_updates ? { budget: told.total_updates } : {}), ...(best.population ? { population: best.population } : {}) };
      const { plans: [one] } = await post("v1/suggest", { ...body, n: 1, candidates: 1 }), known = new Set(Object.keys(one?.parameters ?? {}));
      const space = Object.fromEntries(Object.entries(this.ranges()).filter(([name]) => known.has(name)));
      const answer = await post("v1/suggest", { ...body, space, n: PLANS, candidates: CANDIDATES });
      if (mine === this.asked) this.#show(answer, Object.keys(space));
    } catch (problem) {
      if (problem.code === undefined) throw problem;
      if (mine === this.asked) this.#say(problem.message);
    } finally {
      this.button.disabled = false;
    }
  }

  #say(text) {
    put(this.found, h("p", { class: "muted small" }, text));
  }

  #show({ plans, levels, candidates, refused, unlike, learned, library }, held) {
    if (!plans.length) return this.#say(`None of ${brief(candidates)} plans could be judged: they are unlike any training. ${unlike ?? ""}`);
    const names = Object.keys(plans[0].parameters).filter((name) => plans.some((plan) => plan.parameters[name] !== plans[0].parameters[name]));
    const at = (plan, level) => plan.expected.quality[levels.findIndex((one) => Math.abs(one - level) < 1e-9)];
    put(this.found,
      h("table", { class: "plain" }, h("caption", { class: "visually-hidden" }, "Plans that are suggested"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "num" }, "Quality"), h("th", { scope: "col", class: "num" }, "90 %"), ...names.map((name) => h("th", { scope: "col" }, name)), h("th", { scope: "col", class: "num", title: "Multiplications of its training: sample updates × neurons × features" }, "Cost, multiplications"), h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, "Copy")))),
        h("tbody", {}, plans.map((plan) => h("tr", {}, h("td", { class: "num" }, num(at(plan, 0.5))), h("td", { class: "num muted" }, `${num(at(plan, 0.05))} to ${num(at(plan, 0.95))}`),
          ...names.map((name) => h("td", {}, setTo(plan.parameters[name]))), h("td", { class: "num" }, amount(plan.cost)),
          h("td", {}, h("button", { type: "button", class: "quiet small", title: "Copy the lines that make and train it", onclick: () => this.copy(plan.code, "Code") }, "Copy")))))),
      h("p", { class: "muted small" }, `The best of ${brief(candidates)} plans of ${library} by their forecast; ${percent(refused / candidates)} were unlike any training. In the order of what three in four of their outcomes are below, so that a sure plan stands before a lucky one; the first are unlike each other. `,
        learned ? `Learned of ${count(learned)} runs that ended. ` : "", held.length ? `Within the filter on ${held.join(", ")}.` : "Over the library's whole space: drag on an axis to narrow it."));
  }

  destroy() {
    this.asked = -1;
  }
}
