// The frame: routes by hash, the live stream, theme, keyboard.

import { forgetKey, get, keyNow } from "./data/api.js";
import { keepScroll, leaveOverview, overviewAt, scrollKept } from "./data/address.js";
import { h, state, toast } from "./words/dom.js";
import { Live } from "./data/live.js";
import { Store } from "./data/store.js";
import { compare } from "./views/compare.js";
import { model } from "./views/model.js";
import { overview } from "./views/overview.js";
import { personNamed } from "./panels/overrule.js";
import { run } from "./views/run.js";
import { searches } from "./views/searches.js";
import { watchAlerts } from "./panels/alerts.js";

const store = new Store();
const root = document.getElementById("view");
const VIEWS = { __proto__: null, overview, run, compare, model, searches };
let shown = null;

// #/run/r-17, #/?population=x, #/compare?runs=a,b, #/model
function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [first, ...rest] = path.split("/");
  const parameters = new URLSearchParams(query);
  let name = first || "overview";
  if (name === "run") {
    try {
      parameters.set("run", decodeURIComponent(rest.join("/")));
    } catch {
      name = "unknown";
    }
  }
  return { name: VIEWS[name] ? name : "unknown", parameters };
}

async function show() {
  const { name, parameters } = route();
  const wanted = parameters.has("population") ? parameters.get("population") || null : undefined;
  // Within one view a change of parameters is the view's own business.
  if (shown?.name === name && shown.view.navigate?.(parameters)) return;
  shown?.view.destroy?.();
  document.querySelector('[data-view="overview"]').href = name === "overview" ? "#/" : overviewAt();
  root.replaceChildren();
  for (const link of document.querySelectorAll("[data-view]")) {
    const here = link.dataset.view === name || (link.dataset.view === "overview" && name === "run");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (name === "unknown") {
    shown = { name, view: {} };
    root.append(state("There is no such page", "The address may be cut off.", h("p", {}, h("a", { href: "#/" }, "To the overview"))));
  } else {
    shown = { name, view: VIEWS[name](root, parameters, store) };
  }
  document.title = `${shown.view.title ?? name[0].toUpperCase() + name.slice(1)} · SOM Oracle`;
  const y = scrollKept(); // of an entry that was left; a new one begins at its top
  window.scrollTo(0, y);
  if (y) requestAnimationFrame(() => window.scrollTo(0, y));
  if (wanted !== undefined && wanted !== store.population) await store.load(wanted);
}

// Live

const badge = document.getElementById("live");
let lost = false;
const live = new Live({
  event(kind, data) {
    store.take(kind, data);
    if (kind === "run") shown?.view.event?.(data);
  },
  gap() {
    store.reload();
    shown?.view.event?.({ kind: "gap" });
  },
  status(now) {
    badge.dataset.state = now;
    badge.textContent = { live: "Live", lost: "Reconnecting", connecting: "Connecting" }[now];
    if (now === "live" && (lost || store.problem)) {
      lost = false;
      // The stream resumes where it broke; what it cannot tell (models, populations) is asked again.
      store.reload();
      shown?.view.event?.({ kind: "gap" });
    }
    if (now === "lost") lost = true;
    notices();
  },
});

function notices() {
  const box = document.getElementById("notices");
  const notes = [];
  if (badge.dataset.state === "lost") {
    notes.push(h("p", { class: "notice bad" }, h("strong", {}, "The service does not answer. "), "What you see is what was last known; the page reconnects by itself."));
  } else if (store.models && !store.models.active) {
    notes.push(h("p", { class: "notice", id: "no-model" }, h("strong", {}, "No model is loaded. "),
      "Runs are recorded, every decision abstains, nothing is stopped. ",
      store.models.failure?.message ?? "Train one (oracle train) or activate one (oracle models activate)."));
  } else if (store.models?.failure) {
    notes.push(h("p", { class: "notice" }, h("strong", {}, "A new model was refused, the one before goes on. "), store.models.failure.message));
  }
  const text = notes.map((n) => n.textContent).join();
  if (box.dataset.text !== text) {
    box.dataset.text = text;
    box.replaceChildren(...notes);
  }
}

// Theme: the system's, until somebody chooses.

const THEMES = [null, "light", "dark"];
const themeButton = document.getElementById("theme");
function theme(chosen) {
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
  const text = { light: "Light", dark: "Dark" }[chosen] ?? "Auto";
  themeButton.textContent = text;
  themeButton.setAttribute("aria-label", `Theme: ${text}. Change`);
  themeButton.title = "Theme (t)";
  document.dispatchEvent(new Event("themechange"));
}
function nextTheme() {
  const now = document.documentElement.dataset.theme ?? null;
  const chosen = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  try {
    if (chosen) localStorage.setItem("oracle-theme", chosen);
    else localStorage.removeItem("oracle-theme");
  } catch { /* not kept, but shown */ }
  theme(chosen);
}
themeButton.addEventListener("click", nextTheme);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("themechange")));

