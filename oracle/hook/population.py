"""The runs of a search, shared by its worker processes: in one SQLite file, or in PostgreSQL.

A row says how a run ended: with its values, or, where it was stopped, with the medians of its
forecast and the censored mark. A row is written when a run starts and when it ends; looking at
the others costs one small question while nothing has changed.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from oracle.decision.wrong_stops import Tally, WrongStops, wrong_stops
from oracle.forecast.residuals import Residuals
from oracle.forks import UncutLock
from oracle.history.quality_score import scores_among
from oracle.hook.places.postgresql import Database, PopulationDatabase, Session
from oracle.hook.population_file import TIMEOUT_S, PopulationFile, place_of
from oracle.hook.population_seen import COLUMNS, Seen
from oracle.hook.population_summary import COUNTS, Member, counted, kind_of, line
from oracle.types import (
    GOOD,
    MAX_REFERENCE_RUNS,
    QUALITY_WEIGHTS,
    TARGETS,
    About,
    Outcome,
    Policy,
    Reference,
)

#: Files that a process keeps open between runs.
KEPT_OPEN = 4
#: A population that nobody touched for this long, seconds, was another search's.
IDLE_S = 3600.0


class Population:
    """The runs of one or more searches in one file, or one database.

    Safe for threads; each process, forked or spawned, gets a connection of its own.

    Args:
        path: the file, made where it is missing; its folder must exist. Or the address of a
            database, postgresql://USER@HOST/DATABASE, whose tables are made where they are missing.
        timeout_s: how long a locked file, or a database, is waited for.
    """

    def __init__(
        self, path: str | os.PathLike[str] | Database, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.path = place_of(path)
        self._file: PopulationFile | PopulationDatabase = (
            PopulationDatabase(self.path, timeout_s)
            if isinstance(self.path, Database)
            else PopulationFile(self.path, timeout_s)
        )
        self._opening = 0
        self._version: int | None = None
        self._seen: dict[str, Seen] = {}
        self._told: set[tuple[str, str | None]] = set()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "timeout_s": self._file.timeout_s}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], timeout_s=state["timeout_s"])  # type: ignore[misc]

    def start(
        self,
        name: str,
        run_id: str,
        *,
        about: About | None = None,
        policy: Policy | None = None,
    ) -> bool:
        """Enter a run as live; an earlier run of that id is begun anew.

        A stopped one that is trained anew to its end, which its policy says by stopping nothing,
        stays as it was until it has ended: if that breaks off, its forecast is still there.

        Args:
            name: the population.
            run_id: the run.
            about: what is said of the run.
            policy: of the run; it tells one search from another.

        Returns:
            Whether an earlier one had gone to its end: what it reached is known no more.
        """
        said = about or About()
        rest = said.model_copy(update={"name": None}).model_dump_json(exclude_none=True)
        other = None if rest == "{}" else rest
        with self._writing() as db:
            earlier = db.execute(f"SELECT state FROM run {_IS_IT}", (name, run_id)).fetchone()
            if policy is not None and policy.stops_nothing and earlier == ("stopped",):
                db.execute(f"UPDATE run SET started_at = ? {_IS_IT}", (time.time(), name, run_id))
                return False
            db.execute(f"DELETE FROM run {_IS_IT}", (name, run_id))
            db.execute(
                "INSERT INTO run"
                " (population, run_id, state, name, about, policy, started_at)"
                " VALUES (?, ?, 'live', ?, ?, ?, ?)",
                (name, run_id, said.name, other, _json(policy), time.time()),
            )
        return bool(earlier == ("finished",))

    def earlier_search(self, name: str, policy: Policy | None = None) -> str | None:
        """Say where the runs that are there look like another search's; once a process and policy.

        They do where none of them has this policy, or nobody touched them for an hour.
        """
        search = name, kind_of(_json(policy))
        if search in self._told:
            return None
        self._told.add(search)
        with self._file.reading() as db:
            rows = db.execute(
                f"SELECT policy, count(*), {_TOUCHED} FROM run WHERE population = ?"
                " GROUP BY policy",
                (name,),
            ).fetchall()
        runs = sum(n for _, n, *_ in rows)
        alike = any(kind_of(other) == search[1] for other, *_ in rows)
        last = max((max(at) for _, _, *at in rows), default=0)
        idle_s = time.time() - last if last else 0.0
        if not runs or (alike and idle_s < IDLE_S):
            return None
        whose = "from an earlier search" if alike else "of a search by another policy"
        hours = idle_s / 3600
        ago = f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"
        since = f", the last touched {ago} ago" if idle_s >= IDLE_S else ""
        return (
            f"the population {name} in {self.path} holds {runs} runs {whose}{since}, and this "
            "run is ranked among them. For a search of its own name another file or population."
        )

    def hold(self, name: str, run_id: str, progress: float | None) -> None:
        """Note that a control run would have been stopped now; the first time counts."""
        with self._writing() as db:
            db.execute(
                f"UPDATE run SET held_at = coalesce(held_at, ?) {_IS_IT}",
                (progress if progress is not None else 0.0, name, run_id),
            )

    def end(
        self,
        name: str,
        outcome: Outcome,
        *,
        progress: float | None = None,
        mqe_of_mean: float | None = None,
        left: bool = False,
        reason: str | None = None,
        spreads: tuple[float, float, float] | None = None,
        teaches: tuple[str, bytes] | None = None,
    ) -> None:
        """Enter how the run `outcome.run_id` ended.

        Args:
            name: the population.
            outcome: its values, or its forecast where it was stopped.
            progress: share of the budget used; a finished run that used less has converged.
            mqe_of_mean: scale of the table, where known.
            left: it was ended by a rule of its own before its budget.
            reason: why it was stopped, or why not at most of its checks, "word: sentence".
            spreads: of a stopped run, half the width of the central 50 % interval of each value.
            teaches: what it teaches other forecasts, `Residuals.to_bytes`, and of which model.
        """
        model, lesson = teaches or (None, None)
        ended = {
            "state": "stopped" if outcome.censored else "left" if left else "finished",
            "progress": progress,
            "final_mqe": outcome.final_mqe,
            "final_topographic_error": outcome.final_topographic_error,
            "final_dead_neuron_ratio": outcome.final_dead_neuron_ratio,
            "spread": outcome.spread,
            "mqe_of_mean": mqe_of_mean,
            "ended_at": time.time(),
            "reason": reason,
            "spreads": None if spreads is None else json.dumps(spreads),
            "model": model,
            "teaches": lesson,
        }
        names, places = ", ".join(ended), ", ".join("?" * len(ended))
        anew = ", ".join(f"{column} = excluded.{column}" for column in ("ended", *ended))
        with self._writing() as db:
            db.execute("UPDATE clock SET n = n + 1")
            db.execute(
                f"INSERT INTO run (population, run_id, ended, {names})"
                f" VALUES (?, ?, (SELECT n FROM clock), {places})"
                f" ON CONFLICT (population, run_id) DO UPDATE SET {anew}",
                (name, outcome.run_id, *ended.values()),
            )

    def trained_anew(self, name: str, run_id: str, spent: float) -> None:
        """Note what a run used before it was begun anew and trained to its end.

        Args:
            name: the population.
            run_id: the run.
            spent: shares of its budget that its earlier attempts used.
        """
        with self._writing() as db:
            db.execute(f"UPDATE run SET spent_before = ? {_IS_IT}", (spent, name, run_id))

    def abandon(
        self, name: str, run_id: str, *, spent: float = 0.0, diverged: bool = False
    ) -> None:
        """Enter that a run tells nothing; one given up that was stopped before is as it was.

        Args:
            name: the population.
            run_id: the run.
            spent: share of its budget that a second training used in vain.
            diverged: its map has no values, which is how it ends, stopped before or not.
        """
        with self._writing() as db:
            db.execute(
                f"UPDATE run SET state = 'abandoned', ended = NULL, ended_at = ?, {_NO_VALUES}"
                f" {_IS_IT} AND (state <> 'stopped' OR ?)",
                (time.time(), name, run_id, diverged),
            )
            db.execute(
                "UPDATE run SET started_at = ended_at, spent_before = spent_before + ?"
                f" {_IS_IT} AND state = 'stopped'",
                (spent, name, run_id),
            )

    def reference(
        self, name: str, *, without: str | None = None, population_size: int | None = None
    ) -> Reference:
        """Give what a run of the population must beat: every other run's outcome so far.

        An outcome whose mqe_of_mean is not that of the population is of another table: left out.

        Args:
            name: the population.
            without: the run that asks.
            population_size: runs the whole search is planned to have.
        """
        with self._file.lock:
            return self._refresh(name).reference(without, population_size)

    def known(self, name: str, model: str, *, without: str | None = None) -> Residuals | None:
        """Give what the ended runs of a population teach the forecasts of a model.

        Args:
            name: the population.
            model: SHA-256 of the model.
            without: the run that asks.
        """
        with self._file.lock:
            return self._refresh(name).teaches(model, without)

    def names(self) -> tuple[str, ...]:
        """Give the names of the populations in the file, in the order of their last touch."""
        with self._file.reading() as db:
            rows = db.execute(
                f"SELECT population, {_TOUCHED} FROM run GROUP BY population"
            ).fetchall()
        return tuple(name for name, *_ in sorted(rows, key=lambda row: (max(row[1:]), row[0])))

    def members(self, name: str) -> list[Member]:
        """Give the runs of a population, in the order of their ends, those that live last."""
        with self._file.reading() as db:
            rows = db.execute(
                f"SELECT {', '.join(Member._fields)} FROM run WHERE population = ?"
                " ORDER BY ended IS NULL, ended, run_id",
                (name,),
            ).fetchall()
        return [Member(*row) for row in rows]

    def summary(self, name: str | None = None) -> str:
        """Tell in a line how a search went: stops, savings, the best, why nothing was stopped.

        Args:
            name: the population, None = all in the file, a line each.
        """
        names = self.names() if name is None else (name,)
        lines = [line(self.tally(one), self.members(one)) for one in names]
        return "\n".join(lines or [f"no run in {self.path}"])

    def tally(self, name: str) -> Tally:
        """Count the population's runs and what the stops saved."""
        with self._file.reading() as db:
            rows = db.execute(f"{COUNTS} WHERE population = ? GROUP BY state", (name,)).fetchall()
        return counted(name, rows, () if rows else self.names())

    def wrong_stops(
        self,
        name: str,
        *,
        good: float = GOOD,
        weights: tuple[float, float, float] = QUALITY_WEIGHTS,
    ) -> WrongStops:
        """Measure wrong stops on the control runs: those that ended among the best share `good`."""
        with self._file.reading() as db:
            rows = db.execute(
                "SELECT final_mqe, final_topographic_error, final_dead_neuron_ratio, mqe_of_mean,"
                " held_at IS NOT NULL AND state = 'finished' FROM run"
                " WHERE population = ? AND ended IS NOT NULL",
                (name,),
            ).fetchall()
            drawn = db.execute(
                "SELECT policy, count(held_at), count(*) FROM run"
                " WHERE population = ? AND (state = 'stopped' OR held_at IS NOT NULL)"
                " GROUP BY policy",
                (name,),
            ).fetchall()
        table = np.array(rows, dtype=np.float64).reshape(-1, 5)  # None -> NaN
        scores = scores_among(table[:, :3].T, [row[3] for row in rows], weights)
        found = wrong_stops(scores, table[:, 4] == 1.0, good)
        held, stops = (sum(row[column] for row in drawn) for column in (1, 2))
        asked = [(json.loads(policy or "{}").get("control"), n) for policy, _, n in drawn]
        said = [(control, n) for control, n in asked if control is not None]
        share = sum(c * n for c, n in said) / sum(n for _, n in said) if said else None
        return replace(found, held=held, stops=stops, share=share)

    @property
    def healed(self) -> str | None:
        """What to tell of a file that was removed or replaced; None where none was."""
        return self._file.healed

    def close(self) -> None:
        """Close this process' connection; the next use opens it again."""
        self._file.close()

    def _refresh(self, name: str) -> Seen:
        """Read what ended since the last look; one small question where nobody else wrote."""
        with self._file.reading() as db:
            if self._opening != self._file.openings:  # perhaps another file by now
                self._opening, self._seen = self._file.openings, {}
            version = self._file.version(db)  # type: ignore[arg-type]
            if version != self._version:
                self._version = version
                for other in self._seen.values():
                    other.fresh = False
            seen = self._seen.setdefault(name, Seen())
            if seen.fresh:
                return seen
            rows = db.execute(
                f"SELECT {', '.join(COLUMNS)} FROM run WHERE population = ? AND ended > ?"
                " ORDER BY ended DESC LIMIT ?",
                (name, seen.ended, MAX_REFERENCE_RUNS),
            ).fetchall()
            seen.live = db.execute(
                "SELECT count(*) FROM run WHERE population = ? AND state = 'live'", (name,)
            ).fetchone()[0]
            n_ended = db.execute(
                "SELECT count(*) FROM run WHERE population = ? AND ended IS NOT NULL", (name,)
            ).fetchone()[0]
        seen.take(reversed(rows))
        if len(seen.outcomes) > n_ended:  # one of them was begun anew, and is no outcome now
            del self._seen[name]
            return self._refresh(name)
        seen.fresh = True
        return seen

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection | Session]:
        with self._file.writing() as db:
            yield db
            for seen in self._seen.values():  # a file's version is silent about one's own writes
                seen.fresh = False


_IS_IT = "WHERE population = ? AND run_id = ?"
_VALUES = ("progress", *TARGETS, "spreads", "reason", "model", "teaches")
_NO_VALUES = ", ".join(f"{column} = NULL" for column in _VALUES)
#: Of a group of runs, when one was last begun and when one last ended.
_TOUCHED = "max(coalesce(started_at, 0)), max(coalesce(ended_at, 0))"

_open: dict[Path | Database, Population] = {}
_open_lock = UncutLock()


def population_at(path: str | os.PathLike[str] | Database) -> Population:
    """Give this process' one Population of a place, so that its runs share a connection."""
    where = place_of(path)
    with _open_lock:
        shared = _open.pop(where, None) or Population(where)
        _open[where] = shared  # the latest used last
        while len(_open) > KEPT_OPEN:
            _open.pop(next(iter(_open))).close()
    return shared


def _json(policy: Policy | None) -> str | None:
    return None if policy is None else policy.model_dump_json()
