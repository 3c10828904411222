"""Figures of forecasts against outcomes, and bootstrap intervals for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Names = npt.NDArray[np.str_]

RESAMPLES = 1000
INTERVAL = 0.95
#: Within-table correlations need this many runs of a table.
MIN_RUNS_TO_RANK = 5


def measures(true: Array, predicted: Array, tables: Names) -> dict[str, float]:
    """Score forecasts [run] against outcomes [run].

    Returns:
        mae, rmse, r2, pearson, and spearman within tables (mean, weighted by runs); NaN where
        undefined, e.g. a correlation of constants.
    """
    known = np.isfinite(true) & np.isfinite(predicted)
    x, y, tables = true[known], predicted[known], tables[known]
    if not len(x):
        return dict.fromkeys(("n", "mae", "rmse", "r2", "pearson", "spearman"), np.nan)
    error = y - x
    spread = ((x - x.mean()) ** 2).sum()
    return {
        "n": float(len(x)),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "r2": float(1 - (error**2).sum() / spread) if spread > 0 else np.nan,
        "pearson": correlation(x, y),
        "spearman": _within_tables(x, y, tables),
    }


def correlation(x: Array, y: Array) -> float:
    """Pearson's r; NaN where one side is constant."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan
    return float(np.corrcoef(x, y)[0, 1])


def _within_tables(x: Array, y: Array, tables: Names) -> float:
    total, weight = 0.0, 0
    for table in np.unique(tables):
        mine = tables == table
        if mine.sum() >= MIN_RUNS_TO_RANK:
            rho = correlation(_ranks(x[mine]), _ranks(y[mine]))
            if np.isfinite(rho):
                total, weight = total + rho * int(mine.sum()), weight + int(mine.sum())
    return total / weight if weight else np.nan


def _ranks(values: Array) -> Array:
    """Ranks with ties at their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    mean: Array = (ends - (counts - 1) / 2)[inverse]
    return mean


def clusters_of(tables: Names) -> Names:
    """[run] what a bootstrap draws as one: the table, since runs of one err together.

    Of a single table it is each run: such an interval tells nothing of other tables.
    """
    alone = len(np.unique(tables)) < 2
    return np.arange(len(tables)).astype(np.str_) if alone else tables


def interval(
    statistic: Callable[[Array], Array],
    per_run: Array,
    clusters: Names,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Bootstrap a statistic of per-run sums over clusters.

    Args:
        statistic: [resample, column] sums -> [resample].
        per_run: [run, column] what is summed.
        clusters: [run] from `clusters_of`.
        seed: of the resampling.

    Returns:
        lower and upper end of the central 95 %; None of fewer than two clusters, or
        where the statistic is undefined.
    """
    names, index = np.unique(clusters, return_inverse=True)
    if len(names) < 2:
        return None
    sums = np.zeros((len(names), per_run.shape[1]))
    np.add.at(sums, index, per_run)
    values = statistic(_weights(len(names), seed) @ sums)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    return float(low), float(high)


def mean_of(sums: Array) -> Array:
    """Divide the first column's sums by the second's: a mean or a ratio, to be bootstrapped."""
    with np.errstate(invalid="ignore", divide="ignore"):  # nothing to divide by in one resample
        return np.asarray(sums[:, 0] / sums[:, 1])


@lru_cache(maxsize=8)
def _weights(clusters: int, seed: int) -> Array:
    """[resample, cluster] how often each is drawn; the same for every figure of a report."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(clusters, np.full(clusters, 1 / clusters), RESAMPLES)
    return np.asarray(drawn, np.float64)
