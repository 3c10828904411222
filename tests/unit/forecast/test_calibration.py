"""Calibration: covers what it promises, draws jointly, survives its JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from oracle.forecast.calibration import (
    DRAWS,
    KNOTS,
    STRETCHES,
    Calibration,
    along,
    fit_calibration,
    pit,
    rotated,
    shown,
)
from oracle.types import HEAD_LEVELS, LEVELS, TARGETS


@pytest.fixture(scope="module")
def overconfident() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Quantiles of a network that is biased and twice too sure; outcomes that hang together."""
    rng = np.random.default_rng(0)
    n = 6000
    progress = rng.uniform(0, 0.95, n)
    known = rng.random(n) > 0.2
    common = rng.normal(size=(n, 1))
    noise = 0.8 * common + 0.6 * rng.normal(size=(n, 3))
    spread = 0.02 + 0.1 * (1 - progress)
    outcome = noise * spread[:, None] + 0.03
    normal = np.array([-2.326, -1.645, -1.282, -0.674, 0, 0.674, 1.282, 1.645, 2.326])
    quantiles = 0.5 * spread[:, None, None] * normal * np.ones((n, 3, 1))
    return quantiles, outcome, progress, known


@pytest.fixture(scope="module")
def fitted(overconfident: tuple[np.ndarray, ...]) -> Calibration:
    return fit_calibration(*overconfident, unbounded(overconfident[1]))


