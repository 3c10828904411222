"""T3: kill -9 the server while clients append; what was acknowledged is there, once.

After every kill the database is looked at as the kill left it, before a server mends it.

"Ready within 3 s" is looked at for every start. One that takes 3 s of CPU time fails, and so does
one that is late by the clock, unless the greater part of the delay was waiting for a core that
other programs had: that one is counted as missed.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from pathlib import Path
from statistics import median

import psutil
from reliability import Result
from serving import JSON_HEADERS, Postgres, Server, checkpoint
from sqlalchemy import create_engine, text

CLIENTS = 8
#: Longest time from the end of the start until the clients are cut off, seconds.
LONGEST_LIFE_S = 0.6
READY_S = 3.0


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
    # Read only: closing it must not do the server's own work of bringing the log into the file.
    url = f"sqlite:///file:{folder / 'data' / 'oracle.db'}?mode=ro&uri=true"
    return _kill(Server(folder), url, n, None)


def kill_postgres(folder: Path, n: int) -> Result:
    """Kill the server `n` times on one PostgreSQL database, and that every fifth time too."""
    with Postgres() as database:
        server = Server(folder, database_url=database.url)
        return _kill(server, database.url.replace("://", "+psycopg://"), n, database)


def _kill(server: Server, url: str, n: int, database: Postgres | None) -> Result:
    result, rng = Result(), random.Random(n)
    acknowledged: list[tuple[str, float]] = []
    starts, cpu = [], []
    for i in range(n):
        starts.append(server.start())
        cpu.append(sum(psutil.Process(server.pid).cpu_times()[:2]))
        result.check(cpu[-1] < READY_S, f"start {i}: {cpu[-1]:.1f} s of CPU time")
        delay_s, waited_s = starts[-1] - READY_S, _waited_for_a_core_s(server.pid)
        busy = f"ready after {starts[-1]:.1f} s, {waited_s:.1f} s of them without a core"
        result.check(delay_s < 0 or waited_s > delay_s / 2, f"start {i}: {busy}")
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
        now = []
        for client in clients:
            client.stopping.set()
            client.join(30)
            now += client.acknowledged
        if database is not None and i % 5 == 4:
            database.start()
        stored = _look(url, result, f"kill {i}")
        result.check(stored.issuperset(now), f"kill {i}: lost {len(set(now) - stored)}")
        acknowledged += now
    for one in acknowledged:
        result.check(one in stored, f"lost later: {one}")
    late = sum(ready_s >= READY_S for ready_s in starts)
    if late:
        result.missed = f"{late} of {n} starts were not ready within {READY_S:g} s by the clock"
    result.seen |= {
        "kills": n,
        "acknowledged": f"{len(acknowledged):,}",
        "start to ready": f"{median(starts):.1f} s (median), {max(starts):.1f} s at most",
        "CPU time of a start": f"{max(cpu):.1f} s at most",
    }
    return result


def _waited_for_a_core_s(pid: int) -> float:
    """How long the process' main thread could have run but no core was free; 0 where unknown."""
    schedule = Path(f"/proc/{pid}/schedstat")
    return int(schedule.read_text().split()[1]) / 1e9 if schedule.exists() else 0.0


def _look(url: str, result: Result, when: str) -> set[tuple[str, float]]:
    """Check that the database is sound; gives the checkpoints in it."""
    engine = create_engine(url)
    with engine.connect() as connection:
        if url.startswith("sqlite"):
            verdict = connection.execute(text("PRAGMA integrity_check")).scalar()
            result.check(verdict == "ok", f"{when}: integrity {verdict}")
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
    stored = {(run_id, epoch) for run_id, epoch in rows}
    result.check(len(stored) == len(rows), f"{when}: a checkpoint is stored twice")
    result.check(half == 0, f"{when}: {half} runs are half written")
    return stored
