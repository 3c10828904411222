"""A store and its runs under test, written to at once, without its thread."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from serving import checkpoint
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import SQLAlchemyError

from oracle.server.http.wire import CheckpointsRequest, FinishRequest
from oracle.server.runs import listing, populations
from oracle.server.runs.lifecycle import Runs
from oracle.server.runs.standing import Standings
from oracle.server.storage.database import MIGRATIONS
from oracle.server.storage.schema import events
from oracle.server.storage.store import Store, told
from oracle.server.storage.turns import wait_for_turn
from oracle.server.storage.units_of_work import Unit, answer_all
from oracle.types import Decision, Policy


def write_now(store: Store, work: Callable[[Connection], Any]) -> Any:
    """Run `work` in a transaction of its own, in this thread; gives its result.

    Raises:
        StoreUnavailable: as the writer would.
    """
    try:
        store._prepare()
        with store._writing.begin() as connection:
            wait_for_turn(connection, [None])
            unit = Unit(work(connection))
            answer_all([unit], store._answer)
            return unit.result
    except (SQLAlchemyError, OSError) as error:
        store._note(error)
        raise told(error) from error


def note(connection: Connection, run_id: str = "r") -> None:
    """Write a row that anybody may write."""
    connection.execute(
        text("INSERT INTO events (owner, run_id, body) VALUES ('', :run_id, '')"),
        {"run_id": run_id},
    )


def count(connection: Connection) -> Any:
    """How many such rows there are."""
    return connection.execute(text("SELECT count(*) FROM events")).scalar()


def names(connection: Connection) -> list[str]:
    """The runs that such rows name, oldest first."""
    return [name for (name,) in connection.execute(text("SELECT run_id FROM events ORDER BY id"))]


def at_first_version(store: Store) -> None:
    """Make a database as the first version did, with a run in it."""
    at_version(store, "0001")


def at_version(store: Store, version: str) -> None:
    """Make a database as that version did, with a run in it."""
    if store.is_sqlite:
        Path(store.url.database or "").touch()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    with store._writing.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        connection.execute(
            text(
                "INSERT INTO runs (owner, run_id, population, context, state, control, created_at,"
                " updated_at, n_checkpoints, epoch, mqe) VALUES ('', 'old', 'p', '{}', 'running',"
                " false, 1, 1, 1, 10, 0.5)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO checkpoints (run, epoch, mqe, topographic_error, dead_neuron_ratio)"
                " VALUES (1, 10, 0.5, 0.1, 0.2)"
            )
        )


def append(store: Store, run_id: str, epoch: float) -> None:
    runs = Runs(Policy(name="population"))
    piece = CheckpointsRequest.model_validate(checkpoint(epoch, population="p"))
    write_now(store, lambda c: runs.append(c, "", run_id, piece))


class Bench:
    """Runs on a store, one transaction a call."""

    def __init__(self, store: Store, **policy: Any) -> None:
        self.store = store
        self.policy = Policy(name="population", startup_runs=4, control=0.0, **policy)
        self.runs = Runs(self.policy)
        self.standings = Standings()
        store.on_rollback = self.runs.references.forget_all

    def append(
        self, run_id: str, epochs: list[float], mqe: float = 0.5, change: Any = None, **fixed: Any
    ) -> tuple[Decision, int]:
        """Append checkpoints that all show the same values."""
        n = len(epochs)
        body = {
            "epochs": epochs,
            "mqe": [mqe] * n,
            "topographic_error": [0.1] * n,
            "dead_neuron_ratio": [0.1] * n,
            "population": "p",
            "total_epochs": 100,
            **fixed,
            **(change or {}),
        }
        piece = CheckpointsRequest.model_validate(body)
        done = write_now(self.store, lambda c: self.runs.append(c, "", run_id, piece))
        return done.decision, done.stored

    def finish(self, run_id: str, owner: str = "", **how: Any) -> Any:
        """Finish a run."""
        request = FinishRequest(**how)
        return write_now(self.store, lambda c: self.runs.finish(c, owner, run_id, request))

    def override(self, run_id: str, word: Any) -> Any:
        """Overrule."""
        return write_now(self.store, lambda c: self.runs.override(c, "", run_id, word, "eve"))

    def detail(self, run_id: str, owner: str = "") -> Any:
        """Read a run."""
        return self.store.read_now(lambda c: listing.detail(c, owner, run_id))

    def replay(self, run_id: str, epoch: float) -> Any:
        """Read a decision's inputs."""
        return self.store.read_now(lambda c: listing.replay(c, "", run_id, epoch))

    def population(self) -> Any:
        """Read the population."""
        seen, policy = self.standings, self.policy
        return self.store.read_now(lambda c: populations.detail(c, seen, "", "p", policy))

    def controls(self) -> tuple[int, ...]:
        """Read the control runs of all populations: ended, wrong, waiting."""
        return tuple(self.store.read_now(populations.controls))

    def fill(self, n: int = 8, mqe: float = 0.1, name: str = "good") -> None:
        """Finish `n` good runs."""
        for i in range(n):
            self.append(f"{name}-{i}", [10, 100], mqe + i / 1000)
            self.finish(f"{name}-{i}")


def kinds(bench: Bench, run_id: str) -> list[str]:
    """Kinds of the events that are kept of a run; deleted ones must hold its names only."""
    found = select(events.c.body).where(events.c.run_id == run_id).order_by(events.c.id)
    told = [json.loads(body) for body in bench.store.read_now(lambda c: c.scalars(found).all())]
    names = {"run_id": run_id, "population": "p"}
    assert all(event["run"] == names for event in told if event["kind"] == "deleted")
    return [event["kind"] for event in told]
