"""Histories without some parts: what is left out is out, for oracle and baselines alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from made_up import Insider, make_runs

from oracle.errors import OracleError
from oracle.evaluation.accuracy import report, score
from oracle.evaluation.baselines import LastValue
from oracle.evaluation.told_less import PARTS, BaselineToldLess, ToldLess, parts_of, without
from oracle.types import Forecast, History, RunContext

RUNS = make_runs(20, "a", seed=1)


class Noting(Insider):
    """Knows the ends of runs, and keeps what it was shown."""

    shown: list[History]

    def forecast_many(self, histories: Sequence[History]) -> list[Forecast]:
        self.shown = list(histories)
        return super().forecast_many(histories)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_left_out_is_told_nowhere(part: str) -> None:
    history = RUNS[0].history.model_copy(update={"learning_rate": (0.5,) * len(RUNS[0].history)})
    left = without(history, [part])
    in_context, in_history = PARTS[part]
    assert all(getattr(left.context, name) is None for name in in_context)
    for name in in_history:
        assert not any(v is not None for v in np.ravel(getattr(left, name)))
    kept = set(RunContext.model_fields) - set(in_context)
    assert all(getattr(left.context, n) == getattr(history.context, n) for n in kept)
    assert left.mqe == history.mqe


def test_errors_are_measured_on_the_scale_that_is_left_out() -> None:
    insider = Noting(RUNS)
    scored = score(RUNS, ToldLess(insider, ("table", "budget")), progress=(0.2,))
    assert all(h.context.mqe_of_mean is None and h.total_epochs is None for h in insider.shown)
    found = report(scored)
    assert found["main_score"] == "quality_relative"
    assert all(r["mae"] is not None for r in found["errors"] if r["score"] == "quality_relative")


def test_a_baseline_learns_and_predicts_from_the_same() -> None:
    class Whole(LastValue):
        name = "whole"
        fitted: list[History]

        def fit(self, runs):  # type: ignore[no-untyped-def]
            self.fitted = [run.history for run in runs]
            return super().fit(runs)

    baseline = Whole()
    told = BaselineToldLess(baseline, ("dead_neuron_ratio",)).fit(RUNS)
    assert told.name == "whole"
    assert all(set(h.dead_neuron_ratio) == {None} for h in baseline.fitted)
    assert np.isfinite(told.predict([RUNS[0].history])[0, :2]).all()


def test_refusals_are_counted_at_every_prefix_before_the_end() -> None:
    found = report(score(RUNS, Insider(RUNS), progress=(0.2, 0.5, 1.0)))["refused"]
    assert [row["progress"] for row in found] == [0.2, 0.5]
    assert all(row["n"] == len(RUNS) for row in found)


def test_unknown_parts_are_named() -> None:
    assert parts_of("plan, table") == ("plan", "table")
    assert parts_of("") == ()
    with pytest.raises(OracleError, match=r"--hide.*nonsense"):
        parts_of("plan,nonsense")
