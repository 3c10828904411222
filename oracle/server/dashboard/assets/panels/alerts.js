// What needs somebody: the bell in the header, its list, and the browser's notifications.

import { renew } from "../data/api.js";
import { h, put } from "../words/dom.js";
import { count, plural } from "../words/format.js";
import { prose } from "../words/prose.js";

const EVERY_MS = 15_000;
const HIDDEN_MS = 60_000;
const SIGN = { act: "▲", look: "●", know: "○" };
const LEVELS = { act: "act now", look: "have a look", know: "good to know" };
const SEEN = "oracle-alerts-seen", ASKED = "oracle-notify";

export function watchAlerts(store) {
  let alerts = [], timer = 0, asking = false, population, first = true;
  const list = h("div", { class: "alerts", id: "alerts", hidden: true, role: "dialog", "aria-label": "Needs you" });
  const number = h("span", { class: "n" }), told = h("span", { class: "visually-hidden" });
  const bell = h("button", { type: "button", id: "bell", class: "quiet", "aria-haspopup": "dialog", "aria-expanded": "false", onclick: () => toggle(list.hidden) },
    h("span", {}, "Alerts"), " ", number, told); // named by what it shows: whoever speaks to the page says what is seen
  document.querySelector(".tools")?.prepend(h("div", { class: "menu alert-menu" }, bell, list));
  addEventListener("hashchange", () => toggle(false));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !list.hidden) { toggle(false); bell.focus(); } });
  document.addEventListener("pointerdown", (event) => { if (!list.hidden && !event.target.closest(".alert-menu")) toggle(false); });

  function toggle(on) {
    if (list.hidden !== on) return;
    list.hidden = !on;
    bell.setAttribute("aria-expanded", String(on));
    if (!on) return;
    remember(SEEN, [...new Set([...recall(SEEN), ...alerts.map(keyOf)])].slice(-500));
    show();
    list.querySelector("button, a")?.focus();
  }
  const keyOf = (alert) => `${population} ${alert.key}`;

  function show() {
    const seen = new Set(recall(SEEN)), fresh = alerts.filter((a) => !seen.has(keyOf(a)));
    const worst = fresh.some((a) => a.level === "act") ? "act" : fresh.length ? "look" : "";
    bell.dataset.level = worst;
    number.textContent = fresh.length ? count(fresh.length) : "";
    told.textContent = !alerts.length ? " none" : fresh.length ? ` new of ${count(alerts.length)}` : ` none new of ${count(alerts.length)}`;
    bell.title = "What needs you (a)";
    put(list, h("header", {}, h("h2", {}, "Needs you"), notifying()),
      alerts.length ? h("ul", {}, alerts.map(item)) : h("p", { class: "muted" }, store.population === null ? "Choose a search." : "Nothing: no stop is ignored, no run is silent, nothing diverges, and the oracle is not out of its promise."));
  }

  function item(alert) {
    return h("li", { class: alert.level, "data-kind": alert.kind },
      h("strong", {}, h("span", { "aria-hidden": "true" }, `${SIGN[alert.level]} `), alert.title, h("span", { class: "visually-hidden" }, `, ${LEVELS[alert.level]}`)),
      h("p", {}, prose(alert.sentence)), h("p", { class: "muted" }, prose(alert.advice)),
      alert.run_ids.length ? h("p", { class: "runs-of" }, alert.run_ids.slice(0, 6).map((id) => h("a", { href: `#/run/${encodeURIComponent(id)}` }, id)), alert.n > 6 ? ` and ${plural(alert.n - 6, "more", "more")}` : "") : null);
  }

  function notifying() {
    if (!("Notification" in window) || !isSecureContext) return null;
    const on = Notification.permission === "granted" && localOf(ASKED) === "on";
    if (Notification.permission === "denied") return h("span", { class: "muted small" }, "Notifications are blocked by the browser.");
    return h("button", { type: "button", class: "small", "aria-pressed": String(on), onclick: async () => {
      const granted = on ? false : (await Notification.requestPermission()) === "granted";
      keep(ASKED, granted ? "on" : "off");
      show();
    } }, on ? "Notifications are on" : "Notify me");
  }

  // What is new since this page was opened is told by the browser, once.
  function notify(found, known) {
    if (first || !("Notification" in window) || Notification.permission !== "granted" || localOf(ASKED) !== "on") return;
    for (const alert of found) {
      if (known.has(alert.key)) continue;
      try {
        const note = new Notification(`${alert.title} · ${population}`, { body: alert.sentence, tag: `${population} ${alert.key}` });
        note.onclick = () => { window.focus(); toggle(true); };
      } catch { return; } // a phone allows it to service workers only
    }
  }

  async function ask() {
    clearTimeout(timer);
    timer = setTimeout(ask, document.hidden ? HIDDEN_MS : EVERY_MS);
    const name = store.population;
    if (name !== population) {
      population = name;
      alerts = [];
      first = true;
      show();
    }
    if (!name || asking || !store.runs.size) return;
    asking = true;
    try {
      const found = await renew(`v1/populations/${encodeURIComponent(name)}/alerts`);
      if (name === store.population && found.alerts !== alerts) {
        notify(found.alerts, new Set(alerts.map((a) => a.key)));
        alerts = found.alerts;
        first = false;
        show();
      }
    } catch { /* the stream tells that the service is away */ } finally {
      asking = false;
    }
  }

  show();
  let ended = -1;
  store.subscribe(() => {
    const { running } = store.summary?.() ?? {}, now = `${store.population} ${store.runs.size - (running ?? 0)}`;
    if (now !== ended && !store.loading) {
      ended = now;
      clearTimeout(timer);
      timer = setTimeout(ask, 800);
    }
  });
  return { toggle: () => toggle(list.hidden) };
}

function recall(name) {
  try {
    return JSON.parse(localStorage.getItem(name) ?? "[]");
  } catch {
    return [];
  }
}
const remember = (name, value) => keep(name, JSON.stringify(value));
const localOf = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
function keep(name, text) {
  try {
    localStorage.setItem(name, text);
  } catch { /* not kept */ }
}
