// All searches: a card each, and the ones that are ticked over each other by compute.

import { note } from "../data/address.js";
import { get, post } from "../data/api.js";
import { now } from "../words/clock.js";
import { colour, h, named, put, segmented, skeleton, state, svg, toast } from "../words/dom.js";
import { Picture, axis, grid, leftOf } from "../charts/drawing.js";
import { figureMenu } from "../charts/figure.js";
import { ago, amount, count, num, percent, plural } from "../words/format.js";
import { WORDS } from "../panels/strip.js";
import { SILENT_MS } from "../words/words.js";

const EVERY_MS = 20_000;
const MOST = 8;
const WAYS = [["epochs", "Epochs"], ["runs", "Runs"]];

export function searches(root, parameters) {
  let found = null, problem = null, archived = parameters.get("archived") === "true", by = parameters.get("by") === "runs" ? "runs" : "epochs", timer = 0;
  const ticked = new Set((parameters.get("names") ?? "").split("|").filter(Boolean).slice(0, MOST));
  const cards = h("div", { class: "cards" }), more = h("p", { class: "muted small" });
  const picture = new Picture(paint, { height: 300, label: () => `The best so far of ${chosen().map(nameOf).join(", ")} over ${by}` });
  const legend = h("div", { class: "legend" }), table = h("div", { class: "wide-scroll" });
  const menu = figureMenu({ name: "searches", title: "Searches side by side", draw: () => picture.drawn(), rows: () => rows(), plot: () => plot() });
  const side = h("section", { class: "panel", id: "side-by-side", hidden: true, "aria-labelledby": "side-title" },
    h("header", {}, h("h2", { id: "side-title" }, "Side by side"), h("div", { class: "end actions" }, segmented("By", WAYS, by, (value) => { by = value; note({ by: value === "epochs" ? null : value }); picture.draw(); }), menu)),
    picture.element, legend, table);
  const shown = h("label", { class: "field" }, h("input", { type: "checkbox", checked: archived, onchange: (event) => { archived = event.target.checked; note({ archived: archived ? "true" : null }); load(); } }), h("span", {}, "also those put away"));
  root.replaceChildren(h("div", { class: "head" }, h("div", { class: "grow" }, h("h1", {}, "Searches"), h("p", { class: "sub" }, "Tick two or more to see them over each other")), shown), side, cards, more);
  put(cards, skeleton(150), skeleton(150), skeleton(150));

  const nameOf = (one) => one.title || one.name;
  const chosen = () => (found?.searches ?? []).filter((one) => ticked.has(one.name));

  async function load() {
    clearTimeout(timer);
    timer = setTimeout(load, document.hidden ? 3 * EVERY_MS : EVERY_MS);
    try {
      const names = [...ticked].map((name) => `&name=${encodeURIComponent(name)}`).join("");
      found = await get(`v1/searches?archived=${archived}`);
      const missing = [...ticked].some((name) => !found.searches.some((one) => one.name === name));
      if (missing && names) found.searches.push(...(await get(`v1/searches?${names.slice(1)}`)).searches.filter((one) => !found.searches.some((had) => had.name === one.name)));
      problem = null;
    } catch (error) {
      if (error.code === undefined) throw error;
      problem = error;
    }
    show();
  }

  function show() {
    if (!found) {
      if (problem) root.replaceChildren(state("The searches cannot be loaded", problem.message, h("div", { class: "actions" }, h("button", { class: "primary", onclick: () => location.reload() }, "Try again"))));
      return;
    }
    if (!document.activeElement?.closest(".cards form")) anew(); // in a form somebody writes
    more.textContent = [found.searches.length ? "" : "No search is stored yet: it begins with the first checkpoint.", found.more ? "The latest are shown; there are more." : "", found.archived && !archived ? `${plural(found.archived, "search", "searches")} put away.` : ""].filter(Boolean).join(" ");
    const two = chosen();
    side.hidden = two.length < 2;
    if (two.length < 2) return;
    put(legend, ...two.map((one, i) => h("span", {}, h("i", { class: `key${i % 2 ? " dash" : ""}`, style: { borderColor: `var(--s${i + 1})` } }), named(nameOf(one)))));
    put(table, h("table", { class: "plain small" }, h("thead", {}, h("tr", {}, ["Search", "Runs", "Best", "Saved", "Oracle"].map((text, i) => h("th", { scope: "col", class: i && i < 4 ? "num" : "" }, text)))),
      h("tbody", {}, two.map((one) => h("tr", {}, h("th", { scope: "row" }, named(nameOf(one))), h("td", { class: "num" }, count(one.running + one.stopped + one.finished)), h("td", { class: "num" }, num(one.best)), h("td", { class: "num" }, percent(one.saved_share)), h("td", {}, one.word))))));
    if (!two.every((one) => one.relative === two[0].relative)) table.append(h("p", { class: "muted small" }, "Some of these tell no mqe_of_mean: their scores are in units of their own and do not compare."));
    picture.draw();
  }

  // The cards drawn again; the focus stays on what it was on.
  function anew() {
    const parts = (one) => [...(one?.querySelectorAll("a, button, input") ?? [])], was = document.activeElement?.closest(".card-search"), at = parts(was).indexOf(document.activeElement);
    put(cards, ...found.searches.map(card));
    if (was && at >= 0) parts([...cards.children].find((one) => one.dataset.name === was.dataset.name))[at]?.focus({ preventScroll: true });
  }

  function card(one) {
    const [tone, sign] = WORDS[one.word], runs = one.running + one.stopped + one.finished;
    const link = `#/?population=${encodeURIComponent(one.name)}`;
    return h("section", { class: `panel card-search${one.archived ? " away" : ""}`, "data-name": one.name, "aria-label": nameOf(one) },
      h("header", {}, h("input", { type: "checkbox", "aria-label": `Put ${nameOf(one)} beside others`, checked: ticked.has(one.name), onchange: (event) => tick(one.name, event.target) }),
        h("h2", {}, h("a", { href: link }, named(nameOf(one)))), h("span", { class: "end muted small" }, ...life(one))),
      one.title ? h("p", { class: "muted small" }, named(one.name)) : null,
      spark(one),
      h("dl", { class: "facts" }, fact("Best", num(one.best)), fact("Saved", percent(one.saved_share)), fact("Runs", one.planned ? `${count(runs)} of ${count(one.planned)}` : count(runs)), h("div", {}, h("dt", {}, "Oracle"), h("dd", { class: `word ${tone}` }, `${sign} ${one.word}`))),
      one.note ? h("p", { class: "notes small", dir: "auto" }, one.note) : null,
      h("div", { class: "actions" },
        h("button", { type: "button", class: "quiet small", onclick: (event) => edit(event, one, "title", "Name that people read") }, "Rename"),
        h("button", { type: "button", class: "quiet small", onclick: (event) => edit(event, one, "note", "Note") }, one.note ? "Edit note" : "Add note"),
        h("button", { type: "button", class: "quiet small", onclick: () => say(one, { archived: !one.archived }) }, one.archived ? "Bring back" : "Put away")));
  }
  // Which of the runs are silent only they tell; that none was heard is known here.
  function life({ running, updated_at: at }) {
    if (!running) return ["ended, ", ago(at)];
    const quiet = now() - Date.parse(at) > SILENT_MS;
    return [h("span", { class: "chip" }, h("i", { class: `dot${quiet ? " silent" : ""}` }), quiet ? `${count(running)} not ended, last heard ` : `${count(running)} live, `), ago(at)];
  }
  const fact = (name, text) => h("div", {}, h("dt", {}, name), h("dd", {}, text));

  function edit(event, one, field, what) {
    const box = event.target.closest(".actions");
    const input = field === "note" ? h("textarea", { rows: 3, maxlength: 10_000, "aria-label": what }) : h("input", { type: "text", maxlength: 200, "aria-label": what, placeholder: one.name });
    input.value = one[field] ?? "";
    const form = h("form", { class: "inline", onsubmit: (sent) => { sent.preventDefault(); input.blur(); say(one, { [field]: input.value.trim() || null }); } }, input, h("button", { class: "small primary" }, "Save"), h("button", { type: "button", class: "small", onclick: () => { input.blur(); anew(); } }, "Cancel"));
    box.replaceChildren(form);
    input.focus();
  }

  async function say(one, changes) {
    try {
      await post(`v1/populations/${encodeURIComponent(one.name)}/about`, changes);
    } catch (error) {
      toast(error.message);
    }
    await load();
    if (changes.archived) toast([named(nameOf(one)), " is put away; its runs are kept"]);
  }

  function tick(name, box) {
    if (!box.checked) ticked.delete(name);
    else if (ticked.size < MOST) ticked.add(name);
    else {
      box.checked = false;
      toast(`${MOST} searches are compared at most: untick one first`);
    }
    note({ names: [...ticked].join("|") });
    show();
  }

  function paint(context, width, height) {
    const two = chosen().filter((one) => one.curve.length);
    if (!two.length) return;
    const at = by === "epochs" ? 1 : 0;
    const scores = two.flatMap((one) => one.curve.map((p) => p[2])).sort((a, b) => a - b);
    const low = scores[0], high = Math.max(scores[Math.floor(0.9 * (scores.length - 1))], low + 1e-9), size = high - low;
    const y = axis(low - 0.06 * size, high + 0.06 * size, height - 42, 10), box = { left: leftOf(context, y), right: width - 14, top: 10, bottom: height - 42 };
    const x = axis(0, Math.max(...two.map((one) => one.curve.at(-1)[at])), box.left, box.right);
    grid(context, box, x, y, { xText: by === "epochs" ? amount : undefined, xTicks: Math.max(2, Math.floor(width / 140)), xLabel: by === "epochs" ? "epochs used by the runs that ended" : "runs ended", yLabel: "best quality score" });
    two.forEach((one) => {
      const i = chosen().indexOf(one); // as the legend counts them
      context.strokeStyle = colour(`s${(i % 8) + 1}`);
      context.lineWidth = 2;
      context.setLineDash(i % 2 ? [7, 3] : []);
      context.beginPath();
      one.curve.forEach((p, j) => {
        const px = x.at(p[at]), py = Math.max(box.top, y.at(p[2]));
        if (j) context.lineTo(px, Math.max(box.top, y.at(one.curve[j - 1][2])));
        else context.moveTo(px, py);
        context.lineTo(px, py);
      });
      context.stroke();
    });
    context.setLineDash([]);
  }
  const plot = () => ({ title: "Best so far", x: { label: by === "epochs" ? "epochs used" : "runs ended" }, y: { label: "best quality score" },
    series: chosen().map((one, i) => ({ label: nameOf(one), kind: "steps", color: `s${(i % 8) + 1}`, dash: i % 2 === 1, x: one.curve.map((p) => p[by === "epochs" ? 1 : 0]), y: one.curve.map((p) => p[2]) })) });
  const rows = () => [["search", "runs_ended", "epochs_used", "best"], ...chosen().flatMap((one) => one.curve.map((p) => [one.name, ...p]))];

  load();
  return {
    title: "Searches",
    navigate: () => true,
    destroy() {
      clearTimeout(timer);
      picture.destroy();
    },
  };
}

// The best so far, as small as a line of text.
function spark({ curve, name }) {
  if (curve.length < 2) return h("div", { class: "spark" });
  const xs = curve.map((p) => p[0]), ys = curve.map((p) => p[2]), low = Math.min(...ys), high = Math.max(...ys);
  const x = (v) => (200 * (v - xs[0])) / (xs.at(-1) - xs[0] || 1), y = (v) => 34 - (30 * (v - low)) / (high - low || 1) - 2;
  const d = curve.map((p, i) => (i ? `H${x(p[0]).toFixed(1)}V${y(p[2]).toFixed(1)}` : `M${x(p[0]).toFixed(1)} ${y(p[2]).toFixed(1)}`)).join("");
  return svg("svg", { class: "spark", viewBox: "0 0 200 36", preserveAspectRatio: "none", role: "img", "aria-label": `The best of ${name} fell from ${num(high)} to ${num(low)}` }, svg("path", { d, fill: "none", stroke: "var(--ours)", "stroke-width": 2, "vector-effect": "non-scaling-stroke" }));
}
