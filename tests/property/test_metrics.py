"""`measure` says what MiniSom says, whatever the map, the table and its scale."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minisom import MiniSom

from oracle.errors import OracleError
from oracle.history.context import mqe_of_mean
from oracle.history.metrics import measure

SIDES = st.integers(1, 9)


def minisom_map(rows: int, cols: int, features: int, topology: str) -> MiniSom:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a wide radius on a small map
        return MiniSom(rows, cols, features, topology=topology, random_seed=0)


def dead_neuron_ratio(som: MiniSom, data: np.ndarray) -> float:
    response = som.activation_response(data)
    return (response.size - np.count_nonzero(response)) / response.size


@given(
    rows=SIDES,
    cols=SIDES,
    features=st.integers(1, 20),
    samples=st.integers(1, 80),
    topology=st.sampled_from(["rectangular", "hexagonal"]),
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(-4, 4),
    offset=st.floats(-1e3, 1e3),
)
@settings(max_examples=150)
def test_equal_to_minisom(
    rows: int, cols: int, features: int, samples: int, topology: str, seed: int,
    scale: float, offset: float,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(samples, features)) * 10**scale + offset * 10**scale
    som = minisom_map(rows, cols, features, topology)
    # Neurons among the data, no two alike: MiniSom's order of equal neurons is arbitrary.
    som._weights = rng.normal(size=som._weights.shape) * 10**scale + offset * 10**scale
    got = measure(som.get_weights(), data, topology)
    assert got.mqe == pytest.approx(som.quantization_error(data), rel=1e-9)
    assert got.dead_neuron_ratio == dead_neuron_ratio(som, data)
    if rows * cols == 1:
        assert got.topographic_error is None
    else:
        # MiniSom subtracts large terms, so that far from zero a tie in its sight may be none.
        tolerance = 1e-12 if abs(offset) < 10 else 2 / samples
        assert got.topographic_error == pytest.approx(som.topographic_error(data), abs=tolerance)


@given(rows=SIDES, cols=SIDES, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_duplicated_neurons_rank_by_index(rows: int, cols: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(12, 3))
    weights = data[rng.integers(0, 4, (rows, cols))]  # sample initialisation repeats samples
    distance = np.linalg.norm(data[:, None] - weights.reshape(1, -1, 3), axis=2)
    ranked = distance.argsort(axis=1, kind="stable")
    got = measure(weights, data)
    assert got.mqe == pytest.approx(distance.min(axis=1).mean(), abs=1e-12)
    assert got.dead_neuron_ratio == (rows * cols - len(set(ranked[:, 0]))) / (rows * cols)
    if rows * cols > 1:
        (row, col), (other_row, other_col) = (np.divmod(ranked[:, k], cols) for k in (0, 1))
        apart = np.maximum(abs(row - other_row), abs(col - other_col)) > 1
        assert got.topographic_error == apart.mean()


@given(seed=st.integers(0, 2**32 - 1), power=st.integers(-300, 280))
@settings(max_examples=60)
def test_any_scale(seed: int, power: int) -> None:
    rng = np.random.default_rng(seed)
    data, weights = rng.normal(size=(30, 4)), rng.normal(size=(4, 5, 4))
    plain, scaled = measure(weights, data), measure(weights * 2.0**power, data * 2.0**power)
    assert scaled.mqe == pytest.approx(plain.mqe * 2.0**power, rel=1e-12)
    assert scaled[1:] == plain[1:]
    assert mqe_of_mean(data * 2.0**power) == pytest.approx(mqe_of_mean(data) * 2.0**power)


def test_blocks_do_not_show() -> None:
    rng = np.random.default_rng(1)
    data, weights = rng.normal(size=(3000, 5)), rng.normal(size=(20, 20, 5))
    whole = measure(weights, data)
    parts = [measure(weights, part) for part in np.split(data, 30)]
    assert whole.mqe == pytest.approx(np.mean([p.mqe for p in parts]), rel=1e-12)
    assert whole.topographic_error == pytest.approx(np.mean([p[1] for p in parts]), abs=1e-12)


@pytest.mark.parametrize(
    ("weights", "data", "topology", "named"),
    [
        # A map that was trained on such a table is not finite either: the table is to blame.
        (np.full((2, 2, 2), np.nan), [[0, 1], [0, np.nan]], "rectangular", r"`data` .* \(1, 1\)"),
        (np.zeros((2, 2, 2)), np.ma.array([[0, 1e20]], mask=[[0, 1]]), "rectangular", "1 masked"),
        (np.zeros((2, 2, 2)), SimpleNamespace(toarray=0), "rectangular", "toarray"),
        (np.zeros((2, 2)), np.zeros((3, 2)), "rectangular", "`weights`"),
        (np.zeros((2, 2, 3)), np.zeros((3, 2)), "rectangular", "`data`"),
        (np.zeros((2, 2, 2)), np.zeros((0, 2)), "rectangular", "`data`"),
        (np.full((2, 2, 2), np.nan), np.zeros((3, 2)), "rectangular", "`weights`"),
        (np.zeros((2, 2, 2)), [["a", "b"]], "rectangular", "`data`"),
        (np.zeros((2, 2, 2)), np.zeros((3, 2)), "round", "`topology`"),
    ],
)
def test_bad_input_is_named(weights: object, data: object, topology: str, named: str) -> None:
    with pytest.raises(OracleError, match=named):
        measure(weights, data, topology)
