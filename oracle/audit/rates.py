"""Rates of weighted runs, and how far they are known."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Annotated

import numpy as np
from pydantic import Field

from oracle.types import FloatArray, Frozen, Ratio

#: Normal deviates of the intervals that are shown, 95 %, and of a word: it is read after every
#: run, and must not cry wolf.
SHOWN, SURE = 1.96, 2.58
Count = Annotated[int, Field(ge=0)]


class Rate(Frozen):
    """A weighted rate with Wilson's 95 % interval.

    Attributes:
        rate: 0..1; None without a run.
        low, high: of the interval.
        n: runs.
        n_effective: as many of equal weight would tell as much.
    """

    rate: Ratio | None
    low: Ratio
    high: Ratio
    n: Count
    n_effective: float


def wilson(rate: float, n: float, deviate: float = SHOWN) -> tuple[float, float]:
    """Give Wilson's interval of a rate; 0 to 1 of nothing (doi:10.1080/01621459.1927.10502953).

    >>> [round(end, 3) for end in wilson(0.91, 77)]
    [0.825, 0.956]
    """
    if n <= 0:
        return 0.0, 1.0
    square = deviate**2
    middle = (rate + square / (2 * n)) / (1 + square / n)
    half = deviate * sqrt(rate * (1 - rate) / n + square / (4 * n * n)) / (1 + square / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def effective(weights: FloatArray) -> float:
    """Say how many runs of equal weight tell as much (Kish)."""
    return float(weights.sum() ** 2 / (weights**2).sum()) if len(weights) else 0.0


def rate_of(values: Sequence[float], weights: Sequence[float]) -> Rate:
    """Weigh values 0..1, one a run."""
    w = np.array(weights, np.float64)
    n = effective(w)
    rate = float(np.average(values, weights=w)) if len(w) else None
    low, high = wilson(rate or 0.0, n)
    return Rate(rate=rate, low=low, high=high, n=len(w), n_effective=n)


def at_least(wrong: int, chances: Sequence[float]) -> float:
    """Say how likely so many or more of independent events are, each by its own chance.

    >>> round(at_least(1, [0.5, 0.5]), 2)
    0.75
    """
    ways = np.ones(1)
    for p in chances:
        ways = np.convolve(ways, (1 - p, p))
    return float(ways[wrong:].sum())
