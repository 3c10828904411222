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

import httpx
import pytest
from browser import DEADLINE_S, PICTURES, POPULATION, Browser, programs
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
        { label: "best", kind: "steps", x: [1, 2], y: [2, 1.5], color: "ours" }] },
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


def run_python(folder: Path, *arguments: str) -> None:
    """Run a Python of its own in a folder, with no window to draw in."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        cwd=folder,
        env=os.environ | {"MPLBACKEND": "agg", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_matplotlib_code_runs(made: dict[str, Any], tmp_path: Path) -> None:
    script = tmp_path / "figure.py"
    script.write_text(made["code"], encoding="utf-8")
    run_python(tmp_path, script.name)
    with Image.open(tmp_path / "best.png") as image:
        assert image.size[0] > 1000


def test_a_menu_offers_what_its_panel_can_give(chromium: Browser, made: dict[str, Any]) -> None:
    assert made["offered"] == ["PNG, two times", "SVG", "CSV, what is drawn"]
    chromium.run("document.querySelector('body > .figure-menu > button').click()")
    assert chromium.run("return document.activeElement.textContent") == "PNG, two times"
    chromium.run("document.querySelectorAll('body > .figure-menu > div button')[2].click()")
    target = Path(chromium.profile) / "best.csv"
    until(target.exists, DEADLINE_S, "the file")
    assert target.read_text(encoding="utf-8").splitlines()[0] == "run,score"


#: What each menu in sight gives: {its label: {svg, png: its size, csv, code, name of files, said}}.
ALL_MENUS = """
const done = arguments[arguments.length - 1];
(async () => {
  const found = {}, blobs = [];
  let copied = null;
  navigator.clipboard.writeText = async (text) => { copied = text; };
  const [made, click] = [URL.createObjectURL, HTMLAnchorElement.prototype.click];
  URL.createObjectURL = (blob) => { blobs.push(blob); return made.call(URL, blob); };
  HTMLAnchorElement.prototype.click = function () {
    if (this.download) blobs.at(-1).given = this.download;
    else click.call(this);
  };
  const until = async (holds) => {
    for (let i = 0; i < 500 && !holds(); i += 1) await new Promise((go) => setTimeout(go, 10));
  };
  for (const menu of document.querySelectorAll(".figure-menu")) {
    if (!menu.offsetParent) continue;
    const buttons = [...menu.querySelectorAll(":scope > div button")], told = {};
    const toast = document.getElementById("toast");
    toast.replaceChildren();
    for (const button of buttons) {
      const before = blobs.length;
      copied = null;
      button.click();
      await until(() => copied !== null || blobs.length > before || toast.textContent);
      if (copied !== null) told.code = copied;
      else if (blobs.length > before) {
        const blob = blobs.at(-1), kind = blob.given.split(".").at(-1);
        if (kind === "png") {
          const image = await createImageBitmap(blob);
          told.png = [image.width, image.height];
        } else told[kind] = await blob.text();
        told.name = blob.given.replace(/\\.\\w+$/, "");
      } else told.said = toast.textContent;
      toast.replaceChildren();
    }
    found[menu.querySelector("button").getAttribute("aria-label")] = told;
  }
  [URL.createObjectURL, HTMLAnchorElement.prototype.click] = [made, click];
  done(found);
})().catch((error) => done({ error: String(error) }));
"""

#: View -> its route, what shows that it is drawn, its figures by the names of their files.
FIGURES_OF = {
    "overview": (
        f"/?population={POPULATION}",
        "#settings .explains button",
        {"best-so-far", "oracle-audit", "settings", "setting", "heading"},
    ),
    "compare": (
        f"/compare?runs={POPULATION}-060,{POPULATION}-059,{POPULATION}-049",
        "#differing",
        {"compare"},
    ),
    "run": (
        "/run/{run}",
        "#decisions-title",
        {"{run}-mqe", "{run}-topographic_error", "{run}-dead_neuron_ratio", "{run}-chance",
         "{run}-forecasts", "{run}-schedule"},
    ),
    "model": ("/model", "#coverage .u-over", {"model-error", "model-coverage"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def left(
    chromium: Browser, searched: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """What each view's menus give, by view; the code of all of them lies in one folder."""
    found: dict[str, dict[str, Any]] = {}
    for view, (route, sign, _) in FIGURES_OF.items():
        chromium.open(route.format(run=searched))
        chromium.there(sign)
        waiting = ".skeleton, .chart:not(:has(canvas))"
        until(lambda waiting=waiting: not chromium.has(waiting), DEADLINE_S, "all drawn")
        given = chromium.driver.execute_async_script(ALL_MENUS)
        assert "error" not in given, given
        found[view] = {told.get("name", menu): told for menu, told in given.items()}
        for name, told in found[view].items():
            target = PICTURES / "figures" / f"{name}.svg"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(told.get("svg", ""), encoding="utf-8")
    return found


