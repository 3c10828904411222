"""Several workers: none outlives the process that started it, nor do its numbers."""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path

import httpx
import psutil
from serving import Server, until

from oracle.server.workers import PATIENCE_S

#: uvicorn asks each worker every so often whether it is alive, seconds.
ASKED_EVERY_S = 0.5


def workers_of(server: Server) -> list[psutil.Process]:
    """The processes that answer."""
    return [
        child
        for child in psutil.Process(server.pid).children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE
        and "resource_tracker" not in " ".join(child.cmdline())
    ]


def streams_told(server: Server) -> float:
    found = re.search(r"^oracle_event_streams (\S+)$", metrics(server), re.M)
    return float(found[1]) if found else 0.0


def metrics(server: Server) -> str:
    return httpx.get(f"{server.url}/metrics", timeout=60).text


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    server = Server(tmp_path, workers=2)
    server.environment["TMPDIR"] = str(temporary)
    with server:
        workers = workers_of(server)
        assert len(workers) == 2
        assert list(temporary.glob("oracle-metrics-*"))
        psutil.Process(server.pid).kill()  # as by the kernel, when memory is short
        gone, alive = psutil.wait_procs(workers, timeout=60)
        assert not alive
        assert len(gone) == 2
        until(lambda: not list(temporary.glob("oracle-metrics-*")), 30, "no folder left over")
        with Server(tmp_path, port=server.port) as again:
            assert httpx.get(f"{again.url}/healthz").status_code == 200


def test_what_a_worker_had_open_is_forgotten_with_it(tmp_path: Path) -> None:
    with Server(tmp_path, workers=2) as server:
        streams = []
        for _ in range(4):
            one = socket.create_connection(("127.0.0.1", server.port), timeout=60)
            one.sendall(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert one.recv(10)
            streams.append(one)
        until(lambda: streams_told(server) == 4, 60, "four streams")
        for worker in workers_of(server):
            worker.kill()
        for one in streams:
            one.close()
        until(lambda: len(workers_of(server)) == 2, 60, "new workers")
        # A worker's numbers are there once it has answered.
        until(lambda: _answers(server) and streams_told(server) == 0, 60, "no stream")


def test_a_worker_that_dies_while_it_is_asked_is_replaced_at_once(tmp_path: Path) -> None:
    with Server(tmp_path, workers=2) as server:
        before = {worker.pid for worker in workers_of(server)}
        dying = workers_of(server)[0]
        dying.suspend()
        time.sleep(2 * ASKED_EVERY_S)  # it has been asked, and cannot answer
        dying.kill()
        took_s = until(lambda: _replaced(server, before), 2 * PATIENCE_S, "a new worker")
    assert took_s < PATIENCE_S / 2


def _replaced(server: Server, before: set[int]) -> bool:
    now = {worker.pid for worker in workers_of(server)}
    return len(now) == len(before) and now != before


def _answers(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/healthz", timeout=60).status_code == 200
    except httpx.TransportError:
        return False
