"""Stored runs among each other: populations, owners, pages, and what is deleted with age."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection
from storing import Bench, kinds, write_now

from oracle.errors import InvalidHistory, RunNotFound
from oracle.server.runs import listing
from oracle.server.storage.store import Store
from oracle.types import Action, Reason


def test_deleting_forgets_everything_and_says_what_is_no_longer_exact(bench: Bench) -> None:
    bench.fill()
    bench.append("bad", [10, 20], mqe=5.0)
    write_now(bench.store, lambda c: bench.runs.delete(c, "", "good-0"))
    with pytest.raises(RunNotFound):
        bench.detail("good-0")
    assert set(kinds(bench, "good-0")) == {"deleted"}
    assert "deleted" not in kinds(bench, "good-1")
    assert not bench.replay("bad", 20).inputs.exact
    decision, _ = bench.append("bad-2", [10, 20], mqe=5.0)
    assert decision.stop
    assert len(bench.replay("bad-2", 20).inputs.reference.outcomes) == 8  # 7 and the censored


def test_control_runs_measure_wrong_stops(store: Store) -> None:
    bench = Bench(store)
    bench.fill()
    bench.runs.policy = bench.policy.model_copy(update={"control": 0.999999})
    decision, _ = bench.append("kept", [10, 20], mqe=5.0)
    assert decision.reason is Reason.CONTROL
    assert bench.detail("kept").run.control
    assert bench.population().wrong_stops.waiting == 1
    assert bench.controls() == (0, 0, 1)
    bench.finish("kept", final_mqe=5.0)
    assert bench.controls() == (1, 0, 0)
    found = bench.population().wrong_stops
    assert (found.controls, found.wrong, found.waiting) == (1, 0, 0)
    assert found.upper == pytest.approx(0.955, abs=1e-3)


def test_wrong_stops_count_who_decisions_count_as_good(store: Store) -> None:
    """Of 46 runs the best 4, as the hook's file counts; the fifth is no wrong stop."""
    bench = Bench(store)
    bench.fill(40)  # 0.100 to 0.139
    bench.runs.policy = bench.policy.model_copy(update={"control": 0.999999})
    for run_id in ("fourth", "fifth"):
        decision, _ = bench.append(run_id, [10, 20], mqe=5.0)
        assert decision.reason is Reason.CONTROL
    bench.fill(4, mqe=0.2, name="worse")
    bench.finish("fourth", final_mqe=0.1025)
    assert bench.controls() == (1, 1, 1)
    bench.finish("fifth", final_mqe=0.1026)
    assert bench.controls() == (2, 1, 0)
    found = bench.population().wrong_stops
    assert (found.controls, found.wrong) == (2, 1)
    assert (found.held, found.stops) == (2, 2)
    assert (found.share, found.departs) == (0.0, True)  # the service asks for none
    # What was no wrong stop at its own end is one once those before it are gone, in both counts.
    for i in range(10):
        write_now(bench.store, lambda c, i=i: bench.runs.delete(c, "", f"good-{i}"))
    found = bench.population().wrong_stops
    assert bench.controls() == (found.controls, found.wrong, 0)


@pytest.mark.parametrize("factor", [1e-3, 0.1, 10, 1e3])
def test_one_wrong_scale_moves_no_population(store: Store, factor: float) -> None:
    bench, right = Bench(store), {"context": {"mqe_of_mean": 2.0}}
    for i in range(5):
        bench.append(f"r{i}", [10, 100], 0.1 + i / 1000, right)
        bench.finish(f"r{i}")
    bench.append("wrong", [10, 100], 0.1, {"context": {"mqe_of_mean": 2.0 * factor}})
    bench.finish("wrong")
    assert bench.population().mqe_of_mean == 2.0
    assert [o.quality is None for o in bench.population().outcomes] == [False] * 5 + [True]
    bench.append("next", [10, 20], 0.1, right)
    reference = bench.replay("next", 20).inputs.reference
    assert (reference.mqe_of_mean, len(reference.outcomes)) == (2.0, 5)
    slip, _ = bench.append("slip", [10, 20], 5.0, {"context": {"mqe_of_mean": 2.0 * factor}})
    assert (slip.action, slip.reason) == (Action.ABSTAIN, Reason.OTHER_SCALE)


def test_owners_see_their_own(bench: Bench) -> None:
    bench.append("a", [10])
    with pytest.raises(RunNotFound):
        bench.detail("a", owner="other")
    with pytest.raises(RunNotFound):
        bench.finish("a", owner="other")


def test_pages_follow_each_other(bench: Bench) -> None:
    for i in range(5):
        bench.append(f"r{i}", [10])

    def page(cursor: str | None = None, **filters: Any) -> Any:
        wanted = {"population": None, "dataset": None, "state": None, **filters}

        def work(connection: Connection) -> Any:
            return listing.page(connection, "", limit=2, cursor=cursor, **wanted)

        return bench.store.read_now(work)

    seen, cursor = [], None
    while True:
        found = page(cursor)
        seen += [run.run_id for run in found.runs]
        cursor = found.next_cursor
        if cursor is None:
            break
    assert seen == ["r4", "r3", "r2", "r1", "r0"]
    assert page(state="finished").runs == ()
    assert len(page(population="p").runs) == 2
    with pytest.raises(InvalidHistory, match="cursor"):
        page("x")


def test_old_runs_are_retired(bench: Bench) -> None:
    bench.append("old", [10])
    assert write_now(bench.store, lambda c: bench.runs.retire(c, before=0.0)) == 0
    assert write_now(bench.store, lambda c: bench.runs.retire(c, before=2e9)) == 1
    with pytest.raises(RunNotFound):
        bench.detail("old")
    assert kinds(bench, "old") == ["deleted", "deleted"]


def test_a_clock_that_is_set_back_makes_no_run_younger(bench: Bench) -> None:
    bench.runs.clock = lambda: 5_000.0
    bench.append("a", [10])
    bench.runs.clock = lambda: 1_000.0
    bench.append("a", [20])
    bench.override("a", "keep")
    run = bench.finish("a")
    assert run.created_at <= run.updated_at == run.ended_at