// Keyboard

const KEYS = [
  ["o", "Overview"], ["g", "All searches"], ["c", "Compare"], ["a", "Alerts"], ["m", "Model"], ["/", "Filter the table"], ["↑ ↓", "Move in the table"],
  ["Enter", "Open a run"], ["x", "Choose a run for comparison"], ["k s u", "Keep, stop the open run, give it back to its policy"],
  ["j k", "The next run, the one before, at the side of the overview"], ["p n", "Pin the run at the side, write a note"], ["Esc", "Close what is open"],
  ["← →", "Walk along a chart"], ["+ −", "Zoom into the best so far"], ["t", "Change the theme"], ["?", "This help"],
];
function help() {
  const dialog = h("dialog", { "aria-labelledby": "help-title", onclose: () => dialog.remove() },
    h("h2", { id: "help-title" }, "You and the keyboard"),
    h("p", {}, h("label", { for: "said-by" }, "Your name, told with what you say to runs"), h("input", { id: "said-by", type: "text", maxlength: 100, value: personNamed() ?? "", autocomplete: "name", onchange: (event) => personNamed(event.target.value) })),
    h("dl", { class: "keys" }, KEYS.map(([key, text]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)])),
    h("form", { method: "dialog", class: "actions" }, keyNow() ? h("button", { type: "button", id: "forget-key", onclick: () => { forgetKey(); location.reload(); } }, "Forget the API key") : null, h("button", { autofocus: true }, "Close")));
  document.body.append(dialog);
  dialog.showModal();
}
document.getElementById("help").addEventListener("click", help);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  root.focus();
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input:not([type=checkbox]), select, textarea, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const go = { o: shown?.name === "overview" ? "#/" : overviewAt(), g: "#/searches", c: "#/compare", m: "#/model" }[event.key];
  if (go) location.hash = go;
  else if (event.key === "t") nextTheme();
  else if (event.key === "?") help();
  else if (event.key === "a") alerts.toggle();
  else if (shown?.view.key?.(event)) event.preventDefault();
});

addEventListener("hashchange", (event) => {
  const from = new URL(event.oldURL).hash;
  if (/^(#\/?(\?|$)|$)/.test(from)) leaveOverview(from);
  show();
});
keepScroll();
addEventListener("unhandledrejection", (event) => {
  if (event.reason?.code === undefined) return;
  event.preventDefault();
  toast(event.reason.message);
});

theme(document.documentElement.dataset.theme ?? null);
store.subscribe(notices);
const alerts = watchAlerts(store);
// Without a word where to go: the cards of the searches, where there are several.
if (!location.hash) {
  try {
    if ((await get("v1/populations")).populations.length > 1) history.replaceState(history.state, "", "#/searches");
  } catch { /* the view says what is amiss */ }
}
const { parameters } = route();
show();
live.start();
// With the stream open first nothing can fall between it and the lists.
if (store.population === undefined && !parameters.has("population")) store.load(undefined);
