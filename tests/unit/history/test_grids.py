"""Neighbours on every grid, held to where its neurons lie."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from oracle.errors import OracleError
from oracle.history.grids import TOPOLOGIES, Grid, adjacent
from oracle.history.metrics import measure
from oracle.types import RunContext

SIZES = list(product(range(1, 7), range(1, 7)))
HEIGHT = np.sqrt(3) / 2


def place(name: str, row: float, col: float) -> np.ndarray:
    """Where a neuron lies: to the right, and down."""
    shifted, line = name.split("-")
    at, along = (row, col) if line == "r" else (col, row)
    half = 0.5 * (at % 2 == (1 if shifted == "odd" else 0))
    return np.array([along + half, at * HEIGHT] if line == "r" else [at * HEIGHT, along + half])


def pairs(rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.divmod(np.arange((rows * cols) ** 2), rows * cols)
    return first[first != second], second[first != second]


@pytest.mark.parametrize("name", ["odd-r", "even-r", "odd-q", "even-q"])
@pytest.mark.parametrize(("rows", "cols"), SIZES)
def test_neighbours_of_a_hexagon_lie_one_step_away(name: str, rows: int, cols: int) -> None:
    first, second = pairs(rows, cols)
    where = [place(name, *divmod(i, cols)) for i in range(rows * cols)]
    apart = [np.linalg.norm(where[a] - where[b]) for a, b in zip(first, second, strict=True)]
    near = np.isclose(apart, 1.0).tolist()
    assert adjacent(first, second, rows, cols, Grid(name)).tolist() == near


@pytest.mark.parametrize(("rows", "cols"), SIZES)
def test_minisoms_hexagon_shifts_columns_from_the_last(rows: int, cols: int) -> None:
    first, second = pairs(rows, cols)
    expected = Grid("odd-q" if cols % 2 else "even-q")
    found = adjacent(first, second, rows, cols, Grid("hexagonal"))
    assert found.tolist() == adjacent(first, second, rows, cols, expected).tolist()


@pytest.mark.parametrize("name", TOPOLOGIES)
@pytest.mark.parametrize(("rows", "cols"), [(4, 4), (4, 6), (6, 4), (8, 6)])
def test_on_a_torus_all_neurons_have_as_many_neighbours(name: str, rows: int, cols: int) -> None:
    first, second = pairs(rows, cols)
    found = adjacent(first, second, rows, cols, Grid(name, True, True))
    counts = np.bincount(first[found], minlength=rows * cols)
    assert set(counts) == {8 if name == "rectangular" else 6}
    both = set(zip(first[found].tolist(), second[found].tolist(), strict=True))
    assert {(b, a) for a, b in both} == both


@pytest.mark.parametrize("skewed", [True, False])
@pytest.mark.parametrize("name", ["odd-r", "even-q"])
def test_odd_lines_meet_at_the_seam_in_two_ways(name: str, skewed: bool) -> None:
    rows, cols = (5, 6) if name == "odd-r" else (6, 5)
    first, second = pairs(rows, cols)
    found = adjacent(first, second, rows, cols, Grid(name, True, True, skewed))
    both = set(zip(first[found].tolist(), second[found].tolist(), strict=True))
    assert set(np.bincount(first[found])) == {6}
    assert ({(b, a) for a, b in both} == both) is skewed  # by number, each sees its own way


def test_a_ring_wraps_along_one_axis_alone() -> None:
    first, second = np.array([0, 0]), np.array([12, 3])  # of 4 x 4: last row, last column
    assert adjacent(first, second, 4, 4, Grid("rectangular", True, False)).tolist() == [True, False]
    assert adjacent(first, second, 4, 4, Grid("rectangular", False, True)).tolist() == [False, True]


def test_measure_takes_names_and_grids() -> None:
    rng = np.random.default_rng(0)
    weights, data = rng.normal(size=(4, 6, 3)), rng.normal(size=(60, 3))
    whole = measure(weights, data, Grid("odd-r", True, True))
    assert measure(weights, data, "odd-r", toroidal=True) == whole
    assert measure(weights, data, "odd-r", None) == measure(weights, data, "odd-r")
    assert measure(weights, data, "odd-r") != whole


def test_what_is_no_grid_is_named() -> None:
    with pytest.raises(OracleError, match=r"odd-r, even-r, .*'torus'.*toroidal=True"):
        measure(np.zeros((2, 2, 1)), np.zeros((3, 1)), "torus")


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_a_context_knows_every_grid(name: str) -> None:
    assert RunContext(topology=name).topology == name
