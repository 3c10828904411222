"""What a search minimises, found from its values."""

from __future__ import annotations

import numpy as np
import pytest

from oracle.errors import InvalidHistory
from oracle.hook.objective import (
    ENOUGH_RUNS,
    TELLING_RUNS,
    agreement,
    found,
    kendalls_tau,
    weights_for,
)
from oracle.types import FloatArray

UNIT = 2.0


def ends(n: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).uniform(0.1, 0.9, (3, n))


def scores(values: FloatArray, unit: float = 1.0) -> FloatArray:
    return np.asarray(values[0] / unit + values[1] + 0.5 * values[2])


@pytest.mark.parametrize("runs", [1, 3, 30])
def test_values_that_are_a_metrics_are_known_from_the_first_run(runs: int) -> None:
    values = ends(runs)
    for row, name in enumerate(("mqe", "topographic_error", "dead_neuron_ratio")):
        objective = found(values[row] * 1.0005, values, UNIT)
        assert objective == (name, 1.0)
    assert found(scores(values), values, UNIT) == ("score", 1.0)
    assert found(scores(values, UNIT), values, UNIT) == ("score", 1.0)
    assert found(values[0] / UNIT, values, UNIT) == ("mqe", 1.0)


def test_values_that_go_with_a_metric_are_followed_from_five_runs_on() -> None:
    values = ends(20)
    told = np.log(values[1]) + 7  # another measure of the same
    assert found(told, values, UNIT) == ("topographic_error", 1.0)
    few = slice(ENOUGH_RUNS - 1)
    assert found(told[few], values[:, few], UNIT) is None
    assert found(told[:ENOUGH_RUNS], values[:, :ENOUGH_RUNS], UNIT) is not None
    assert found(-told, values, UNIT) is None
    assert found(np.random.default_rng(5).uniform(size=30), ends(30), UNIT) is None


def test_a_metric_that_nobody_measured_drops_out() -> None:
    values = ends(8)
    values[1:] = np.nan
    assert found(values[0], values, UNIT) == ("score", 1.0)  # which is mqe here
    values = ends(8)
    values[:, 3] = np.nan
    assert found(ends(8)[0], values, UNIT) == ("mqe", 1.0)
    assert found(np.full(8, np.nan), values, UNIT) is None


def test_a_ranking_is_compared_with_ten_runs_and_more() -> None:
    values = ends(TELLING_RUNS)
    assert agreement(values[0][1:], values[:, 1:], (1, 0, 0), UNIT) is None
    assert agreement(values[0], values, (1, 0, 0), UNIT) == 1.0
    assert agreement(-values[0], values, (1, 0, 0), UNIT) == -1.0


def test_tau_counts_pairs() -> None:
    assert kendalls_tau(np.arange(4.0), np.array([0.0, 1, 3, 2])) == pytest.approx(4 / 6)
    assert kendalls_tau(np.zeros(4), np.arange(4.0)) == 0.0
    assert kendalls_tau(np.zeros(1), np.zeros(1)) == 0.0


def test_an_objective_has_its_weights() -> None:
    assert weights_for("dead_neuron_ratio") == (0.0, 0.0, 1.0)
    assert weights_for("score") == (1.0, 1.0, 0.5)
    with pytest.raises(InvalidHistory, match=r"`objectives` must be one of mqe.* or score"):
        weights_for("silhouette")
