"""One real service for the tests that change none of its settings."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from serving import JSON_HEADERS, Server


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=JSON_HEADERS, timeout=30) as client:
        yield client
