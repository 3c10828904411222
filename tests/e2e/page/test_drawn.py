"""What is drawn can be read: words and numbers lie over nothing, and what goes on is marked."""

from __future__ import annotations

from typing import Any

import pytest
from browser import MARKS, Browser

pytestmark = MARKS

#: `svgOf(paint)`: a painted figure as SVG in the page; `box`: where something of it is.
TOOLS = """
const done = arguments[arguments.length - 1];
const load = (name) => import(`./assets/${name}.js`);
Promise.all([load("charts/svg_context"), load("words/dom")]).then(async ([{ SvgContext }, dom]) => {
  const svgOf = (paint, width = 600, height = 340) => {
    const context = new SvgContext(width, height);
    paint(context, width, height);
    document.body.append(context.root);
    return context.root;
  };
  const box = (e) => { const b = e.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; };
  const over = ([a, b, c, d], [e, f, g, h]) => a < g - 0.5 && e < c - 0.5 && b < h - 0.5 && f < d - 0.5;
  const texts = (root) => [...root.querySelectorAll("text")];
  const struck = (root) => {
    const turned = texts(root).filter((t) => t.getAttribute("transform")?.includes("rotate"));
    const flat = texts(root).filter((t) => !turned.includes(t));
    return turned.flatMap((t) => flat.filter((f) => over(box(t), box(f))).map((f) => f.textContent));
  };
  BODY
}).catch((error) => done({ error: String(error) }));
"""  # noqa: E501


def drawn(page: Browser, body: str) -> dict[str, Any]:
    page.open("/")
    told: dict[str, Any] = page.driver.execute_async_script(TOOLS.replace("BODY", body))
    assert "error" not in told, told
    return told


def test_the_name_of_an_axis_stands_beside_its_numbers(page: Browser) -> None:
    told = drawn(page, """
      const { Scatter } = await load("charts/scatter"), { METRICS } = await load("words/words");
      const { axis, grid, leftOf } = await load("charts/drawing"), holder = dom.h("div");
      const runs = [0.1, 0.11, 0.12].map((v, i) => ({ run_id: `r-${i}`, state: "finished",
        final: { final_mqe: 1 + i, final_topographic_error: v, final_dead_neuron_ratio: 0.1 } }));
      document.body.append(holder);
      const scatter = new Scatter(holder, () => {});
      scatter.show(runs, METRICS[0], METRICS[1], null);
      const { paint } = scatter.files().draw(), heading = svgOf(paint);
      const wide = svgOf((context, width, height) => {
        context.font = "12px system-ui, sans-serif";
        const y = axis(123456.5, 123458.5, height - 40, 10);
        const box = { left: leftOf(context, y), right: width - 10, top: 10, bottom: height - 40 };
        grid(context, box, axis(0, 1, box.left, box.right), y, { yLabel: "quality score" });
      });
      const said = texts(heading).map((t) => t.textContent);
      done({ said, struck: [...struck(heading), ...struck(wide)], from: Math.min(
        ...[heading, wide].flatMap((root) => texts(root).map((t) => box(t)[0] - box(root)[0]))) });
    """)  # fmt: skip
    assert any(len(text) >= 6 and text.endswith(" %") for text in told["said"]), told["said"]
    assert told["struck"] == []
    assert told["from"] >= 0


def test_no_line_strikes_a_word_of_an_axis(page: Browser) -> None:
    told = drawn(page, """
      const { Parallel } = await load("charts/parallel"), { SCORE } = await load("data/brush");
      const brush = { ranges: new Map(), words: new Map() };
      const parallel = new Parallel(brush, { pick() {}, passes: () => true, hover() {}, open() {} });
      const axes = [{ name: "kind", label: "kind", kind: "word", values: ["hexagonal", "square"] },
        { name: "rate", label: "rate", kind: "number", low: 0.1, high: 0.9 },
        { name: "all", label: "all", kind: "number", low: 0.1, high: 0.9 },
        { name: SCORE, label: "quality score", kind: "number", low: 0, high: 1, last: true }];
      const runs = [["hexagonal", 0.1], ["square", 0.9], ["hexagonal", undefined], ["odd", 0.2]]
        .map(([kind, rate], i) => ({ run: { run_id: `r-${i}`, settings: { kind, rate, all: 0.3 } }, score: i / 4 }));
      parallel.show(axes, runs, new Set(["r-0"]), "kind");
      const root = svgOf((...to) => parallel.paint(...to));
      const bare = texts(root).filter((t) => ["hexagonal", "square"].includes(t.textContent)).filter((t) => {
        const before = t.previousElementSibling, [a, b, c, d] = box(t), [e, f, g, h] = box(before);
        return !(before.tagName === "rect" && e <= a && g >= c && f <= b + 2 && h >= d - 2);
      }).map((t) => t.textContent);
      done({ bare, lacked: parallel.axes.filter((a) => a.lacked).map((a) => a.name), some: parallel.lacked });
    """)  # fmt: skip # noqa: E501
    assert told == {"bare": [], "lacked": ["kind", "rate"], "some": True}


@pytest.mark.parametrize(
    ("q", "arrows"),
    [([0.2, 0.3, 0.5, 0.7, 0.8], 0), ([-1, 0.3, 0.5, 0.7, 2], 2), ([0.2, 0.3, 0.5, 1.5, 2], 1)],
)
def test_a_bar_that_goes_on_beyond_its_plot_ends_in_an_arrow(
    page: Browser, q: list[float], arrows: int
) -> None:
    told = drawn(page, f"""
      const {{ bars }} = await load("charts/chart");
      const root = svgOf((ctx) => bars([{{ x: 0.5, q: {q} }}], "forecast").paint({{ ctx,
        bbox: {{ left: 0, top: 0, width: 100, height: 100 }},
        valToPos: (v, scale) => (scale === "x" ? 100 * v : 100 - 100 * v) }}));
      done({{ paths: [...root.querySelectorAll("g path")].map((p) => p.getAttribute("d")) }});
    """)  # fmt: skip
    assert len(told["paths"]) == 2 + arrows


def test_a_card_s_lists_are_lists(page: Browser) -> None:
    told = drawn(page, """
      const { markdown } = await load("words/markdown");
      const text = "It took three steps in\\n2020. They were:\\n1. to `look`\\n2. to\\n   think\\n\\n- a\\n- b\\n  c\\n\\n3) on";
      done({ made: markdown(text).map((e) => [e.tagName, e.start ?? 0, [...e.children].map((c) => c.textContent)]),
        said: markdown(text)[0].textContent });
    """)  # fmt: skip # noqa: E501
    assert told["said"] == "It took three steps in 2020. They were:"
    assert told["made"] == [
        ["P", 0, []],
        ["OL", 1, ["to look", "to think"]],
        ["UL", 0, ["a", "b c"]],
        ["OL", 3, ["on"]],
    ]
