// Numbers as a person reads them: three digits that mean something, and units where there are any.

import { now } from "./clock.js";

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
export const NONE = "–";

// One format a number of places: making them anew is most of the cost of a table.
const PLACES = Array.from({ length: 7 }, (_, n) => new Intl.NumberFormat("en", { minimumFractionDigits: n, maximumFractionDigits: n }));

const known = (x) => typeof x === "number" && Number.isFinite(x);

export function num(x, digits = 3) {
  if (!known(x)) return NONE;
  if (Math.abs(x) < 1e-12) return "0";
  const size = Math.abs(x);
  if (size >= 1e5 || size < 1e-3) {
    const power = Math.floor(Math.log10(size) + 1e-12);
    const front = (x / 10 ** power).toFixed(digits - 1);
    return `${front.replace("-", "−")}\u00a0×\u00a010${String(power).replace(/./g, (c) => RAISED[c])}`;
  }
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return PLACES[Math.min(places, 6)].format(x).replace("-", "−");
}

// For axes: no trailing zeros.
export function tick(x) {
  if (!known(x)) return "";
  const size = Math.abs(x);
  if (size && (size >= 1e5 || size < 1e-4)) return num(x, 1);
  return String(Number(x.toPrecision(6))).replace("-", "−");
}

export function percent(x, digits = 0) {
  if (!known(x)) return NONE;
  const value = 100 * x;
  if (digits === 0 && value > 0 && value < 1) return value < 0.1 ? "< 0.1 %" : `${value.toFixed(1)} %`;
  return `${value.toFixed(digits)} %`;
}

// For axes of shares: as many digits as tell one tick from the next.
export const share = (x, step) => percent(x, step > 0 ? Math.min(6, Math.max(0, Math.ceil(-Math.log10(100 * step) - 0.01))) : 0);

// For axes in powers of ten.
export function power(x) {
  const to = Math.round(Math.log10(x));
  return to >= -3 && to <= 4 ? String(10 ** to) : `10${String(to).replace(/./g, (c) => RAISED[c])}`;
}

// For a narrow column, where a number that is cut would be another one: 1.09e12.
export function brief(x) {
  if (!known(x)) return NONE;
  const size = Math.abs(x);
  return size && (size >= 1e5 || size < 1e-3) && size >= 1e-12 ? x.toExponential(2).replace("e+", "e").replace(/-/g, "−") : num(x);
}

// What a setting is set to: whole numbers stay whole.
export function setTo(value) {
  if (value === null || value === undefined) return NONE;
  return typeof value !== "number" ? String(value) : Number.isInteger(value) ? count(value) : num(value);
}

export function ordinal(n) {
  const tens = n % 100 >= 11 && n % 100 <= 13;
  return `${count(n)}${(!tens && ["th", "st", "nd", "rd"][n % 10]) || "th"}`;
}

// run-2 before run-10.
const COLLATOR = new Intl.Collator("en", { numeric: true });
export const naturally = (a, b) => COLLATOR.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);

export function count(x) {
  if (!known(x)) return NONE;
  if (Math.abs(x) >= 1e15) return num(x);
  return Math.round(x) === x ? PLACES[0].format(x) : num(x, 4);
}

// 21,900 -> 21.9 k: epochs of a whole search.
export function amount(x) {
  if (!known(x)) return NONE;
  for (const [size, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (Math.abs(x) >= size) return `${num(x / (unit === "k" ? 1e3 : size))} ${unit}`;
  }
  return count(x);
}

export const range = (low, high) => `${num(low)} to ${num(high)}`;

export function ago(iso, at = now()) {
  const seconds = Math.max(0, (at - Date.parse(iso)) / 1000);
  if (!known(seconds)) return NONE;
  if (seconds < 5) return "just now";
  for (const [size, unit] of [[86_400, "d"], [3_600, "h"], [60, "min"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return `${Math.floor(seconds)} s ago`;
}

export function moment(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? NONE : date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

// A long word without its middle: of names and settings the ends tell one from another.
export function cut(text, most = 24) {
  if (text.length <= most) return text;
  const tail = Math.floor((most - 1) / 2);
  return `${text.slice(0, most - 1 - tail)}…${text.slice(-tail)}`;
}
