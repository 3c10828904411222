"""The quality score's calibration: an honest sum from honest parts that hang together."""

from __future__ import annotations

import json

import numpy as np
import pytest

from oracle.forecast.calibration import KNOTS, along
from oracle.forecast.score_calibration import QualityCalibration, fit_quality
from oracle.types import LEVELS, QUALITY_WEIGHTS

#: Draws, outcomes and units of some runs.
Example = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def world() -> tuple[list[Example], np.ndarray, np.ndarray]:
    """Draws with independent parts; outcomes whose parts rise together, off to one side."""
    rng = np.random.default_rng(0)
    examples = []
    for _ in range(100):
        center = rng.uniform([0.2, 0.1, 0.2], [0.6, 0.4, 0.6], (100, 3)).T
        draws = np.abs(center[..., None] + 0.05 * rng.standard_normal((3, 100, 512)))
        outcome = np.abs(center + 0.05 * rng.standard_normal(100) - 0.01)
        examples.append((draws, outcome, np.ones(100)))
    return examples, rng.uniform(0, 0.95, 10_000), rng.random(10_000) > 0.1


def covered(examples: list[Example], **how: object) -> np.ndarray:
    below = []
    for draws, outcome, unit in examples:
        if how:
            made = how["with"].adjust(draws, unit, along([0.3] * len(unit)))[1]
        else:
            made = np.einsum("k,kij->ij", QUALITY_WEIGHTS, draws)
        below.append(QUALITY_WEIGHTS @ outcome <= np.quantile(made, LEVELS, axis=1))
    return np.concatenate(below, axis=1).mean(axis=1)


def test_the_sum_becomes_honest(world: tuple) -> None:
    examples, progress, known = world
    fitted = fit_quality(examples, progress, known)
    assert np.abs(covered(examples) - LEVELS).max() > 0.08
    np.testing.assert_allclose(covered(examples, **{"with": fitted}), LEVELS, atol=0.025)


def test_draws_stay_possible_and_settled_metrics_stay(world: tuple) -> None:
    fitted = fit_quality(*world)
    draws = np.abs(np.random.default_rng(1).normal(0.02, 0.03, (3, 2, 512)))
    draws[2, 0] = 0.25
    draws[:, 1] = 0.5
    moved, score = fitted.adjust(draws, np.array([2.0, 1.0]), along([None, 0.2]))
    assert (moved >= 0).all()
    assert (moved[1:] <= 1).all()
    assert (moved[:2, 0] != draws[:2, 0]).any()
    np.testing.assert_array_equal(moved[2, 0], 0.25)
    weights = np.array(QUALITY_WEIGHTS) / [2.0, 1, 1]
    np.testing.assert_allclose(score[0], weights @ moved[:, 0])
    np.testing.assert_array_equal(moved[:, 1], 0.5)


def test_a_ratio_drawn_at_a_bound_stays_there(world: tuple) -> None:
    fitted = fit_quality(*world)
    draws = np.abs(np.random.default_rng(1).normal(0.1, 0.1, (3, 1, 512)))
    draws[1, 0, ::3], draws[2, 0, ::5] = 0.0, 1.0
    moved, _ = fitted.adjust(draws, np.ones(1), along([0.2]))
    np.testing.assert_array_equal(moved[1, 0, ::3], 0.0)
    np.testing.assert_array_equal(moved[2, 0, ::5], 1.0)
    assert (moved[1, 0, 1::3] != draws[1, 0, 1::3]).any()


def test_runs_together_are_moved_as_each_alone(world: tuple) -> None:
    fitted = fit_quality(*world)
    draws = world[0][0][0][:, :5]
    unit, progress = np.linspace(0.5, 3, 5), along([0.0, 0.1, None, 0.55, 1.0])
    together = fitted.adjust(draws, unit, progress)
    for i in range(5):
        alone = fitted.adjust(draws[:, [i]], unit[[i]], progress[[i]])
        np.testing.assert_allclose(together[0][:, i], alone[0][:, 0], rtol=1e-12)
        np.testing.assert_allclose(together[1][i], alone[1][0], rtol=1e-12)


def test_json_there_and_back(world: tuple) -> None:
    fitted = fit_quality(*world)
    back = QualityCalibration.from_json(json.loads(json.dumps(fitted.to_json())))
    np.testing.assert_allclose(back.offsets, fitted.offsets, atol=1e-5)
    assert back.offsets.shape[1] == len(KNOTS)
    with pytest.raises(ValueError, match="finite numbers"):
        QualityCalibration.from_json({"offsets": [[0.0]], "offsets_unknown": [0.0]})


def test_without_any_whole_outcome_nothing_is_moved() -> None:
    fitted = fit_quality([], np.empty(0), np.empty(0, bool))
    assert not fitted.offsets.any()
    assert not fitted.offsets_unknown.any()
