"""A compiled SOM core: thousands of real trainings, any schedule, four ways to learn.

`online` follows MiniSom 2.3 operation by operation and gives the same bits for gaussian,
bubble and triangle neighbourhoods (tests/unit/collector/test_fast_som.py holds it). The
others cover how further libraries learn: batches of online updates, averaged mini-batches,
Kohonen's batch map.

Weights lie transposed, [feature, neuron], so that every inner loop runs over neurons and is
vectorised; neuron = row * cols + col. Nothing is compiled at import: numba compiles at the
first call and keeps the result on disk.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from collector.lattice import Floats, Grid, Ints, lattice
from oracle.errors import OracleError, must_be

#: Neighbourhood functions of grid distance d and radius r; the number is the kernel's code.
NEIGHBORHOODS = {
    "gaussian": 0,  # exp(-d^2 / 2r^2)
    "triangle": 1,  # (r - |dx|)+ (r - |dy|)+: MiniSom's, not scaled to 1
    "bubble": 2,  # |dx| < r and |dy| < r: MiniSom's box
    "disc": 3,  # d <= r
    "mexican_hat": 4,  # exp(-d^2 / 2r^2) (1 - d^2 / r^2)
    "cut_gaussian": 5,  # gaussian where d <= r
    "epanechnikov": 6,  # (1 - d^2 / r^2)+
    "exponential": 7,  # exp(-d / r)
    "narrow_gaussian": 8,  # exp(-d^2 / r^2)
    "cone": 9,  # (1 - d / r)+
}
#: What a batch does to a neuron that the neighbourhood h gives the samples x the mass sum(h).
BATCH_RULES = {
    "mean": 0,  # moves by the batch's mean of rate h (x - w)
    "sum": 1,  # moves by 1 - exp(-rate sum(h)) toward the h-weighted mean: the updates in a row
    "normalized": 2,  # moves by rate toward the h-weighted mean; rate 1 is Kohonen's batch map
}
_SEPARABLE = 2  # codes below are products of one table a direction; bubble looks at the BMU

_RADIUS_FLOOR = 1e-8  # of r^2, where a radius has decayed to zero


def _jit(function: Any) -> Any:
    # No fastmath: contraction or reassociation would break bit identity with NumPy.
    return numba.njit(cache=True, nogil=True, error_model="numpy")(function)


@_jit
def _squared_distances(
    sample: Floats, weights: Floats, parts: Floats, out: Floats
) -> None:  # pragma: no cover - compiled
    """|sample - weights|^2 a neuron, summed in the order NumPy's pairwise sum has."""
    features, neurons = weights.shape
    if features < 8:
        for m in range(neurons):
            t = sample[0] - weights[0, m]
            out[m] = t * t
        for d in range(1, features):
            for m in range(neurons):
                t = sample[d] - weights[d, m]
                out[m] += t * t
        return
    whole = features - features % 8
    for d in range(8):
        for m in range(neurons):
            t = sample[d] - weights[d, m]
            parts[d, m] = t * t
    for d in range(8, whole):
        part = parts[d % 8]
        for m in range(neurons):
            t = sample[d] - weights[d, m]
            part[m] += t * t
    for m in range(neurons):
        out[m] = ((parts[0, m] + parts[1, m]) + (parts[2, m] + parts[3, m])) + (
            (parts[4, m] + parts[5, m]) + (parts[6, m] + parts[7, m])
        )
    for d in range(whole, features):
        for m in range(neurons):
            t = sample[d] - weights[d, m]
            out[m] += t * t


@_jit
def _winner(squared: Floats) -> int:  # pragma: no cover - compiled
    """First neuron at the least distance; ties are judged after the root, as NumPy would."""
    best = 0
    least = squared[0]
    for m in range(1, squared.shape[0]):
        if squared[m] < least and np.sqrt(squared[m]) < np.sqrt(least):
            best = m
            least = squared[m]
    return best


@_jit
def _influence(
    kind: int,
    radius: float,
    factor: float,
    x_table: Floats,
    y_table: Floats,
    x_offset: npt.NDArray[np.int32],
    y_offset: npt.NDArray[np.int32],
    squared: Floats,
    out: Floats,
) -> None:  # pragma: no cover - compiled
    """Neighbourhood times `factor` for each offset class."""
    if kind < 2:
        for k in range(out.shape[0]):
            out[k] = (x_table[x_offset[k]] * y_table[y_offset[k]]) * factor
        return
    r2 = radius * radius + _RADIUS_FLOOR
    for k in range(out.shape[0]):
        p = squared[k]
        h = 0.0
        if kind == 3:
            h = 1.0 if p <= r2 else 0.0
        elif kind == 4:
            h = np.exp(-p / (2.0 * r2)) * (1.0 - p / r2)
        elif kind == 5:
            h = np.exp(-p / (2.0 * r2)) if p <= r2 else 0.0
        elif kind == 6:
            h = max(0.0, 1.0 - p / r2)
        elif kind == 7:
            h = np.exp(-np.sqrt(p / r2))
        elif kind == 8:
            h = np.exp(-p / r2)
        elif kind == 9:
            h = max(0.0, 1.0 - np.sqrt(p / r2))
        out[k] = h * factor


