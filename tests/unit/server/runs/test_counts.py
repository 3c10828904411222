"""Populations in numbers: after any course of things they are what their runs add up to."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import StandIn
from sqlalchemy import Connection, select
from storing import write_now

from oracle.errors import RunConflict, RunNotFound
from oracle.server.http.wire import CheckpointsRequest, FinishRequest
from oracle.server.runs import counts, populations
from oracle.server.runs.lifecycle import Runs
from oracle.server.runs.listing import latest_outcomes
from oracle.server.runs.standing import Standings, moment_at
from oracle.server.storage import schema
from oracle.server.storage.store import Store
from oracle.types import Policy, Reason

RUNS = [f"r{i}" for i in range(6)]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("append", "finish", "censored", "delete", "stop", "keep", "retire")),
        st.sampled_from(RUNS),
        st.sampled_from((0.1, 0.2, 5.0)),
        st.sampled_from(("p", "q")),
    ),
    max_size=30,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path_factory.mktemp('counts') / 'oracle.db'}"
    store = Store(url, answer=StandIn().answer)
    yield store
    store.close()


def walk(store: Store, owner: str, steps: list[tuple[str, str, float, str]]) -> Runs:
    """Let runs of an owner go their ways; what is refused is nothing."""
    runs = Runs(Policy(name="population", startup_runs=1, control=0.3))
    store.on_rollback = runs.references.forget_all
    epochs = dict.fromkeys(RUNS, 0)

    def step(connection: Connection, what: str, run_id: str, mqe: float, population: str) -> Any:
        if what == "append":
            epochs[run_id] += 10
            piece = CheckpointsRequest.model_validate(
                {
                    "epochs": [epochs[run_id]],
                    "mqe": [mqe],
                    "topographic_error": [0.1],
                    "dead_neuron_ratio": [0.1],
                    "population": population,
                    "total_epochs": 1000 if run_id != "r0" else None,
                }
            )
            return runs.append(connection, owner, run_id, piece)
        if what in ("finish", "censored"):
            how = FinishRequest(censored=what == "censored")
            return runs.finish(connection, owner, run_id, how)
        if what == "delete":
            return runs.delete(connection, owner, run_id)
        if what == "retire":
            return runs.retire(connection, 0.0)
        return runs.override(connection, owner, run_id, what, None)  # type: ignore[arg-type]

    for one in steps:
        try:
            write_now(store, lambda c, one=one: step(c, *one))
        except (RunConflict, RunNotFound):  # a refusal; what the store cannot do is no refusal
            runs.references.forget_all()
    return runs


@settings(max_examples=60)
@given(STEPS)
def test_counts_are_those_of_the_runs(store: Store, steps: list[Any]) -> None:
    owner = f"owner-{id(steps)}-{len(steps)}"
    reading = Standings()
    runs = walk(store, owner, steps)
    policy = runs.policy

    def look(connection: Connection) -> None:
        told = {p.name for p in populations.listed(connection, owner).populations}
        rows = connection.execute(select(schema.runs).where(schema.runs.c.owner == owner)).all()
        assert told == {row.population for row in rows}
        for name in told:
            members = [row for row in rows if row.population == name]
            found = counts.of_population(connection, owner, name)
            assert found is not None
            for counted in counts.COUNTED:
                assert getattr(found, counted) == sum(counts.of_run(m)[counted] for m in members)
            assert found.updated_at >= max(m.updated_at for m in members) - 1
            ended = [m for m in members if m.state != "running"]
            outcomes = latest_outcomes(connection, [m.id for m in ended])
            shown = populations.detail(connection, reading, owner, name, policy)
            assert sorted((o.run_id, o.final_mqe, o.censored) for o in shown.outcomes) == sorted(
                (o.run_id, o.final_mqe, o.censored) for o in outcomes.values()
            )
            # Read piece by piece, as the writer has it, and at once: the same.
            mine = runs.references.standings.now(connection, found)
            whole = Standings().now(connection, found)
            assert mine.ended.outcomes == whole.ended.outcomes
            assert mine.ended.digest == whole.ended.digest
            assert mine.scale == whole.scale
            assert mine.outcome_id >= whole.outcome_id  # of a run that was deleted since
            last = moment_at(connection, owner, name, "nobody", mine.outcome_id)
            assert last.ended.digest == whole.ended.digest
            wrong = shown.wrong_stops
            assert (found.controls, found.wrong) == (wrong.controls, wrong.wrong)

    store.read_now(look)
    for run_id in RUNS:
        try:
            write_now(store, lambda c, run_id=run_id: runs.delete(c, owner, run_id))
        except RunNotFound:
            continue
    assert store.read_now(lambda c: populations.listed(c, owner)).populations == ()


def stored_run(**changes: Any) -> SimpleNamespace:
    """A run's row, as far as it is counted."""
    row = {"state": "running", "control": False, "told": None, "reason": None, "epoch": 40.0,
           "total_epochs": 100.0}  # fmt: skip
    return SimpleNamespace(**row | changes)


