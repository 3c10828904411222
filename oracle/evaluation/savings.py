"""From tallies to figures: savings and losses with intervals, and the choice of the risk.

Intervals come from a bootstrap over tables, since runs of one table err together. A policy's
setting is chosen on other tables than it is scored on.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log
from typing import NamedTuple

import numpy as np

from oracle.evaluation.intervals import clusters_of
from oracle.evaluation.recorded import Array
from oracle.evaluation.replay import COLUMNS, Setting, Tallies

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


class TooFew(NamedTuple):
    """Why a limit cannot be shown to hold, however little is lost.

    Attributes:
        good: good runs there are.
        bound: upper bound of the share lost where none of them is.
        needed: good runs of which losing none shows the limit.
    """

    good: int
    bound: float
    needed: int

    def __str__(self) -> str:
        return (
            f"too few runs: 0 of {self.good} good runs lost still allows {self.bound:.0%}, "
            f"{self.needed} are needed"
        )


def too_few(good: float, limit: float, confidence: float) -> TooFew | None:
    """Tell whether so many good runs are too few to show that at most `limit` of them are lost.

    >>> print(too_few(8, 0.05, 0.8))
    too few runs: 0 of 8 good runs lost still allows 18%, 32 are needed
    """
    bound = upper_bound(0.0, good, confidence)
    if bound <= limit:
        return None
    # Of n runs none is lost with probability (1 - limit) ** n.
    return TooFew(round(good), bound, ceil(log(1 - confidence) / log(1 - limit)))


def choose(
    tallies: Tallies, policy: str, limit: float, confidence: float, shuffles: int = 1
) -> int | None:
    """Choose a policy's setting: the most saved whose bound on good runs lost keeps the limit.

    Args:
        tallies: of the tables to choose on.
        policy: its name.
        limit: largest share of good runs lost, 0..1.
        confidence: of the upper bound.
        shuffles: times each run stands in the tallies; they add no independent runs.

    Returns:
        its row in the tallies, None where no setting keeps the limit.
    """
    saved, lost, good = (COLUMNS.index(c) for c in ("saved", "lost", "good"))
    best, most = None, -np.inf
    for row in tallies.rows_of(policy):
        total = tallies.counts[row].sum(axis=0) / shuffles
        if upper_bound(total[lost], total[good], confidence) <= limit and total[saved] > most:
            best, most = row, total[saved]
    return best


class Chosen(NamedTuple):
    """A policy scored at settings that were chosen on other tables.

    Attributes:
        settings: the values chosen, one a split; None = no setting kept the limit.
        figures: scored on the tables that had no say.
        too_few: why no setting could keep the limit; None where one could.
    """

    policy: str
    settings: list[float | None]
    figures: dict[str, Estimate]
    too_few: TooFew | None = None


def chosen_elsewhere(
    tallies: Tallies,
    policy: str,
    limit: float,
    confidence: float,
    *,
    shuffles: int = 1,
    splits: int = 20,
    seed: int = 0,
) -> Chosen:
    """Choose on one half of the tables, score on the other, both ways, over random halves.

    Every population is scored once a split with a setting that its table had no say in; its
    counts are averaged over the splits. Where no setting keeps the limit, nothing is stopped.
    """
    names = sorted(set(tallies.tables))
    rng = np.random.default_rng(seed)
    table_of = np.asarray(tallies.tables)
    total = np.zeros(tallies.counts.shape[1:])
    settings: list[float | None] = []
    most_good = 0.0
    for _ in range(splits):
        order = rng.permutation(len(names))
        half = {names[i] for i in order[: len(names) // 2]}
        for choosing in (half, set(names) - half):
            part = tallies.where(choosing)
            most_good = max(most_good, _good(part, shuffles))
            row = choose(part, policy, limit, confidence, shuffles)
            settings.append(None if row is None else tallies.settings[row].value)
            scored = ~np.isin(table_of, sorted(choosing))
            total[scored] += _counts(tallies, row)[scored] / splits
    few = too_few(most_good, limit, confidence)
    return Chosen(policy, settings, figures(total, tallies.tables, seed), few)


def chosen_on(
    choosing: Tallies,
    scored: Tallies,
    policy: str,
    limit: float,
    confidence: float,
    shuffles: int = 1,
) -> Chosen:
    """Choose on one data set's tallies and score on another's; the settings must be the same."""
    row = choose(choosing, policy, limit, confidence, shuffles)
    setting = None if row is None else choosing.settings[row].value
    few = too_few(_good(choosing, shuffles), limit, confidence)
    return Chosen(policy, [setting], figures(_counts(scored, row), scored.tables), few)


def _good(tallies: Tallies, shuffles: int) -> float:
    """Count the good runs that there are to choose on."""
    if not tallies.tables:
        return 0.0
    return float(tallies.counts[0, :, COLUMNS.index("good")].sum()) / shuffles


def bound(tallies: Tallies, policy: str) -> Chosen:
    """Score a policy of one setting as it is: a bound has nothing to choose."""
    (row,) = tallies.rows_of(policy)
    value = tallies.settings[row].value
    return Chosen(policy, [value], figures(tallies.counts[row], tallies.tables))


def _counts(tallies: Tallies, row: int | None) -> Array:
    """[population, column] under a setting; under none nothing is saved and nothing lost."""
    counts: Array = tallies.counts[row or 0].copy()
    if row is not None:
        return counts
    for name in {above for above, _ in FIGURES.values()}:
        counts[:, COLUMNS.index(name)] = 0.0
    return counts


def curve(tallies: Tallies, policy: str) -> list[tuple[Setting, dict[str, Estimate]]]:
    """Every setting of a policy with its figures: its line in the picture."""
    return [
        (tallies.settings[row], figures(tallies.counts[row], tallies.tables))
        for row in tallies.rows_of(policy)
    ]
