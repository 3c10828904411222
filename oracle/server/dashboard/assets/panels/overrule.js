// A person's word on runs: keep, stop, or back to the policy. A stop takes effect after some seconds,
// in which it can be undone: the run that is stopped would be lost.

import { headers, post } from "../data/api.js";
import { toast } from "../words/dom.js";
import { plural } from "../words/format.js";

const UNDO_MS = 5_000;
const AT_ONCE = 4;
const NAME = "oracle-name";
const path = (id) => `v1/runs/${encodeURIComponent(id)}/override`;
const waiting = new Set(); // ids whose stop can still be undone

export const isWaiting = (id) => waiting.has(id);

export function personNamed(name) {
  try {
    if (name !== undefined) localStorage.setItem(NAME, name.trim().slice(0, 100));
    return localStorage.getItem(NAME) || null;
  } catch {
    return null;
  }
}

const body = (to) => ({ to, by: personNamed() });

// to: "keep", "stop" or null; changed() is called when something about them has changed.
export function overrule(ids, to, changed = () => {}) {
  if (to === "stop") return stopLater(ids, changed);
  const undone = ids.filter((id) => waiting.delete(id));
  const rest = to === null ? ids.filter((id) => !undone.includes(id)) : ids;
  if (rest.length) return say(rest, to, changed);
  toast("Undone.");
  return changed();
}

function stopLater(ids, changed) {
  ids.forEach((id) => waiting.add(id));
  changed();
  const undo = () => {
    clearTimeout(timer);
    ids.forEach((id) => waiting.delete(id));
    changed();
  };
  const over = toast(`${ids.length === 1 ? `${ids[0]} will be told to stop` : `${plural(ids.length, "run")} will be told to stop`} in ${UNDO_MS / 1000} s.`, ["Undo", undo], UNDO_MS);
  const timer = setTimeout(() => {
    const still = ids.filter((id) => waiting.delete(id));
    over();
    if (still.length) say(still, "stop", changed);
  }, UNDO_MS);
}

// Many at once, a few at a time; what fails is told once.
async function say(ids, to, changed) {
  const left = [...ids], failed = [];
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, left.length) }, async () => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) {
      try {
        await post(path(id), body(to));
      } catch (problem) {
        failed.push(`${id}: ${problem.message}`);
      }
    }
  }));
  const n = ids.length - failed.length;
  const what = { keep: "kept: not stopped by the policy, until it is given back", stop: "stopped at the next checkpoint" }[to] ?? "back to the policy";
  if (failed.length) toast(`${n ? `${plural(n, "run")} ${what}. ` : ""}${failed[0]}${failed.length > 1 ? ` And ${failed.length - 1} more.` : ""}`);
  else if (to === "stop") toast(`${ids.length === 1 ? ids[0] : plural(n, "run")}: ${what}.`, ["Take back", () => overrule(ids, null, changed)], 2 * UNDO_MS);
  else toast(`${ids.length === 1 ? ids[0] : plural(n, "run")}: ${what}.`);
  changed();
}

// A page that is left says at once what it was about to say.
addEventListener("pagehide", () => {
  for (const id of waiting) {
    fetch(path(id), { method: "POST", keepalive: true, body: JSON.stringify(body("stop")), headers: headers({ "Content-Type": "application/json" }) }).catch(() => {});
  }
  waiting.clear();
});