def test_the_time_alone_is_written_once_a_second(store: Store) -> None:
    run = stored_run(owner="clock", population="p")

    def updated_at(before: Any, after: Any, at: float, *, read: bool) -> float:
        def work(connection: Connection) -> Any:
            known = counts.around(connection, run) if read else None
            counts.change(connection, before, after, at, known)
            return counts.of_population(connection, "clock", "p")

        return float(write_now(store, work).updated_at)

    assert updated_at(None, run, 100.0, read=True) == 100.0
    assert updated_at(run, run, 100.9, read=True) == 100.0
    assert updated_at(run, run, 101.0, read=True) == 101.0
    assert updated_at(run, run, 101.1, read=False) == 101.1
    held = stored_run(owner="clock", population="p", control=True)
    assert updated_at(run, held, 101.2, read=True) == 101.2
    assert updated_at(held, held, 50.0, read=False) == 101.2  # a clock that was set back


def test_what_is_deleted_is_counted_as_forgotten_and_the_last_takes_all(store: Store) -> None:
    run = stored_run(owner="forgetful", population="p")

    def forgotten(before: Any, after: Any) -> int | None:
        def work(connection: Connection) -> Any:
            counts.change(connection, before, after, 1.0)
            return counts.around(connection, run)

        found = write_now(store, work)
        return None if found is None else int(found.forgotten)

    assert [forgotten(None, run), forgotten(None, run), forgotten(run, run)] == [0, 0, 0]
    assert [forgotten(run, None), forgotten(run, None)] == [1, None]


def test_what_has_no_population_is_counted_nowhere(store: Store) -> None:
    alone = stored_run(owner="alone", population=None)

    def work(connection: Connection) -> Any:
        counts.change(connection, None, alone, 1.0)
        counts.change(connection, None, None, 1.0)
        return counts.around(connection, alone), populations.listed(connection, "alone").populations

    assert write_now(store, work) == (None, ())


#: A run as it is stored, and what it counts for: nothing but what stands here.
ONE_RUN = {
    "running": ({}, {"running": 1}),
    "running, held": ({"control": True}, {"running": 1, "held": 1, "stops": 1, "waiting": 1}),
    "stopped": (
        {"state": "stopped"},
        {"stopped": 1, "stops": 1, "known_runs": 1, "planned_epochs": 100, "used_epochs": 40},
    ),
    "stopped, its budget unknown": (
        {"state": "stopped", "total_epochs": None},
        {"stopped": 1, "stops": 1},
    ),
    "stopped beyond its budget": (
        {"state": "stopped", "epoch": 104.0},
        {"stopped": 1, "stops": 1, "known_runs": 1, "planned_epochs": 100, "used_epochs": 100},
    ),
    "finished, its last checkpoints not sent": (
        {"state": "finished"},
        {"finished": 1, "known_runs": 1, "planned_epochs": 100, "used_epochs": 100},
    ),
    "finished, held": (
        {"state": "finished", "control": True, "epoch": 100.0},
        {"finished": 1, "held": 1, "stops": 1, "known_runs": 1, "planned_epochs": 100,
         "used_epochs": 100},
    ),
    "left": (
        {"state": "finished", "told": "finished"},
        {"finished": 1, "known_runs": 1, "planned_epochs": 40, "used_epochs": 40},
    ),
    "left beyond its budget": (
        {"state": "finished", "told": "finished", "epoch": 104.0},
        {"finished": 1, "known_runs": 1, "planned_epochs": 100, "used_epochs": 100},
    ),
    "converged": (
        {"state": "finished", "told": "finished", "reason": Reason.CONVERGED},
        {"finished": 1, "known_runs": 1, "planned_epochs": 100, "used_epochs": 40},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "counted"), ONE_RUN.values(), ids=ONE_RUN)
def test_what_one_run_counts_for(changes: dict[str, Any], counted: dict[str, float]) -> None:
    row = stored_run(**changes)
    assert counts.of_run(row) == {**dict.fromkeys(counts.COUNTED, 0), **counted}
    assert counts.is_left(row) is (row.told is not None and row.reason is None)
    assert counts.of_run(None) == dict.fromkeys(counts.COUNTED, 0)
