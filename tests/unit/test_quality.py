"""The quality score's calibration: an honest sum from honest parts that hang together."""

from __future__ import annotations

import json

import numpy as np
import pytest

from oracle.calibration import KNOTS
from oracle.quality import QualityCalibration, fit_quality
from oracle.types import LEVELS, QUALITY_WEIGHTS


@pytest.fixture(scope="module")
def world() -> tuple[list[tuple[np.ndarray, np.ndarray, float]], np.ndarray, np.ndarray]:
    """Draws with independent parts; outcomes whose parts rise together, off to one side."""
    rng = np.random.default_rng(0)
    examples = []
    for _ in range(3000):
        center = rng.uniform([0.2, 0.1, 0.2], [0.6, 0.4, 0.6])
        draws = np.abs(center + 0.05 * rng.standard_normal((512, 3)))
        outcome = np.abs(center + 0.05 * rng.standard_normal() - 0.01)
        examples.append((draws, outcome, 1.0))
    return examples, rng.uniform(0, 0.95, 3000), rng.random(3000) > 0.1


def covered(examples: list[tuple[np.ndarray, np.ndarray, float]], **how: object) -> np.ndarray:
    below = []
    for draws, outcome, unit in examples:
        made = how["with"].adjust(draws, unit, 0.3)[1] if how else draws @ QUALITY_WEIGHTS
        below.append(outcome @ QUALITY_WEIGHTS <= np.quantile(made, LEVELS))
    return np.mean(below, axis=0)


def test_the_sum_becomes_honest(world: tuple) -> None:
    examples, progress, known = world
    fitted = fit_quality(examples, progress, known)
    assert np.abs(covered(examples) - LEVELS).max() > 0.08
    np.testing.assert_allclose(covered(examples, **{"with": fitted}), LEVELS, atol=0.025)


def test_draws_stay_possible_and_settled_metrics_stay(world: tuple) -> None:
    fitted = fit_quality(*world)
    draws = np.abs(np.random.default_rng(1).normal(0.02, 0.03, (512, 3)))
    draws[:, 2] = 0.25
    moved, score = fitted.adjust(draws, 2.0, None)
    assert (moved >= 0).all()
    assert (moved[:, 1:] <= 1).all()
    np.testing.assert_array_equal(moved[:, 2], 0.25)
    np.testing.assert_allclose(score, moved @ (np.array(QUALITY_WEIGHTS) / [2.0, 1, 1]))
    still, _ = fitted.adjust(np.full((512, 3), 0.5), 1.0, 0.2)
    np.testing.assert_array_equal(still, 0.5)


def test_json_there_and_back(world: tuple) -> None:
    fitted = fit_quality(*world)
    back = QualityCalibration.from_json(json.loads(json.dumps(fitted.to_json())))
    np.testing.assert_allclose(back.offsets, fitted.offsets, atol=1e-5)
    assert back.offsets.shape[1] == len(KNOTS)
    with pytest.raises(ValueError, match="shape"):
        QualityCalibration.from_json({"offsets": [[0.0]], "offsets_unknown": [0.0]})
