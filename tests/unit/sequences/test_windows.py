"""Windows: how many, what they hold, what the test part may not have told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.errors import InvalidSeries
from oracle.sequences.forecasting import Task, evaluate, roll_out
from oracle.sequences.scores import naive, score
from oracle.sequences.series import Series, seasonal, sine
from oracle.sequences.windows import Scaling, cut, split


def counting(points: int, features: int = 1) -> np.ndarray:
    """Values that tell their step and feature: 10 * step + feature."""
    return 10.0 * np.arange(points)[:, None] + np.arange(features)


@pytest.mark.parametrize(
    ("points", "length", "horizon", "count"),
    [(1000, 50, 1, 950), (500, 20, 1, 480), (1000, 50, 10, 941), (5000, 50, 1, 4950), (2, 1, 1, 1)],
)
def test_every_window_is_counted(points: int, length: int, horizon: int, count: int) -> None:
    assert len(cut(np.zeros((points, 1)), length, horizon)) == count


def test_the_split_of_the_documents() -> None:
    parts = split(cut(np.zeros((500, 1)), 20), 500)
    assert (len(parts.train), len(parts.test)) == (384, 96)
    parts = split(cut(np.zeros((1000, 1)), 50), 1000)
    assert (len(parts.train), len(parts.test)) == (760, 190)


def test_windows_hold_what_stands_there() -> None:
    windows = cut(counting(12, 2), 4, 3)
    assert windows.x.shape == (6, 4, 2)
    assert windows.x[2].tolist() == [[20, 21], [30, 31], [40, 41], [50, 51]]
    assert windows.y[2].tolist() == [60, 70, 80]  # of the first feature
    each = cut(counting(12, 2), 4, 3, every_step=True)
    assert each.y.shape == (6, 4, 3)
    assert each.y[2].tolist() == [[30, 40, 50], [40, 50, 60], [50, 60, 70], [60, 70, 80]]
    assert (each.y[:, -1] == windows.y).all()


@given(
    st.integers(12, 80), st.integers(1, 6), st.integers(1, 5), st.sampled_from([0.3, 0.8]),
    st.sampled_from(["chronological", "shuffled"]),
)  # fmt: skip
def test_parts_share_no_window(
    points: int, length: int, horizon: int, share: float, order: str
) -> None:
    windows = cut(counting(points), length, horizon)
    try:
        parts = split(windows, points, share, order, seed=3)  # type: ignore[arg-type]
    except InvalidSeries:
        assert len(windows) <= horizon / (1 - share) + 1 / share + 1
        return
    assert len(parts.train) == int(share * len(windows) + 1e-9)
    assert not set(parts.train.start) & set(parts.test.start)
    if order == "chronological":
        # No target of the test is a point that training saw, as input or as target.
        targets = parts.test.start[:, None] + length + np.arange(horizon)
        assert not parts.train_points[targets].any()
        assert len(parts.test) == len(windows) - len(parts.train) - (horizon - 1)
    else:
        assert len(parts.train) + len(parts.test) == len(windows)


def test_scaling_sees_the_training_part_alone() -> None:
    series = seasonal(1000)
    parts = split(cut(series.values, 50), 1000)
    for kind in ("standard", "minmax"):
        scaling = Scaling.fit(series, parts.train_points, kind)  # type: ignore[arg-type]
        changed = series.values.copy()
        changed[~parts.train_points] += 1000.0
        other = Series("other", changed)
        assert Scaling.fit(other, parts.train_points, kind) == scaling  # type: ignore[arg-type]
        seen = scaling.apply(series.values[parts.train_points])
        if kind == "standard":
            assert seen.mean() == pytest.approx(0, abs=1e-12)
            assert seen.std() == pytest.approx(1)
        else:
            assert (seen.min(), seen.max()) == (0, 1)
        np.testing.assert_allclose(
            scaling.invert(scaling.apply(series.values)[:, 0]), series.target
        )


@pytest.mark.parametrize("centre", [False, True])
def test_a_task_scales_and_scales_back(centre: bool) -> None:
    task = Task.of(seasonal(600), 50, 10, centre=centre)
    test = task.split.test
    right = task.targets(test)
    made = task.forecaster(lambda x: right)(test.x)
    np.testing.assert_allclose(made, test.y)
    many = task.forecaster(lambda x: np.repeat(right[..., None], 9, axis=2))(test.x)
    np.testing.assert_allclose(many, np.repeat(test.y[..., None], 9, axis=2))
    if centre:
        np.testing.assert_allclose(task.inputs(test.x).mean(axis=1), 0, atol=1e-12)


def test_a_trend_leads_a_centred_task_nowhere_new() -> None:
    line = Series("line", np.arange(300.0)[:, None])
    task = Task.of(line, 20, 5, centre=True)
    np.testing.assert_allclose(
        task.inputs(task.split.train.x[:1]), task.inputs(task.split.test.x[-1:])
    )


def test_naive_forecasts_know_the_past_alone() -> None:
    series = seasonal(600, noise=0.0)
    task = Task.of(series, 60, 60)
    test = task.split.test
    made = naive(series, test)
    assert list(made) == ["last value", "seasonal last value", "exponential smoothing"]
    origin = test.start + 59
    assert (made["last value"] == series.target[origin][:, None]).all()
    # Without noise the season repeats exactly; only the trend of one or two seasons is missing.
    np.testing.assert_allclose(
        (test.y - made["seasonal last value"])[0], np.repeat([1.0, 2.0], [50, 10])
    )
    assert score(made["exponential smoothing"], test.y).mae < 0.01
    changed = series.values.copy()
    changed[origin[0] + 1 :] = 0.0
    again = naive(Series("s", changed, period=50), test.take(np.array([0])))
    for name, forecast in again.items():
        np.testing.assert_allclose(forecast[0], made[name][0], err_msg=name)


def test_exponential_smoothing_is_statsmodels_own() -> None:
    ets = pytest.importorskip("statsmodels.tsa.exponential_smoothing.ets")
    series = seasonal(600)
    test = Task.of(series, 50, 60).split.test
    seen = series.target[: test.start[0] + 50]
    own = ets.ETSModel(
        seen, error="add", trend="add", seasonal="add", seasonal_periods=50,
        initialization_method="heuristic",
    ).fit(disp=False)  # fmt: skip
    made = naive(series, test)["exponential smoothing"]
    np.testing.assert_allclose(made[0], own.forecast(60))


def test_a_season_that_is_not_known_is_left_out() -> None:
    assert "seasonal last value" not in naive(
        Series("s", np.arange(60.0)[:, None]), cut(counting(60), 5)
    )
    early = Series("s", np.arange(60.0)[:, None], period=50)
    assert "seasonal last value" not in naive(early, cut(early.values, 5))


def test_a_constant_outcome_has_no_r2() -> None:
    assert np.isnan(score(np.array([1.0, 2.0]), np.array([3.0, 3.0])).r2)
    with pytest.raises(InvalidSeries, match="forecast"):
        score(np.zeros(2), np.zeros(3))


def test_quantiles_are_scored_too() -> None:
    task = Task.of(sine(noise=0.05), 20)
    right = task.split.test.y
    levels = right[..., None] + 0.1 * (np.arange(9) - 4)
    made = evaluate(task, lambda x: levels)
    assert (made.forecast == right).all()
    assert made.scores["model"].mse == 0
    assert made.coverage == 1.0
    assert made.pinball is not None
    assert made.pinball > 0
    assert evaluate(task, lambda x: levels + 5).coverage == 0.0


def test_a_roll_out_reads_its_own_forecasts() -> None:
    def fibonacci(x: np.ndarray) -> np.ndarray:
        return x[:, -2:, 0].sum(axis=1, keepdims=True)

    assert roll_out(fibonacci, np.array([[1.0], [1.0]]), 5).tolist() == [2, 3, 5, 8, 13]

    def quantiles(x: np.ndarray) -> np.ndarray:
        return fibonacci(x)[..., None] + np.arange(-4, 5)

    assert roll_out(quantiles, np.array([[1.0], [1.0]]), 5).tolist() == [2, 3, 5, 8, 13]
    with pytest.raises(InvalidSeries, match="`inputs` must be left out"):
        roll_out(fibonacci, np.zeros((2, 2)), 5)
    with pytest.raises(InvalidSeries, match="`steps` must be at least 1"):
        roll_out(fibonacci, np.zeros((2, 1)), 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cut(np.zeros((50, 1)), 50), "`series` must be at least 51 points"),
        (lambda: cut(np.zeros((50, 1)), 10, 0), "`horizon` must be within 1..100"),
        (lambda: cut(np.zeros((500, 1)), 10, 101), "`horizon` must be within 1..100"),
        (lambda: cut(np.zeros((50, 1)), 0), "`length` must be at least 1"),
        (lambda: Task.of(sine(20, 1), 19), "`windows` must be enough"),
        (lambda: Task.of(sine(), 50, share=1.0), "`share` must be above 0"),
        (lambda: Task.of(sine(), 50, order="sorted"), "`order` must be"),  # type: ignore[arg-type]
        (lambda: Task.of(sine(), 50, scale="log"), "`scale` must be"),  # type: ignore[arg-type]
        (lambda: Task.of(Series("s", np.ones((99, 1))), 5), "`value` must be different"),
        (
            lambda: Task.of(Series("s", np.c_[np.arange(99.0), np.ones(99)], ("a", "b")), 5),
            "`b` must be different",
        ),
    ],
)
def test_what_cannot_be_cut_is_named(make: object, message: str) -> None:
    with pytest.raises(InvalidSeries, match=message):
        make()  # type: ignore[operator]
