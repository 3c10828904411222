"""The quality score's calibration: an honest sum from honest parts that hang together."""

from __future__ import annotations

import json

import numpy as np
import pytest

from oracle.forecast.calibration import KNOTS
from oracle.forecast.knowledge import KNOWLEDGE, STRETCHES
from oracle.forecast.score_calibration import QualityCalibration, fit_quality
from oracle.types import LEVELS, QUALITY_WEIGHTS

#: Draws, outcomes and units of some runs.
Example = tuple[np.ndarray, np.ndarray, np.ndarray]


def known(*names: str) -> np.ndarray:
    """[run, class] a run each that belongs to one class of knowledge wholly."""
    return np.eye(len(KNOWLEDGE))[[KNOWLEDGE.index(name) for name in names]]


@pytest.fixture(scope="module")
def world() -> tuple[list[Example], np.ndarray]:
    """Draws with independent parts; outcomes whose parts rise together, off to one side."""
    rng = np.random.default_rng(0)
    examples = []
    for _ in range(100):
        center = rng.uniform([0.2, 0.1, 0.2], [0.6, 0.4, 0.6], (100, 3)).T
        draws = np.abs(center[..., None] + 0.05 * rng.standard_normal((3, 100, 512)))
        outcome = np.abs(center + 0.05 * rng.standard_normal(100) - 0.01)
        examples.append((draws, outcome, np.ones(100)))
    names = [f"all at {at}" for at in STRETCHES] + ["no progress"]
    return examples, known(*rng.choice(names, 10_000))


def covered(examples: list[Example], **how: object) -> np.ndarray:
    below = []
    for draws, outcome, unit in examples:
        if how:
            draws = how["with"].adjust(draws, unit, known(*["all at 0.3"] * len(unit)))
        made = np.einsum("k,kij->ij", QUALITY_WEIGHTS, draws)
        below.append(QUALITY_WEIGHTS @ outcome <= np.quantile(made, LEVELS, axis=1))
    return np.concatenate(below, axis=1).mean(axis=1)


def test_the_sum_becomes_honest(world: tuple) -> None:
    examples, knowledge = world
    fitted = fit_quality(examples, knowledge)
    assert np.abs(covered(examples) - LEVELS).max() > 0.08
    np.testing.assert_allclose(covered(examples, **{"with": fitted}), LEVELS, atol=0.025)


def test_draws_stay_possible_and_settled_metrics_stay(world: tuple) -> None:
    fitted = fit_quality(*world)
    draws = np.abs(np.random.default_rng(1).normal(0.02, 0.03, (3, 2, 512)))
    draws[2, 0] = 0.25
    draws[:, 1] = 0.5
    moved = fitted.adjust(draws, np.array([2.0, 1.0]), known("no progress", "all at 0.2"))
    assert (moved >= 0).all()
    assert (moved[1:] <= 1).all()
    assert (moved[:2, 0] != draws[:2, 0]).any()
    np.testing.assert_array_equal(moved[2, 0], 0.25)
    np.testing.assert_array_equal(moved[:, 1], 0.5)


def test_a_ratio_drawn_at_a_bound_stays_there(world: tuple) -> None:
    fitted = fit_quality(*world)
    draws = np.abs(np.random.default_rng(1).normal(0.1, 0.1, (3, 1, 512)))
    draws[1, 0, ::3], draws[2, 0, ::5] = 0.0, 1.0
    moved = fitted.adjust(draws, np.ones(1), known("all at 0.2"))
    np.testing.assert_array_equal(moved[1, 0, ::3], 0.0)
    np.testing.assert_array_equal(moved[2, 0, ::5], 1.0)
    assert (moved[1, 0, 1::3] != draws[1, 0, 1::3]).any()


