"""A store that stands still holds up its own callers, and nobody else."""

from __future__ import annotations

import http.client
import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from serving import HISTORY, JSON_HEADERS, Server, body, checkpoint

PLACES = 4


@contextmanager
def locked(server: Server) -> Iterator[None]:
    """Hold the lock of everybody who writes."""
    file = server.folder / "data" / "oracle.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


class Asked:
    """One request on a connection of its own, whose answer is read when it is wanted."""

    def __init__(self, server: Server, method: str, path: str, value: object = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        sent = None if value is None else body(value)
        self._connection.request(method, path, sent, JSON_HEADERS)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Wait for the answer: status, headers, body."""
        with closing(self._connection), self._connection.getresponse() as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()


def append(server: Server, name: str) -> Asked:
    return Asked(server, "POST", f"/v1/runs/{name}/checkpoints", checkpoint(10, population="p"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    settings = {"max_waiting_requests": PLACES, "store_timeout_s": 60, "shutdown_timeout_s": 1}
    with Server(tmp_path, **settings) as server:
        yield server


def test_probes_reading_and_what_needs_no_store_go_on(server: Server) -> None:
    assert append(server, "first").answer()[0] == 201
    with locked(server):
        waiting = [append(server, f"r{i}") for i in range(PLACES)]
        # Those that are too many are told at once, although nothing is written.
        for i in range(3):
            status, head, told = append(server, f"too-many-{i}").answer()
            assert (status, json.loads(told)["error"]["code"]) == (503, "overloaded")
            assert head["retry-after"] == "1"
        for _ in range(2 * PLACES):
            for path in ("/healthz", "/readyz", "/metrics", "/", "/v1/runs", "/v1/runs/first"):
                assert Asked(server, "GET", path).answer()[0] == 200, path
            for path, value in (
                ("/v1/decide", HISTORY),
                ("/v1/forecast", HISTORY),
                ("/v1/decide/batch", {"histories": [HISTORY]}),
            ):
                assert Asked(server, "POST", path, value).answer()[0] == 200, path
    assert [asked.answer()[0] for asked in waiting] == [201] * PLACES


@pytest.mark.parametrize("workers", [1, 2])
def test_told_to_end_it_answers_late_ones_in_its_own_shape(tmp_path: Path, workers: int) -> None:
    settings = {"workers": workers, "store_timeout_s": 60, "shutdown_timeout_s": 1}
    with Server(tmp_path, **settings) as server:
        assert append(server, "first").answer()[0] == 201
        with locked(server):
            waiting = [append(server, f"r{i}") for i in range(4)]
            # Whoever is answered came after them: by then they have been read, by every worker.
            for _ in range(10):
                assert Asked(server, "GET", "/healthz").answer()[0] == 200
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            for asked in waiting:
                status, head, told = asked.answer()
                assert (status, head["retry-after"]) == (503, "1")
                assert head["content-type"] == "application/json"
                assert "ending" in json.loads(told)["error"]["message"]
        server.stop()
        assert "Traceback" not in server.log.read_text()
