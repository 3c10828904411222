"""Reports in a browser: readable for all, on a phone, too; they call runs as the page does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from browser import MARKS, POPULATION, Browser
from serving import Server

from oracle.reports.page import anchor

pytestmark = MARKS

SEARCH = Path(__file__).parents[2] / "data/search.csv.gz"
LONG = "long-names"


@pytest.fixture(scope="module")
def folder(
    server: Server, client: httpx.Client, searched: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Reports of a search in full swing, of one whose names are long, and of recorded runs."""
    folder = tmp_path_factory.mktemp("reports")
    for i in range(14):
        told = {"population": LONG, "total_epochs": 2, "epochs": [1, 2], "mqe": [0.9, 0.5 + i / 50],
                "topographic_error": [0.2, 0.1], "dead_neuron_ratio": [0.1, 0.1],
                "name": f"lr={i}",
                "config": {"S" * 175: i, "kind": "V" * 190 + "ab"[i % 2]}}  # fmt: skip
        client.post(f"/v1/runs/long-{i:02d}/checkpoints", json=told).raise_for_status()
        client.post(f"/v1/runs/long-{i:02d}/finish", json={}).raise_for_status()
    for name, *command in (
        ("search", "report", POPULATION, "--from", server.url, "--out"),
        ("long", "report", LONG, "--from", server.url, "--out"),
        ("replay", "replay", "--dataset", str(SEARCH), "--report"),
    ):
        made = [sys.executable, "-m", "oracle", *command, str(folder / f"{name}.html")]
        subprocess.run(made, check=True, env=os.environ, cwd=folder, capture_output=True)
    return folder


@pytest.fixture
def reader(chromium: Browser) -> Iterator[Browser]:
    """The browser, away from the service: what a report would fetch is a failure."""
    chromium.requested()
    yield chromium
    asked = [url for url in chromium.requested() if not url.startswith(("file:", "about:"))]
    chromium.size(1440)
    chromium.dark(False)
    chromium.driver.get("about:blank")
    chromium.console()
    assert asked == []


@pytest.mark.parametrize("name", ["search", "long", "replay"])
def test_everybody_can_read_a_report(reader: Browser, folder: Path, name: str) -> None:
    for width in (390, 1440):
        reader.size(width)
        for dark in (False, True):
            reader.dark(dark)
            reader.driver.get(f"file://{folder}/{name}.html")
            reader.run(
                "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
            )
            assert reader.serious() == [], (width, dark)
        assert reader.cut() == "", width


def test_what_goes_on_beside_a_phone_says_so(reader: Browser, folder: Path) -> None:
    hint = (
        "return [...document.querySelectorAll('.wide')].filter((one) => one.firstChild.matches("
        "'svg') && one.scrollWidth > one.clientWidth).map((one) =>"
        " getComputedStyle(one, '::after').content)"
    )
    reader.size(390)
    reader.driver.get(f"file://{folder}/search.html")
    hints = reader.run(hint)
    assert hints
    assert all("scroll it" in said for said in hints), hints
    reader.size(1440)
    assert reader.run(hint) == []


def test_a_point_leads_to_its_row_and_has_a_name(reader: Browser, folder: Path) -> None:
    reader.driver.get(f"file://{folder}/search.html")
    names = reader.run("return [...document.querySelectorAll('svg a')].map((a) => a.ariaLabel)")
    assert len(names) > 40
    assert all(name.startswith(f"{POPULATION}-") for name in names)
    assert {"group", "img"} == set(
        reader.run("return [...document.querySelectorAll('svg')].map((one) => one.role)")
    )


def test_a_report_calls_a_run_as_the_page_does(reader: Browser, folder: Path) -> None:
    reader.driver.get(f"file://{folder}/long.html")
    assert "the best run, long-00, has" in reader.of(".conclusion")
    row = reader.of(f"#{anchor('long-00')}").splitlines()
    assert row == ["long-00", "lr=0"]
