"""A watched run from its start to its end."""

from __future__ import annotations

import contextlib
import copy
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import StandIn
from watching import bad, good

from oracle.errors import OracleWarning
from oracle.hook import Population, WatchedRun, watch
from oracle.types import (
    Forecast,
    History,
    Policy,
    Reason,
)


def test_a_bad_run_is_stopped_and_its_fitness_is_the_forecast() -> None:
    with watch(total_epochs=10, model=StandIn(), control=0) as run:
        assert not bad(run, 1)  # one checkpoint is too few
        assert bad(run, 2)
    assert run.state == "stopped"
    fitness = run.fitness()
    assert fitness.censored
    assert fitness.mqe == run.decision.forecast.median("final_mqe")  # type: ignore[union-attr]
    assert run.decision is not None
    assert run.decision.expected_saving == 0.8
    assert "stopped at 20% of its budget (above_threshold); 2 reports:" in run.summary()


def test_a_good_run_goes_to_its_end_and_has_its_own_values() -> None:
    with watch(total_epochs=10, model=StandIn()) as run:
        for epoch in range(1, 11):
            assert not good(run, epoch)
    assert run.state == "finished"
    assert run.fitness().mqe == 0.1
    assert not run.fitness().censored
    assert (
        "not stopped, mostly because predicted quality score 0.250 (raw) is good" in run.summary()
    )
    assert "abstain (too_few_checkpoints 1)" in run.summary()


def test_the_last_checkpoint_need_not_be_the_end() -> None:
    with watch(total_epochs=1000, model=StandIn()) as run:
        good(run, 960)
    assert run.state == "finished"


@pytest.mark.parametrize(
    ("total", "epochs"),
    [
        (10, range(10)),  # counted from 0
        (100, range(0, 100, 10)),
        (100, range(10, 100, 40)),  # steps that do not divide the budget
        (10, range(1, 11)),
        (60, (6.1, 12.4, 18.2, 24.9, 31.0, 37.4, 43.6, 49.9, 55.8, 61.9)),  # seconds
        (1000, (300, 600, 900, 1200)),
        (1000, (700, 1400)),
    ],
    ids=str,
)
def test_a_loop_that_came_to_its_end_is_finished_however_it_counts(
    total: float, epochs: list[float], tmp_path: Path
) -> None:
    shared = Population(tmp_path / "runs.db")
    with watch(total_epochs=total, population=shared, dataset="t", model=StandIn()) as run:
        for n, epoch in enumerate(epochs):
            assert not good(run, epoch, mqe=0.5 - n / 100)
    fitness = run.fitness()
    assert (run.state, fitness.mqe, fitness.censored) == ("finished", 0.5 - n / 100, False)
    assert not run.problems.counts
    assert shared.reference("t").outcomes[0].final_mqe == fitness.mqe


def test_beyond_the_end_is_another_unit_and_nothing_follows_the_last(tmp_path: Path) -> None:
    with watch(total_epochs=10, model=StandIn()) as run, pytest.warns(OracleWarning, match="unit"):
        good(run, 150)  # updates, where epochs were planned
    assert run.state == "abandoned"
    with watch(total_epochs=10, model=StandIn()) as run:
        for epoch in (4, 8, 12):
            good(run, epoch)
        with pytest.warns(OracleWarning, match=r"at most total_epochs \(10\)"):
            good(run, 13)
    assert run.state == "finished"


@pytest.mark.parametrize("ended", [False, True])
def test_a_loop_left_by_its_own_rule_is_worth_the_map_that_is_there(
    ended: bool, tmp_path: Path
) -> None:
    shared = Population(tmp_path / "runs.db")
    with watch(total_epochs=1000, population=shared, dataset="t", model=StandIn()) as run:
        for epoch in range(50, 401, 50):
            good(run, epoch, mqe=1 / epoch)
        if ended:
            run.finish()
    fitness = run.fitness()
    assert (run.state, fitness.mqe, fitness.censored) == ("left", 1 / 400, False)
    assert "left by its own loop at 40% of its budget" in run.summary()
    assert shared.reference("t").outcomes[0].final_mqe == 1 / 400


def test_values_given_after_a_stop_are_of_a_map_cut_short() -> None:
    with watch(total_epochs=10, model=StandIn(), control=0) as run:
        bad(run, 1)
        assert bad(run, 2)
        with pytest.warns(OracleWarning, match="told to stop.*its fitness is the forecast"):
            fitness = run.finish(mqe=0.1)
    assert run.state == "stopped"
    assert fitness.censored
    assert fitness.mqe == run.decision.forecast.median("final_mqe")  # type: ignore[union-attr]


@pytest.mark.parametrize(("last", "state"), [(95, "finished"), (94.9, "left")])
def test_a_run_is_whole_from_95_percent_on(last: float, state: str) -> None:
    with watch(total_epochs=100, model=StandIn()) as run:
        for epoch in (10, 12, 14, last):
            good(run, epoch)
    assert run.state == state


def test_final_values_can_be_given() -> None:
    with watch(total_epochs=1000, model=StandIn()) as run:
        good(run, 400)
        fitness = run.finish(mqe=np.float32(0.25))
    assert (fitness.mqe, fitness.topographic_error, fitness.censored) == (0.25, 0.1, False)
    assert run.finish(mqe=0.1).mqe == 0.25  # only the first end counts
    assert run.state == "finished"


