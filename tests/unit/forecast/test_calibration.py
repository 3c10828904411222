"""Calibration: covers what it promises, draws jointly, survives its JSON."""

from __future__ import annotations

import json
from statistics import NormalDist

import numpy as np
import pytest

from oracle.forecast import calibration
from oracle.forecast.calibration import (
    DRAWS,
    KNOTS,
    LARGEST_OFFSET,
    Calibration,
    array_of,
    fit_calibration,
    offsets_of,
    pit,
    rotated,
    seed_of,
    shown,
)
from oracle.forecast.knowledge import KNOWLEDGE, weights_of
from oracle.history.features import FEATURES
from oracle.history.targets import HORIZONS, OUTPUTS
from oracle.types import HEAD_LEVELS, LEVELS, TARGETS


def along(progress: list[float | None]) -> np.ndarray:
    """Weights of the classes where all but the progress is known."""
    last = np.zeros((len(progress), len(FEATURES)), np.float32)
    names = ("mqe_known_scale", "radius_planned", "index", "topographic_error_known")
    for name in (*names, "dead_neuron_ratio_known"):
        last[:, FEATURES.index(name)] = 1.0
    last[:, FEATURES.index("progress_known")] = [at is not None for at in progress]
    return weights_of(last, progress)


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
    outcome = np.tile(noise * spread[:, None] + 0.03, len(HORIZONS))
    # On the way there is less to be wrong about, and the network knows it.
    way = np.repeat(HORIZONS, len(TARGETS))
    outcome *= way
    normal = np.array([-2.326, -1.645, -1.282, -0.674, 0, 0.674, 1.282, 1.645, 2.326])
    quantiles = 0.5 * spread[:, None, None] * way[:, None] * normal
    told = [p if k else None for p, k in zip(progress.tolist(), known, strict=True)]
    return quantiles, outcome, along(told), known & (progress < 0.75)


@pytest.fixture(scope="module")
def fitted(overconfident: tuple[np.ndarray, ...]) -> Calibration:
    return fit_calibration(*overconfident, unbounded(overconfident[1]))


