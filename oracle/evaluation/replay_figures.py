"""Figures of a replay: what a policy saved and lost, with intervals by table.

Intervals come from a bootstrap over tables, since runs of one table err together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from oracle.evaluation.intervals import clusters_of
from oracle.evaluation.recorded_runs import Array
from oracle.evaluation.replay import COLUMNS, ReplayCounts, Setting

#: Figure -> columns it is the ratio of.
FIGURES = {
    "saved": ("saved", "runs"),
    "compute_saved": ("compute_saved", "compute"),
    "bad_saved": ("bad_saved", "bad"),
    "lost": ("lost", "good"),
    "regret": ("regret", "populations"),
    "converged": ("converged", "runs"),
    "gained_more": ("gained_more", "converged"),
    "given_up": ("given_up", "converged"),
}
RESAMPLES = 2000
#: Two-sided share of the intervals that are printed.
INTERVAL = 0.95


class Estimate(NamedTuple):
    """A figure and its 95 % interval, None where there is nothing to resample."""

    value: float
    low: float | None
    high: float | None


def figures(counts: Array, tables: Sequence[str], seed: int = 0) -> dict[str, Estimate]:
    """Sum counts [population, column] into every figure of FIGURES, with intervals by table.

    Of a single table its populations are resampled: that tells nothing of other tables. Where
    nothing was lost the bootstrap cannot see a loss: the upper end of `lost` is then the exact
    binomial bound, which takes the good runs as independent.
    """
    names, index = np.unique(clusters_of(np.asarray(tables)), return_inverse=True)
    by_table = np.zeros((len(names), counts.shape[1]))
    np.add.at(by_table, index, counts)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    total, resampled = by_table.sum(axis=0), weights @ by_table
    column = {name: i for i, name in enumerate(COLUMNS)}
    result = {}
    for figure, (above, below) in FIGURES.items():
        value = total[column[above]] / max(total[column[below]], 1e-300)
        ratios = resampled[:, column[above]] / np.maximum(resampled[:, column[below]], 1e-300)
        low = high = None
        if len(names) > 1:
            low, high = map(float, np.quantile(ratios, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2]))
        if figure == "lost" and total[column["lost"]] == 0:
            low, high = 0.0, upper_bound(0.0, total[column["good"]], (1 + INTERVAL) / 2)
        result[figure] = Estimate(float(value), low, high)
    return result


def upper_bound(lost: float, good: float, confidence: float) -> float:
    """Return the exact one-sided upper bound of a rate (Clopper and Pearson, 1934).

    Args:
        lost: events, need not be whole (an average over shuffles).
        good: trials.
        confidence: one-sided, 0..1; 0.5 is the median-unbiased estimate.
    """
    from scipy.stats import beta

    if good <= lost:
        return 1.0
    return float(beta.ppf(confidence, lost + 1.0, good - lost))


def curve(replayed: ReplayCounts, policy: str) -> list[tuple[Setting, dict[str, Estimate]]]:
    """Every setting of a policy with its figures: its line in the picture."""
    return [
        (replayed.settings[row], figures(replayed.counts[row], replayed.tables))
        for row in replayed.rows_of(policy)
    ]
