// Requests to the service. A missing or wrong key is asked for once, and everybody waits for it.

import { heard } from "../words/clock.js";
import { h } from "../words/dom.js";
import { sleep } from "./stream.js";

const KEY = "oracle-key";
const MOST_HELD = 8;
let asking = null;

export class Problem extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const keyNow = () => sessionStorage.getItem(KEY) || null;

export const forgetKey = () => sessionStorage.removeItem(KEY);

export function headers(more = {}) {
  const key = keyNow();
  return key ? { ...more, Authorization: `Bearer ${key}` } : more;
}

export const get = (path) => request(path, { headers: headers() });

// Ask again for what was asked before: what has not changed is not sent again, and is the very same
// object, so that who holds it sees that nothing is to be done.
const held = new Map();
export async function renew(path) {
  const known = held.get(path);
  const sent = headers(known ? { "If-None-Match": known.tag } : {});
  let tag = null;
  const found = await request(path, { headers: sent, cache: "no-store" }, 4, (response) => { tag = response.headers.get("ETag"); });
  if (found === undefined) return known.data;
  held.delete(path);
  if (tag) held.set(path, { tag, data: found });
  if (held.size > MOST_HELD) held.delete(held.keys().next().value);
  return found;
}

export const post = (path, body = {}) => request(path, {
  method: "POST", body: JSON.stringify(body), headers: headers({ "Content-Type": "application/json" }),
}, 0);

async function request(path, options, retries = 4, told = null) {
  let response;
  const asked = Date.now();
  try {
    response = await fetch(path, options);
  } catch {
    throw new Problem(0, "unreachable", "The service does not answer.");
  }
  heard(response, asked);
  if (response.status === 401) {
    await askKey(options.headers.Authorization !== undefined);
    return request(path, { ...options, headers: headers(omit(options.headers, "Authorization")) }, retries, told);
  }
  if ((response.status === 429 || response.status === 503) && retries > 0) {
    const problem = await problemOf(response);
    if (problem.code !== "no_model") {
      await sleep(1000 * Math.min(5, Number(response.headers.get("Retry-After")) || 1));
      return request(path, options, retries - 1, told);
    }
    throw problem;
  }
  if (response.status === 304) return undefined;
  if (!response.ok) throw await problemOf(response);
  told?.(response);
  return response.status === 204 ? null : response.json();
}

async function problemOf(response) {
  try {
    const { error } = await response.json();
    return new Problem(response.status, error.code, error.message);
  } catch {
    return new Problem(response.status, "unknown", `The service answered ${response.status}.`);
  }
}

export function askKey(refused) {
  asking ??= new Promise((resolve) => {
    const input = h("input", { type: "password", id: "key", autocomplete: "off", required: true });
    const dialog = h("dialog", { "aria-labelledby": "key-title" },
      h("h2", { id: "key-title" }, "This service asks for an API key"),
      h("p", { class: "muted" }, refused
        ? "The key was not accepted. Check it, or ask whoever runs the service for one."
        : "You see your own runs only. The key stays in this tab and is forgotten when you close it."),
      h("form", { method: "dialog" },
        h("label", { for: "key" }, "API key"), input,
        h("div", { class: "actions" }, h("button", { class: "primary" }, "Continue"))));
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => {
      sessionStorage.setItem(KEY, input.value.trim());
      dialog.remove();
      asking = null;
      resolve();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}

const omit = (object, name) => Object.fromEntries(Object.entries(object).filter(([key]) => key !== name));
