"""Arithmetic of quantile forecasts in plain NumPy: shared by training, export and evaluation."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt


def quantiles_of(
    values: npt.NDArray[np.float64], levels: tuple[float, ...]
) -> npt.NDArray[np.float64]:
    """Read quantiles off values, as np.quantile does, at a fraction of its overhead.

    Args:
        values: [..., value].
        levels: quantile levels, each within 0..1.

    Returns:
        [..., level].

    >>> quantiles_of(np.array([4.0, 0.0, 1.0]), (0.5, 0.75))
    array([1. , 2.5])
    """
    below, above, share = _places(levels, values.shape[-1])
    # All in order costs less than a few in their places: sorting is vectorised, choosing is not.
    ordered = np.sort(values)
    low = ordered.take(below, axis=-1)
    step = ordered.take(above, axis=-1)
    step -= low
    step *= share
    step += low
    return np.asarray(step)


@lru_cache(maxsize=64)
def _places(
    levels: tuple[float, ...], n: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Where `levels` lie among `n` sorted values: those below and above each, the share between."""
    place = np.array(levels) * (n - 1)
    below = place.astype(np.intp)
    return below, np.minimum(below + 1, n - 1), place - below


def between(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Read a broken line at `x`: np.interp for one number, at a tenth of its time.

    Args:
        x: where; beyond the ends the line is level.
        xs: non-decreasing.
        ys: the line at each of `xs`.

    >>> between(0.5, (0.0, 1.0, 2.0), (10.0, 20.0, 0.0))
    15.0
    """
    i = bisect(xs, x)
    if i == 0 or i == len(xs):
        return ys[max(i - 1, 0)]
    low, high = xs[i - 1], xs[i]
    return ys[i - 1] + (ys[i] - ys[i - 1]) * ((x - low) / (high - low))


def pinball(
    outcome: npt.ArrayLike, quantiles: npt.ArrayLike, levels: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Measure quantile forecasts by the pinball loss, whose minimum is at the true quantile.

    loss = max(level * (y - q), (level - 1) * (y - q)); Koenker & Bassett, "Regression
    quantiles", Econometrica 46 (1978) 33-50, doi:10.2307/1913643.

    Args:
        outcome: [...] what came, NaN where unknown.
        quantiles: [..., level].
        levels: quantile levels, each within 0..1.

    Returns:
        [..., level] loss in the unit of `outcome`, NaN where the outcome is.
    """
    error = np.asarray(outcome, np.float64)[..., None] - np.asarray(quantiles, np.float64)
    tau = np.asarray(levels, np.float64)
    return np.maximum(tau * error, (tau - 1) * error)
