"""Reports are one file that fetches nothing and shows what it is given as text."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from oracle.reports.page import (
    Cell,
    Conclusion,
    Section,
    anchor,
    figure,
    folded,
    paragraph,
    table,
    text,
    write_report,
)
from oracle.reports.svg import Axis, Chart, around

HOSTILE = "<script>alert('x')</script>"


def test_one_file_and_nothing_fetched(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    chart = Chart(Axis(0, 1, HOSTILE), Axis(0, 1, HOSTILE), HOSTILE)
    chart.dot(0.5, 0.5, "ours", HOSTILE, href=f"#{anchor(HOSTILE)}")
    chart.level(0.5, "good", HOSTILE)
    body = figure(chart.svg(), HOSTILE, [("line", "ours", HOSTILE)])
    body += text(HOSTILE) + paragraph(HOSTILE) + folded(HOSTILE, table([HOSTILE], [[HOSTILE]]))
    conclusion = Conclusion(HOSTILE, "good", HOSTILE)
    write_report(out, HOSTILE, conclusion, HOSTILE, [Section(HOSTILE, HOSTILE, body)], HOSTILE)
    html = out.read_text(encoding="utf-8")
    assert "<script" not in html
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", html)
    assert html.count("&lt;script&gt;") == 23  # the title stands twice, and what scrolls is named
    assert html.index("conclusion good") < html.index("<section>")
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_tables_mark_ours_and_tell_what_is_unknown() -> None:
    html = table(["", "error"], [["oracle", 0.12345], ["last", None]], "oracle")
    assert '<tr class="ours"><td>oracle</td><td class="n">0.123</td></tr>' in html
    assert "–" in html
    cell = table(["run"], [[Cell("a b", "small", "#x", "run-a")]])
    assert '<td id="run-a"><a href="#x">a b</a><small>small</small></td>' in cell


def test_runs_of_any_name_have_an_anchor_of_their_own() -> None:
    names = ["a b", "a-20-b", "a/b", "é", "a_b", "A"]
    anchors = {anchor(name) for name in names}
    assert len(anchors) == len(names)
    assert all(re.fullmatch(r"run-[A-Za-z0-9-]+", one) for one in anchors)


@pytest.mark.parametrize(
    "axis",
    [
        Axis(0, 1),
        Axis(0.001, 500, log=True),
        Axis(0, 1, knee=0.02),
        Axis(5, 5.0000001),
        around([3.0]),
        around([]),
        around([0.0, 0.0, None, float("nan")], floor_at=0.0),
        around([-1e9, 1e9]),
    ],
)
def test_every_axis_gives_a_chart_within_its_bounds(axis: Axis) -> None:
    chart = Chart(axis, axis, "any")
    for value in (axis.low, axis.high, -1e12, 1e12):
        chart.dot(value, value, "ours")
    root = ElementTree.fromstring(chart.svg())
    dots = [e for e in root.iter() if e.tag == "circle"]
    width, height = chart.size
    assert all(0 <= float(d.attrib["cx"]) <= width for d in dots)
    assert all(0 <= float(d.attrib["cy"]) <= height for d in dots)
    assert [e for e in root.iter() if e.attrib.get("class") == "tick"]


def test_ticks_are_round_and_within() -> None:
    said = [text for _, text in Axis(0, 1).marks(5)]
    assert said == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
