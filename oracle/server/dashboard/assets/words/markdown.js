// The part of Markdown that model cards use, made into elements; nothing is parsed as HTML.

import { h } from "./dom.js";

export function markdown(text) {
  const lines = text.split("\n"), out = [];
  for (let i = 0; i < lines.length;) {
    const line = lines[i];
    const take = (test) => {
      const from = i;
      while (i < lines.length && test(lines[i])) i += 1;
      return lines.slice(from, i);
    };
    if (!line.trim()) i += 1;
    else if (/^#+ /.test(line)) {
      out.push(h(line.startsWith("# ") ? "h2" : "h3", {}, ...inline(line.replace(/^#+ /, ""))));
      i += 1;
    } else if (line.startsWith("```")) {
      i += 1;
      out.push(h("pre", { tabindex: 0 }, take((l) => !l.startsWith("```")).join("\n")));
      i += 1;
    } else if (line.startsWith("    ")) out.push(h("pre", { tabindex: 0 }, take((l) => l.startsWith("    ")).map((l) => l.slice(4)).join("\n")));
    else if (line.startsWith("|")) out.push(table(take((l) => l.startsWith("|"))));
    else if (MARKED.test(line)) out.push(h("ul", {}, items(take((l) => MARKED.test(l) || /^ {2,}\S/.test(l)), MARKED)));
    else if (COUNTED.test(line)) out.push(h("ol", { start: parseInt(line, 10) }, items(take((l) => COUNTED.test(l) || /^ {2,}\S/.test(l)), COUNTED)));
    else out.push(h("p", {}, ...inline(take((l) => l.trim() && !/^(#|\||```|[-*] |1[.)] )/.test(l)).join(" ")))); // "in\n2020. So" is no list
  }
  return out;
}

const MARKED = /^[-*] /, COUNTED = /^\d{1,9}[.)] /;

// Lines of a list by its items: what is indented belongs to the one above.
function items(lines, begins) {
  const found = [];
  for (const line of lines) {
    if (begins.test(line)) found.push(line.replace(begins, ""));
    else found[found.length - 1] += ` ${line.trim()}`;
  }
  return found.map((item) => h("li", {}, ...inline(item.replace(/\s+/g, " "))));
}

function table(lines) {
  const cells = (line) => line.replace(/^\||\|\s*$/g, "").split("|").map((c) => c.trim());
  const [head, , ...rows] = lines.map(cells);
  const number = (text) => /^[-−\d.,% ]+$/.test(text);
  return h("div", { class: "wide-scroll", tabindex: 0, role: "region", "aria-label": "Table" }, h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, head.map((c, i) => h("th", { scope: "col", class: number(rows[0]?.[i] ?? "") && i ? "num" : null }, ...inline(c))))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((c, i) => h("td", { class: number(c) && i ? "num" : null }, ...inline(c))))))));
}

function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => (part.startsWith("`") && part.length > 1 ? h("code", {}, part.slice(1, -1)) : part.startsWith("**") ? h("strong", {}, part.slice(2, -2)) : part.replace(/\[([^\]]+)\]\([^)]*\)/g, "$1")));
}
