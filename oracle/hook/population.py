"""The runs of a search, shared by its worker processes through one SQLite file.

A row says how a run ended: with its values, or, where it was stopped, with the medians of its
forecast and the censored mark. A row is written when a run starts and when it ends; looking at
the others costs one pragma while nothing has changed. WAL with BEGIN IMMEDIATE: a worker that
is killed leaves the file whole, and loses no run that had ended. synchronous=NORMAL saves the
training a wait for the disk at either end of a run; a power failure may cost the last rows.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from oracle.decision.wrong_stops import Tally, WrongStops, score_of, upper_bound
from oracle.errors import StoreUnavailable, must_be
from oracle.forks import UncutLock, renew_in_child
from oracle.types import (
    MAX_REFERENCE_RUNS,
    QUALITY_WEIGHTS,
    Outcome,
    Reference,
)

#: Marks the file as ours, so that no other program's database is ever written to.
APPLICATION_ID = 0x534F4D50  # "SOMP"
SCHEMA_VERSION = 1
#: How long a locked file is waited for, seconds.
TIMEOUT_S = 2.0

_SCHEMA = """
CREATE TABLE run (
    population TEXT NOT NULL,
    run_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('live', 'finished', 'stopped')),
    ended INTEGER,            -- the clock when it ended, NULL while live
    progress REAL,            -- share of the budget used when it ended
    final_mqe REAL,
    final_topographic_error REAL,
    final_dead_neuron_ratio REAL,
    spread REAL NOT NULL DEFAULT 0,
    mqe_of_mean REAL,
    held_at REAL,             -- progress at which a control run would have been stopped
    PRIMARY KEY (population, run_id)
) WITHOUT ROWID;
CREATE TABLE clock (n INTEGER NOT NULL);  -- counts ends and never goes back
INSERT INTO clock VALUES (0);
CREATE INDEX run_ended ON run (population, ended);
CREATE INDEX run_live ON run (population) WHERE state = 'live';
"""

#: Files that a process keeps open between runs.
KEPT_OPEN = 4

# Connections opened before a fork: SQLite forbids their use in the child, closing included.
_inherited: list[sqlite3.Connection] = []


class Population:
    """The runs of one or more searches in one file.

    Safe for threads; each process, forked or spawned, gets a connection of its own.

    Args:
        path: the file, made where it is missing; its folder must exist.
        timeout_s: how long a locked file is waited for.
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout_s: float = TIMEOUT_S) -> None:
        self.path = Path(path).absolute()
        self._timeout_s = timeout_s
        self._lock = UncutLock()
        self._forget()
        renew_in_child(self)

    def _forget(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._seen_version: int | None = None
        self._seen: dict[str, _Seen] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "timeout_s": self._timeout_s}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], timeout_s=state["timeout_s"])  # type: ignore[misc]

    def start(self, name: str, run_id: str) -> None:
        """Enter a run as live; an earlier run of that id is begun anew."""
        with self._writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO run (population, run_id, state) VALUES (?, ?, 'live')",
                (name, run_id),
            )

    def hold(self, name: str, run_id: str, progress: float | None) -> None:
        """Note that a control run would have been stopped now; the first time counts."""
        with self._writing() as db:
            db.execute(
                "UPDATE run SET held_at = coalesce(held_at, ?) WHERE population = ? AND run_id = ?",
                (progress if progress is not None else 0.0, name, run_id),
            )

    def end(
        self,
        name: str,
        outcome: Outcome,
        *,
        progress: float | None = None,
        mqe_of_mean: float | None = None,
    ) -> None:
        """Enter how the run `outcome.run_id` ended."""
        with self._writing() as db:
            db.execute("UPDATE clock SET n = n + 1")
            db.execute(
                "INSERT INTO run (population, run_id, state, ended, progress, final_mqe,"
                " final_topographic_error, final_dead_neuron_ratio, spread, mqe_of_mean)"
                " VALUES (?, ?, ?, (SELECT n FROM clock), ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (population, run_id) DO UPDATE SET state = excluded.state,"
                " ended = excluded.ended, progress = excluded.progress,"
                " final_mqe = excluded.final_mqe,"
                " final_topographic_error = excluded.final_topographic_error,"
                " final_dead_neuron_ratio = excluded.final_dead_neuron_ratio,"
                " spread = excluded.spread, mqe_of_mean = excluded.mqe_of_mean",
                (
                    name,
                    outcome.run_id,
                    "stopped" if outcome.censored else "finished",
                    progress,
                    outcome.final_mqe,
                    outcome.final_topographic_error,
                    outcome.final_dead_neuron_ratio,
                    outcome.spread,
                    mqe_of_mean,
                ),
            )

    def drop(self, name: str, run_id: str) -> None:
        """Forget a run that was given up: it says nothing about how such runs end."""
        with self._writing() as db:
            db.execute("DELETE FROM run WHERE population = ? AND run_id = ?", (name, run_id))

    def reference(
        self, name: str, *, without: str | None = None, population_size: int | None = None
    ) -> Reference:
        """Give what a run of the population must beat: every other run's outcome so far.

        Args:
            name: the population.
            without: the run that asks.
            population_size: runs the whole search is planned to have.
        """
        with self._lock:
            seen = self._refresh(name)
            outcomes = [o for run_id, o in seen.outcomes.items() if run_id != without]
            return Reference(
                outcomes=tuple(outcomes[-MAX_REFERENCE_RUNS:]),
                mqe_of_mean=seen.mqe_of_mean,
                live=max(0, seen.live - 1) if without else seen.live,
                population_size=population_size,
            )

    def tally(self, name: str) -> Tally:
        """Count the population's runs and what the stops saved."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT state, count(*), coalesce(sum(1 - coalesce(progress, 1)), 0) FROM run"
                " WHERE population = ? GROUP BY state",
                (name,),
            ).fetchall()
        by_state = {state: (count, saved) for state, count, saved in rows}
        finished, _ = by_state.get("finished", (0, 0.0))
        stopped, saved = by_state.get("stopped", (0, 0.0))
        live, _ = by_state.get("live", (0, 0.0))
        ended = finished + stopped
        return Tally(finished, stopped, live, saved / ended if ended else 0.0)

    def wrong_stops(
        self,
        name: str,
        *,
        good: float = 0.1,
        weights: tuple[float, float, float] = QUALITY_WEIGHTS,
    ) -> WrongStops:
        """Measure wrong stops on the control runs: those that ended among the best share `good`."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT final_mqe, final_topographic_error, final_dead_neuron_ratio, mqe_of_mean,"
                " held_at IS NOT NULL AND state = 'finished' FROM run"
                " WHERE population = ? AND state <> 'live'",
                (name,),
            ).fetchall()
        scores = sorted(score_of(row, weights) for row in rows)
        bar = scores[max(1, round(good * len(scores))) - 1] if scores else 0.0
        held = [score_of(row, weights) for row in rows if row[4]]
        wrong = sum(score <= bar for score in held)
        return WrongStops(len(held), wrong, upper_bound(wrong, len(held)))

    def renew(self) -> None:
        """Leave the connection of the parent alone, in a child that was just forked."""
        if self._connection is not None:
            _inherited.append(self._connection)
        self._forget()

    def close(self) -> None:
        """Close this process' connection; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._forget()

    def _refresh(self, name: str) -> _Seen:
        """Read what ended since the last look; one pragma where no other process wrote."""
        with self._reading() as db:
            version = db.execute("PRAGMA data_version").fetchone()[0]
            if version != self._seen_version:
                self._seen_version = version
                for other in self._seen.values():
                    other.fresh = False
            seen = self._seen.setdefault(name, _Seen())
            if seen.fresh:
                return seen
            rows = db.execute(
                "SELECT run_id, ended, state, final_mqe, final_topographic_error,"
                " final_dead_neuron_ratio, spread, mqe_of_mean FROM run"
                " WHERE population = ? AND ended > ? ORDER BY ended DESC LIMIT ?",
                (name, seen.ended, MAX_REFERENCE_RUNS),
            ).fetchall()
            seen.live = db.execute(
                "SELECT count(*) FROM run WHERE population = ? AND state = 'live'", (name,)
            ).fetchone()[0]
        for run_id, ended, state, mqe, error, dead, spread, scale in reversed(rows):
            seen.outcomes.pop(run_id, None)  # a run begun anew counts at its new place
            seen.outcomes[run_id] = Outcome(
                run_id=run_id,
                final_mqe=mqe,
                final_topographic_error=error,
                final_dead_neuron_ratio=dead,
                censored=state == "stopped",
                spread=spread,
            )
            seen.ended = ended
            seen.mqe_of_mean = scale or seen.mqe_of_mean
        while len(seen.outcomes) > MAX_REFERENCE_RUNS:
            del seen.outcomes[next(iter(seen.outcomes))]
        seen.fresh = True
        return seen

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._open()
            except sqlite3.Error as error:
                raise StoreUnavailable(self._explain(error)) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise
            for seen in self._seen.values():  # data_version is silent about one's own writes
                seen.fresh = False

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        self._forget()
        db = sqlite3.connect(
            self.path, timeout=self._timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        self._connection = db
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Check that the file is ours, or make it so where it is empty."""
        if self._mark(db) is None:
            db.execute("BEGIN IMMEDIATE")
            try:
                if self._mark(db) is None:  # another process may have been quicker
                    for statement in _SCHEMA.split(";"):
                        db.execute(statement)
                    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise
        _journal(db, self._timeout_s)
        db.execute("PRAGMA synchronous = NORMAL")

    def _mark(self, db: sqlite3.Connection) -> int | None:
        """Read the schema version; None for an empty file.

        Raises:
            StoreUnavailable: for a file of another program or a later version.
        """
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
        tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if not application and not version and not tables:
            return None
        if application != APPLICATION_ID:
            raise StoreUnavailable(
                must_be(
                    "population",
                    "a file made by SOM Oracle, or none yet",
                    self.path.name,
                    "It is another program's database and was left as it is: name another file.",
                )
            )
        if version != SCHEMA_VERSION:
            raise StoreUnavailable(
                must_be(
                    "population",
                    f"of format {SCHEMA_VERSION}",
                    version,
                    "Name a new file, or update SOM Oracle in every worker.",
                )
            )
        return version

    def _explain(self, error: sqlite3.Error) -> str:
        advice = "Name a file in a folder that every worker can write to."
        if "locked" in str(error) or "busy" in str(error):
            advice = "Another program holds it; nothing was written."
        elif "not a database" in str(error):
            advice = "It is not a population file and was left as it is: name another file."
        rule = "a population file that answers"
        return must_be("population", rule, f"{self.path.name} ({error})", advice)


_open: dict[Path, Population] = {}
_open_lock = UncutLock()


def population_at(path: str | os.PathLike[str]) -> Population:
    """Give this process' one Population of a file, so that its runs share a connection."""
    where = Path(path).absolute()
    with _open_lock:
        shared = _open.pop(where, None) or Population(where)
        _open[where] = shared  # the latest used last
        while len(_open) > KEPT_OPEN:
            _open.pop(next(iter(_open))).close()
    return shared


class _Seen:
    """What this process has read of one population."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.ended = 0
        self.live = 0
        self.mqe_of_mean: float | None = None
        self.fresh = False


def _journal(db: sqlite3.Connection, timeout_s: float) -> None:
    """Switch to WAL; the switch needs the file alone for a moment, whatever busy_timeout says."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                db.execute("PRAGMA journal_mode = WAL")  # stays as it is where WAL cannot be
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return
