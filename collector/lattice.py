"""Grids of neurons: who lies how far from whom, as few classes of equal offset.

neuron = row * cols + col; hexagonal grids are those of MiniSom, a torus has no borders.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Grid = Literal["rectangular", "hexagonal", "hexagonal-cube", "torus", "hexagonal-torus"]

_HEX_ROW_HEIGHT = (3.0 / 2.0) / np.sqrt(3)


@dataclass(frozen=True)
class Lattice:
    """Distances on a grid of neurons, as classes of equal offset.

    Attributes:
        rows, cols: neurons a side.
        pair_class: int32 [neuron, neuron], the offset class of each pair.
        x_offset, y_offset: int32 [class], rows into `x_squared` and `y_squared`.
        x_squared, y_squared: distinct squared offsets along each direction, grid units.
        squared: [class] squared grid distance.
        adjacent: bool [neuron, neuron], neighbours for the topographic error.
    """

    rows: int
    cols: int
    pair_class: npt.NDArray[np.int32]
    x_offset: npt.NDArray[np.int32]
    y_offset: npt.NDArray[np.int32]
    x_squared: Floats
    y_squared: Floats
    squared: Floats
    adjacent: npt.NDArray[np.bool_]


@lru_cache(maxsize=16)
def lattice(rows: int, cols: int, grid: Grid = "rectangular") -> Lattice:
    """Describe a grid; hexagonal shifts every other column as MiniSom does.

    `hexagonal-cube` counts steps on the hexagonal grid instead of plane distance; a torus has no
    borders, the hexagonal one an even number of columns.
    """
    hexagonal = grid.startswith("hexagonal")
    row, col = np.divmod(np.arange(rows * cols), cols)
    x: Floats = row.astype(np.float64)
    y: Floats = col.astype(np.float64)
    if hexagonal:
        x -= 0.5 * ((cols - 1 - col) % 2 == 0)
        y *= float(_HEX_ROW_HEIGHT)
    if grid == "hexagonal-cube":
        columns = abs(col[:, None] - col)
        steps = columns + np.maximum(0, np.rint(abs(x[:, None] - x) - columns / 2)).astype(int)
        x_squared, y_squared = np.arange(steps.max() + 1.0) ** 2, np.zeros(1)
        x_of, y_of = steps, np.zeros((1, 1), dtype=int)
    else:
        wrap = grid.endswith("torus")
        height = float(_HEX_ROW_HEIGHT) if hexagonal else 1.0
        x_squared, x_of = _squared_offsets(x, rows if wrap else None)
        y_squared, y_of = _squared_offsets(y, cols * height if wrap else None)
    pair = x_of * len(y_squared) + y_of
    used = np.bincount(pair.ravel()) > 0
    pair_class = (np.cumsum(used) - 1)[pair]
    x_offset, y_offset = np.divmod(np.flatnonzero(used), len(y_squared))
    squared = x_squared[x_offset] + y_squared[y_offset]
    if hexagonal:
        adjacent = np.isclose(squared, 1.0)[pair_class]
    else:
        near = (x_squared[x_offset] <= 1) & (y_squared[y_offset] <= 1) & (squared > 0)
        adjacent = near[pair_class]
    return Lattice(
        rows,
        cols,
        pair_class.astype(np.int32),
        x_offset.astype(np.int32),
        y_offset.astype(np.int32),
        x_squared,
        y_squared,
        squared,
        adjacent,
    )


def _squared_offsets(places: Floats, around: float | None) -> tuple[Floats, Ints]:
    """Find the distinct squared offsets along one direction and each pair's, [neuron, neuron].

    Args:
        places: [neuron] coordinate.
        around: length of the direction where it is closed to a ring.
    """
    distinct, place = np.unique(places, return_inverse=True)
    offset = abs(distinct[:, None] - distinct)
    if around is not None:
        offset = np.minimum(offset, around - offset)
    squared, of = np.unique(
        np.round(offset * offset, 9) if around else offset * offset, return_inverse=True
    )
    return squared, of.reshape(offset.shape)[place[:, None], place]
