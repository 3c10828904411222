"""Figures leave the live page whole: as SVG, PNG, CSV and as matplotlib code that runs."""

from __future__ import annotations

import base64
import csv
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from browser import DEADLINE_S, Browser, programs
from PIL import Image
from serving import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(None in programs(), reason="needs chromium and chromium-driver"),
]

#: Two figures of the page: an SVG that gets its colours from the style sheet, and a painted one.
FIGURES = """
const done = arguments[arguments.length - 1];
(async () => {
  const { figureMenu, svgText, png, csvText } = await import("./assets/charts/figure.js");
  const { pyplot } = await import("./assets/charts/matplotlib.js");
  const { svg } = await import("./assets/words/dom.js");
  const drawn = svg("svg", { width: 120, height: 60, viewBox: "0 0 120 60" },
    svg("circle", { cx: 20, cy: 20, r: 9, fill: "var(--ours)", class: "dot" }),
    svg("text", { x: 2, y: 50, fill: "var(--muted)" }, "<b> & 'c'"));
  document.body.append(drawn);
  const painted = { width: 100, height: 50, paint(c) {
    c.save(); c.beginPath(); c.rect(0, 0, 50, 50); c.clip();
    c.strokeStyle = "#ff0000"; c.lineWidth = 4; c.setLineDash([5, 3]); c.beginPath();
    c.moveTo(0, 25); c.lineTo(100, 25); c.stroke(); c.restore();
    c.fillStyle = "#00ff00"; c.beginPath(); c.arc(75, 25, 10, 0, 7); c.fill();
    c.translate(90, 40); c.rotate(-Math.PI / 2); c.textAlign = "center"; c.fillText("up", 0, 0);
  } };
  const bytes = async (blob) => {
    let said = "";
    for (const b of new Uint8Array(await blob.arrayBuffer())) said += String.fromCharCode(b);
    return btoa(said);
  };
  const menu = figureMenu({ name: "best", title: "Best so far", draw: () => drawn,
    rows: () => [["run", "score"], ["=cmd()", 0.5], ['a "b", c', null], ["é", NaN]] });
  document.body.append(menu);
  done({
    ours: getComputedStyle(drawn.firstChild).fill,
    svg: svgText(drawn), painted: svgText(painted),
    png: await bytes(await png(drawn)), paintedPng: await bytes(await png(painted)),
    csv: csvText([["run", "score"], ["=cmd()", 0.5], ['a "b", c', null], ["é", NaN]]),
    code: pyplot([
      { title: 'Best "so far" \\\\ 😀', x: { label: "runs" }, y: { label: "score", log: true },
        levels: [{ y: 1, label: "it" }], series: [
        { label: "runs", kind: "points", x: [1, 2], y: [2, null], low: [1, 1], high: [3, 3] },
        { label: "best", kind: "steps", x: [1, 2], y: [2, 1.5], color: "#1f4e8c" }] },
      { x: { percent: true }, y: { ticks: [[0, "a"], [1, "b"]] },
        series: [{ kind: "bars", x: [0.2, 0.8], y: [0, 1] },
          { x: [0, 1], y: [0, 1], low: [0, 0], high: [1, 1], dash: true }] },
    ], "best"),
    offered: [...menu.querySelectorAll(":scope > div button")].map((b) => b.textContent),
  });
})().catch((error) => done({ error: String(error) }));
"""


@pytest.fixture(scope="module")
def made(chromium: Browser) -> dict[str, Any]:
    chromium.dark(False)
    chromium.open()
    found: dict[str, Any] = chromium.driver.execute_async_script(FIGURES)
    assert "error" not in found, found
    return found


def test_an_svg_needs_nothing_of_the_page(made: dict[str, Any]) -> None:
    root = ElementTree.fromstring(made["svg"])
    circle, text = root[0], root[1]
    assert "var(" not in made["svg"]
    assert f"fill: {made['ours']}" in circle.attrib["style"]
    assert "class" not in circle.attrib
    assert text.text == "<b> & 'c'"


def test_what_a_canvas_is_painted_with_becomes_lines(made: dict[str, Any]) -> None:
    root = ElementTree.fromstring(made["painted"])
    tags = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert "image" not in tags
    line = next(e for e in root.iter() if e.attrib.get("stroke") == "#ff0000")
    assert (line.attrib["d"], line.attrib["stroke-dasharray"]) == ("M0 25L100 25", "5 3")
    words = next(e for e in root.iter() if e.text == "up")
    assert words.attrib["transform"] == "translate(90 40)rotate(-90)"


@pytest.mark.parametrize(("which", "size"), [("png", (240, 120)), ("paintedPng", (200, 100))])
def test_a_png_has_twice_the_pixels(
    made: dict[str, Any], which: str, size: tuple[int, int]
) -> None:
    with Image.open(io.BytesIO(base64.b64decode(made[which]))) as image:
        assert image.size == size
        pixels = image.convert("RGB")
        if which == "png":  # the dot's middle has the page's own blue
            inside = pixels.getpixel((40, 40))
            assert f"rgb{inside}" == made["ours"]
        else:
            assert pixels.getpixel((150, 50)) == (0, 255, 0)
            assert pixels.getpixel((6, 50)) == (255, 0, 0)
            assert pixels.getpixel((110, 50)) == (255, 255, 255)  # clipped


def test_a_csv_holds_text_as_text(made: dict[str, Any]) -> None:
    rows = list(csv.reader(io.StringIO(made["csv"])))
    assert rows == [["run", "score"], ["'=cmd()", "0.5"], ['a "b", c', ""], ["é", ""]]


def test_the_matplotlib_code_runs(made: dict[str, Any], tmp_path: Path) -> None:
    script = tmp_path / "figure.py"
    script.write_text(made["code"], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script.name],
        cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "agg", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "best.png") as image:
        assert image.size[0] > 1000


def test_a_menu_offers_what_its_panel_can_give(chromium: Browser, made: dict[str, Any]) -> None:
    assert made["offered"] == ["PNG, two times", "SVG", "CSV, what is drawn"]
    chromium.run("document.querySelector('.figure-menu > button').click()")
    assert chromium.run("return document.activeElement.textContent") == "PNG, two times"
    chromium.run("document.querySelectorAll('.figure-menu > div button')[2].click()")
    target = Path(chromium.profile) / "best.csv"
    until(target.exists, DEADLINE_S, "the file")
    assert target.read_text(encoding="utf-8").splitlines()[0] == "run,score"
