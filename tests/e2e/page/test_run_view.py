"""What the page shows of one run: its fan, its end, where it went back, what was said of it."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser import DEADLINE_S, MARKS, PICTURES, Browser, post_run
from selenium.webdriver import ActionChains
from serving import Server, checkpoint, until

from oracle.hook import watch
from oracle.types import Policy, Run

pytestmark = MARKS

#: Each word that a canvas of the page is drawn with from now on; charts are drawn anew.
DRAWN = """
window.drawn = [];
const plain = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
  window.drawn.push(text);
  return plain.call(this, text, ...rest);
};
document.dispatchEvent(new Event("themechange"));
"""


def course(epoch: float, worse: float = 1.0, pace: float = 8) -> dict[str, float]:
    """Give the metrics of a made run at an epoch of 100."""
    left = math.exp(-epoch / pace)
    return {"mqe": 0.4 + worse * left, "topographic_error": 0.02 + 0.3 * left}


def test_the_fan_follows_the_forecast_to_the_end(
    page: Browser, client: httpx.Client, runs: list[Run]
) -> None:
    post_run(client, runs[0], run_id="fanned", population="fans", until=0.3)
    found = client.get("/v1/runs/fanned").json()
    curve = found["decision"]["forecast"]["curve"]["mqe"]
    assert curve[-1] == found["run"]["forecast"]["final_mqe"]
    page.open("/run/fanned")
    page.there("#decisions-title")
    until(lambda: not page.has(".skeleton"), DEADLINE_S, "all loaded")
    page.picture(PICTURES / "run-fan.png")
    plot = page.driver.find_element("css selector", ".u-over")
    at = page.run(  # half of what is left lies here
        "const box = document.querySelector('.u-over').getBoundingClientRect();"
        "return Math.round(box.width * (arguments[0] - 0.5))",
        (1 + found["run"]["progress"]) / 2,
    )
    ActionChains(page.driver).move_to_element_with_offset(plot, at, 0).perform()
    until(lambda: page.of(".reading").startswith("At "), DEADLINE_S, "a reading of the fan")
    told = page.of(".reading").split("90 %: ")[1].split(" to ")
    low, high = curve[1][0], curve[1][-1]
    assert [float(v) for v in told] == pytest.approx([low, high], rel=0.02)


def test_downloads_hold_the_run(page: Browser, client: httpx.Client, searched: str) -> None:
    page.open(f"/run/{searched}")
    page.there("#csv")
    page.run("document.querySelector('#csv').click(); document.querySelector('#json').click()")
    stored = client.get(f"/v1/runs/{searched}").json()
    table, whole = (Path(page.profile) / f"{searched}.{kind}" for kind in ("csv", "json"))
    until(lambda: table.exists() and whole.exists(), DEADLINE_S, "both files")
    lines = table.read_text().splitlines()
    assert lines[0].startswith("run_id,epoch,progress,mqe,")
    assert len(lines) == 1 + len(stored["history"]["epochs"])
    assert float(lines[-1].split(",")[3]) == stored["history"]["mqe"][-1]
    assert '"track"' in whole.read_text()


def test_each_way_of_ending_has_its_word(page: Browser, server: Server) -> None:
    strict = Policy(name="threshold", threshold=0.2, caution=0.1, control=0)
    for state, until_epoch, policy in (
        ("finished", 100, None),
        ("left", 40, None),
        ("stopped", 100, strict),
        ("converged", 100, Policy(name="threshold", converged=0.3)),
        ("abandoned", 40, None),
    ):
        fixed: dict[str, Any] = {"run_id": f"ends-{state}", "population_name": "endings"}
        with (
            suppress(InterruptedError),
            watch(total_epochs=100, url=server.url, policy=policy, timeout_s=30, **fixed) as run,
        ):
            for epoch in range(5, until_epoch + 1, 5):
                pace = 8 if state == "converged" else 30
                if run.report(epoch, dead_neuron_ratio=0.1, **course(epoch, pace=pace)).stop:
                    break
            if state == "abandoned":
                raise InterruptedError  # it is gone, and tells nobody
        assert run.state == ("finished" if state == "converged" else state), run.summary()
    words = {
        "finished": ("Finished", "Finished."),
        "left": ("Left", "Left at 40 % of its budget"),
        "stopped": ("Stopped", "Stopped at"),
        "converged": ("Converged", "Converged at"),
        "abandoned": ("Abandoned?", "seems to be abandoned"),
    }
    page.open("/?population=endings")
    until(lambda: "5 runs" in page.text, DEADLINE_S, "all five")
    assert "Abandoned?" not in page.text  # it was heard of a moment ago
    page.run(  # a day later by the clock of the service, whose word it is
        "const get = Headers.prototype.get; Headers.prototype.get = function (name) {"
        " const told = get.call(this, name);"
        " return name === 'Date' ? new Date(Date.parse(told) + 25 * 3_600_000) : told; }"
    )
    for state, (word, ending) in words.items():
        page.go(f"/run/ends-{state}")
        until(lambda ending=ending: ending in page.of("#ending"), DEADLINE_S, state)  # type: ignore[misc]
        assert page.of(".sub").startswith(word)
        page.picture(PICTURES / f"ends-{state}-1440.png")
    page.go("/?population=endings")
    page.there("tr[data-run='ends-left']")
    page.picture(PICTURES / "endings-1440.png")
    for state, (word, _) in words.items():
        assert word in page.of(f"tr[data-run='ends-{state}']")
    used = page.of("#saved")
    assert 0 < int(used.split(" ")[0]) < 100


def test_where_a_run_went_back_is_marked(page: Browser, server: Server) -> None:
    with watch(total_epochs=100, url=server.url, run_id="went-back", timeout_s=30) as run:
        for told, worse in (
            (range(5, 65, 5), 1.0),
            (range(45, 75, 5), 1.2),
            (range(65, 105, 5), 1),
        ):
            if told.start > 5:
                run.rewind(told.start - 5)
            for epoch in told:
                run.report(epoch, dead_neuron_ratio=0.1, **course(epoch, worse))
    assert run.problems.messages == {}
    page.open("/run/went-back")
    page.there("#decisions-title")
    assert "attempt 3" in page.of(".sub")
    page.run(DRAWN)
    until(lambda: page.run("return window.drawn.length") > 0, DEADLINE_S, "charts drawn anew")
    drawn = page.run("return window.drawn")
    assert drawn.count("attempt 2") == drawn.count("attempt 3") > 0
    assert drawn.count("attempt 2") % 4 == 0  # the metrics', and the forecast's, each time anew
    decided = [r.split("\t")[:2] for r in page.of(".decisions tbody").splitlines() if "\t" in r]
    assert ["65.0 %", "Attempt 3"] in decided
    assert ["45.0 %", "Attempt 2"] in decided
    assert page.cut() == ""
    assert page.serious() == []
    page.picture(PICTURES / "went-back-1440.png")
    page.size(390, 844)
    until(lambda: page.cut() == "", DEADLINE_S, "a rewound run fits a phone")
    page.picture(PICTURES / "went-back-390.png")


def test_what_was_said_of_a_run_is_shown(page: Browser, client: httpx.Client) -> None:
    common: dict[str, Any] = {"population": "said", "total_epochs": 100}
    said: dict[str, Any] = {
        "name": "lr=0.1, night 3",
        "config": {"sigma": 2.5, "seed": 20261129, "learning_rate": 1 / 3, "pca": False},
        "tags": ["baseline", "<b>bold</b>"],
        "notes": "First with the new scaling.\nCompare with run 12.",
    }
    for name, body in {"said-1": said, "said-2": {"config": {"sigma": 1.5, "pca": True}}}.items():
        client.post(f"/v1/runs/{name}/checkpoints", json=checkpoint(1, **common) | body)
    page.open("/run/said-1")
    page.there("#told .facts")
    told = page.of("#told")
    for text in ("2.5", "20261129", "0.333333", "false", "baseline", "<b>bold</b>", "run 12."):
        assert text in told
    assert page.of(".sub").startswith("“lr=0.1, night 3”, Running")
    assert page.serious() == []
    page.picture(PICTURES / "said-1440.png")
    page.go("/compare?runs=said-1,said-2")
    page.there("#differing")
    rows = page.of("#differing").splitlines()
    assert any(row.split("\t")[:3] == ["sigma", "2.50", "1.50"] for row in rows)
    assert any(row.split("\t")[:3] == ["pca", "false", "true"] for row in rows)
    page.go("/?population=said")
    page.there("#filter")
    page.type("#filter", "baseline")
    until(lambda: "1 of 2 runs" in page.text, DEADLINE_S, "found by its tag")


def test_a_final_value_is_drawn_wherever_it_lies(page: Browser, client: httpx.Client) -> None:
    seen = {"epochs": [10, 40, 69], "mqe": [4.0, 3.2, 2.9], "dead_neuron_ratio": [0.1] * 3}
    body = {**seen, "topographic_error": [0.02] * 3, "total_epochs": 100, "population": "off-axis"}
    policy = {"policy": {"name": "population"}}
    client.post("/v1/runs/off-axis/checkpoints", json=body | policy).raise_for_status()
    client.post("/v1/runs/off-axis/finish", json={"final_mqe": 1.0}).raise_for_status()
    page.open("/run/off-axis")
    page.there("#decisions-title")
    page.run(DRAWN)
    until(lambda: "final 1.00" in page.run("return window.drawn"), DEADLINE_S, "the final mqe")
    drawn = page.run("return window.drawn")
    ticks = [text for text in drawn if re.fullmatch(r"[12]\.\d+ %", text)]
    assert len(ticks) == len(set(ticks)) >= 2  # around a share that never changed they differ
    assert "Ended at 1.00" in page.text
