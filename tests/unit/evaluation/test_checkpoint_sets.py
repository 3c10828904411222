"""Sets of checkpoints: what is seen of a run, and which ones a forecast cannot do without."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from made_up import forecast_of, make_runs

from oracle.errors import DatasetError
from oracle.evaluation.checkpoint_sets import CheckpointSets
from oracle.types import Forecast, History

RUNS = make_runs(12)
TRUE = {run.run_id: (run.final_mqe, run.final_topographic_error, run.final_dead_neuron_ratio)
        for run in RUNS}  # fmt: skip


class Needs:
    """Knows the outcome of a run that was seen early and late; else errs by what it lacks."""

    def __init__(self) -> None:
        self.asked: list[History] = []

    def forecast_many(self, histories: Sequence[History]) -> list[Forecast]:
        """Forecast many."""
        self.asked += histories
        return [self._forecast(h) for h in histories]

    def _forecast(self, history: History) -> Forecast:
        total = history.total_epochs or 1.0
        shares = np.array(history.epochs) / total
        error = 0.02
        if not (shares < 0.12).any():
            error += 1.0
        if history.epochs and shares[-1] < 0.45:
            error += 0.3
        final = np.array(TRUE[str(history.run_id)], np.float64)
        final[0] += error
        return forecast_of(np.tile(final, (50, 1)), mqe_of_mean=history.context.mqe_of_mean)


def sets(runs: Sequence[object] = RUNS, **settings: object) -> CheckpointSets:
    return CheckpointSets(list(runs), Needs(), **settings)  # type: ignore[arg-type]


def test_a_set_grows_by_what_helps_most_until_it_is_enough() -> None:
    measured = sets(checks=(0.2, 0.5, 0.7))
    grown = list(measured.greedy(0.01, grid=(0.05, 0.1, 0.3, 0.5, 0.9)))
    assert [len(m.shares) for m in grown] == [1, 2]
    assert grown[0].shares[0] < 0.12
    assert grown[-1].shares[1] == 0.5
    assert grown[-1].excess == pytest.approx(0.0, abs=1e-9)
    assert grown[0].excess > 0.5
    assert grown[-1].by_check == pytest.approx(tuple(measured._all.mean(axis=1)), abs=1e-9)
    assert grown[-1].error == pytest.approx(measured.error)


def test_nothing_that_helps_ends_it() -> None:
    grown = list(sets(checks=(0.2, 0.5)).greedy(1e-6, grid=(0.02, 0.05)))
    assert len(grown) == 1  # the second tells nothing new
    assert grown[0].excess > 0.1


def test_equally_spaced_ones_are_measured_at_their_shares() -> None:
    four, twenty = sets().spaced((4, 20))
    assert four.shares == (0.25, 0.5, 0.75, 1.0)
    assert four.excess > twenty.excess == pytest.approx(0.0, abs=1e-9)


def test_before_its_first_checkpoint_a_run_is_its_plan() -> None:
    measured = sets(checks=(0.2,))
    oracle = measured.forecaster
    assert isinstance(oracle, Needs)
    oracle.asked.clear()
    found = measured.measure((0.5,))
    assert [len(h) for h in oracle.asked] == [0] * len(RUNS)
    assert found.excess > 1.0


def test_the_same_question_is_asked_once() -> None:
    measured = sets(checks=(0.2, 0.5, 0.7))
    oracle = measured.forecaster
    assert isinstance(oracle, Needs)
    oracle.asked.clear()
    measured.measure((0.1,))
    assert len(oracle.asked) == len(RUNS)


def test_runs_that_cannot_be_measured_are_left_out() -> None:
    bare = [
        run.model_copy(update={"history": run.history.model_copy(update={"total_epochs": None})})
        for run in RUNS[:5]
    ]
    assert len(sets([*bare, *RUNS]).runs) == len(RUNS)
    with pytest.raises(DatasetError, match="total_epochs"):
        sets(bare)
    with pytest.raises(DatasetError):
        sets([])
