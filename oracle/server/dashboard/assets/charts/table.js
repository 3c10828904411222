// A table of thousands of rows: only those in sight exist. Sorting and filtering work on the data.

import { h } from "../words/dom.js";
import { naturally } from "../words/format.js";

const ROW = 41;
const SPARE = 4;
const MOST_PRINTED = 1_000;
const SETTLED_MS = 250;

export class RunTable {
  // columns: { key, label, width, num, wide, narrow: its label may be cut, value(run), cell(run) }; version(run) tells when a row is to be drawn anew
  constructor(columns, { version, caption, sort, rowClass, choose, sorted, scrolled }) {
    this.version = version;
    this.rowClass = rowClass;
    this.choose = choose;
    this.sorted = sorted;
    this.named = new Map();
    this.held = null; // runs that wait to be put in order while somebody points at a row
    this.news = h("button", { type: "button", class: "news", hidden: true, onclick: () => this.#letGo() });
    this.wantedRow = 0; // where to stand once there are so many rows
    this.sort = sort;
    this.runs = [];
    this.rows = new Map();
    this.fresh = new Map();
    this.pads = [0, 1].map(() => h("tr", { "aria-hidden": "true" }, h("td", { class: "pad" })));
    this.body = h("tbody");
    this.heads = h("tr");
    this.widths = h("colgroup");
    this.table = h("table", { class: "runs" }, h("caption", { class: "visually-hidden" }, caption), this.widths, h("thead", {}, this.heads), this.body);
    this.#head(columns);
    this.element = h("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": caption }, this.table);
    // Rows stay where they are while a pointer or the focus is among them: one could not hit them else.
    this.body.addEventListener("pointerenter", () => { this.pointed = true; });
    this.body.addEventListener("pointerleave", () => { this.pointed = false; this.#letGo(); });
    // Only after what is being drawn: taking a row out that has the focus says so at once, in the midst of it.
    this.body.addEventListener("focusout", (event) => { if (!this.body.contains(event.relatedTarget)) queueMicrotask(() => this.#letGo()); });
    let queued = false;
    this.element.addEventListener("scroll", () => {
      if (queued) return;
      queued = true;
      requestAnimationFrame(() => {
        queued = false;
        this.#render();
      });
      clearTimeout(this.settled);
      this.settled = setTimeout(() => scrolled?.(Math.floor(this.element.scrollTop / ROW)), SETTLED_MS);
    }, { passive: true });
    this.observer = new ResizeObserver(() => {
      this.#span();
      this.#render();
    });
    this.observer.observe(this.element);
    this.print = (event) => {
      this.printed = event.type === "beforeprint";
      this.#render();
    };
    for (const name of ["beforeprint", "afterprint"]) addEventListener(name, this.print);
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.#mark();
  }

  #head(columns) {
    this.columns = columns;
    this.headers = columns.map((column) => h("th", { scope: "col", class: [column.num && "num", column.wide && "wide", column.narrow && "narrow"].filter(Boolean).join(" ") },
      column.value ? h("button", { type: "button", title: column.title, onclick: () => this.#sortBy(column.key) }, h("span", { class: "label" }, column.label), h("span", { class: "sort", "aria-hidden": "true" }))
        : h("span", { class: "visually-hidden" }, column.label)));
    this.heads.replaceChildren(...this.headers);
    this.widths.replaceChildren(...columns.map((c) => h("col", { class: [`col-${c.key}`, c.wide && "wide"].filter(Boolean).join(" "), style: { width: c.width ?? "" } })));
    this.rows.clear();
  }

  // Other columns for the same runs.
  fields(columns) {
    this.#head(columns);
    this.#mark();
    this.#span();
  }

  // On a phone some columns are hidden, and a cell over all of them must not bring them back.
  #span() {
    const visible = this.headers.filter((th) => getComputedStyle(th).display !== "none").length;
    for (const pad of this.pads) pad.firstChild.colSpan = visible;
  }

  get #busy() {
    return this.pointed || this.body.contains(document.activeElement);
  }

  #letGo() {
    if (this.held && !this.#busy) this.show(this.held, true);
  }

  // anew: also where somebody points at a row
  show(runs, anew = false) {
    if (!anew && this.runs.length && this.#busy) {
      this.held = runs;
      const now = new Map(runs.map((run) => [run.run_id, run]));
      this.runs = this.runs.filter((run) => now.has(run.run_id)).map((run) => now.get(run.run_id));
      const more = runs.length - this.runs.length;
      this.news.textContent = `${more} new: show`;
      this.news.hidden = !more;
      this.table.setAttribute("aria-rowcount", this.runs.length + 1);
      this.#render();
      return;
    }
    this.held = null;
    this.news.hidden = true;
    const column = this.columns.find((c) => c.key === this.sort.key) ?? this.columns.find((c) => c.value);
    const keyed = runs.map((run) => [column.value(run), run]);
    const sign = this.sort.down ? -1 : 1, places = this.#places(runs);
    // What is unknown stands last, whichever way one sorts; equal ones keep a fixed order.
    keyed.sort(([a, x], [b, y]) => {
      const none = (a === null || a === undefined) - (b === null || b === undefined);
      return none || (typeof a === "string" && typeof b === "string" ? sign * naturally(a, b) : a < b ? -sign : a > b ? sign : 0) || places.get(x.run_id) - places.get(y.run_id);
    });
    this.runs = keyed.map(([, run]) => run);
    this.table.setAttribute("aria-rowcount", this.runs.length + 1);
    this.#render();
    if (this.wantedRow && this.runs.length > this.wantedRow && this.element.clientHeight) {
      this.element.scrollTop = this.wantedRow * ROW;
      this.wantedRow = 0;
      this.#render();
    }
  }

  // Stand as an address says: in which order, at which row.
  order(sort, row = 0) {
    if (this.columns.some((column) => column.key === sort.key && column.value)) this.sort = sort;
    this.wantedRow = row;
    if (!row) this.element.scrollTop = 0;
    this.#mark();
  }

  // Places of runs by their names: comparing these anew for all that are equal would cost most.
  #places(runs) {
    if (runs.some((run) => !this.named.has(run.run_id))) {
      const names = [...new Set([...this.named.keys(), ...runs.map((run) => run.run_id)])].sort(naturally);
      this.named = new Map(names.map((name, i) => [name, i]));
    }
    return this.named;
  }

  // Draw anew what has another version: the runs are the same.
  refresh() {
    this.#render();
  }

  #sortBy(key) {
    const column = this.columns.find((c) => c.key === key);
    this.sort = { key, down: this.sort.key === key ? !this.sort.down : Boolean(column.downFirst) };
    this.#mark();
    this.sorted?.(this.sort);
    this.element.scrollTop = 0;
    this.show(this.held ?? this.runs, true);
  }

  #mark() {
    this.columns.forEach((column, i) => {
      if (column.key === this.sort.key) this.headers[i].setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
      else this.headers[i].removeAttribute("aria-sort");
    });
  }

  #render() {
    const height = this.element.clientHeight || 620;
    const first = this.printed ? 0 : Math.max(0, Math.floor(this.element.scrollTop / ROW) - SPARE);
    const last = Math.min(this.runs.length, this.printed ? MOST_PRINTED : first + Math.ceil(height / ROW) + 2 * SPARE);
    const focused = document.activeElement?.closest?.("tr[data-run]")?.dataset.run;
    const used = new Map();
    const shown = this.runs.slice(first, last).map((run, i) => {
      const version = this.version(run);
      let row = this.rows.get(run.run_id);
      if (row?.version !== version) row = { version, at: run.updated_at, node: this.#row(run, row !== undefined && row.at !== run.updated_at) };
      row.node.setAttribute("aria-rowindex", first + i + 2);
      used.set(run.run_id, row);
      return row.node;
    });
    this.rows = used;
    [first, this.runs.length - last].forEach((n, i) => {
      this.pads[i].firstChild.style.height = `${n * ROW}px`;
      this.pads[i].hidden = n <= 0 || this.printed;
    });
    // Rows that stay where they are cost nothing: no new layout, no lost focus.
    const wanted = [this.pads[0], ...shown, this.pads[1]];
    const keep = new Set(wanted);
    for (const node of [...this.body.children]) if (!keep.has(node)) node.remove();
    let next = this.body.firstChild;
    for (const node of wanted) {
      if (node === next) next = next.nextSibling;
      else this.body.insertBefore(node, next);
    }
    if (focused && !this.element.contains(document.activeElement)) this.rows.get(focused)?.node.querySelector("a")?.focus({ preventScroll: true });
  }

  #row(run, changed) {
    return h("tr", { "data-run": run.run_id, class: [this.rowClass(run), changed && "fresh"].filter(Boolean).join(" ") },
      this.columns.map((c) => h("td", { class: [c.num && "num", c.wide && "wide"].filter(Boolean).join(" ") }, c.cell(run))));
  }

  #key(event) {
    const now = document.activeElement?.closest?.("tr[data-run]")?.dataset.run;
    const at = this.runs.findIndex((run) => run.run_id === now);
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW) - 2);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: this.runs.length - 1 }[event.key];
    if (event.key === "x" && at >= 0) {
      this.choose(now);
      event.preventDefault();
    }
    if (to === undefined || !this.runs.length || event.target.closest("thead")) return;
    event.preventDefault();
    const index = Math.min(this.runs.length - 1, Math.max(0, to));
    const top = index * ROW, { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + 3 * ROW > scrollTop + clientHeight) this.element.scrollTop = top + 3 * ROW - clientHeight;
    this.#render();
    this.rows.get(this.runs[index].run_id)?.node.querySelector("a")?.focus({ preventScroll: true });
  }

  destroy() {
    for (const name of ["beforeprint", "afterprint"]) removeEventListener(name, this.print);
    clearTimeout(this.settled);
    this.observer.disconnect();
  }
}
