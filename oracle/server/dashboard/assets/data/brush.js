// What is brushed on the page: ranges of settings, of scores, of runs. It filters every panel and the
// table, and stands in the address: brush=rate:0.01..0.5;neighborhood=gaussian|bubble

import { note } from "./address.js";

// Names of brushes that are no setting: in brackets, for a setting may well be called `score`.
export const SCORE = "(score)", ORDER = "(ended)";

export class Brush {
  #listeners = new Set();

  constructor(parameters) {
    this.ranges = new Map();
    this.words = new Map();
    this.read(parameters);
  }

  // values(name, run): what of a run is brushed where it is no setting
  of(run, values) {
    for (const [name, [low, high]] of this.ranges) {
      const value = valueOf(name, run, values);
      if (typeof value !== "number" || value < low || value > high) return false;
    }
    for (const [name, words] of this.words) if (!words.has(String(valueOf(name, run, values)))) return false;
    return true;
  }

  get any() {
    return this.ranges.size + this.words.size > 0;
  }

  range(name, ends) {
    if (ends) this.ranges.set(name, ends[0] <= ends[1] ? ends : [ends[1], ends[0]]);
    else this.ranges.delete(name);
    this.#changed();
  }

  toggle(name, word) {
    const words = this.words.get(name) ?? new Set();
    if (!words.delete(word)) words.add(word);
    if (words.size) this.words.set(name, words);
    else this.words.delete(name);
    this.#changed();
  }

  clear(name) {
    if (name === undefined) {
      this.ranges.clear();
      this.words.clear();
    } else {
      this.ranges.delete(name);
      this.words.delete(name);
    }
    this.#changed();
  }

  onChange(listener) {
    this.#listeners.add(listener);
  }

  #changed() {
    note({ brush: this.toString() });
    this.#listeners.forEach((listener) => listener());
  }

  toString() {
    const short = (v) => String(Number(v.toPrecision(4)));
    return [
      ...[...this.ranges].map(([name, [low, high]]) => `${encodeURIComponent(name)}:${short(low)}..${short(high)}`),
      ...[...this.words].map(([name, words]) => `${encodeURIComponent(name)}=${[...words].map(encodeURIComponent).join("|")}`),
    ].join(";");
  }

  // What is no brush in an address is none; nothing else is said of it.
  read(parameters) {
    this.ranges.clear();
    this.words.clear();
    for (const part of (parameters.get("brush") ?? "").split(";").filter(Boolean)) {
      const [, name, sign, text] = /^([^:=]+)([:=])(.*)$/.exec(part) ?? [];
      if (!name) continue;
      try {
        if (sign === "=") this.words.set(decodeURIComponent(name), new Set(text.split("|").map(decodeURIComponent)));
        else {
          const ends = text.split("..").map(Number);
          if (ends.length === 2 && ends.every(Number.isFinite)) this.ranges.set(decodeURIComponent(name), ends);
        }
      } catch { /* cut off */ }
    }
  }
}

function valueOf(name, run, values) {
  const found = values?.(name, run);
  return found === undefined ? run.settings?.[name] : found;
}
