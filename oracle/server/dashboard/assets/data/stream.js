// The event stream, read with fetch so that a key can be sent; it comes back by itself. Knows no
// page: a worker that serves all tabs runs it too.

const SILENCE_MS = 40_000; // the service says something every 15 s
const LONGEST_PAUSE_MS = 5_000;
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Stream {
  #abort = null;
  #turn = 0;
  #silence = 0;

  // address: of the events; key: or null; last: id of the last event known, or null;
  // on: { event(id, kind, text), gap(), status("connecting" | "live" | "lost"), refused() }
  constructor(address, key, on) {
    Object.assign(this, { address, key, on, last: null, now: "connecting" });
  }

  get open() {
    return this.#abort !== null;
  }

  async start(last = this.last) {
    this.last = last;
    this.refused = false;
    const turn = ++this.#turn; // one that was told to rest may not have noticed yet
    let pause = 250, opened = false;
    while (turn === this.#turn) {
      try {
        await this.#once(turn, () => {
          // Without an id nothing tells what was missed while away.
          if (opened && this.last === null) this.on.gap();
          opened = true;
          pause = 250;
          this.#tell("live");
        });
      } catch (error) {
        if (error?.status === 422) this.last = null;
        if (error?.status === 401 && turn === this.#turn) {
          this.rest();
          this.refused = true;
          this.on.refused();
          return;
        }
      }
      if (turn !== this.#turn) return;
      this.#tell("lost");
      await sleep(pause * (0.75 + Math.random() / 2));
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
  }

  rest() {
    this.#turn += 1;
    this.#abort?.abort();
    this.#abort = null;
    this.#tell("connecting");
  }

  #tell(status) {
    this.now = status;
    this.on.status(status);
  }

  async #once(turn, begun) {
    const abort = this.#abort = new AbortController();
    const quiet = () => {
      clearTimeout(this.#silence);
      this.#silence = setTimeout(() => abort.abort(), SILENCE_MS);
    };
    quiet();
    try {
      const headers = {};
      if (this.key) headers.Authorization = `Bearer ${this.key}`;
      if (this.last !== null) headers["Last-Event-ID"] = this.last;
      const response = await fetch(this.address, { headers, signal: abort.signal, cache: "no-store" });
      if (!response.ok) throw Object.assign(new Error(`The service answered ${response.status}.`), { status: response.status });
      if (turn !== this.#turn) return;
      begun();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done || turn !== this.#turn) return;
        quiet();
        text += value;
        const frames = text.split("\n\n");
        text = frames.pop();
        frames.forEach((frame) => this.#take(frame));
      }
    } finally {
      if (turn === this.#turn) clearTimeout(this.#silence);
      abort.abort();
    }
  }

  #take(frame) {
    let kind = "message", data = "", id = null;
    for (const line of frame.split("\n")) {
      const at = line.indexOf(":");
      const value = line.slice(at + 1).replace(/^ /, "");
      if (at <= 0) continue;
      const field = line.slice(0, at);
      if (field === "id") id = this.last = value;
      else if (field === "event") kind = value;
      else if (field === "data") data += value;
    }
    if (kind === "reset") {
      this.last = null;
      this.on.gap();
    } else if (data) this.on.event(id, kind, data);
  }
}

// One stream for many listeners, who each say what they know already. A listener that was away gets
// what it missed from the latest events, or is told of a gap.
export class Hub {
  #recent = [];
  #listeners = new Map(); // listener -> when it was last heard

  // A listener is a function of one message.
  constructor(address, key) {
    this.stream = new Stream(address, key, {
      event: (id, kind, text) => {
        if (id !== null) {
          this.#recent.push({ id, kind, text });
          if (this.#recent.length > MOST_RECENT) this.#recent.shift();
        }
        this.#tell({ event: kind, id, text });
      },
      gap: () => {
        this.#recent = [];
        this.#tell({ gap: true });
      },
      status: (status) => this.#tell({ status }),
      refused: () => this.#tell({ refused: true }),
    });
  }

  // What a listener that comes later is told.
  get stands() {
    return this.stream.refused ? { refused: true } : { status: this.stream.now };
  }

  #tell(message) {
    [...this.#listeners.keys()].forEach((listener) => listener(message));
  }

  join(listener, last) {
    const { stream } = this;
    const first = !this.#listeners.size;
    this.#listeners.set(listener, Date.now());
    if (first && !stream.open) {
      this.#recent = [];
      stream.start(last);
      return;
    }
    listener(this.stands);
    if (last === null || last === stream.last) return;
    const at = this.#recent.findIndex((one) => one.id === last);
    if (at < 0) listener({ gap: true });
    else this.#recent.slice(at + 1).forEach(({ id, kind, text }) => listener({ event: kind, id, text }));
  }

  heard(listener) {
    if (this.#listeners.has(listener)) this.#listeners.set(listener, Date.now());
  }

  // Whoever has not been heard for so long is gone: nobody tells of a tab that crashed.
  sweep(before) {
    for (const [listener, at] of this.#listeners) if (at < before) this.leave(listener);
  }

  leave(listener) {
    if (this.#listeners.delete(listener) && !this.#listeners.size) this.stream.rest();
  }
}

const MOST_RECENT = 500;
