"""T3: kill -9 the server while clients append; what was acknowledged is there, once."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from pathlib import Path
from statistics import median

from reliability import Result
from serving import JSON_HEADERS, Postgres, Server, checkpoint
from sqlalchemy import create_engine, text

CLIENTS = 8
#: Longest time from the end of the start until the clients are cut off, seconds.
LONGEST_LIFE_S = 0.6
READY_S = 3.0
#: Fewer starts, beside other tests, tell about the machine; the long form runs alone.
ENOUGH = 50


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


def kill_sqlite(folder: Path, n: int) -> Result:
    """Kill the server `n` times on one SQLite file."""
    url = f"sqlite:///{folder / 'data' / 'oracle.db'}"
    return _kill(Server(folder), url, n, None)


def kill_postgres(folder: Path, n: int) -> Result:
    """Kill the server `n` times on one PostgreSQL database, and that every fifth time too."""
    with Postgres() as database:
        server = Server(folder, database_url=database.url)
        return _kill(server, database.url.replace("://", "+psycopg://"), n, database)


def _kill(server: Server, url: str, n: int, database: Postgres | None) -> Result:
    result, rng = Result(), random.Random(n)
    acknowledged: list[tuple[str, float]] = []
    starts = []
    for i in range(n):
        starts.append(server.start())
        clients = [Appender(server.port, f"r{i}-{k}") for k in range(CLIENTS)]
        for client in clients:
            client.start()
        while not any(client.acknowledged for client in clients):
            if not any(client.is_alive() for client in clients):
                break
            time.sleep(0.005)
        time.sleep(rng.random() * LONGEST_LIFE_S)  # any moment
        if database is not None and i % 5 == 4:
            database.stop()
        server.kill()
        for client in clients:
            client.stopping.set()
            client.join(30)
            acknowledged += client.acknowledged
        if database is not None and i % 5 == 4:
            database.start()
    _compare(url, acknowledged, result)
    ready_s = median(starts)
    if n >= ENOUGH:
        result.check(ready_s < READY_S, f"ready after {ready_s:.1f} s")
    result.seen |= {
        "kills": n,
        "acknowledged": f"{len(acknowledged):,}",
        "start to ready": f"{ready_s:.1f} s (median), {max(starts):.1f} s at most",
    }
    return result


def _compare(url: str, acknowledged: list[tuple[str, float]], result: Result) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        if url.startswith("sqlite"):
            verdict = connection.execute(text("PRAGMA integrity_check")).scalar()
            result.check(verdict == "ok", f"integrity: {verdict}")
        rows = connection.execute(
            text("SELECT r.run_id, c.epoch FROM checkpoints c JOIN runs r ON r.id = c.run")
        ).all()
        half = connection.execute(
            text(
                "SELECT count(*) FROM runs r WHERE n_checkpoints <> "
                "(SELECT count(*) FROM checkpoints c WHERE c.run = r.id) OR n_checkpoints <> "
                "(SELECT count(*) FROM decisions d WHERE d.run = r.id)"
            )
        ).scalar()
    engine.dispose()
    stored = [(run_id, epoch) for run_id, epoch in rows]
    result.check(len(stored) == len(set(stored)), "a checkpoint is stored twice")
    result.check(half == 0, f"{half} runs are half written")
    there = set(stored)
    for one in acknowledged:
        result.check(one in there, f"lost: {one}")
