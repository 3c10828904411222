"""T3: kill -9 the server while clients append; what was acknowledged is there, once.

After every kill the database is looked at as the kill left it, before a server mends it.

"Ready within 3 s" is looked at for every start. Beside one that is late, a fresh Python imports
the service's libraries and nothing of ours: where that alone takes so long that the start was no
more than AT_MOST times it, the machine was slow and the start is counted as missed, else it fails.
"""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median

from reliability import Result, cases
from serving import JSON_HEADERS, Postgres, Server, checkpoint
from sqlalchemy import create_engine, text

CLIENTS = 8
#: Longest time from the end of the start until the clients are cut off, seconds.
LONGEST_LIFE_S = 0.4
READY_S = 3.0
#: Kills of one store, which is looked at as a whole after each.
KILLS_A_STORE = 50
#: What a fresh Python imports to show how slow the machine is just now.
LIBRARIES = "import fastapi, numpy, onnxruntime, prometheus_client, sqlalchemy, typer, uvicorn"
#: 3 s are so many times the import of LIBRARIES on an idle machine that takes 0.75 s for it; the
#: service's own start is 1.2 times the import.
AT_MOST = 4.0


class Appender(threading.Thread):
    """Appends to one run after another, and remembers what was acknowledged."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(daemon=True)
        self.port, self.run_name = port, name
        self.acknowledged: list[tuple[str, float]] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        """Append until the server is gone or the check is over."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        epoch = 0.0
        try:
            while not self.stopping.is_set():
                epoch += 1
                body = json.dumps(checkpoint(epoch, population="p", total_epochs=100_000))
                path = f"/v1/runs/{self.run_name}/checkpoints"
                connection.request("POST", path, body, JSON_HEADERS)
                answer = connection.getresponse()
                answer.read()
                if answer.status == 201:
                    self.acknowledged.append((self.run_name, epoch))
                elif answer.status != 503:
                    raise RuntimeError(f"status {answer.status}")
                if epoch >= 900:
                    self.run_name, epoch = f"{self.run_name}x", 0.0
        except (OSError, http.client.HTTPException):
            pass  # killed, as planned
        finally:
            connection.close()


def kill_sqlite(folder: Path, n: int, done: int = 0) -> Result:
    """Kill the server `n` times, on one SQLite file after the other, `done` others before."""
    killed = _Killed(n, done)
    for first in range(0, n, KILLS_A_STORE):
        of_store = folder / str(first)
        # Read only: closing it must not do the server's own work: bringing the log into the file.
        url = f"sqlite:///file:{of_store / 'data' / 'oracle.db'}?mode=ro&uri=true"
        killed.on(Server(of_store), url, min(KILLS_A_STORE, n - first), None)
    return killed.told()


def kill_postgres(folder: Path, n: int, done: int = 0) -> Result:
    """Kill the server `n` times on one PostgreSQL, and that every fifth time too."""
    killed = _Killed(n, done)
    with Postgres() as database:
        for first in range(0, n, KILLS_A_STORE):
            url = database.database()
            server = Server(folder / str(first), database_url=url)
            kills = min(KILLS_A_STORE, n - first)
            killed.on(server, url.replace("://", "+psycopg://"), kills, database)
    return killed.told()


class _Killed:
    def __init__(self, n: int, done: int) -> None:
        self.result, self._rng = Result(), random.Random(f"{n} after {done}")
        self._starts: list[float] = []

    def on(self, server: Server, url: str, n: int, database: Postgres | None) -> None:
        """Kill a server `n` times on one store."""
        result = self.result
        acknowledged: list[tuple[str, float]] = []
        stored: set[tuple[str, float]] = set()
        for i in cases(n):
            self._start(server)
            clients = [Appender(server.port, f"r{i}-{k}") for k in range(CLIENTS)]
            for client in clients:
                client.start()
            while not any(client.acknowledged for client in clients):
                if not any(client.is_alive() for client in clients):
                    break
                time.sleep(0.005)
            time.sleep(self._rng.random() * LONGEST_LIFE_S)  # any moment
            if database is not None and i % 5 == 4:
                database.stop()
            server.kill()
            now = []
            for client in clients:
                client.stopping.set()
                client.join(30)
                now += client.acknowledged
            if database is not None and i % 5 == 4:
                database.start()
            stored = look(url, result, f"kill {len(self._starts)}")
            result.check(stored.issuperset(now), f"kill {i}: lost {len(set(now) - stored)}")
            acknowledged += now
        for one in acknowledged:
            result.check(one in stored, f"lost later: {one}")
        result.counts["acknowledged"] += len(acknowledged)

    def _start(self, server: Server) -> None:
        ready_s = server.start()
        allowed_s = READY_S
        if ready_s >= READY_S:
            allowed_s = max(READY_S, AT_MOST * median(_import_s() for _ in range(3)))
        late = f"ready after {ready_s:.1f} s, {allowed_s:.1f} s are allowed"
        self.result.check(ready_s < allowed_s, f"start {len(self._starts)}: {late}")
        self._starts.append(ready_s)
        self.result.counts["kills"] += 1

    def told(self) -> Result:
        """Give what was seen on all stores."""
        starts = self._starts
        late = sum(ready_s >= READY_S for ready_s in starts)
        if late:
            self.result.missed = (
                f"{late} of {len(starts)} starts were not ready within {READY_S:g} s by the clock"
            )
        told = f"{median(starts):.1f} s (median), {max(starts):.1f} s at most"
        self.result.seen["start to ready"] = told
        return self.result


def _import_s() -> float:
    """How long a fresh Python takes just now to import what the service stands on."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", LIBRARIES], check=True)
    return time.monotonic() - began


def look(url: str, result: Result, when: str) -> set[tuple[str, float]]:
    """Check that the database is sound; gives the checkpoints in it."""
    engine = create_engine(url)
    with engine.connect() as connection:
        if url.startswith("sqlite"):
            verdict = connection.execute(text("PRAGMA integrity_check")).scalar()
            result.check(verdict == "ok", f"{when}: integrity {verdict}")
        # What stands too close to the checkpoint before it is kept in a table of its own.
        rows = connection.execute(
            text(
                "SELECT r.run_id, c.epoch FROM checkpoints c JOIN runs r ON r.id = c.run UNION ALL "
                "SELECT r.run_id, c.epoch FROM left_behind c JOIN runs r ON r.id = c.run"
            )
        ).all()
        half = connection.execute(
            text(
                "SELECT count(*) FROM runs r WHERE n_checkpoints <> "
                "(SELECT count(*) FROM checkpoints c WHERE c.run = r.id) OR "
                "(SELECT count(*) FROM checkpoints c WHERE c.run = r.id) + "
                "(SELECT count(*) FROM left_behind c WHERE c.run = r.id) <> "
                "(SELECT count(*) FROM decisions d WHERE d.run = r.id)"
            )
        ).scalar()
    engine.dispose()
    stored = {(run_id, epoch) for run_id, epoch in rows}
    result.check(len(stored) == len(rows), f"{when}: a checkpoint is stored twice")
    result.check(half == 0, f"{when}: {half} runs are half written")
    return stored