def test_without_a_budget_a_run_that_ends_is_finished() -> None:
    with watch(model=StandIn()) as run:
        good(run, 5)
    assert run.state == "finished"


def test_a_run_that_never_reported_is_worth_nothing() -> None:
    with watch(total_epochs=10, model=StandIn()) as run:
        pass
    assert run.fitness().objectives() == (math.inf, math.inf, math.inf)
    assert "nothing was reported" in run.summary()


def test_a_run_left_by_an_exception_is_given_up(filled: Population) -> None:
    run = watch(total_epochs=10, population=filled, population_name="table", model=StandIn())
    with contextlib.suppress(KeyboardInterrupt), run:
        good(run, 5)
        raise KeyboardInterrupt
    assert run.state == "abandoned"
    reference = filled.reference("table")
    assert (len(reference.outcomes), reference.live) == (8, 0)


def test_a_stop_that_is_obeyed_by_an_exception_is_a_stop() -> None:
    run = watch(total_epochs=10, model=StandIn(), control=0)
    with contextlib.suppress(LookupError), run:
        bad(run, 1)
        if bad(run, 2):
            raise LookupError("pruned")
    assert run.state == "stopped"


def test_who_goes_on_after_a_stop_is_not_stopped() -> None:
    with watch(total_epochs=10, model=StandIn(), control=0) as run:
        for epoch in range(1, 11):
            bad(run, epoch)
    assert run.state == "finished"


def test_dense_reports_are_judged_at_steps_of_a_hundredth() -> None:
    asked = []

    class Counting(StandIn):
        def forecast(self, history: History) -> Forecast:
            asked.append(history.epochs[-1])
            return super().forecast(history)

    with watch(total_epochs=10_000, model=Counting()) as run:
        for epoch in range(10_001):
            good(run, epoch)
    assert 95 <= len(asked) <= 102
    assert asked[-1] == 10_000
    assert run.fitness().mqe == 0.1


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda run: pickle.loads(pickle.dumps(run))],  # noqa: S301
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_run_is_copied_with_whoever_holds_it(
    copied: Callable[[WatchedRun], WatchedRun], tmp_path: Path
) -> None:
    shared = Population(tmp_path / "runs.db")
    run = watch(total_epochs=10, population=shared, dataset="t", run_id="r", model=StandIn())
    good(run, 5)
    other = copied(run)
    good(other, 10)
    assert other.finish().mqe == 0.1
    assert not other.problems.counts
    assert [o.run_id for o in shared.reference("t").outcomes] == ["r"]


@pytest.mark.parametrize("first", [100.0, 1000.0])
def test_a_counter_that_goes_on_beyond_the_budget_stops_nothing(
    filled: Population, first: float
) -> None:
    """A training that is resumed and counts on from its last epoch, with the budget of the rest."""
    run = watch(total_epochs=100, population=filled, population_name="table", model=StandIn())
    with contextlib.suppress(OracleWarning):
        stopped = [bad(run, first + epoch) for epoch in range(10, 101, 10)]
    assert not any(stopped)


CONVERGING = Policy(threshold=100.0, converged=0.5, converged_risk=0.2, control=0.0)


def test_a_run_that_has_converged_is_finished_with_its_present_values(tmp_path: Path) -> None:
    shared = Population(tmp_path / "runs.db")
    settings: dict[str, Any] = {"policy": CONVERGING, "population": shared, "model": StandIn()}
    with watch(total_epochs=10, **settings) as run:
        good(run, 1)
        assert good(run, 4)
    assert run.decision is not None
    assert run.decision.reason is Reason.CONVERGED
    fitness = run.fitness()
    assert (run.state, fitness.mqe, fitness.censored) == ("finished", 0.1, False)
    assert "converged at 40% of its budget" in run.summary()
    with contextlib.suppress(RuntimeError), watch(total_epochs=10, **settings) as left:
        good(left, 1)
        good(left, 5)
        raise RuntimeError("pruned")
    assert left.state == "finished"
    with watch(total_epochs=10, **settings) as ignored:
        for epoch in range(1, 11):
            good(ignored, epoch, mqe=1 / epoch)
    assert ignored.fitness().mqe == 0.1
    assert [o.censored for o in shared.reference("default").outcomes] == [False] * 3
    tally = shared.tally("default")
    assert (tally.finished, tally.stopped, tally.converged) == (3, 0, 2)
    assert tally.saved == pytest.approx((0.6 + 0.5) / 3)
    assert "2 converged" in str(tally)
    assert shared.wrong_stops("default").stops == 0


def test_values_measured_at_the_end_of_a_converged_run_count() -> None:
    with watch(total_epochs=10, policy=CONVERGING, model=StandIn()) as run:
        good(run, 1)
        assert good(run, 4)
        fitness = run.finish(mqe=0.09)
    assert (fitness.mqe, fitness.censored) == (0.09, False)
    assert not run.problems.counts


def test_reports_after_the_end_are_ignored() -> None:
    with watch(total_epochs=10, model=StandIn()) as run:
        good(run, 10)
    with pytest.warns(OracleWarning, match="after the end of the run"):
        assert run.report(11, mqe=9).reason is Reason.FINISHED
    assert run.fitness().mqe == 0.1


def test_values_told_far_before_the_end_are_named_in_the_summary() -> None:
    with watch(total_epochs=100, model=StandIn(), policy=Policy(threshold=1000)) as run:
        good(run, 20)
        good(run, 40)
        run.finish(mqe=0.5)
    assert "finished with values of its own at 40%" in run.summary()
