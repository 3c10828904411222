"""What the tests of the live page share: a server with a search in full swing, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from browser import DEADLINE_S, POPULATION, Browser, post_search
from serving import Server

from oracle.history.dataset import read_dataset
from oracle.types import Run

SEARCH = Path(__file__).parents[2] / "data/search.csv.gz"


@pytest.fixture(scope="package")
def runs() -> list[Run]:
    return read_dataset(SEARCH)


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("page")) as started:
        yield started


@pytest.fixture(scope="package")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=DEADLINE_S) as opened:
        yield opened


@pytest.fixture(scope="package")
def searched(client: httpx.Client, runs: list[Run]) -> str:
    """A search in full swing; gives the id of a run that still trains."""
    post_search(client, runs, POPULATION, live=8)
    listed = client.get("/v1/runs", params={"population": POPULATION, "state": "running"}).json()
    assert listed["runs"], "the last runs of the search must still be running"
    return str(listed["runs"][0]["run_id"])


@pytest.fixture(scope="package")
def chromium(server: Server) -> Iterator[Browser]:
    opened = Browser(server.url)
    yield opened
    opened.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Browser]:
    """The browser, wide and light; at the end nothing was logged and nobody else was asked."""
    chromium.size(1440)
    chromium.dark(False)
    chromium.console()
    chromium.requested()
    yield chromium
    # A busy service answers 503 and the page asks again: no error of either.
    assert [e for e in chromium.console() if "status of 503" not in e["message"]] == []
    asked = [u for u in chromium.requested() if not u.startswith(("about:", "blob:", "data:"))]
    assert [u for u in asked if not u.startswith(f"{chromium.url}/")] == []
