"""The page of a service that is away, has no model or another one, or asks for a key."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser import DEADLINE_S, MARKS, PICTURES, Browser, post_run
from serving import Server, until

from oracle.model.artifact import read_artifact, resolve, write_artifact
from oracle.server.http.keys import new_key
from oracle.types import Run

pytestmark = MARKS


def test_the_server_goes_away_and_returns(tmp_path: Path, runs: list[Run]) -> None:
    with Server(tmp_path) as server, httpx.Client(timeout=DEADLINE_S) as client:
        client.base_url = server.url  # type: ignore[assignment]
        post_run(client, runs[0], run_id="lasting", population="lasting", until=0.1)
        page = Browser(server.url)
        try:
            page.open("/?population=lasting")
            page.there("tr[data-run]")
            server.kill()
            page.shows("The service does not answer")
            assert page.has("tr[data-run]"), "what was known stays in sight"
            page.picture(PICTURES / "away-1440.png")
            server.start()
            until(lambda: page.of("#live") == "Live", DEADLINE_S, "the stream again")
            post_run(client, runs[1], run_id="later", population="lasting", until=0.1)
            page.shows("2 runs")
            assert "does not answer" not in page.text
        finally:
            page.close()


def test_no_model_and_nothing_stored(tmp_path: Path) -> None:
    with suppress(TimeoutError):
        (tmp_path / "none").mkdir()
    server = Server(tmp_path / "data", model=tmp_path / "none")
    server.start(ready=False)
    page = Browser(server.url)
    try:
        page.open("/")
        page.shows("No runs yet")
        page.there("#no-model")
        assert page.serious() == []
        page.picture(PICTURES / "empty-1440.png")
        page.go("/model")
        page.shows("oracle models activate")
        page.picture(PICTURES / "no-model-1440.png")
    finally:
        page.close()
        server.kill()


def test_it_asks_for_the_key(tmp_path: Path) -> None:

    secret, line = new_key("anna")
    with Server(tmp_path, api_keys=line) as server:
        page = Browser(server.url)
        try:
            page.open("/")
            page.there("dialog[open] #key")
            page.picture(PICTURES / "key-1440.png")
            page.type("#key", "wrong\n")
            page.shows("The key was not accepted")
            page.type("#key", f"{secret}\n")
            page.shows("No runs yet")
            until(lambda: page.of("#live") == "Live", DEADLINE_S, "the stream with the key")
            assert page.run("return localStorage.length") == 0
            assert secret not in page.run("return location.href + document.cookie")
            page.size(390)  # a phone forgets it, too
            page.click("#help")
            page.click("#forget-key")
            page.there("dialog[open] #key")
            assert page.run("return sessionStorage.length") == 0
        finally:
            page.close()


@pytest.mark.parametrize("kept", [True, False])
def test_the_model_view_tells_how_honest_the_intervals_are(tmp_path: Path, kept: bool) -> None:
    artifact = read_artifact(resolve(None))
    score: Any = deepcopy(artifact.manifest.training["score"])
    for share, found in score["by_progress"].items():
        found.pop("coverage", None)
        if kept:
            found["coverage"] = {"0.5": 0.4 + float(share) / 5, "0.9": 0.871}
    training = {**artifact.manifest.training, "score": score}
    model = tmp_path / "told"
    write_artifact(
        model,
        artifact.manifest.model_copy(update={"name": "told", "training": training}),
        weights=artifact.weights,
        calibration=artifact.calibration,
        golden=artifact.golden,
        card=artifact.card,
    )
    with Server(tmp_path / "data", model=model) as server:
        page = Browser(server.url)
        try:
            page.open("/model")
            page.there("#coverage")
            if kept:
                page.there("#coverage canvas")
                label = "return document.querySelector('#coverage .chart').ariaLabel"
                assert "90 % interval 87 %, 87 %, 87 %, 87 %, 87 %, 87 %" in page.run(label)
                assert "50 % interval 40 %, 42 %, 44 %, 46 %, 50 %, 54 %" in page.run(label)
            else:
                assert "not in this model's manifest" in page.of("#coverage")
                assert "oracle evaluate" in page.of("#coverage")
            for width in (1440, 390):
                page.size(width, 844 if width < 600 else 1000)
                until(lambda: page.cut() == "", DEADLINE_S, f"fits {width}")
                page.picture(PICTURES / f"model-{'covered' if kept else 'older'}-{width}.png")
            assert page.serious() == []
        finally:
            page.close()


@pytest.mark.parametrize("off_s", [86_400, -86_400])
def test_times_are_told_by_the_clock_of_the_service(
    tmp_path: Path, runs: list[Run], off_s: int
) -> None:
    with Server(tmp_path) as server, httpx.Client(base_url=server.url) as client:
        for i, run in enumerate(runs[:3]):
            post_run(client, run, run_id=f"r-{i}", population="clocks", until=0.2)
        page = Browser(server.url)
        try:
            page.driver.execute_cdp_cmd(
                "Page.addScriptToEvaluateOnNewDocument",
                {"source": f"const real = Date.now; Date.now = () => real() + {1000 * off_s};"},
            )
            page.open("/?population=clocks")
            page.there("tr[data-run='r-2']")
            assert page.of("#count-running") == "3"
            assert not page.has("#count-silent")
            assert " d ago" not in page.text
            page.open("/searches")
            page.there(".card-search")
            assert "3 live" in page.text
            page.open("/run/r-1")
            page.there("#decisions-title")
            heard = page.of(".head .sub")
            assert "just now" in heard or " s ago" in heard or " min ago" in heard
        finally:
            page.close()