@_jit
def _online(
    weights: Floats,
    data: Floats,
    order: Ints,
    step_of: Ints,
    first_step: int,
    rate: Floats,
    radius: Floats,
    kind: int,
    cols: int,
    x_tables: Floats,
    y_tables: Floats,
    pair_class: npt.NDArray[np.int32],
    x_offset: npt.NDArray[np.int32],
    y_offset: npt.NDArray[np.int32],
    squared: Floats,
) -> None:  # pragma: no cover - compiled
    features, neurons = weights.shape
    distance = np.empty(neurons)
    parts = np.empty((8, neurons))
    g = np.empty(neurons)
    h = np.empty(squared.shape[0])
    last = -1
    for u in range(order.shape[0]):
        sample = data[order[u]]
        step = step_of[u]
        if step != last and kind != 2:
            table = step - first_step if kind < 2 else 0
            _influence(
                kind, radius[step], rate[step], x_tables[table], y_tables[table],
                x_offset, y_offset, squared, h,
            )  # fmt: skip
            last = step
        _squared_distances(sample, weights, parts, distance)
        best = _winner(distance)
        if kind == 2:
            reach = radius[step]
            row, col = best // cols, best % cols
            for m in range(neurons):
                i, j = m // cols, m % cols
                inside = row - reach < i < row + reach and col - reach < j < col + reach
                g[m] = rate[step] if inside else 0.0
        else:
            classes = pair_class[best]
            for m in range(neurons):
                g[m] = h[classes[m]]
        for d in range(features):
            value = sample[d]
            line = weights[d]
            for m in range(neurons):
                line[m] += g[m] * (value - line[m])


@_jit
def _batch(
    weights: Floats,
    data: Floats,
    order: Ints,
    rate: float,
    radius: float,
    kind: int,
    rule: int,
    cols: int,
    x_table: Floats,
    y_table: Floats,
    pair_class: npt.NDArray[np.int32],
    x_offset: npt.NDArray[np.int32],
    y_offset: npt.NDArray[np.int32],
    squared: Floats,
) -> None:  # pragma: no cover - compiled
    """One step over the batch `order`: samples are summed at their BMU, then spread.

    rule: see BATCH_RULES.
    """
    features, neurons = weights.shape
    distance = np.empty(neurons)
    parts = np.empty((8, neurons))
    h = np.empty(squared.shape[0])
    count = np.zeros(neurons)
    total = np.zeros((neurons, features))
    for u in range(order.shape[0]):
        sample = data[order[u]]
        _squared_distances(sample, weights, parts, distance)
        best = _winner(distance)
        count[best] += 1.0
        for d in range(features):
            total[best, d] += sample[d]
    if kind != 2:
        _influence(kind, radius, 1.0, x_table, y_table, x_offset, y_offset, squared, h)
    mass = np.zeros(neurons)
    pull = np.zeros((features, neurons))
    g = np.empty(neurons)
    for c in range(neurons):
        if count[c] == 0.0:
            continue
        if kind == 2:
            row, col = c // cols, c % cols
            for m in range(neurons):
                i, j = m // cols, m % cols
                inside = row - radius < i < row + radius and col - radius < j < col + radius
                g[m] = 1.0 if inside else 0.0
        else:
            classes = pair_class[c]
            for m in range(neurons):
                g[m] = h[classes[m]]
        for m in range(neurons):
            mass[m] += g[m] * count[c]
        for d in range(features):
            value = total[c, d]
            line = pull[d]
            for m in range(neurons):
                line[m] += g[m] * value
    share = rate / order.shape[0]
    for m in range(neurons):
        if rule == 0:  # the mass may be negative: a mexican hat pushes away
            for d in range(features):
                weights[d, m] += share * (pull[d, m] - mass[m] * weights[d, m])
        elif mass[m] > 1e-300:
            step = rate if rule == 2 else 1.0 - np.exp(-rate * mass[m])
            for d in range(features):
                weights[d, m] += step * (pull[d, m] / mass[m] - weights[d, m])


@_jit
def _measure(
    weights: Floats, data: Floats, adjacent: npt.NDArray[np.bool_]
) -> tuple[float, float, float]:  # pragma: no cover - compiled
    neurons = weights.shape[1]
    distance = np.empty(neurons)
    parts = np.empty((8, neurons))
    used = np.zeros(neurons, dtype=np.bool_)
    error = 0.0
    apart = 0
    for n in range(data.shape[0]):
        _squared_distances(data[n], weights, parts, distance)
        best, second = 0, -1
        least, next_least = distance[0], np.inf
        for m in range(1, neurons):
            v = distance[m]
            if v < next_least:
                if v < least:
                    second, next_least = best, least
                    best, least = m, v
                else:
                    second, next_least = m, v
        used[best] = True
        error += np.sqrt(least)
        if second >= 0 and not adjacent[best, second]:
            apart += 1
    samples = data.shape[0]
    alive = 0
    for m in range(neurons):
        alive += used[m]
    return error / samples, apart / samples, (neurons - alive) / neurons


