"""The table of runs alone: what of it shows only when rows change under the focus."""

from __future__ import annotations

from browser import Browser

#: A row has the focus, others wait to be put in order, and then that row is drawn anew.
HELD = """
const done = arguments[0];
import("./assets/charts/table.js").then(async ({ RunTable }) => {
  const { h } = await import("./assets/words/dom.js");
  const run = (name, at) => ({ run_id: name, updated_at: at });
  const columns = [{ key: "run", label: "Run", value: (r) => r.run_id, cell: (r) => h("a", { href: "#" }, r.run_id) }];
  const table = new RunTable(columns, { version: (r) => r.updated_at, caption: "Some runs",
    sort: { key: "run", down: false }, rowClass: () => "", choose: () => {} });
  document.body.append(table.element);
  table.show(["a", "b", "c"].map((name) => run(name, 1)));
  table.element.querySelector("[data-run=b] a").focus();
  const now = ["a", "b", "c", "d"].map((name) => run(name, 2));
  table.show(WITHOUT_B ? now.filter((r) => r.run_id !== "b") : now);
  await new Promise((drawn) => setTimeout(drawn, 50));
  const rows = [...table.element.querySelectorAll("[data-run]")].map((row) => row.dataset.run);
  const at = document.activeElement.closest("[data-run]")?.dataset.run ?? null;
  table.element.remove();
  done({ said: [], rows, at, waiting: !table.news.hidden });
}).catch((error) => done({ said: [String(error)] }));
"""  # noqa: E501


def test_a_row_that_is_drawn_anew_keeps_the_focus_and_others_wait(page: Browser) -> None:
    page.open("/")
    told = page.driver.execute_async_script(HELD.replace("WITHOUT_B", "false"))
    assert told == {"said": [], "rows": ["a", "b", "c"], "at": "b", "waiting": True}


def test_a_row_that_leaves_with_the_focus_lets_the_others_in(page: Browser) -> None:
    page.open("/")
    told = page.driver.execute_async_script(HELD.replace("WITHOUT_B", "true"))
    assert told == {"said": [], "rows": ["a", "c", "d"], "at": None, "waiting": False}
