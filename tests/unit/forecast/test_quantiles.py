"""Non-crossing quantiles and the pinball loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.forecast.quantiles import between, pinball, quantiles_of
from oracle.model.network import outward_steps

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


@given(
    st.sampled_from([1, 5, 9]).flatmap(
        lambda n: st.lists(st.floats(-80, 80, width=32), min_size=n, max_size=n)
    ),
)
def test_no_output_crosses(raw: list[float]) -> None:
    for dtype in (np.float32, np.float64):
        values, middle = np.array(raw, dtype), len(raw) // 2
        steps = outward_steps(len(raw)).astype(dtype)
        quantiles = values[middle] + np.logaddexp(dtype(0), values) @ steps
        assert quantiles.dtype == dtype
        # A matrix product may add in another order for each column: rounding apart.
        rounding = 8 * np.finfo(dtype).eps * np.abs(quantiles).max()
        assert (np.diff(quantiles) >= -rounding).all()
        assert quantiles[middle] == values[middle]


def test_steps_lead_outward_from_the_median() -> None:
    steps = np.array([1.0, 2.0, 99.0, 4.0, 8.0])
    assert (10 + steps @ outward_steps(5)).tolist() == [7, 8, 10, 14, 22]


@pytest.mark.parametrize("n_levels", [0, -1, 2, 4])
def test_an_even_number_of_levels_has_no_median(n_levels: int) -> None:
    with pytest.raises(ValueError, match=f"odd and positive, but got {n_levels}"):
        outward_steps(n_levels)


def test_pinball_is_least_at_the_true_quantiles() -> None:
    rng = np.random.default_rng(0)
    outcome = rng.normal(size=20_000)
    true = np.quantile(outcome, LEVELS)
    best = pinball(outcome, np.broadcast_to(true, (20_000, 5)), LEVELS).mean(0)
    for shift in (-0.1, 0.1):
        moved = pinball(outcome, np.broadcast_to(true + shift, (20_000, 5)), LEVELS).mean(0)
        assert (moved > best).all()


def test_pinball_weighs_the_sides_by_the_level() -> None:
    loss = pinball([1.0, 1.0], [[0.0], [2.0]], [0.95])
    np.testing.assert_allclose(loss, [[0.95], [0.05]])


def test_pinball_is_measured_in_double_precision() -> None:
    outcome, quantiles = np.float32([0.1]), np.float32([[0.3]])
    loss = pinball(outcome, quantiles, np.float32([0.95]))  # type: ignore[arg-type]
    error = float(outcome[0]) - float(quantiles[0, 0])
    assert loss.dtype == np.float64
    assert loss.tolist() == [[(float(np.float32(0.95)) - 1) * error]]


def test_an_unknown_outcome_has_no_loss() -> None:
    assert np.isnan(pinball([np.nan], [[0.0] * 5], LEVELS)).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_quantiles_are_numpys(values: list[float]) -> None:
    levels = (0.0, *LEVELS, 1.0)
    mine = quantiles_of(np.array(values), levels)
    np.testing.assert_allclose(mine, np.quantile(values, levels), rtol=1e-12, atol=1e-9)


@given(
    st.floats(-2, 8),
    st.lists(st.floats(0, 5).map(lambda x: round(x, 1)), min_size=1, max_size=9).map(sorted),
)
def test_a_broken_line_reads_as_numpys(x: float, xs: list[float]) -> None:
    for at in (x, xs[0], xs[-1], xs[len(xs) // 2]):
        ys = [float(i * i) for i in range(len(xs))]
        assert between(at, xs, ys) == pytest.approx(float(np.interp(at, xs, ys)), rel=1e-12)