def moved_by(offsets: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Draws of one run as offsets [knot] move them, whatever is known."""
    every = QualityCalibration(np.tile(offsets, (len(KNOWLEDGE), 1)))
    return every.adjust(draws, np.ones(1), known("all at 0.2"))


@pytest.mark.parametrize("offset", [-1.0, 1.0])
def test_whichever_way_it_moves_a_bound_holds(offset: float) -> None:
    draws = np.random.default_rng(1).uniform(0.01, 0.99, (3, 1, 512))
    draws[1, 0, ::3], draws[2, 0, ::5] = 0.0, 1.0
    moved = moved_by(np.full(len(KNOTS), offset), draws)
    np.testing.assert_array_equal(moved[1, 0, ::3], 0.0)
    np.testing.assert_array_equal(moved[2, 0, ::5], 1.0)
    assert (np.sign(moved[1, 0, 1::3] - draws[1, 0, 1::3]) == offset).all()
    assert moved[0].min() >= 0.0
    assert (moved[1:].min(), moved[1:].max()) == (0.0, 1.0)


def test_no_draw_overtakes_another() -> None:
    """Offsets of one knot alone would lift the draws beside it over those above."""
    draws = np.random.default_rng(1).uniform(0.4, 0.5, (3, 1, 512))
    offsets = np.zeros(len(KNOTS))
    offsets[KNOTS.index(0.5)] = 1.0
    before, after = (
        np.einsum("k,kij->j", QUALITY_WEIGHTS, d) for d in (draws, moved_by(offsets, draws))
    )
    assert (np.diff(after[np.argsort(before)]) >= -1e-9).all()
    assert after.max() - before.max() == pytest.approx(0.0, abs=0.01)
    assert np.median(after) > np.median(before) + 0.02


def test_runs_together_are_moved_as_each_alone(world: tuple) -> None:
    fitted = fit_quality(*world)
    draws = world[0][0][0][:, :5]
    names = ("all at plan", "all at 0.1", "no progress", "no scale at 0.5", "no ratios at 0.9")
    unit, knowledge = np.linspace(0.5, 3, 5), known(*names)
    knowledge[3] = (knowledge[3] + knowledge[4]) / 2
    together = fitted.adjust(draws, unit, knowledge)
    for i in range(5):
        alone = fitted.adjust(draws[:, [i]], unit[[i]], knowledge[[i]])
        np.testing.assert_allclose(together[:, i], alone[:, 0], rtol=1e-12)


def test_json_there_and_back(world: tuple) -> None:
    fitted = fit_quality(*world)
    back = QualityCalibration.from_json(json.loads(json.dumps(fitted.to_json())))
    np.testing.assert_allclose(back.offsets, fitted.offsets, atol=1e-5)
    assert back.offsets.shape == (len(KNOWLEDGE), len(KNOTS))
    with pytest.raises(ValueError, match="finite numbers"):
        QualityCalibration.from_json({"offsets": [[0.0]]})
    with pytest.raises(ValueError, match="finite numbers"):
        QualityCalibration.from_json({"offsets": np.full(back.offsets.shape, np.inf).tolist()})


def test_without_any_whole_outcome_nothing_is_moved() -> None:
    fitted = fit_quality([], np.empty((0, len(KNOWLEDGE))))
    assert fitted.offsets.shape == (len(KNOWLEDGE), len(KNOTS))
    assert not fitted.offsets.any()


def test_each_class_is_moved_by_what_it_was_wrong_by(world: tuple) -> None:
    """Histories without a scale end worse than forecast: theirs move up, nobody else's."""
    examples = world[0]
    worse = [
        (draws, outcome + 0.1 * (i % 2), unit) for i, (draws, outcome, unit) in enumerate(examples)
    ]
    told = known("all at 0.3", "no scale at 0.3")[np.repeat(np.arange(100) % 2, 100)]
    fitted = fit_quality(worse, told)
    draws = examples[0][0][:, :2]
    moved = fitted.adjust(draws, np.ones(2), known("all at 0.3", "no scale at 0.3"))
    shift = np.median(np.einsum("k,kij->ij", QUALITY_WEIGHTS, moved - draws), axis=1)
    assert shift[1] - shift[0] == pytest.approx(0.1 * sum(QUALITY_WEIGHTS), abs=0.03)


def test_what_does_not_tell_how_it_was_trained_leans_to_the_widest_way(world: tuple) -> None:
    examples = [
        (draws, outcome + 0.1 * (i % 2), unit)
        for i, (draws, outcome, unit) in enumerate(world[0][:10])
    ]
    told = known(*["no plan at 0.3"] * 1000)
    plain, wide = (
        fit_quality(examples, told, ways).offsets[KNOWLEDGE.index("no plan at 0.3")]
        for ways in (None, np.repeat(np.arange(10) % 2, 100))
    )
    low, high = KNOTS.index(0.05), KNOTS.index(0.95)
    assert wide[low] < plain[low]
    assert wide[high] > plain[high]
    assert wide[KNOTS.index(0.5)] == plain[KNOTS.index(0.5)]
