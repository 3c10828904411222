"""The quality score of three values: the one place that weighs them, and what counts as good.

    score = w0 * mqe / unit + w1 * topographic_error + w2 * dead_neuron_ratio

Lower is better; `unit` is mqe_of_mean on the relative scale and 1 on the raw one. An undefined
metric is treated in one way everywhere:

- a weight of 0 never asks for its metric;
- a metric that every run of a population lacks drops out for all of them (`weights_without`);
- any other run that lacks a metric has no score, NaN: it is left out, and the message says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from oracle.types import METRICS, QUALITY_WEIGHTS, FloatArray

#: Two mqe_of_mean further apart than this factor are not of one table: folds and samples of one
#: differ by a few percent, a slip of units by ten and more.
SAME_SCALE = 1.5

Bools = npt.NDArray[np.bool_]
#: Of the metrics, after METRICS.
Weights = tuple[float, float, float]


def weights_of(unit: float | FloatArray = 1.0, weights: Weights = QUALITY_WEIGHTS) -> FloatArray:
    """Give what raw values are weighed by, [3, ...], where mqe is measured in `unit` [...]."""
    raw = np.empty((len(weights), *np.shape(unit)))
    raw.T[...] = weights
    raw[0] /= unit
    return raw


def scores_of(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weigh values [3, ...] by weights [3, ...] of a shape that fits; see the module on NaN."""
    asked = [k for k in range(len(METRICS)) if np.count_nonzero(weights[k])]
    if not asked:
        return np.full(values.shape[1:], np.nan)
    score = np.asarray(weights[asked[0]] * values[asked[0]])
    for k in asked[1:]:
        more = weights[k] * values[k]
        score = np.add(score, more, out=score if score.shape == np.shape(more) else None)
    return score


def scores_of_draws(draws: FloatArray, *weights: FloatArray) -> FloatArray:
    """Weigh many draws of runs, [3, run, draw], in several ways, each [3, run] and above 0.

    Returns:
        [run, way, draw], each as `scores_of` gives it but for rounding, in a third of its time.
    """
    return np.asarray(np.array(weights).transpose(2, 0, 1) @ draws.swapaxes(0, 1))


def lacking(values: FloatArray, weights: Weights = QUALITY_WEIGHTS) -> tuple[str, ...]:
    """Name the metrics that are asked for and undefined in every run of values [3, run]."""
    return tuple(
        m for m, w, row in zip(METRICS, weights, values, strict=True) if w and np.isnan(row).all()
    )


def weights_without(names: Sequence[str], weights: Weights = QUALITY_WEIGHTS) -> Weights:
    """Let metrics drop out of the score."""
    mqe, topographic, dead = (
        0.0 if m in names else w for m, w in zip(METRICS, weights, strict=True)
    )
    return mqe, topographic, dead


def scores_among(
    values: FloatArray, scales: Sequence[float | None], weights: Weights = QUALITY_WEIGHTS
) -> FloatArray:
    """Score a whole population, [run], NaN where a run cannot be compared with the others.

    Args:
        values: [3, run] raw; a metric that every run lacks drops out.
        scales: mqe_of_mean of each run; one that is not the others' is of another table.
        weights: after METRICS.
    """
    unit = common_scale(scales)
    counted = weights_without(lacking(values, weights), weights)
    scores = scores_of(values, weights_of(unit or 1.0, counted))
    return np.where([same_scale(scale, unit) for scale in scales], scores, np.nan)


def common_scale(scales: Iterable[float | None]) -> float | None:
    """Give the mqe_of_mean of a table by what its runs say: one that is wrong moves nothing.

    The median, the lower one of two: a value that a run did give.
    """
    known = sorted(scale for scale in scales if scale is not None)
    return known[(len(known) - 1) // 2] if known else None


def same_scale(one: float | None, other: float | None) -> bool:
    """Tell whether two mqe_of_mean may be of one table; what is not known contradicts nothing."""
    if one is None or other is None:
        return True
    return max(one, other) <= SAME_SCALE * min(one, other)


def n_good(size: int, good: float) -> int:
    """Count the runs of a population of `size` that are its best share `good`; at least one."""
    return max(1, math.floor(good * size + 1e-9))


def among_best(scores: FloatArray, good: float) -> Bools:
    """Tell which runs [run] are the best share `good` of those with a score; who ties is, too."""
    known = np.sort(scores[~np.isnan(scores)])
    if not len(known):
        return np.zeros(len(scores), dtype=bool)
    return np.asarray(scores <= known[n_good(len(known), good) - 1])
