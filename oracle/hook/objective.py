"""What a search with one objective minimises: as it says, or found from the values it told."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from oracle.errors import InvalidHistory, must_be
from oracle.history.quality_score import (
    Weights,
    lacking,
    scores_of,
    weights_of,
    weights_without,
)
from oracle.types import METRICS, QUALITY_WEIGHTS, FloatArray

#: Values that differ by less than this share are the same: a search may measure once more.
SAME = 1e-3
#: Values of another measure are followed from this agreement of ranks on, Kendall's tau ...
AGREES = 0.6
#: ... of this many runs or more.
ENOUGH_RUNS = 5
#: Below this agreement a search is told that it minimises something else; of that many runs.
DISAGREES, TELLING_RUNS = 0.3, 10
#: Runs that are looked at, the last ones.
LOOKED_AT = 50


class Found(NamedTuple):
    """An objective and how it was known.

    Attributes:
        name: score, or one of METRICS.
        agreement: Kendall's tau of its values and those told; 1 where they are the same.
    """

    name: str
    agreement: float


def weights_for(objective: str) -> Weights:
    """Give the weights by which runs are ranked for an objective.

    Raises:
        InvalidHistory: where it is neither a metric nor the score.
    """
    if objective == "score":
        return QUALITY_WEIGHTS
    if objective not in METRICS:
        rule = f"one of {', '.join(METRICS)} or score"
        raise InvalidHistory(must_be("objectives", rule, objective))
    mqe, topographic, dead = (float(objective == name) for name in METRICS)
    return mqe, topographic, dead


def found(told: FloatArray, values: FloatArray, unit: float | None) -> Found | None:
    """Find what a search minimises; None where it cannot be told, yet or at all.

    Args:
        told: [run] the values that the search minimises.
        values: [3, run] how the same runs ended, after METRICS, raw units, NaN where undefined.
        unit: mqe_of_mean of the table, where known.
    """
    told, values = told[-LOOKED_AT:], values[:, -LOOKED_AT:]
    best: Found | None = None
    for name in ("score", *METRICS):
        scores = _scores(values, weights_for(name), unit)
        raw = _scores(values, weights_for(name), None)
        known = np.isfinite(told) & np.isfinite(scores)
        if not known.any():
            continue
        if any(np.allclose(s[known], told[known], rtol=SAME, atol=0.0) for s in (scores, raw)):
            return Found(name, 1.0)
        if np.count_nonzero(known) >= ENOUGH_RUNS:
            tau = kendalls_tau(scores[known], told[known])
            if tau >= AGREES and (best is None or tau > best.agreement):
                best = Found(name, tau)
    return best


def agreement(
    told: FloatArray, values: FloatArray, weights: Weights, unit: float | None
) -> float | None:
    """Tell how the ranking by `weights` goes with what a search minimises; None of too few runs.

    Args:
        told, values, unit: as in `found`.
        weights: of the score that runs are ranked by.
    """
    scores = _scores(values[:, -LOOKED_AT:], weights, unit)
    told = told[-LOOKED_AT:]
    known = np.isfinite(told) & np.isfinite(scores)
    if np.count_nonzero(known) < TELLING_RUNS:
        return None
    return kendalls_tau(scores[known], told[known])


def kendalls_tau(a: FloatArray, b: FloatArray) -> float:
    """Correlate two rankings, -1..1 (Kendall 1938, tau-a): ties count as no agreement.

    >>> kendalls_tau(np.array([1.0, 2, 3]), np.array([10.0, 30, 20]))
    0.3333333333333333
    """
    n = len(a)
    if n < 2:
        return 0.0
    signs = np.sign(a[:, None] - a) * np.sign(b[:, None] - b)
    return float(signs.sum() / (n * (n - 1)))


def _scores(values: FloatArray, weights: Weights, unit: float | None) -> FloatArray:
    counted = weights_without(lacking(values, weights), weights)
    return scores_of(values, weights_of(unit or 1.0, counted))