def unbounded(outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.full_like(outcome, -np.inf), np.full_like(outcome, np.inf)


def test_intervals_cover_what_they_promise(
    overconfident: tuple[np.ndarray, ...], fitted: Calibration
) -> None:
    quantiles, outcome, progress, known = overconfident
    for told in (True, False):
        rows = np.flatnonzero(known == told)
        seen = along(progress[rows].tolist() if told else [None] * len(rows))
        levels = shown(fitted.knots(quantiles[rows], seen))
        below = (outcome[rows].T[..., None] <= levels).mean(axis=(0, 1))
        np.testing.assert_allclose(below, LEVELS, atol=0.02)


def test_outcomes_at_a_bound_bend_no_interval(overconfident: tuple[np.ndarray, ...]) -> None:
    """A third of all runs end at exactly 0, where every forecast below is clipped."""
    quantiles, latent, progress, known = overconfident
    rng = np.random.default_rng(3)
    low = np.quantile(latent, 1 / 3) + 0.03 * rng.standard_normal(latent.shape)
    outcome = np.maximum(latent, low).astype(np.float32).astype(np.float64)
    told = along([p if k else None for p, k in zip(progress.tolist(), known, strict=True)])

    def inside(bounds: tuple[np.ndarray, np.ndarray]) -> list[float]:
        """Share within the central 50 and 90 % by the randomised transform of what is drawn."""
        made = fit_calibration(quantiles, outcome, progress, known, bounds)
        draws = np.maximum(made.draws(made.knots(quantiles, told)), low.T[..., None])
        ends = outcome.T[..., None]
        below, upto = (draws < ends - 1e-6).mean(axis=2), (draws <= ends + 1e-6).mean(axis=2)
        transform = below + rng.random(below.shape) * (upto - below)
        return [float((np.abs(transform - 0.5) <= level / 2).mean()) for level in (0.5, 0.9)]

    assert inside((low, np.full_like(low, np.inf))) == pytest.approx([0.5, 0.9], abs=0.01)
    assert inside(unbounded(low)) != pytest.approx([0.5, 0.9], abs=0.01)


def test_knots_never_cross_and_the_network_is_far_off_without(
    overconfident: tuple[np.ndarray, ...], fitted: Calibration
) -> None:
    quantiles, outcome, progress, _ = overconfident
    raw = (
        (outcome[..., None] >= quantiles[..., [1]]) & (outcome[..., None] <= quantiles[..., [7]])
    ).mean()
    assert raw < 0.7
    knots = fitted.knots(quantiles[:100], along(progress[:100].tolist()))
    assert knots.shape == (3, 100, len(KNOTS))
    assert (np.diff(knots, axis=2) >= 0).all()


def test_draws_keep_margins_dependence_and_seed(
    overconfident: tuple[np.ndarray, ...], fitted: Calibration
) -> None:
    quantiles, outcome, progress, _ = overconfident
    knots = fitted.knots(quantiles[:2], along(progress[:2].tolist()))
    both = fitted.draws(knots)
    assert both.shape == (3, 2, DRAWS)
    for i in range(2):
        draws = rotated(both[:, i], seed=5)
        np.testing.assert_array_equal(draws, rotated(both[:, i], seed=5 + DRAWS))
        assert not np.array_equal(draws, rotated(both[:, i], seed=6))
        for k in range(3):
            levels = np.quantile(draws[k], LEVELS)
            np.testing.assert_allclose(levels, shown(knots)[k, i], atol=0.01)
            there = np.interp(np.roll(fitted.ranks[:, k], -5), KNOTS, knots[k, i])
            np.testing.assert_allclose(draws[k], there, rtol=1e-12, atol=1e-15)
        together = np.corrcoef(outcome.T)[0, 1]
        assert np.corrcoef(draws)[0, 1] == pytest.approx(together, abs=0.15)


def test_json_there_and_back(fitted: Calibration) -> None:
    back = Calibration.from_json(json.loads(json.dumps(fitted.to_json())))
    np.testing.assert_allclose(back.offsets, fitted.offsets, atol=1e-5)
    np.testing.assert_allclose(back.ranks, fitted.ranks, atol=1e-5)
    numbers = fitted.to_json()
    with pytest.raises(ValueError, match="levels or stretches"):
        Calibration.from_json({**numbers, "knots": [0.5]})
    with pytest.raises(ValueError, match="finite numbers"):
        Calibration.from_json({**numbers, "offsets": [[0.0]]})


def test_offsets_are_linear_between_stretches() -> None:
    middle = (STRETCHES[2] + STRETCHES[3]) / 2
    weights = along([STRETCHES[2], middle, 0.0, 1.0, None])
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    expected = np.zeros((5, len(STRETCHES) + 1))
    expected[0, 2] = expected[2, 0] = expected[3, -2] = expected[4, -1] = 1.0
    expected[1, [2, 3]] = 0.5
    np.testing.assert_allclose(weights, expected, atol=1e-12)


def test_pit_is_uniform_for_atoms() -> None:
    rng = np.random.default_rng(1)
    knots = np.array([0.0, 0.0, 0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9])
    # Half of the outcomes are exactly 0; the rest uniform over what the quantiles say.
    u = rng.random(20_000)
    outcome = np.interp(u, HEAD_LEVELS, knots)
    pits = np.array([pit(float(y), knots, HEAD_LEVELS, rng) for y in outcome])
    np.testing.assert_allclose(
        np.quantile(pits, [0.05, 0.25, 0.5, 0.9]), [0.05, 0.25, 0.5, 0.9], atol=0.02
    )


def test_a_target_without_outcomes_is_drawn_by_itself() -> None:
    rng = np.random.default_rng(0)
    n = 400
    quantiles = np.sort(rng.normal(size=(n, len(TARGETS), len(HEAD_LEVELS))), axis=2)
    outcomes = rng.normal(size=(n, len(TARGETS)))
    outcomes[:, 1] = np.nan
    known = np.ones(n, bool)
    made = fit_calibration(quantiles, outcomes, rng.uniform(size=n), known, unbounded(outcomes))
    assert not made.offsets[:, 1].any()
    assert made.offsets[:, 0].any()
    assert np.isfinite(made.ranks).all()
    assert abs(np.corrcoef(made.ranks[:, 1], made.ranks[:, 0])[0, 1]) < 0.15
