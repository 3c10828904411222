// Best so far: every run in the order it ended, the line of the best, and where the live ones are heading.

import { note } from "../data/address.js";
import { ORDER } from "../data/brush.js";
import { colour, h, segmented } from "../words/dom.js";
import { FONT, Picture, axis, cross, disc, grid, leftOf, line } from "../charts/drawing.js";
import { figureMenu } from "../charts/figure.js";
import { amount, count, cut, num, percent, tick } from "../words/format.js";
import { withoutStops } from "../data/search.js";
import { METRICS, STATE, reason, standing } from "../words/words.js";

const PAD = { top: 16, bottom: 44 };
const LIVE = 88; // pixels right of the axis, where live runs wait
const CLIPPED = 0.8; // share of the runs whose values the vertical axis reaches
const SHOWN_LIVE = 8;
const ASIDE = 0.025; // of the axis across, from one live run to the next in the code
const HOUR_MS = 3_600_000;
const MANY = 500;
const NEAR = 16;
const WAYS = [["run", "Run"], ["time", "Time"], ["epochs", "Epochs"], ["generation", "Generation"]];
const GENERATION = ["generation", "gen"];

export function bestPanel(store, shared, parameters, open) {
  let way = "run", what = "score", zoom = null, drag = null, hovered = -1, drawn = null;
  const ways = segmented("Across", WAYS, way, (value) => { note({ bx: value === "run" ? null : value }); way = value; zoom = null; update(); });
  const whats = h("select", { "aria-label": "Upwards", onchange: () => { what = whats.value; note({ by: what === "score" ? null : what }); update(); } },
    h("option", { value: "score" }, "Quality score"), METRICS.map((m) => h("option", { value: m.name }, m.label)));
  const reset = h("button", { type: "button", class: "quiet small", hidden: true, onclick: () => { zoom = null; update(); } }, "Whole search");
  const only = h("button", { type: "button", class: "quiet small", hidden: true, title: "Filter the page to the runs in sight", onclick: () => filterToSight() }, "Only these");
  const picture = new Picture(paint, { height: 390, className: "best", label: told });
  const worth = h("p", { class: "muted small", id: "worth-it" });
  const menu = figureMenu({ name: "best-so-far", title: "Best so far", draw: () => picture.drawn(), rows, plot });
  const element = h("section", { class: "panel", id: "best", "aria-labelledby": "best-title" },
    h("header", {}, h("h2", { id: "best-title" }, "Best so far"), h("div", { class: "end actions" }, reset, only, ways, whats, menu)),
    picture.element,
    h("div", { class: "legend" }, h("span", {}, h("i", { class: "dot finished" }), "finished"), h("span", {}, h("i", { class: "cross" }), "stopped: its forecast, bar holds 50 %"),
      h("span", {}, h("i", { class: "dot ring" }), "live: bars hold 50 and 90 %"), h("span", {}, h("i", { class: "key" }), "best"), h("span", {}, h("i", { class: "key dash too" }), "best at the same compute without stopping")),
    worth);

  // What the axis across says of an ended run; null = nothing.
  const acrossOf = {
    run: (one) => one.i + 1,
    time: (one) => one.at,
    epochs: (one) => one.used,
    generation: (one) => GENERATION.map((name) => one.run.settings?.[name]).find((v) => typeof v === "number") ?? null,
  };
  const metric = () => METRICS.find((m) => m.name === what);
  const unit = () => (what === "mqe" && store.detail?.mqe_of_mean ? store.detail.mqe_of_mean : 1);
  function valuesOf(run, values) {
    const m = metric();
    if (!m) return values;
    const whole = run.state === "finished" && run.final && !run.final.censored;
    const five = whole ? Array(5).fill(run.final[m.final]) : run.forecast?.[m.final];
    return five && five[2] !== null ? five.map((v) => v / unit()) : null;
  }

  function prepare() {
    const { ended, live } = shared.course;
    const points = [];
    let best = null;
    for (const one of ended) {
      const values = valuesOf(one.run, one.values), x = acrossOf[way](one);
      if (!values || x === null) continue;
      if (one.whole && (best === null || values[2] < best.values[2])) best = { values, run: one.run };
      points.push({ ...one, values, x, best, passes: shared.passes(one.run) });
    }
    const xs = points.map((p) => p.x);
    const low = way === "run" ? 1 : Math.min(...xs), high = Math.max(...xs, low);
    const seen = zoom ?? [low, high === low ? low + 1 : high];
    const inside = points.filter((p) => p.x >= seen[0] && p.x <= seen[1]);
    const medians = inside.map((p) => p.values[2]).sort((a, b) => a - b);
    const waiting = live.map((one) => ({ ...one, values: valuesOf(one.run, one.values) })).filter((one) => one.values);
    const least = Math.min(medians[0] ?? Infinity, ...waiting.map((one) => one.values[0]));
    const most = Math.max(medians[Math.min(medians.length - 1, Math.floor(CLIPPED * medians.length))] ?? 1, best?.values[2] ?? -Infinity, ...waiting.slice(0, SHOWN_LIVE).map((one) => one.values[3]));
    const size = most - least || Math.abs(most) || 1;
    const counterfactual = what === "score" ? withoutStops(shared.course) : [];
    return { points, inside, waiting, seen, best, low: Math.max(0, least - 0.06 * size), high: most + 0.06 * size, counterfactual };
  }

  function paint(context, width, height) {
    const state = prepare(), right = width - (state.waiting.length ? LIVE : 16);
    const y = axis(state.low, state.high, height - PAD.bottom, PAD.top);
    const box = { left: leftOf(context, y), right, top: PAD.top, bottom: height - PAD.bottom };
    const across = axis(...state.seen, box.left + 6, box.right - 4);
    const span = state.seen[1] - state.seen[0];
    const x = way === "run" || way === "generation" ? { ...across, ticks: (n) => across.ticks(n).filter(Number.isInteger) } : across; // no half runs
    grid(context, box, x, y, {
      xTicks: Math.max(2, Math.floor((right - box.left) / 110)), yTicks: 5,
      xText: way === "time" ? (t) => clock(t, span) : way === "epochs" ? amount : tick,
      xLabel: { run: "runs, in the order they ended", time: "when they ended", epochs: "epochs spent until then", generation: "generation" }[way],
      yLabel: `${metric() ? (what === "mqe" && unit() !== 1 ? "final mqe over the mqe of the mean" : `final ${metric().short}`) : "quality score"}, lower is better`,
    });
    const ink = colour("faint"), good = colour("good"), ours = colour("ours"), many = state.inside.length > MANY;
    const upTo = (v) => Math.max(box.top, Math.min(box.bottom, y.at(v)));
    for (const p of state.points) [p.px, p.py, p.over] = [x.at(p.x), upTo(p.values[2]), p.values[2] > state.high];
    context.save();
    context.beginPath();
    context.rect(box.left, box.top - 6, box.right - box.left, box.bottom - box.top + 12);
    context.clip();
    for (const passes of [false, true]) {
      context.globalAlpha = passes ? (many ? 0.55 : 0.9) : 0.13;
      context.strokeStyle = ink;
      context.lineWidth = many ? 0.8 : 1.2;
      context.beginPath();
      for (const p of state.inside) {
        if (p.whole || p.passes !== passes || p.over) continue;
        context.moveTo(p.px, upTo(p.values[1]));
        context.lineTo(p.px, upTo(p.values[3]));
      }
      context.stroke();
      context.globalAlpha = passes ? 1 : 0.15;
      context.beginPath();
      for (const p of state.inside) if (!p.whole && p.passes === passes) cross(context, p.px, p.py, many ? 2 : 3);
      context.stroke();
      context.fillStyle = good;
      context.strokeStyle = colour("surface");
      for (const p of state.inside) {
        if (!p.whole || p.passes !== passes) continue;
        disc(context, p.px, p.py, many ? 2.6 : 4);
        context.fill();
        if (!many) context.stroke();
      }
    }
    context.globalAlpha = 1;
    steps(context, state.points.filter((p) => p.best).map((p) => [p.px, upTo(p.best.values[2])]), box, ours, 2, []);
    if (state.counterfactual.length) {
      const at = state.points.filter((p) => state.counterfactual[p.i]?.value != null).map((p) => [p.px, upTo(state.counterfactual[p.i].value)]);
      steps(context, at, box, colour("s2"), 1.4, [4, 3]);
    }
    if (drag) {
      context.fillStyle = colour("fan-wide");
      context.fillRect(Math.min(drag.from, drag.to), box.top, Math.abs(drag.to - drag.from), box.bottom - box.top);
    }
    context.restore();
    const over = state.inside.filter((p) => p.over).length;
    if (over) {
      context.fillStyle = colour("muted");
      context.textAlign = "left";
      context.textBaseline = "bottom";
      context.fillText(`▲ ${count(over)} worse than ${num(state.high)}`, box.left + 4, box.top - 3);
    }
    waitingRuns(context, state, box, width, y, upTo);
    mark(context, state, box, upTo);
    drawn = { ...state, box, x };
  }

  function waitingRuns(context, { waiting }, box, width, y, upTo) {
    if (!waiting.length) return;
    const ours = colour("ours"), shown = waiting.slice(0, SHOWN_LIVE), step = (width - box.right - 14) / shown.length;
    context.fillStyle = colour("muted");
    context.textAlign = "right";
    context.textBaseline = "bottom";
    context.fillText(waiting.length > shown.length ? `live, best ${shown.length} of ${count(waiting.length)}` : "live", width - 4, box.top - 3);
    shown.forEach((one, i) => {
      const px = one.px = box.right + 12 + step * (i + 0.5), faint = shared.passes(one.run) ? 1 : 0.25;
      one.py = upTo(one.values[2]);
      context.globalAlpha = faint;
      context.strokeStyle = ours;
      context.lineWidth = 1.3;
      line(context, px, upTo(one.values[0]), px, upTo(one.values[4]));
      context.lineWidth = 4;
      line(context, px, upTo(one.values[1]), px, upTo(one.values[3]));
      context.fillStyle = colour("surface");
      context.lineWidth = 1.6;
      disc(context, px, one.py, 3.6);
      context.fill();
      context.stroke();
      context.globalAlpha = 1;
    });
  }

  function mark(context, { points, waiting, best }, box, upTo) {
    if (best) {
      context.font = `600 ${FONT}`;
      context.fillStyle = colour("ours");
      context.textAlign = "right";
      context.textBaseline = "top";
      context.fillText(`${num(best.values[2])}  ${cut(best.run.run_id)}`, box.right - 4, Math.min(upTo(best.values[2]) + 5, box.bottom - 14));
      context.font = FONT;
    }
    const found = shared.highlighted ? [...points, ...waiting].find((p) => p.run.run_id === shared.highlighted && p.px !== undefined) : null;
    if (!found || found.px < box.left - 4) return;
    context.strokeStyle = colour("ink");
    context.lineWidth = 1.6;
    disc(context, found.px, found.py, 7);
    context.stroke();
  }

  function told() {
    if (!drawn) return "";
    const finished = drawn.points.filter((p) => p.whole).length;
    return `${count(drawn.points.length)} ended runs, ${count(finished)} of them finished; the best is ${drawn.best ? `${num(drawn.best.values[2])} by ${drawn.best.run.run_id}` : "not known"}; ${count(drawn.waiting.length)} live. Arrow keys walk through them, Enter opens one, plus and minus zoom.`;
  }

  // Pointer and keyboard

  const candidates = () => (drawn ? [...drawn.inside, ...drawn.waiting.filter((one) => one.px !== undefined)] : []);
  function nearest({ x, y }) {
    let found = null, least = NEAR ** 2;
    for (const p of candidates()) {
      const away = (p.px - x) ** 2 + (p.py - y) ** 2;
      if (away < least) [found, least] = [p, away];
    }
    return found;
  }
  function point(found) {
    shared.highlight(found?.run.run_id ?? null);
    if (!found) picture.say();
    else {
      const { run, values } = found;
      const said = values[0] === values[4] ? num(values[2]) : `${num(values[2])} (50 %: ${num(values[1])} to ${num(values[3])})`;
      picture.say(found.px, found.py, h("strong", {}, run.run_id), h("div", { class: "muted" }, `${metric()?.short ?? "quality score"} `, h("b", {}, said)),
        h("div", { class: "muted" }, `${STATE[standing(run)]} at ${percent(run.progress)}; ${reason(run.reason)}${run.p_good !== null && run.state !== "finished" ? `; P(good) ${percent(run.p_good)}` : ""}`));
    }
    picture.draw();
  }
  const { canvas } = picture;
  canvas.addEventListener("pointerdown", (event) => {
    const at = picture.place(event);
    if (event.button || !drawn || at.x > drawn.box.right) return;
    drag = { from: at.x, to: at.x };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = picture.place(event);
    if (drag) {
      drag.to = Math.max(drawn.box.left, Math.min(drawn.box.right, at.x));
      picture.draw();
      return;
    }
    const found = nearest(at);
    canvas.style.cursor = found ? "pointer" : "crosshair";
    if ((found?.run.run_id ?? null) !== shared.highlighted) point(found);
  });
  canvas.addEventListener("pointerleave", () => { if (!drag && shared.highlighted) point(null); });
  canvas.addEventListener("pointerup", (event) => {
    const done = drag;
    drag = null;
    if (done && Math.abs(done.to - done.from) > 8) zoomTo(drawn.x.of(Math.min(done.from, done.to)), drawn.x.of(Math.max(done.from, done.to)));
    else {
      const found = nearest(picture.place(event));
      if (found) open(found.run.run_id);
      picture.draw();
    }
  });
  canvas.addEventListener("pointercancel", () => { drag = null; picture.draw(); });
  canvas.addEventListener("dblclick", () => { zoom = null; update(); });
  canvas.addEventListener("keydown", (event) => {
    const all = candidates(), step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step && all.length) {
      hovered = (Math.max(0, Math.min(all.length - 1, hovered + step)));
      point(all[hovered]);
    } else if (event.key === "Enter" && all[hovered]) open(all[hovered].run.run_id);
    else if (event.key === "Escape") { zoom = null; point(null); update(); }
    else if ((event.key === "+" || event.key === "-") && drawn) {
      const [low, high] = drawn.seen, middle = all[hovered]?.x ?? (low + high) / 2, half = ((high - low) / 2) * (event.key === "+" ? 0.5 : 2);
      zoomTo(middle - half, middle + half);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  function zoomTo(low, high) {
    zoom = high > low ? [low, high] : null;
    update();
  }
  function filterToSight() {
    const order = drawn.inside.map((p) => p.i + 1);
    if (order.length) shared.brush.range(ORDER, [Math.min(...order), Math.max(...order)]);
  }

  // Files
  function rows() {
    const { points, counterfactual, waiting } = prepare();
    return [["run_id", "state", way, `${what}_05`, `${what}_25`, `${what}_50`, `${what}_75`, `${what}_95`, "best", "best_without_stops"],
      ...points.map((p) => [p.run.run_id, p.run.state, way === "time" ? p.run.ended_at : p.x, ...p.values, p.best?.values[2] ?? null, counterfactual[p.i]?.value ?? null]),
      ...waiting.map((one) => [one.run.run_id, one.run.state, null, ...one.values, null, null])];
  }
  function plot() {
    const { points, counterfactual, waiting } = prepare(), stopped = points.filter((p) => !p.whole), whole = points.filter((p) => p.whole);
    const first = way === "time" ? points[0]?.x ?? 0 : 0, across = (p) => (way === "time" ? (p.x - first) / HOUR_MS : p.x), xs = (list) => list.map(across);
    const ends = xs(points), last = Math.max(...ends, 0), step = ASIDE * (last - Math.min(...ends, last) || 1), of = (list, i) => list.map((p) => p.values[i]);
    const without = points.filter((p) => counterfactual[p.i]?.value != null), live = waiting.slice(0, SHOWN_LIVE);
    return { title: "Best so far", x: { label: { run: "runs, in the order they ended", time: "hours since the first end", epochs: "epochs spent until then", generation: "generation" }[way] }, y: { label: `${metric()?.short ?? "quality score"}, lower is better` }, series: [
      { label: "stopped: its forecast, bar holds 50 %", kind: "crosses", x: xs(stopped), y: of(stopped, 2), low: of(stopped, 1), high: of(stopped, 3), color: "faint" },
      { label: "finished", kind: "points", x: xs(whole), y: of(whole, 2), color: "good" },
      { label: "best", kind: "steps", x: ends, y: points.map((p) => p.best?.values[2] ?? NaN), color: "ours" },
      { label: "best at the same compute without stopping", kind: "steps", dash: true, x: xs(without), y: without.map((p) => counterfactual[p.i].value), color: "s2" },
      { label: "live: bars hold 50 and 90 %", kind: "rings", x: live.map((_, i) => last + step * (i + 1)), y: of(live, 2), low: of(live, 0), high: of(live, 4), near: [of(live, 1), of(live, 3)], color: "ours" }].filter((one) => one.x.length) };
  }

  function update() {
    ways.querySelector("[data-value=generation]").hidden = !shared.course.ended.some((one) => acrossOf.generation(one) !== null);
    reset.hidden = only.hidden = zoom === null;
    picture.draw();
    const found = withoutStops(shared.course).at(-1), best = shared.course.best?.values[2];
    worth.textContent = !found || best === undefined || found.value === null || found.runs === shared.course.ended.length ? ""
      : `The same epochs without stopping would have trained ${count(found.runs)} of these ${count(shared.course.ended.length)} runs whole, the best of them ${num(found.value)}${found.value > best ? `: stopping found ${num(found.value - best)} better.` : "."}`;
  }
  function read(said) {
    way = WAYS.some(([name]) => name === said.get("bx")) ? said.get("bx") : "run";
    what = METRICS.some((m) => m.name === said.get("by")) ? said.get("by") : "score";
    ways.set?.(way);
    whats.value = what;
  }
  read(parameters);
  return { element, update, read, redraw: () => picture.draw(), destroy: () => picture.destroy() };
}

function steps(context, points, box, stroke, width, dash) {
  if (!points.length) return;
  context.strokeStyle = stroke;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  points.forEach(([x, y], i) => {
    if (i) context.lineTo(x, points[i - 1][1]);
    else context.moveTo(x, y);
    context.lineTo(x, y);
  });
  context.lineTo(box.right, points.at(-1)[1]);
  context.stroke();
  context.setLineDash([]);
}

function clock(at, span) {
  const date = new Date(at);
  if (span < 60_000) return date.toLocaleTimeString("en-GB");
  return span > 2 * 86_400_000 ? date.toLocaleDateString("en-GB", { day: "numeric", month: "short" }) : date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}
