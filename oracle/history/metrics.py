"""The three quality metrics of a map in one fused pass: mqe, topographic error, dead neurons.

Equal to MiniSom's `quantization_error` and `topographic_error`, dozens of times faster
(`python -m bench.speed.metrics`), and to other libraries' on their grids (`oracle.history.grids`).
Distances come from one float32 matrix product a block; what float32 cannot tell apart is decided in
float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from oracle.errors import OracleError, must_be
from oracle.history.grids import Grid, adjacent

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

#: Distances in a block: its float32 matrix stays within the L2 cache.
BLOCK_DISTANCES = 2**18


class Metrics(NamedTuple):
    """Quality of a map on a table; lower is better.

    Attributes:
        mqe: mean distance of a sample to its BMU, input-space units.
        topographic_error: share of samples whose two best neurons are not neighbours; None on
            a 1x1 map.
        dead_neuron_ratio: share of neurons that are no sample's BMU.
    """

    mqe: float
    topographic_error: float | None
    dead_neuron_ratio: float


def measure(
    weights: Any, data: Any, topology: str | Grid = "rectangular", toroidal: bool | None = False
) -> Metrics:
    """Measure a map on a table.

    Args:
        weights: [rows, cols, features].
        data: [samples, features], scaled as the map was trained.
        topology: rectangular; hexagonal as MiniSom's; odd-r, even-r, odd-q or even-q, hexagons
            whose odd or even rows (r) or columns (q) are shifted; or a whole `Grid`.
        toroidal: the grid has no borders.

    Returns:
        The metrics; of neurons at the same distance the first is the BMU, as in MiniSom.

    Raises:
        OracleError: wrong shapes, values that are masked or not finite, an unknown topology.

    >>> measure([[[0.0], [1.0]]], [[0.25], [0.75]])
    Metrics(mqe=0.25, topographic_error=0.0, dead_neuron_ratio=0.0)
    """
    # Data first: a map that was trained on values that are not finite has them too.
    samples, codebook = _array("data", data, 2), _array("weights", weights, 3)
    if codebook.shape[2] != samples.shape[1]:
        raise OracleError(
            must_be(
                "data", f"as wide as the weights ({codebook.shape[2]} features)", samples.shape[1]
            )
        )
    grid = Grid.of(topology, toroidal)
    rows, cols, features = codebook.shape
    neurons = codebook.reshape(-1, features)
    unit = _unit(samples, neurons)
    if unit != 1.0:
        samples, neurons = samples / unit, neurons / unit
    best, second = _two_best(neurons, samples)
    error = samples - neurons[best]
    mqe = unit * float(np.sqrt(np.einsum("nf,nf->n", error, error)).mean())
    alive = int(np.count_nonzero(np.bincount(best, minlength=len(neurons))))
    dead = (len(neurons) - alive) / len(neurons)
    if len(neurons) == 1:
        return Metrics(mqe, None, dead)
    apart = ~adjacent(best, second, rows, cols, grid)
    return Metrics(mqe, float(apart.mean()), dead)


_MISSING = "Fill the values that are missing, or leave their rows out."


def _array(name: str, values: Any, dimensions: int) -> Floats:
    axes = {2: "[samples, features]", 3: "[rows, cols, features]"}[dimensions]
    if hasattr(values, "toarray"):
        raise OracleError(must_be(name, "dense", type(values).__name__, "Pass its toarray()."))
    if np.ma.is_masked(values):
        n = int(np.ma.getmaskarray(values).sum())
        raise OracleError(must_be(name, "without masked values", f"{n} masked", _MISSING))
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise OracleError(must_be(name, f"numbers, {axes}", values)) from None
    if array.ndim != dimensions or not array.size:
        raise OracleError(must_be(name, f"{axes}, none of them 0", array.shape))
    if not np.isfinite(array).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        advice = "Did the map diverge?" if name == "weights" else _MISSING
        raise OracleError(must_be(name, "finite numbers", f"{array[first]} at {first}", advice))
    return array


def _unit(*arrays: Floats) -> float:
    """Choose a unit in which squares stay within float32: a power of two, which loses no digit."""
    largest = max(max(float(a.max()), -float(a.min())) for a in arrays)
    if largest == 0 or 2.0**-30 < largest < 2.0**30:
        return 1.0
    return float(2.0 ** np.clip(np.frexp(largest)[1], -1000, 1000))


def _two_best(neurons: Floats, samples: Floats) -> tuple[Ints, Ints]:
    """Find the BMU and the second-best neuron of each sample, [sample] and [sample].

    Ranks by |w|^2 / 2 - x.w, which orders neurons as |x - w| does. Centring keeps float32's
    error small; a sample whose first three scores lie within that error is ranked anew.
    """
    center = samples.mean(axis=0)
    x = np.empty((len(samples), samples.shape[1] + 1), dtype=np.float32)
    np.subtract(samples, center, out=x[:, :-1], casting="same_kind")
    x[:, -1] = 1.0
    centered = neurons - center
    half_square = np.einsum("mf,mf->m", centered, centered) / 2
    w = np.empty((x.shape[1], len(neurons)), dtype=np.float32)
    w[:-1] = -centered.T
    w[-1] = half_square
    longest = np.sqrt(2 * half_square.max())
    length = np.sqrt(np.einsum("nf,nf->n", x[:, :-1], x[:, :-1]))
    unsure = np.float32(4 * np.finfo(np.float32).eps * np.sqrt(x.shape[1] + 1))
    tolerance = (unsure * longest) * (length + np.float32(longest))

    best = np.empty(len(x), dtype=np.intp)
    second = np.empty(len(x), dtype=np.intp)
    block = max(1, BLOCK_DISTANCES // len(neurons))
    for start in range(0, len(x), block):
        part = slice(start, start + block)
        score = x[part] @ w
        at = np.arange(len(score))
        first = score.argmin(axis=1)
        least = score[at, first]
        score[at, first] = np.inf
        runner_up = score.argmin(axis=1)
        next_least = score[at, runner_up]
        best[part], second[part] = first, runner_up
        if len(neurons) == 1:
            continue
        score[at, runner_up] = np.inf
        within = next_least + tolerance[part]
        close = np.flatnonzero(
            (next_least - least <= tolerance[part]) | (score.min(axis=1) <= within)
        )
        if len(close):
            score[at, first], score[at, runner_up] = least, next_least
            candidate = score[close] <= within[close, None]
            best[start + close], second[start + close] = _rank_exactly(
                neurons, samples[start + close], candidate
            )
    return best, second


def _rank_exactly(
    neurons: Floats, samples: Floats, candidate: npt.NDArray[np.bool_]
) -> tuple[Ints, Ints]:
    """Rank the candidate neurons (two or more a sample) by their float64 distance, then index."""
    sample, neuron = np.nonzero(candidate)
    distance = np.linalg.norm(samples[sample] - neurons[neuron], axis=1)
    ranked = neuron[np.lexsort((neuron, distance, sample))]
    starts = np.searchsorted(sample, np.arange(len(samples)))
    return ranked[starts], ranked[starts + 1]
