"""S4, S5: what a store is asked costs the same with a thousand runs and with a million.

Costs are CPU: of this process, and of the database's for it. A backup reads all there is: its time
is told.
"""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Self

import psycopg
from alembic import command
from alembic.config import Config
from compared import MOST, REPEATS, Act, Cpu, compare
from made_up import StandIn
from reliability import Result
from serving import Postgres, checkpoint
from sqlalchemy import Connection, text
from storing import write_now

from oracle.server.http.wire import CheckpointsRequest, FinishRequest
from oracle.server.runs import events, listing, populations
from oracle.server.runs.lifecycle import Runs
from oracle.server.runs.standing import Standings
from oracle.server.storage.database import MIGRATIONS
from oracle.server.storage.store import Store
from oracle.server.storage.turns import wait_for_turn
from oracle.types import Policy
from scale.filled import POPULATION, SMALL, fill

FEW = 1_000
#: Before that so often: what is read once, and PostgreSQL plans a statement anew ten times.
FIRST = 11
#: The version before the last one, from which a store is upgraded.
EARLIER = "0003"
_POLICY = Policy(name="population", control=0.0)


def size_sqlite(folder: Path, n: int) -> Result:
    """Compare a SQLite file with FEW runs and one with `n`."""

    def opened(size: int) -> FilledStore:
        file = folder / f"{size}.db"
        file.touch()

        def backup() -> None:
            with (
                closing(sqlite3.connect(file)) as source,
                closing(sqlite3.connect(f"{file}.copy")) as copy,
            ):
                source.backup(copy)

        return FilledStore(f"sqlite:///{file}", size, backup)

    return _compared(opened, n)


def size_postgres(folder: Path, n: int) -> Result:
    """Compare a PostgreSQL database with FEW runs and one with `n`."""
    with Postgres(durable=False) as server:

        def opened(size: int) -> FilledStore:
            url = server.database()

            def backup() -> None:
                program = [server.binaries / "pg_dump", "-f", folder / f"{size}.sql", url]
                subprocess.run(program, check=True)

            return FilledStore(url, size, backup)

        return _compared(opened, n)


def _cpu_of(store: Store) -> Cpu:
    """Give what tells the CPU so far, s: of this process and of the database's for it."""
    if store.is_sqlite:
        return time.process_time

    def who(connection: Connection) -> int:
        return int(connection.scalar(text("SELECT pg_backend_pid()")))

    files = [Path(f"/proc/{pid}/schedstat") for pid in (store.read_now(who), write_now(store, who))]
    return lambda: time.process_time() + sum(int(f.read_text().split()[0]) for f in files) / 1e9


def _compared(opened: Callable[[int], FilledStore], n: int) -> Result:
    result = Result()
    with opened(FEW) as few, opened(n) as many:
        costs = compare(
            result, few.questions(), many.questions(), (_cpu_of(few), _cpu_of(many)), first=FIRST
        )
        many.took("backed up", many.backup)
    result.seen.update(many.seconds)  # of the whole store, told and not compared
    by = "decide among 10,000"
    factor = costs[by] / costs["decide among 100"]
    result.check(factor < MOST, f"{by} costs {factor:.1f} times what it costs among {SMALL}")
    return result


class FilledStore(Store):
    """A store that an EARLIER version filled with `size` runs, upgraded."""

    def __init__(
        self,
        url: str,
        size: int,
        backup: Callable[[], None] = lambda: None,
        population: int = POPULATION,
    ) -> None:
        super().__init__(url, timeout_s=3_600, answer=StandIn().answer)
        self.backup = backup
        self._url = url
        self.seconds: dict[str, str] = {}
        self._size, self._population, self._runs = size, population, Runs(_POLICY)
        self.on_rollback = self._runs.references.forget_all

    def __enter__(self) -> Self:
        self.took("filled", self._fill)
        self.took("upgraded", self.migrate)
        if not self.is_sqlite:  # as a server does by itself in time
            with psycopg.connect(self._url, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def questions(self) -> Iterator[tuple[str, Act]]:
        return _asked(self, self._runs, Standings(), self._size)

    def took(self, what: str, act: Callable[[], None]) -> None:
        began = time.monotonic()
        act()
        self.seconds[f"{what}, s"] = f"{time.monotonic() - began:.1f}"

    def _fill(self) -> None:
        with self._writing.begin() as connection:
            wait_for_turn(connection, [None])
            _make(connection, EARLIER)
            fill(connection, self._size, self._population)


def _make(connection: Any, version: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    command.upgrade(config, version)


def _asked(store: Store, runs: Runs, reading: Standings, size: int) -> Iterator[tuple[str, Act]]:
    """Give each kind of question, to be asked often; no two appends are the same."""
    epochs = iter(range(1, 10**6))
    large = "p0"

    def append(run_id: str, population: str) -> None:
        told = checkpoint(
            next(epochs), population=population, dataset="d1", total_epochs=10**6,
            context={"mqe_of_mean": 2.0},
        )  # fmt: skip
        piece = CheckpointsRequest.model_validate(told)
        write_now(store, lambda c: runs.append(c, "", run_id, piece))

    def finish(run_id: str) -> None:
        write_now(store, lambda c: runs.finish(c, "", run_id, FinishRequest(final_mqe=0.5)))

    def page(**filters: Any) -> Callable[[], object]:
        wanted = {"population": None, "dataset": None, "state": None, "cursor": None, **filters}
        return lambda: store.read_now(lambda c: listing.page(c, "", limit=50, **wanted))

    append("alone", "nobody else")
    yield "append", lambda: append("alone", "nobody else")
    append("among-few", "small")
    yield "decide among 100", lambda: append("among-few", "small")
    append("among-many", large)
    yield "decide among 10,000", lambda: append("among-many", large)
    ending = [f"ending-{i}" for i in range(FIRST + REPEATS)]
    for run_id in ending:
        append(run_id, large)
    yield "finish", lambda: finish(ending.pop())
    yield "a page", page()
    yield "its middle", page(cursor=str(size // 2))
    yield "a page of a population", page(population=large)
    yield "a page of a table", page(dataset="d2")
    yield "a page of the stopped", page(state="stopped", dataset="d2")
    yield "those running", page(population=large, state="running")
    yield "one run", lambda: store.read_now(lambda c: listing.detail(c, "", f"r{size // 2}"))
    yield "populations", lambda: store.read_now(lambda c: populations.listed(c, ""))
    yield (
        "a population",
        lambda: store.read_now(lambda c: populations.detail(c, reading, "", "small", _POLICY)),
    )
    yield "the latest events", lambda: store.read_now(partial(_latest_events, 200))
    yield "retention, a run", lambda: write_now(store, lambda c: runs.retire(c, 1e12, at_most=1))
    yield "readiness", lambda: store.read_now(listing.newest)


def _latest_events(n: int, connection: Any) -> object:
    return events._after(connection, events._last_id(connection) - n)
