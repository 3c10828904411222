"""S2: three services on one PostgreSQL behind nginx; what befalls one of them fails no request.

They are restarted in turn, the model is exchanged, one is killed -9: every request is answered as
if nothing were. The database is restarted: what needs it is answered 503 with Retry-After.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from fault.kills.kill_server import look
from proxying import documented, proxied
from reliability import Result
from serving import (
    HISTORY,
    JSON_HEADERS,
    START_DEADLINE_S,
    Postgres,
    Server,
    body,
    checkpoint,
    copy_model,
    until,
)

REPLICAS = 3
CLIENTS = 6
#: Answers between two things that befall a replica.
ANSWERS = 60


def replicas(folder: Path, n: int) -> Result:
    """Let everything befall the replicas `n` times."""
    result = Result()
    models = folder / "models"
    digests = {name: copy_model(models / name).info.sha256 for name in ("one", "two")}
    (models / "active").write_text("one\n")
    with Postgres() as database:
        settings = {"database_url": database.url, "models": models, "model": ""}
        servers = [
            Server(folder / str(i), **settings, model_poll_s=0.1, shutdown_timeout_s=5)
            for i in range(REPLICAS)
        ]
        try:
            for server in servers:
                server.start()
            with proxied(folder / "nginx", *_configuration(servers)) as url, _loaded(url) as load:
                load.go_on(result, "before")
                for i in range(n):
                    for server in servers:
                        server.stop()
                        load.go_on(result, f"one of {REPLICAS} stopped")
                        server.start()
                    load.go_on(result, "all started again")
                    name = "two" if i % 2 == 0 else "one"
                    _activate(models, name)
                    for server in servers:
                        until(lambda s=server, d=digests[name]: _serves(s, d), START_DEADLINE_S)
                    load.go_on(result, "the model exchanged")
                    servers[i % REPLICAS].kill()
                    load.go_on(result, "one killed")
                    servers[i % REPLICAS].start()
                    load.go_on(result, "it started again")
                    database.stop()
                    until(lambda: load.refused, START_DEADLINE_S, "a request without a database")
                    database.start()
                    load.go_on(result, "the database started again", refusals=True)
                    load.refused = False
                acknowledged = load.stop()
            stored = look(database.url.replace("://", "+psycopg://"), result, "in the end")
            for one in acknowledged:
                result.check(one in stored, f"lost: {one}")
        finally:
            for server in servers:
                server.kill()
    result.seen |= {"answers": f"{load.answered:,}", "acknowledged": f"{len(acknowledged):,}"}
    return result


def _configuration(servers: list[Server]) -> tuple[str, str]:
    """Give the location and the upstream of docs/deploy.md, with the addresses of these."""
    upstream, location = documented(1).split("location", 1)
    for i, server in enumerate(servers, 1):
        assert f"10.0.0.{i}:8000" in upstream
        upstream = upstream.replace(f"10.0.0.{i}:8000", f"127.0.0.1:{server.port}")
    return f"location{location}", upstream


def _activate(models: Path, name: str) -> None:
    temporary = models / ".active.tmp"
    temporary.write_text(f"{name}\n")
    temporary.replace(models / "active")


def _serves(server: Server, sha256: str) -> bool:
    return sha256 in httpx.get(f"{server.url}/v1/models/active", timeout=60).text


class Load:
    """Clients that ask through nginx without a pause, over kept connections."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answered = 0
        self.refused = False
        self.problems: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._epochs = {f"r{i}": 0 for i in range(CLIENTS)}
        self._threads = [
            threading.Thread(target=self._work, args=(run_id,), daemon=True)
            for run_id in self._epochs
        ]
        for thread in self._threads:
            thread.start()

    def go_on(self, result: Result, when: str, *, refusals: bool = False) -> None:
        """Wait for some answers, and check all since the last time."""
        with self._lock:
            enough = self.answered + ANSWERS
        until(lambda: self.answered >= enough, START_DEADLINE_S, f"answers, {when}")
        with self._lock:
            problems, self.problems = self.problems, Counter()
            refused, self.refusals = self.refusals, Counter()
        if not refusals:
            problems += refused
        result.checked += ANSWERS
        result.check(not problems, f"{when}: {problems.most_common(3)}")

    def stop(self) -> list[tuple[str, float]]:
        """End; gives the checkpoints that were acknowledged."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
        return [
            (name, float(e + 1)) for name, epochs in self._epochs.items() for e in range(epochs)
        ]

    def _work(self, run_id: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self._stopping.is_set():
            told = checkpoint(self._epochs[run_id] + 1, population=run_id, total_epochs=10**6)
            ask = self._asking(connection)
            if ask("POST", f"/v1/runs/{run_id}/checkpoints", body(told)):
                self._epochs[run_id] += 1
            ask("POST", "/v1/forecast", body(HISTORY))
            ask("GET", "/v1/runs?limit=2", b"")
        connection.close()

    def _asking(self, connection: http.client.HTTPConnection) -> Callable[[str, str, bytes], bool]:
        def ask(method: str, path: str, content: bytes) -> bool:
            try:
                connection.request(method, path, content, JSON_HEADERS)
                answer = connection.getresponse()
                said = answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                with self._lock:
                    self.problems[f"{method} {path} {error!r}"] += 1
                return False
            with self._lock:
                self.answered += 1
                if answer.status == 503 and answer.headers.get("Retry-After"):
                    self.refused = True
                    self.refusals[f"{method} {path} {json.loads(said)['error']['message']}"] += 1
                elif answer.status not in (200, 201):
                    self.problems[f"{method} {path} {answer.status} {said[:100]!r}"] += 1
            if answer.status == 503:
                time.sleep(0.1)
            return answer.status in (200, 201)

        return ask


@contextmanager
def _loaded(url: str) -> Iterator[Load]:
    load = Load(int(url.rpartition(":")[2]))
    try:
        yield load
    finally:
        load.stop()
