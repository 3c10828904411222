// Where the runs are heading: two objectives over each other. The axes are in the address.

import { note } from "./address.js";
import { h } from "./dom.js";
import { Scatter } from "./scatter.js";
import { METRICS } from "./words.js";

export function headingPanel(store, parameters) {
  const axes = [METRICS[0], METRICS[1]], box = h("div");
  const scatter = new Scatter(box, (id) => { location.hash = `#/run/${encodeURIComponent(id)}`; });
  const selects = [0, 1].map((i) => h("select", { "aria-label": i ? "Vertical axis" : "Horizontal axis", onchange: (event) => {
    axes[i] = METRICS[event.target.value];
    note({ [i ? "y" : "x"]: axes[i] === METRICS[i] ? null : axes[i].name });
    update();
  } }, METRICS.map((m, j) => h("option", { value: j }, m.label))));
  const element = h("section", { class: "panel", "aria-labelledby": "heading-to" },
    h("header", {}, h("h2", { id: "heading-to" }, "Where the runs are heading"),
      h("div", { class: "end actions" }, selects[0], h("span", { class: "muted small" }, "against"), selects[1])),
    box,
    h("div", { class: "legend" },
      h("span", {}, h("i", { class: "dot" }), "live: forecast, whiskers hold 50 %"), h("span", {}, h("i", { class: "dot finished" }), "finished: value"),
      h("span", {}, h("i", { class: "cross" }), "stopped: last forecast"), h("span", {}, h("i", { class: "key dash" }), "Pareto front")));

  function read(said) {
    ["x", "y"].forEach((name, i) => {
      axes[i] = METRICS.find((m) => m.name === said.get(name)) ?? METRICS[i];
      selects[i].value = METRICS.indexOf(axes[i]);
    });
  }
  function update() {
    scatter.show(store.runs.values(), axes[0], axes[1], store.detail?.mqe_of_mean ?? null);
  }
  read(parameters);
  return { element, read, update, destroy: () => scatter.destroy() };
}