class FastSom:
    """A map in training: updates in segments, measured in between.

    Args:
        weights: [rows, cols, feature], copied.
        grid: shape of the neighbourhood (`lattice`).
        neighborhood: one of NEIGHBORHOODS.
        flat_measure: measure a torus' topographic error as if it had borders.
    """

    def __init__(
        self,
        weights: Floats,
        grid: Grid = "rectangular",
        neighborhood: str = "gaussian",
        flat_measure: bool = False,
    ) -> None:
        if neighborhood not in NEIGHBORHOODS:
            raise OracleError(
                must_be("neighborhood", f"one of {', '.join(NEIGHBORHOODS)}", neighborhood)
            )
        rows, cols, features = weights.shape
        # MiniSom's triangle looks at indices alone, also on a hexagonal grid.
        self.lattice = lattice(rows, cols, "rectangular" if neighborhood == "triangle" else grid)
        flat: Grid = "hexagonal" if grid.startswith("hexagonal") else "rectangular"
        self._adjacent = lattice(rows, cols, flat if flat_measure else grid).adjacent
        self._kind = NEIGHBORHOODS[neighborhood]
        neurons = np.asarray(weights, dtype=np.float64).reshape(-1, features)
        self._weights = np.array(neurons.T, order="C", copy=True)  # [feature, neuron]

    @property
    def weights(self) -> Floats:
        """A copy, [rows, cols, feature]."""
        shape = (self.lattice.rows, self.lattice.cols, -1)
        return np.ascontiguousarray(self._weights.T).reshape(shape)

    def _tables(self, radius: Floats) -> tuple[Floats, Floats]:
        """Neighbourhood along x and along y for each radius, [step, offset].

        Made by NumPy, because its exp and the compiler's may differ in the last bit.
        """
        if self._kind >= _SEPARABLE:
            nothing = np.zeros((1, 1))
            return nothing, nothing
        where = self.lattice
        if self._kind == NEIGHBORHOODS["gaussian"]:
            width = (2 * radius * radius)[:, None]
            with np.errstate(divide="ignore", invalid="ignore"):
                x = np.exp(-where.x_squared[None, :] / width)
                y = np.exp(-where.y_squared[None, :] / width)
            if not radius.all():  # a radius of zero reaches the BMU alone
                x = np.where(width > 0, x, where.x_squared == 0)
                y = np.where(width > 0, y, where.y_squared == 0)
            return x, y
        x = -np.sqrt(where.x_squared)[None, :] + radius[:, None]
        y = -np.sqrt(where.y_squared)[None, :] + radius[:, None]
        return np.where(x < 0, 0.0, x), np.where(y < 0, 0.0, y)

    def online(
        self, data: Floats, order: Ints, step_of: Ints, rate: Floats, radius: Floats
    ) -> None:
        """Update the map with one sample after the other.

        Args:
            data: [sample, feature] float64, C-contiguous.
            order: samples in the order of their updates.
            step_of: step of the schedule each update belongs to, non-decreasing.
            rate, radius: the whole schedule, [step].
        """
        if not len(order):
            return
        first, last = int(step_of[0]), int(step_of[-1])
        x_tables, y_tables = self._tables(radius[first : last + 1])
        g = self.lattice
        _online(
            self._weights, data, order, step_of, first, rate, radius, self._kind, g.cols,
            x_tables, y_tables, g.pair_class, g.x_offset, g.y_offset, g.squared,
        )  # fmt: skip

    def batch(self, data: Floats, order: Ints, rate: float, radius: float, *, rule: str) -> None:
        """Update the map once with a whole batch.

        Args:
            data: [sample, feature] float64, C-contiguous.
            order: samples of the batch.
            rate: learning rate; the share of the way to the batch map where `normalized`.
            radius: grid units.
            rule: one of BATCH_RULES.
        """
        x_table, y_table = self._tables(np.array([radius]))
        g = self.lattice
        _batch(
            self._weights, data, order, rate, radius, self._kind, BATCH_RULES[rule], g.cols,
            x_table[0], y_table[0], g.pair_class, g.x_offset, g.y_offset, g.squared,
        )  # fmt: skip

    def measure(self, data: Floats) -> tuple[float, float | None, float]:
        """Measure mqe, topographic error (None on a 1x1 map) and dead-neuron ratio.

        The same values as `oracle.history.metrics.measure`, compiled for many small tables.
        """
        mqe, topographic_error, dead = _measure(self._weights, data, self._adjacent)
        return mqe, topographic_error if self._weights.shape[1] > 1 else None, dead
