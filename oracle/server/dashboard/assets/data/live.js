// What happens, as it happens, by one stream for all tabs of a browser: the tab that holds a lock
// reads it and tells the others, or a shared worker does. A tab that nobody looks at gives its place
// back at once.

import { askKey, keyNow } from "./api.js";
import { Hub } from "./stream.js";

const HERE_MS = 15_000;
const CHANNEL = "oracle-events";
const address = () => new URL("v1/events", document.baseURI).href;

export class Live {
  #last = null;
  #way = null;
  #joined = false;
  #began = false;
  #refusedKey = undefined;

  // on: { event(kind, data), gap(), status("connecting" | "live" | "lost") }
  constructor(on) {
    this.on = on;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#rest() : this.start()));
    // A page that is left may be kept for the way back, with its connection.
    addEventListener("pagehide", () => this.#rest());
    addEventListener("pageshow", (event) => { if (event.persisted) this.start(); });
    setInterval(() => { if (this.#joined) this.#way?.here(); }, HERE_MS);
  }

  start() {
    if (this.#joined || document.hidden) return;
    this.#joined = true;
    // Without an id nothing tells what was missed while away.
    if (this.#began && this.#last === null) this.on.gap();
    this.#began = true;
    this.#way ??= way((message) => this.#take(message));
    this.#way.join(keyNow(), this.#last);
  }

  #rest() {
    if (!this.#joined) return;
    this.#joined = false;
    this.#way.leave();
    this.on.status("connecting");
  }

  async #take({ event, id, text, gap, status, refused }) {
    if (!this.#joined) return;
    if (status) this.on.status(status);
    if (gap) {
      this.#last = null;
      this.on.gap();
    }
    if (event) {
      if (id !== null) this.#last = id;
      this.on.event(event, JSON.parse(text));
    }
    if (refused) {
      const sent = keyNow();
      if (this.#refusedKey === sent && sent !== null) return;
      this.#refusedKey = sent;
      await askKey(sent !== null);
      this.#refusedKey = undefined;
      if (this.#joined) this.#way.join(keyNow(), this.#last);
    }
  }
}

// A browser opens six connections to a host, and six tabs with a stream each would leave none to ask
// anything by. Locks are for pages of a secure origin alone; a browser freezes a shared worker whose
// pages were all left, with its connection open, so it comes second.
function way(take) {
  if (navigator.locks && typeof BroadcastChannel === "function") return byLeader(take);
  if (typeof SharedWorker === "function") {
    try {
      return byWorker(take);
    } catch { /* not allowed here */ }
  }
  return alone(take);
}

function byWorker(take) {
  const worker = new SharedWorker(new URL("stream-worker.js", import.meta.url), { type: "module", name: "oracle" });
  const { port } = worker;
  // A browser that has shared workers may not have them of modules.
  let instead = null, wanted = null;
  port.onmessage = ({ data }) => { if (!instead) take(data); };
  worker.onerror = () => {
    instead = alone(take);
    if (wanted) instead.join(...wanted);
  };
  return {
    join(key, last) {
      wanted = [key, last];
      if (instead) instead.join(key, last);
      else port.postMessage({ join: { address: address(), key, last } });
    },
    leave() {
      wanted = null;
      if (instead) instead.leave();
      else port.postMessage({ leave: true });
    },
    here() {
      if (!instead) port.postMessage({ here: true });
    },
  };
}

function alone(take) {
  let hub = null;
  const listener = (message) => take(message);
  return {
    join(key, last) {
      hub?.leave(listener);
      hub = new Hub(address(), key);
      hub.join(listener, last);
    },
    leave: () => hub?.leave(listener),
    here() {},
  };
}

// Whoever holds the lock reads the stream and tells the others; they take over when it lets go.
function byLeader(take) {
  let release = null, waiting = null, hub = null, channel = null, last = null;
  const listener = (message) => {
    take(message);
    channel.postMessage(message);
  };
  const leave = () => {
    waiting?.abort();
    hub?.leave(listener);
    release?.();
    channel?.close();
    release = waiting = hub = channel = null;
  };
  return {
    join(key, known) {
      leave();
      last = known;
      const name = `${CHANNEL} ${address()} ${key ?? ""}`;
      channel = new BroadcastChannel(name);
      channel.onmessage = ({ data }) => {
        if (data.hello !== undefined) {
          if (hub) channel.postMessage({ ...hub.stands, from: hub.stream.last });
          return;
        }
        if (data.id) last = data.id;
        // A newcomer does not know what was told between its lists and its first event.
        if (data.from !== undefined && last !== null && data.from !== last) take({ gap: true });
        take(data);
      };
      channel.postMessage({ hello: true });
      waiting = new AbortController();
      navigator.locks.request(name, { signal: waiting.signal }, () => new Promise((resolve) => {
        waiting = null;
        release = resolve;
        hub = new Hub(address(), key);
        hub.join(listener, last);
      })).catch(() => {});
    },
    leave,
    here() {},
  };
}
