"""The choice of the risk: a policy's setting, chosen on other tables than it is scored on."""

from __future__ import annotations

from math import ceil, log
from typing import NamedTuple

import numpy as np

from oracle.evaluation.recorded_runs import Array
from oracle.evaluation.replay import COLUMNS, ReplayCounts
from oracle.evaluation.replay_figures import FIGURES, Estimate, figures, upper_bound


class TooFew(NamedTuple):
    """Why a limit cannot be shown to hold, however little is lost.

    Attributes:
        good: good runs there are.
        bound: upper bound of the share lost where none of them is.
        needed: good runs of which losing none shows the limit.
        confidence: of the bound.
    """

    good: int
    bound: float
    needed: int
    confidence: float

    def __str__(self) -> str:
        return (
            f"too few runs: 0 of {self.good} good runs lost still allows {self.bound:.0%} "
            f"({self.confidence:.0%} confidence), {self.needed} are needed"
        )


def too_few(good: float, limit: float, confidence: float) -> TooFew | None:
    """Tell whether so many good runs are too few to show that at most `limit` of them are lost.

    >>> print(too_few(8, 0.05, 0.8))
    too few runs: 0 of 8 good runs lost still allows 18% (80% confidence), 32 are needed
    """
    bound = upper_bound(0.0, good, confidence)
    if bound <= limit:
        return None
    # Of n runs none is lost with probability (1 - limit) ** n.
    needed = ceil(log(1 - confidence) / log(1 - limit))
    return TooFew(round(good), bound, needed, confidence)


def choose(
    replayed: ReplayCounts, policy: str, limit: float, confidence: float, shuffles: int = 1
) -> int | None:
    """Choose a policy's setting: the most saved whose bound on good runs lost keeps the limit.

    Args:
        replayed: of the tables to choose on.
        policy: its name.
        limit: largest share of good runs lost, 0..1.
        confidence: of the upper bound.
        shuffles: times each run stands in the replayed; they add no independent runs.

    Returns:
        its row in the replayed, None where no setting keeps the limit.
    """
    saved, lost, good = (COLUMNS.index(c) for c in ("saved", "lost", "good"))
    best, most = None, -np.inf
    for row in replayed.rows_of(policy):
        total = replayed.counts[row].sum(axis=0) / shuffles
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
    replayed: ReplayCounts,
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
    names = sorted(set(replayed.tables))
    rng = np.random.default_rng(seed)
    table_of = np.asarray(replayed.tables)
    total = np.zeros(replayed.counts.shape[1:])
    settings: list[float | None] = []
    most_good = 0.0
    for _ in range(splits):
        order = rng.permutation(len(names))
        half = {names[i] for i in order[: len(names) // 2]}
        for choosing in (half, set(names) - half):
            part = replayed.where(choosing)
            most_good = max(most_good, _good(part, shuffles))
            row = choose(part, policy, limit, confidence, shuffles)
            settings.append(None if row is None else replayed.settings[row].value)
            scored = ~np.isin(table_of, sorted(choosing))
            total[scored] += _counts(replayed, row)[scored] / splits
    few = too_few(most_good, limit, confidence)
    return Chosen(policy, settings, figures(total, replayed.tables, seed), few)


def chosen_on(
    choosing: ReplayCounts,
    scored: ReplayCounts,
    policy: str,
    limit: float,
    confidence: float,
    shuffles: int = 1,
) -> Chosen:
    """Choose on one data set's replayed and score on another's; the settings must be the same."""
    row = choose(choosing, policy, limit, confidence, shuffles)
    setting = None if row is None else choosing.settings[row].value
    few = too_few(_good(choosing, shuffles), limit, confidence)
    return Chosen(policy, [setting], figures(_counts(scored, row), scored.tables), few)


def _good(replayed: ReplayCounts, shuffles: int) -> float:
    """Count the good runs that there are to choose on."""
    if not replayed.tables:
        return 0.0
    return float(replayed.counts[0, :, COLUMNS.index("good")].sum()) / shuffles


def bound(replayed: ReplayCounts, policy: str) -> Chosen:
    """Score a policy of one setting as it is: a bound has nothing to choose."""
    (row,) = replayed.rows_of(policy)
    value = replayed.settings[row].value
    return Chosen(policy, [value], figures(replayed.counts[row], replayed.tables))


def _counts(replayed: ReplayCounts, row: int | None) -> Array:
    """[population, column] under a setting; under none nothing is saved and nothing lost."""
    counts: Array = replayed.counts[row or 0].copy()
    if row is not None:
        return counts
    for name in {above for above, _ in FIGURES.values()}:
        counts[:, COLUMNS.index(name)] = 0.0
    return counts
