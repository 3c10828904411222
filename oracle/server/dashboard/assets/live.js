// The event stream, read with fetch so that a key can be sent; it comes back by itself.

import { open, sleep } from "./api.js";

const SILENCE_MS = 40_000; // the service says something every 15 s
const HIDDEN_MS = 60_000; // a tab that nobody looks at gives its connection back
const LONGEST_PAUSE_MS = 5_000;

export class Live {
  #last = null;
  #abort = null;
  #wanted = true;
  #silence = 0;
  #turn = 0;

  // on: { event(kind, data), gap(), status("connecting" | "live" | "lost") }
  constructor(on) {
    this.on = on;
    let hidden = 0;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(hidden);
      if (document.hidden) hidden = setTimeout(() => this.#rest(), HIDDEN_MS);
      else if (!this.#wanted) this.start();
    });
    // A page that is left may be kept for the way back, with its connection, and a browser opens six.
    addEventListener("pagehide", () => this.#rest());
    addEventListener("pageshow", (event) => { if (event.persisted && !this.#wanted) this.start(); });
  }

  async start() {
    this.#wanted = true;
    const turn = ++this.#turn; // one that was told to rest may not have noticed yet
    let pause = 250, opened = false;
    while (this.#wanted && turn === this.#turn) {
      try {
        await this.#once(() => {
          // Without an id nothing tells what was missed while away.
          if (opened && this.#last === null) this.on.gap();
          opened = true;
          pause = 250;
          this.on.status("live");
        });
      } catch (error) {
        if (error?.status === 422) this.#last = null;
      }
      if (!this.#wanted || turn !== this.#turn) break;
      this.on.status("lost");
      await sleep(pause * (0.75 + Math.random() / 2));
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
  }

  #rest() {
    this.#wanted = false;
    this.#abort?.abort();
    this.on.status("connecting");
  }

  async #once(begun) {
    const abort = this.#abort = new AbortController();
    const quiet = () => {
      clearTimeout(this.#silence);
      this.#silence = setTimeout(() => abort.abort(), SILENCE_MS);
    };
    quiet();
    try {
      const more = this.#last === null ? {} : { "Last-Event-ID": this.#last };
      const response = await open("v1/events", more, abort.signal);
      begun();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        quiet();
        text += value;
        const frames = text.split("\n\n");
        text = frames.pop();
        frames.forEach((frame) => this.#take(frame));
      }
    } finally {
      clearTimeout(this.#silence);
      abort.abort();
    }
  }

  #take(frame) {
    let kind = "message", data = "";
    for (const line of frame.split("\n")) {
      const at = line.indexOf(":");
      const value = line.slice(at + 1).replace(/^ /, "");
      if (at <= 0) continue;
      const field = line.slice(0, at);
      if (field === "id") this.#last = value;
      else if (field === "event") kind = value;
      else if (field === "data") data += value;
    }
    if (kind === "reset") {
      this.#last = null;
      this.on.gap();
    } else if (data) this.on.event(kind, JSON.parse(data));
  }
}
