"""The shape of a table: every number against its definition, and what must not change it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from oracle.history.geometry import MAX_CODEBOOK, MAX_DIMENSION, NEAR_ROWS, geometry_of
from oracle.types import Geometry

#: Few enough rows that nothing is sub-sampled: the definitions hold to the digits that are told.
ROWS = NEAR_ROWS
#: Five significant digits are told.
DIGITS = 1e-4


def told(samples: np.ndarray, n_neurons: float | None = None, **how: object) -> dict[str, float]:
    shape = geometry_of(samples, n_neurons, **how)  # type: ignore[arg-type]
    assert shape is not None
    return {name: np.nan if v is None else v for name, v in shape.model_dump().items()}


def table(rows: int = ROWS, features: int = 4, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, features)) * np.geomspace(1, 8, features) + 5.0


@pytest.mark.parametrize("features", [1, 2, 4, 30])
def test_every_number_that_needs_no_draw_follows_its_definition(features: int) -> None:
    x = table(features=features)
    mean = x.mean(axis=0)
    away = np.linalg.norm(x - mean, axis=1)
    unit = away.mean()
    variances = np.sort(np.linalg.eigvalsh(np.cov(x.T).reshape(features, features)))[::-1]
    share = variances / variances.sum()
    distance = np.linalg.norm(x[:, None] - x[None], axis=2) + np.diag([np.inf] * len(x))
    near = np.sort(distance, axis=1)[:, :10]
    slope = np.log(near[:, 9:] / near[:, :9]).mean()
    found = told(x, 25)
    expected = {
        "variance_1": share[0],
        "variance_2": share[:2].sum(),
        "variance_5": share[:5].sum(),
        "participation": variances.sum() ** 2 / (variances**2).sum(),
        "dimension": 1 / slope,
        "neighbor_distance": near[:, 0].mean() / unit,
        "distance_spread": away.std() / unit,
        "offset": np.linalg.norm(mean) / unit,
        "distinct": 1.0,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=DIGITS), name


def test_steps_between_rows_are_over_those_between_any() -> None:
    x = np.cumsum(table(3000, 3), axis=0)[:900]
    one, other = np.random.default_rng(1).integers(len(x), size=(2, 20_000))
    steps = np.linalg.norm(np.diff(x, axis=0), axis=1).mean()
    apart = np.linalg.norm(x[one] - x[other], axis=1).mean()
    assert told(x)["row_step"] == pytest.approx(steps / apart, rel=0.2)


def test_quantization_is_the_mean_over_codebooks() -> None:
    """The few that are drawn agree with many, within their scatter."""
    x = table(900)
    unit = np.linalg.norm(x - x.mean(axis=0), axis=1).mean()
    rng = np.random.default_rng(1)
    found = told(x, 200)
    for name, size in {"4": 4, "16": 16, "64": 64, "map": 200}.items():
        errors = []
        for _ in range(40):
            code = x[rng.choice(len(x), size, replace=False)]
            errors.append(np.linalg.norm(x[:, None] - code[None], axis=2).min(axis=1).mean())
        value = found[f"quantization_{name}"]
        assert value == pytest.approx(np.mean(errors) / unit, rel=0.1), name
    curve = [found[f"quantization_{size}"] for size in ("4", "16", "64", "map")]
    assert curve == sorted(curve, reverse=True)


def test_a_codebook_of_the_whole_table_has_no_error() -> None:
    x = table(16)
    found = told(x, 64)
    assert found["quantization_4"] > 0
    assert found["quantization_16"] == found["quantization_64"] == found["quantization_map"] == 0
    assert told(x, 15)["quantization_map"] > 0
    assert np.isnan(told(x)["quantization_map"])
    # More neurons than a codebook is drawn for still count as many as they are.
    large = table(2000)
    most, more = (told(large, n)["quantization_map"] for n in (MAX_CODEBOOK, 1900))
    assert more == pytest.approx(most * (1 - 1900 / 2000) / (1 - MAX_CODEBOOK / 2000), rel=1e-4)


def test_the_order_of_the_rows_changes_only_what_tells_of_it() -> None:
    walk = np.cumsum(np.random.default_rng(0).normal(size=(ROWS, 3)), axis=0)
    mixed = np.random.default_rng(1).permutation(walk)
    ordered, found = told(walk, 20), told(mixed, 20)
    assert ordered["row_step"] < 0.4 < 0.8 < found["row_step"] < 1.2
    for name, value in found.items():
        if name.startswith("quantization"):  # other rows are drawn
            assert value == pytest.approx(ordered[name], rel=0.4)
        elif name != "row_step":
            assert value == pytest.approx(ordered[name], rel=DIGITS), name


@settings(max_examples=30)
@given(st.floats(-8, 8), st.sampled_from([(30, 2), (300, 5), (2000, 3), (60, 90)]))
def test_another_unit_changes_nothing(power: float, shape: tuple[int, int]) -> None:
    x = table(*shape)
    found, scaled = told(x, 49), told(x * 10**power, 49)
    for name, value in found.items():
        assert scaled[name] == pytest.approx(value, rel=DIGITS, nan_ok=True), name


def test_another_origin_changes_the_offset_alone() -> None:
    x = table(200) - table(200).mean(axis=0)
    found, moved = told(x, 49), told(x + 40.0, 49)
    assert found.pop("offset") == pytest.approx(0.0, abs=1e-6)
    unit = np.linalg.norm(x, axis=1).mean()
    assert moved.pop("offset") == pytest.approx(80.0 / unit, rel=1e-4)
    assert moved == pytest.approx(found, rel=DIGITS)


def test_the_same_table_gives_the_same_numbers_and_leaves_the_generators_alone() -> None:
    x = table(1500)
    state = np.random.get_state()[1].copy()
    first = geometry_of(x, 36)
    assert geometry_of(x.copy(), 36) == first
    assert np.array_equal(state, np.random.get_state()[1])
    assert x.tobytes() == table(1500).tobytes()


def test_equal_rows_are_counted_and_are_no_neighbours() -> None:
    once = table(50)
    twice = np.repeat(once, 2, axis=0)
    found = told(twice, 20)
    assert found["distinct"] == 0.5
    near = np.linalg.norm(once[:, None] - once[None], axis=2) + np.diag([np.inf] * 50)
    unit = np.linalg.norm(once - once.mean(axis=0), axis=1).mean()
    assert found["neighbor_distance"] == pytest.approx(near.min(axis=1).mean() / unit, rel=DIGITS)
    # Two values only: nothing is near that is not the same.
    two = told(np.repeat(np.eye(2), 6, axis=0), 20)
    assert two["distinct"] == pytest.approx(2 / 12, rel=1e-4)
    assert np.isnan(two["neighbor_distance"])
    assert np.isnan(two["dimension"])


def test_equal_distances_have_the_largest_dimension() -> None:
    corners = np.eye(40)  # all of them as far apart
    assert told(corners)["dimension"] == MAX_DIMENSION


def test_columns_that_do_not_vary_change_nothing() -> None:
    x = table(80, 3)
    wide = np.hstack([x, np.full((80, 2), 3.0), np.zeros((80, 1))])
    found, more = told(x, 20), told(wide, 20)
    # Another shape draws other rows: only what is drawn, and the offset, may differ.
    for name in set(found) - {"offset", "row_step"}:
        rel = 0.5 if name.startswith("quantization") else DIGITS
        assert more[name] == pytest.approx(found[name], rel=rel), name
    offset = np.hypot(found["offset"], 3.0 * 2**0.5 / np.linalg.norm(x - x.mean(0), axis=1).mean())
    assert more["offset"] == pytest.approx(offset, rel=DIGITS)


@pytest.mark.parametrize(
    "samples",
    [
        np.ones((1, 3)),
        np.ones((500, 3)),
        np.full((5, 2), np.nan),
        np.array([[1.0, np.inf], [2.0, 3.0]]),
        np.array([[1e308, -1e308], [-1e308, 1e308]]),
    ],
    ids=["one row", "equal rows", "nan", "one finite row", "beyond all bounds"],
)
def test_no_shape_without_two_distinct_finite_rows(samples: np.ndarray) -> None:
    assert geometry_of(samples, 9) is None


def test_two_rows_have_a_shape() -> None:
    found = told(np.array([[0.0, 0.0], [0.0, 2.0]]), 1)
    assert (found["variance_1"], found["participation"], found["distinct"]) == (1.0, 1.0, 1.0)
    assert found["neighbor_distance"] == 2.0
    assert found["distance_spread"] == 0.0
    assert found["offset"] == 1.0
    assert found["row_step"] == 1.0
    assert found["quantization_map"] == 1.0  # half of the rows at distance 2
    assert np.isnan(found["dimension"])


def test_rows_with_gaps_are_left_out() -> None:
    x = table(80)
    holes = np.insert(x, [0, 17, 40, 80], np.nan, axis=0)
    found, holed = told(x, 20), told(holes, 20)
    for name in set(found) - {"row_step"}:
        rel = 0.5 if name.startswith("quantization") else DIGITS
        assert holed[name] == pytest.approx(found[name], rel=rel), name
    assert np.isfinite(holed["row_step"])


def test_an_ignored_entry_counts_as_the_mean_of_its_column() -> None:
    x = table(80)
    ignored = np.random.default_rng(2).random(x.shape) < 0.2
    means = np.where(ignored, 0, x).sum(axis=0) / (~ignored).sum(axis=0)
    filled = told(np.where(ignored, means, x), 20)
    assert told(np.where(ignored, np.nan, x), 20, ignored=ignored) == pytest.approx(
        filled, rel=DIGITS
    )
    assert told(np.where(ignored, 1e9, x), 20, ignored=ignored) == pytest.approx(filled, rel=DIGITS)


def test_ten_million_rows_cost_what_a_thousand_do() -> None:
    long = sliding_window_view(np.random.default_rng(0).normal(size=10_000_002), 3)
    assert long.shape == (10_000_000, 3)
    peaks = []
    for samples in (long[:2000], long):
        tracemalloc.start()
        assert isinstance(geometry_of(samples, 100), Geometry)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 20e6