@pytest.mark.parametrize("view", FIGURES_OF)
def test_every_chart_leaves_the_page_whole(
    left: dict[str, dict[str, Any]], searched: str, view: str
) -> None:
    expected = {name.format(run=searched) for name in FIGURES_OF[view][2]}
    assert set(left[view]) == expected
    for name, told in left[view].items():
        assert "said" not in told, (name, told["said"])
        root = ElementTree.fromstring(told["svg"])
        tags = [element.tag.rpartition("}")[2] for element in root.iter()]
        assert "image" not in tags, f"{name}: pixels"
        assert tags.count("path") + tags.count("rect") > 5, name
        assert tags.count("text") > 3, f"{name}: no axis"
        assert "NaN" not in told["svg"], name
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        assert told["png"] == [round(2 * width), round(2 * height)], name
        head, *rows = csv.reader(io.StringIO(told["csv"]))
        assert len(rows) > 2, name
        assert {len(row) for row in rows} == {len(head)}, name
        assert all(head), f"{name}: a column without a name"
        assert "undefined" not in told["csv"] + told["code"], name


def test_the_code_of_every_chart_runs(left: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    scripts = [told["code"] for given in left.values() for told in given.values()]
    for i, code in enumerate(scripts):
        (tmp_path / f"figure_{i:02d}.py").write_text(code.replace("dpi=200", "dpi=20"), "utf-8")
    run_all = (
        "import pathlib\nfor f in sorted(pathlib.Path().glob('*.py')):\n    exec(f.read_text())"
    )
    run_python(tmp_path, "-c", run_all)
    assert len(list(tmp_path.glob("*.png"))) == len(scripts)
    for file in tmp_path.glob("*.png"):
        with Image.open(file) as image:
            assert len(image.convert("RGB").getcolors(1 << 20) or []) > 3, file.name


def test_a_figure_says_what_it_is_and_what_its_marks_mean(
    left: dict[str, dict[str, Any]],
) -> None:
    said = {
        "best-so-far": ["Best so far", "finished", "live: bars hold 50 and 90 %", "best"],
        "oracle-audit": ["Is the oracle right", "90 % interval, bars 95 %"],
        "settings": ["Which settings are good", "the best 10 %", "the others"],
        "setting": ["to its end", "running median"],
        "heading": ["Where the runs are heading", "Pareto front", "finished"],
    }
    for name, words in said.items():
        assert set(words) <= set(texts_of(left["overview"][name])), name
    assert any(text.startswith("Score over ") for text in texts_of(left["overview"]["setting"]))


def texts_of(told: dict[str, Any]) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(told["svg"]).iter()]


def test_files_hold_all_that_is_drawn(
    left: dict[str, dict[str, Any]], client: httpx.Client
) -> None:
    overview = left["overview"]
    best = list(csv.DictReader(io.StringIO(overview["best-so-far"]["csv"])))
    listed = client.get("/v1/runs", params={"population": POPULATION, "state": "running"}).json()
    live = {run["run_id"] for run in listed["runs"] if run["quality"]}
    assert {row["run_id"] for row in best if row["state"] == "running"} == live
    code = overview["best-so-far"]["code"]
    assert "best at the same compute without stopping" in code
    assert "live: bars hold 50 and 90 %" in code
    assert "x = [0, 1]\ny = [0, 1]" in overview["oracle-audit"]["code"]  # as said, so it came
    assert "equal quality score" in overview["heading"]["code"]
    inches = float(overview["settings"]["code"].split("figsize=(")[1].split(",")[0])
    assert inches <= 16
    bars = left["compare"]["compare"]["code"]
    assert float(bars.split("set_xlim(0, ")[1].split(")")[0]) > 100  # room for the forecasts


def test_a_run_s_chart_gives_what_the_service_has(
    left: dict[str, dict[str, Any]], client: httpx.Client, searched: str
) -> None:
    told = client.get(f"/v1/runs/{searched}").json()
    rows = list(csv.DictReader(io.StringIO(left["run"][f"{searched}-mqe"]["csv"])))
    seen = [float(row["mqe"]) for row in rows if row["mqe"]]
    assert seen == [v for v in told["history"]["mqe"] if v is not None]
    last = told["run"]["forecast"]["final_mqe"]
    assert float(rows[-1]["progress_percent"]) == 100
    assert [float(rows[-1][f"forecast_{q}"]) for q in ("05", "25", "50", "75", "95")] == last


def test_a_figure_that_is_not_drawn_says_so(chromium: Browser, made: dict[str, Any]) -> None:
    said = chromium.driver.execute_async_script(
        "const done = arguments[0];"
        "import('./assets/charts/figure.js').then(({ figureMenu }) => {"
        "  const menu = figureMenu({ name: 'a', title: 'A', draw: () => null, rows: () => null });"
        "  document.body.append(menu);"
        "  menu.querySelector(':scope > div button').click();"
        "  setTimeout(() => done(document.getElementById('toast').textContent), 50);"
        "});"
    )
    assert said == "Nothing is drawn yet."
