// Where the runs are heading: two objectives over each other. The axes are in the address.

import { note } from "../data/address.js";
import { h, named } from "../words/dom.js";
import { figureMenu } from "../charts/figure.js";
import { Scatter } from "../charts/scatter.js";
import { METRICS } from "../words/words.js";

export function headingPanel(store, parameters) {
  const axes = [METRICS[0], METRICS[1]], box = h("div");
  const scatter = new Scatter(box, (id) => { location.hash = `#/run/${encodeURIComponent(id)}`; });
  const selects = [0, 1].map((i) => h("select", { "aria-label": i ? "Vertical axis" : "Horizontal axis", onchange: (event) => {
    const other = axes[1 - i];
    axes[i] = METRICS[event.target.value];
    if (other === axes[i]) axes[1 - i] = METRICS.find((m) => m !== axes[i]); // one metric against itself says nothing
    selects.forEach((select, j) => { select.value = METRICS.indexOf(axes[j]); });
    note(Object.fromEntries(["x", "y"].map((name, j) => [name, axes[j] === METRICS[j] ? null : axes[j].name])));
    update();
  } }, METRICS.map((m, j) => h("option", { value: j }, m.label))));
  const several = h("p", { class: "muted", hidden: true });
  const lines = h("span", {}, h("i", { class: "key dots" }), "equal quality score, the third metric at its median: by it runs are ranked, not by two of three");
  const legend = h("div", { class: "legend" },
    h("span", {}, h("i", { class: "dot open" }), "live: forecast, whiskers hold 50 %"), h("span", {}, h("i", { class: "dot finished" }), "finished: value"),
    h("span", {}, h("i", { class: "cross" }), "stopped: last forecast"), h("span", {}, h("i", { class: "key dash" }), "Pareto front of these two"), lines);
  const element = h("section", { class: "panel", "aria-labelledby": "heading-to" },
    h("header", {}, h("h2", { id: "heading-to" }, "Where the runs are heading"),
      h("div", { class: "end actions" }, selects[0], h("span", { class: "muted small" }, "against"), selects[1],
        figureMenu({ name: "heading", title: "Where the runs are heading", ...scatter.files() }))),
    several, box, legend);

  function read(said) {
    ["x", "y"].forEach((name, i) => {
      axes[i] = METRICS.find((m) => m.name === said.get(name)) ?? METRICS[i];
      selects[i].value = METRICS.indexOf(axes[i]);
    });
  }
  function update() {
    const mixed = store.population === null;
    box.hidden = legend.hidden = mixed;
    several.hidden = !mixed;
    if (mixed) {
      const names = [...new Set([...store.runs.values()].map((run) => run.population).filter(Boolean))];
      several.replaceChildren("Runs of different tables are on no common scale: choose a search. ", ...names.slice(0, 30).flatMap((name, i) => [i ? ", " : "", h("a", { href: `#/?population=${encodeURIComponent(name)}` }, named(name))]));
      return;
    }
    // Units come with the population's detail: nothing is drawn in others before.
    if (!store.detail) return;
    scatter.show(store.runs.values(), axes[0], axes[1], store.detail.mqe_of_mean, store.detail.weights, (run) => store.qualityOf(run));
    lines.hidden = !scatter.lines?.length;
  }
  read(parameters);
  return { element, read, update, destroy: () => scatter.destroy() };
}