def unbounded(outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.full_like(outcome, -np.inf), np.full_like(outcome, np.inf)


def test_intervals_cover_what_they_promise(
    overconfident: tuple[np.ndarray, ...], fitted: Calibration
) -> None:
    quantiles, outcome, knowledge, _ = overconfident
    for told in (True, False):
        rows = np.flatnonzero((knowledge[:, -1] == 0) == told)
        assert len(rows) > 500
        levels = shown(fitted.knots(quantiles[rows], knowledge[rows]))
        assert levels.shape == (OUTPUTS, len(rows), len(LEVELS))
        for horizon in range(len(HORIZONS)):
            part = slice(3 * horizon, 3 * horizon + 3)
            below = (outcome[rows, part].T[..., None] <= levels[part]).mean(axis=(0, 1))
            np.testing.assert_allclose(below, LEVELS, atol=0.02)


def test_who_is_told_less_gets_intervals_of_its_own(
    overconfident: tuple[np.ndarray, ...],
) -> None:
    """Half of the runs have no plan and err three times as much under the same quantiles."""
    quantiles, outcome, knowledge, early = overconfident
    half = np.arange(len(outcome)) % 2 == 0
    worse = np.where(half[:, None], 3.0, 1.0) * outcome
    split = knowledge.copy()
    first = KNOWLEDGE.index("all at plan"), KNOWLEDGE.index("no plan at plan")
    size = KNOWLEDGE.index("no scale at plan")
    split[half, first[1] : first[1] + size] = knowledge[half, first[0] : first[0] + size]
    split[half, first[0] : first[0] + size] = 0.0
    known = knowledge[:, -1] == 0

    def inside(told: np.ndarray) -> list[float]:
        """Coverage of the half that errs more, and of the other."""
        fitted = fit_calibration(quantiles, worse, told, early, unbounded(worse))
        levels = shown(fitted.knots(quantiles, told))
        within = (levels[..., 0] < worse.T) & (levels[..., -1] > worse.T)
        return [float(within[:, known & (half == h)].mean()) for h in (True, False)]

    assert inside(split) == pytest.approx([0.9, 0.9], abs=0.04)
    more, less = inside(knowledge)
    assert more < 0.85 < 0.95 < less


def test_outcomes_at_a_bound_bend_no_interval(overconfident: tuple[np.ndarray, ...]) -> None:
    """A third of all runs end at exactly 0, where every forecast below is clipped."""
    quantiles, latent, knowledge, early = overconfident
    rng = np.random.default_rng(3)
    low = np.quantile(latent, 1 / 3) + 0.03 * rng.standard_normal(latent.shape)
    outcome = np.maximum(latent, low).astype(np.float32).astype(np.float64)

    def inside(bounds: tuple[np.ndarray, np.ndarray]) -> list[float]:
        """Share within the central 50 and 90 % by the randomised transform of what is drawn."""
        made = fit_calibration(quantiles, outcome, knowledge, early, bounds)
        knots = made.knots(quantiles, knowledge)[: len(TARGETS)]
        draws = np.maximum(made.draws(knots), low.T[: len(TARGETS), :, None])
        ends = outcome.T[: len(TARGETS), :, None]
        below, upto = (draws < ends - 1e-6).mean(axis=2), (draws <= ends + 1e-6).mean(axis=2)
        transform = below + rng.random(below.shape) * (upto - below)
        return [float((np.abs(transform - 0.5) <= level / 2).mean()) for level in (0.5, 0.9)]

    assert inside((low, np.full_like(low, np.inf))) == pytest.approx([0.5, 0.9], abs=0.01)
    assert inside(unbounded(low)) != pytest.approx([0.5, 0.9], abs=0.01)


def test_an_outcome_at_a_bound_is_drawn_beyond_it_where_the_forecast_goes_on() -> None:
    """Forecasts whose quantiles are their levels, and outcomes at the lower and the upper bound."""
    below, above = [0.001, 0.3, -1.0], [0.7, 0.999, 2.0]
    outcomes = np.tile([*below, *above, 0.5, np.nan], (1000, 1))
    knots = np.tile(KNOTS, (outcomes.shape[1], 1000, 1))
    at_bound = [np.zeros(outcomes.shape, bool) for _ in range(2)]
    at_bound[0][:, :3] = at_bound[1][:, 3:6] = True
    rng = np.random.default_rng(0)
    drawn = calibration._drawn_beyond(outcomes, at_bound, knots, rng)
    # What no forecast reaches, and what is at no bound, stays.
    np.testing.assert_array_equal(drawn[:, [2, 5, 6, 7]], outcomes[:, [2, 5, 6, 7]])
    for k, low, high in ((0, KNOTS[0], 0.001), (1, KNOTS[0], 0.3),
                         (3, 0.7, KNOTS[-1]), (4, 0.999, KNOTS[-1])):  # fmt: skip
        assert low <= drawn[:, k].min() < drawn[:, k].max() <= high
        assert drawn[:, k].mean() == pytest.approx((low + high) / 2, rel=0.2)
    assert drawn[:, 1].mean() == pytest.approx(0.15, abs=0.01)
    assert drawn[:, 3].mean() == pytest.approx(0.85, abs=0.01)


def test_no_example_is_drawn_twice_where_there_are_enough() -> None:
    rng = np.random.default_rng(0)
    together = np.tile(rng.random((DRAWS, 1)), len(TARGETS))
    ranks = calibration._copula(together, rng)
    np.testing.assert_array_equal(ranks, ranks[:, [0, 0, 0]])
    np.testing.assert_allclose(np.sort(ranks[:, 0]), (np.arange(DRAWS) + 0.5) / DRAWS)


def test_knots_never_cross_and_the_network_is_far_off_without(
    overconfident: tuple[np.ndarray, ...], fitted: Calibration
) -> None:
    quantiles, outcome, knowledge, _ = overconfident
    raw = (
        (outcome[..., None] >= quantiles[..., [1]]) & (outcome[..., None] <= quantiles[..., [7]])
    ).mean()
    assert raw < 0.7
    knots = fitted.knots(quantiles[:100], knowledge[:100])
    assert knots.shape == (OUTPUTS, 100, len(KNOTS))
    assert (np.diff(knots, axis=2) >= 0).all()


def test_draws_keep_margins_dependence_and_seed(
    overconfident: tuple[np.ndarray, ...], fitted: Calibration
) -> None:
    quantiles, outcome, knowledge, _ = overconfident
    knots = fitted.knots(quantiles[:2], knowledge[:2])[: len(TARGETS)]
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
    np.testing.assert_allclose(back.offsets, fitted.offsets, atol=5.1e-5)
    np.testing.assert_allclose(back.ranks, fitted.ranks, atol=1e-5)
    numbers = fitted.to_json()
    for other in ({"knots": [0.5]}, {"knowledge": ["all"]}):
        with pytest.raises(ValueError, match="levels or classes of knowledge"):
            Calibration.from_json({**numbers, **other})
    with pytest.raises(ValueError, match="finite numbers"):
        Calibration.from_json({**numbers, "offsets": [[0.0]]})
    at_the_ends = np.where(np.array(numbers["ranks"]) < 0.5, 0.0, 1.0)
    made = Calibration.from_json({**numbers, "ranks": at_the_ends.tolist()})
    np.testing.assert_array_equal(made.ranks, at_the_ends)
    for outside in (-0.1, 1.1):
        ranks = [[outside, *row[1:]] for row in numbers["ranks"]]
        with pytest.raises(ValueError, match="ranks"):
            Calibration.from_json({**numbers, "ranks": ranks})


@pytest.mark.parametrize(
    "held", [{}, {"x": None}, {"x": ["one", 1]}, {"x": [[1], [1, 2]]}, {"x": [10**400, 1]},
             {"x": [float("nan"), 1]}, {"x": [1]}]
)  # fmt: skip
def test_what_is_no_array_of_finite_numbers_is_told(held: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^`x` must hold 2 finite numbers$"):
        array_of(held, "x", 2)
    with pytest.raises(ValueError, match=r"^`x` must hold 2 x 3 finite numbers$"):
        array_of(held, "x", 2, 3)


@pytest.mark.parametrize("shape", [(), (1,)])
def test_what_is_missing_is_of_no_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^`x` must hold 1 finite numbers$"):
        array_of({}, "x", *shape)


def test_no_offset_is_beyond_what_can_be_learned() -> None:
    assert offsets_of({"offsets": [LARGEST_OFFSET]}, 1)[0] == LARGEST_OFFSET
    for beyond in (1.01, -1.01):
        with pytest.raises(ValueError, match=r"^`offsets` must be within 1e\+06 spreads$"):
            offsets_of({"offsets": [beyond * LARGEST_OFFSET]}, 1)


def test_draws_of_any_number_of_axes_are_rotated_by_the_history_alone() -> None:
    draws = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(rotated(draws, 5)[1, 2], [21.0, 22.0, 23.0, 20.0])
    np.testing.assert_array_equal(rotated(draws[1, 2], 5), [21.0, 22.0, 23.0, 20.0])
    assert (seed_of(b""), seed_of(b"history")) == (634351890, 2751657698)  # in every version


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


@pytest.mark.parametrize(
    ("knots", "outcome", "low", "high"),
    [
        ((0, 1, 2, 3, 4), 0.5, 0.2, 0.2),
        ((0, 1, 2, 3, 4), 2, 0.5, 0.5),
        ((0, 1, 2, 3, 4), -1, 0.0, 0.1),
        ((0, 1, 2, 3, 4), 5, 0.9, 1.0),
        ((0, 0, 1, 2, 2), 0, 0.0, 0.3),
        ((0, 0, 1, 2, 2), 2, 0.7, 1.0),
        ((0, 1, 1, 2, 3), 1, 0.3, 0.5),
    ],
)
def test_a_transform_spans_what_its_outcome_may_be(
    knots: tuple[float, ...], outcome: float, low: float, high: float
) -> None:
    rng = np.random.default_rng(0)
    levels = (0.1, 0.3, 0.5, 0.7, 0.9)
    pits = [pit(outcome, np.array(knots, float), levels, rng) for _ in range(300)]
    assert low <= min(pits) + 1e-9
    assert max(pits) <= high + 1e-9
    assert (min(pits), max(pits)) == pytest.approx((low, high), abs=0.01)


def test_a_target_without_outcomes_is_drawn_by_itself() -> None:
    rng = np.random.default_rng(0)
    n = 400
    quantiles = np.sort(rng.normal(size=(n, OUTPUTS, len(HEAD_LEVELS))), axis=2)
    outcomes = rng.normal(size=(n, OUTPUTS))
    outcomes[:, 1] = np.nan
    told = along(rng.uniform(size=n).tolist())
    made = fit_calibration(quantiles, outcomes, told, np.ones(n, bool), unbounded(outcomes))
    assert not made.offsets[:, 1].any()
    assert made.offsets[:, 0].any()
    assert np.isfinite(made.ranks).all()
    again = fit_calibration(quantiles, outcomes, told, np.ones(n, bool), unbounded(outcomes))
    np.testing.assert_array_equal(again.ranks, made.ranks)
    assert abs(np.corrcoef(made.ranks[:, 1], made.ranks[:, 0])[0, 1]) < 0.15


def test_what_does_not_tell_how_it_was_trained_leans_to_the_widest_way() -> None:
    rng = np.random.default_rng(0)
    n = 400
    normal = [NormalDist().inv_cdf(level) for level in HEAD_LEVELS]
    quantiles = np.tile(normal, (n, OUTPUTS, 1))
    ways = np.arange(n) % 2
    outcomes = rng.normal(size=(n, OUTPUTS)) * (1 + ways[:, None])
    at = KNOWLEDGE.index("no plan at 0.3")
    told = np.eye(len(KNOWLEDGE))[[at] * n]
    plain, wide = (
        fit_calibration(quantiles, outcomes, told, np.ones(n, bool), unbounded(outcomes), w)
        for w in (None, ways)
    )
    low, high = KNOTS.index(0.05), KNOTS.index(0.95)
    assert (wide.offsets[at, :, low] < plain.offsets[at, :, low]).all()
    assert (wide.offsets[at, :, high] > plain.offsets[at, :, high]).all()


def test_dependence_is_learned_of_early_examples_with_every_outcome() -> None:
    rng = np.random.default_rng(0)
    n = 600
    normal = [NormalDist().inv_cdf(level) for level in HEAD_LEVELS]
    early = np.arange(n) % 2 == 0
    outcomes = np.repeat(rng.normal(size=(n, 1)), OUTPUTS, axis=1)
    outcomes[~early, 1] *= -1
    outcomes[::4, 2] = np.nan
    told = along([0.3] * n)
    quantiles = np.tile(normal, (n, OUTPUTS, 1))
    made = fit_calibration(quantiles, outcomes, told, early, unbounded(outcomes))
    assert np.corrcoef(made.ranks.T).min() > 0.98
