"""Which settings are good: how much of the score each explains, and where its best runs lie.

Exact sums of squares in the place of a forest: the runs stand in groups of equal size along a
setting (a word is a group of its own), and what the groups' means explain of the score's ranks is
told, less what as many groups explain by chance (Kelley's epsilon squared, 1935). It is the main
effect of a functional analysis of variance over the runs that there are; what two settings explain
only together is told by the same sums over both. Half of the runs, drawn again and again, give the
spread. Ranks, so that a run that went wrong does not hide the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from math import isfinite, log10
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from oracle.types import FloatArray, Frozen, Ratio
from oracle.types.about import Setting

#: Groups along a setting, alone and together with another one.
GROUPS, GROUPS_OF_TWO = 10, 5
#: Words that are told apart; the rest are one group.
WORDS = 12
#: Halves that the spread is taken from, and the settings whose pairs are looked at.
HALVES, PAIRED = 60, 8
#: A setting that spans as many decades is looked at by its logarithm.
DECADES = 1.5
#: Runs below which nothing is told of settings.
ENOUGH = 12
#: The middle of the best runs that a range holds.
MIDDLE = 0.8
#: Names that tell where in a search a run stands, and are no setting of it.
NO_SETTINGS = frozenset(
    {"generation", "gen", "number", "trial", "seed", "random_seed", "random_state"}
)

Ints = npt.NDArray[np.int64]


class SettingFound(Frozen):
    """A setting, and what the runs tell of it.

    Attributes:
        name: of the setting.
        kind: a number, or words.
        log: it spans decades, and is to be looked at by its logarithm.
        low, high: all values of a number.
        values: words, the most frequent first.
        share: of the score's variance that its groups explain, 0..1.
        least, most: 5 % and 95 % quantiles of that share over halves of the runs.
        good_low, good_high: the middle 80 % of the best runs.
        good_values: words of the best runs, the most frequent first.
        runs: that tell it.
    """

    name: str
    kind: Literal["number", "word"]
    log: bool = False
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    share: Ratio
    least: Ratio
    most: Ratio
    good_low: float | None = None
    good_high: float | None = None
    good_values: tuple[str, ...] = ()
    runs: int


class Together(Frozen):
    """What two settings explain only together.

    Attributes:
        names: of the two.
        share: of the score's variance, beyond what each explains alone.
    """

    names: tuple[str, str]
    share: Ratio


class SettingsFound(Frozen):
    """Which settings are good.

    Attributes:
        runs: with a score.
        best: how many of these count as the best, of which ranges are told.
        way: how shares were found, for people.
        settings: that differ, what explains most first.
        together: pairs that explain more than a hundredth together.
    """

    runs: int
    best: int
    way: str = "share of the score's ranks that ten groups along a setting explain, beyond chance"
    settings: tuple[SettingFound, ...]
    together: tuple[Together, ...]


def settings_found(
    settings: Sequence[Mapping[str, Setting]], scores: FloatArray, share: float = 0.1
) -> SettingsFound:
    """Tell which settings explain how runs end, and where the best ones lie.

    Args:
        settings: [run] name -> value; one that a run lacks is a group of its own.
        scores: [run] lower is better; NaN leaves a run out.
        share: of the runs that count as the best.
    """
    known = np.flatnonzero(np.isfinite(scores))
    told = [settings[int(i)] for i in known]
    ranks = np.argsort(np.argsort(scores[known], kind="stable"), kind="stable").astype(np.float64)
    best = ranks < max(1, round(share * len(known)))
    names = Counter(name for one in told for name in one if name.lower() not in NO_SETTINGS)
    found: list[SettingFound] = []
    groups: dict[str, tuple[Ints, Ints]] = {}
    halves = _halves(len(known))
    for name in names if len(known) >= ENOUGH else ():
        values = [one.get(name) for one in told]
        setting, grouped = _one(name, values, ranks, best, halves)
        if setting is not None:
            found.append(setting)
            groups[name] = grouped
    found.sort(key=lambda one: -one.share)
    together = _together([one.name for one in found[:PAIRED]], groups, ranks)
    return SettingsFound(
        runs=len(known),
        best=int(best.sum()),
        settings=tuple(found),
        together=together,
    )


def explained(groups: Ints, values: FloatArray, weights: FloatArray) -> FloatArray:
    """Give epsilon squared of values [run] by groups [run], for each row of weights [draw, run]."""
    n_groups = int(groups.max()) + 1
    member = np.zeros((len(groups), n_groups))
    member[np.arange(len(groups)), groups] = 1.0
    n = weights @ member
    sums = weights @ (member * values[:, None])
    total = weights.sum(axis=1)
    mean = sums.sum(axis=1) / total
    square = (weights @ values**2) - total * mean**2
    with np.errstate(invalid="ignore", divide="ignore"):
        between = np.where(n > 0, sums**2 / n, 0.0).sum(axis=1) - total * mean**2
        free = total - (n > 0).sum(axis=1)
        share = 1 - (square - between) / square * (total - 1) / free
    return np.asarray(np.clip(np.nan_to_num(share, nan=0.0, neginf=0.0), 0.0, 1.0))


def _one(
    name: str, values: Sequence[Setting], ranks: FloatArray, best: Any, halves: FloatArray
) -> tuple[SettingFound | None, tuple[Ints, Ints]]:
    none = np.zeros(0, np.int64)
    if len({(isinstance(v, bool), v) for v in values}) < 2:
        return None, (none, none)
    numbers = as_numbers(values)
    told = [v is not None for v in values]
    if numbers is not None:
        fine, coarse = (_by_size(numbers, n) for n in (GROUPS, GROUPS_OF_TWO))
        good = numbers[best & ~np.isnan(numbers)]
        ends = np.quantile(good, [(1 - MIDDLE) / 2, (1 + MIDDLE) / 2]) if len(good) else (None,) * 2
        low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
        more: dict[str, Any] = {
            "kind": "number", "low": low, "high": high,
            "log": low > 0 and log10(high / low) >= DECADES,
            "good_low": ends[0], "good_high": ends[1],
        }  # fmt: skip
    else:
        words = ["" if v is None else str(v) for v in values]
        often = [word for word, _ in Counter(w for w in words if w).most_common(WORDS)]
        place = {word: i for i, word in enumerate(often)}
        fine = np.array([place.get(word, len(often) + (not word)) for word in words], np.int64)
        coarse = np.minimum(fine, GROUPS_OF_TWO - 1)
        good_words = Counter(word for word, is_best in zip(words, best, strict=True) if is_best)
        good_words.pop("", None)
        more = {
            "kind": "word",
            "values": tuple(often),
            "good_values": tuple(word for word, _ in good_words.most_common(WORDS)),
        }
    fine = np.unique(fine, return_inverse=True)[1].reshape(-1)
    if fine.max() == 0:
        return None, (none, none)
    share = float(explained(fine, ranks, np.ones((1, len(ranks))))[0])
    least, most = np.quantile(explained(fine, ranks, halves), [0.05, 0.95])
    setting = SettingFound(
        name=name, share=share, least=min(float(least), share), most=max(float(most), share),
        runs=sum(told), **more,
    )  # fmt: skip
    return setting, (fine, coarse)


def as_numbers(values: Sequence[Setting]) -> FloatArray | None:
    """[run] as numbers, NaN where there is none; None of a setting that is sometimes a word."""
    known = [v for v in values if v is not None]
    for v in known:
        if isinstance(v, bool) or not isinstance(v, int | float) or not isfinite(v):
            return None
    return np.array([np.nan if v is None else v for v in values], np.float64)


def _by_size(numbers: FloatArray, n: int) -> Ints:
    """[run] group of about equal size along a number; equal ones stay together, NaN apart."""
    known = numbers[~np.isnan(numbers)]
    distinct = np.unique(known)
    if len(distinct) <= n:
        edges = distinct[1:]
    else:
        edges = np.unique(np.quantile(known, np.linspace(0, 1, n + 1)[1:-1]))
    groups = np.searchsorted(edges, numbers, side="right")
    return np.where(np.isnan(numbers), len(edges) + 1, groups).astype(np.int64)


def _halves(n: int) -> FloatArray:
    """[draw, run] 1 for the runs of a random half: its spread is that of the whole."""
    draw = np.random.default_rng(0)
    order = np.argsort(draw.random((HALVES, n)), axis=1)
    return np.asarray(order < n / 2, np.float64)


def _together(
    names: Sequence[str], groups: Mapping[str, tuple[Ints, Ints]], ranks: FloatArray
) -> tuple[Together, ...]:
    once = np.ones((1, len(ranks)))
    alone = {name: float(explained(groups[name][1], ranks, once)[0]) for name in names}
    found = []
    for one, other in combinations(names, 2):
        both = groups[one][1] * (int(groups[other][1].max()) + 1) + groups[other][1]
        both = np.unique(both, return_inverse=True)[1].reshape(-1)
        if both.max() * 4 > len(ranks):
            continue  # too few runs a cell
        share = float(explained(both, ranks, once)[0]) - alone[one] - alone[other]
        if share > 0.01:
            found.append(Together(names=(one, other), share=min(1.0, share)))
    return tuple(sorted(found, key=lambda pair: -pair.share)[:PAIRED])
