"""The grids that maps lie on: which neurons are neighbours, by the name of the grid.

    rectangular          8 neighbours
    hexagonal            MiniSom's: 6 neighbours, every other column shifted, counted from the last
    odd-r, even-r        6 neighbours, odd or even rows shifted half a neuron to the right
    odd-q, even-q        6 neighbours, odd or even columns shifted half a neuron down

Rows and columns count from 0. Each of them may be closed to a torus.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from oracle.errors import OracleError, must_be
from oracle.types.context import Topology

Ints = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

TOPOLOGIES: tuple[Topology, ...] = get_args(Topology)


class Grid(NamedTuple):
    """A grid, whole.

    Attributes:
        topology: one of TOPOLOGIES.
        rows_wrap: the last row borders on the first.
        cols_wrap: the last column borders on the first.
        skewed: of a hexagonal torus whose shifted lines are odd in number, so that they do not
            meet: it goes on half a neuron further (SimpSOM), else by the number of the line as
            the winner sees it (torchsom).
    """

    topology: str = "rectangular"
    rows_wrap: bool = False
    cols_wrap: bool = False
    skewed: bool = False

    @classmethod
    def of(cls, topology: str | Grid, toroidal: bool | None = False) -> Grid:
        """Take a grid by its name; a whole one is taken as it is.

        Raises:
            OracleError: for a name that is none.
        """
        grid = topology if isinstance(topology, Grid) else cls(topology, *2 * (bool(toroidal),))
        if grid.topology not in TOPOLOGIES:
            advice = "A map without borders is told by toroidal=True."
            rule = f"one of {', '.join(TOPOLOGIES)}"
            raise OracleError(must_be("topology", rule, grid.topology, advice))
        return grid


def adjacent(best: Ints, second: Ints, rows: int, cols: int, grid: Grid) -> Flags:
    """Tell whether two neurons (row * cols + col) are neighbours, [sample]."""
    row, col = np.divmod(best, cols)
    other_row, other_col = np.divmod(second, cols)
    if grid.topology == "rectangular":
        down = _apart(other_row - row, rows if grid.rows_wrap else 0)
        right = _apart(other_col - col, cols if grid.cols_wrap else 0)
        return np.asarray(np.maximum(down, right) <= 1)
    name = grid.topology
    if name == "hexagonal":
        name = "odd-q" if cols % 2 else "even-q"
    shifted, line = name.split("-")
    wraps = grid.rows_wrap, grid.cols_wrap
    if line == "q":  # what holds for rows holds for columns, with the axes exchanged
        row, other_row, rows, col, other_col, cols = col, other_col, cols, row, other_row, rows
        wraps = wraps[::-1]
    odd = shifted == "odd"
    found = np.zeros(len(best), dtype=bool)
    # The other neuron where it is, and where it is seen again beyond the seams.
    for up, aside in product(_copies(wraps[0]), _copies(wraps[1])):
        seen_row = other_row + up * rows
        shift = _shift(other_row, odd) + up * (rows % 2) if grid.skewed else _shift(seen_row, odd)
        halves = 2 * (other_col + aside * cols - col) + shift - _shift(row, odd)
        down = abs(seen_row - row)
        found |= (down + abs(halves) == 2) & (down <= 1)
    return found


def _copies(wraps: bool) -> tuple[int, ...]:
    return (-1, 0, 1) if wraps else (0,)


def _apart(steps: Ints, around: int) -> Ints:
    apart = abs(steps)
    return np.minimum(apart, around - apart) if around else apart


def _shift(row: Ints, odd: bool) -> Ints:
    """How far a row is shifted to the right, in halves of a neuron."""
    return np.asarray(row % 2 == (1 if odd else 0)).astype(np.intp)
