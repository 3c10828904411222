"""Is the oracle right on the runs of this search: what it said of them against how they ended.

A run that was stopped has no end to compare with. Those that ran on are no fair sample of all: the
policy chose them. Controls were drawn from the stops at a known share, so each stands for 1 / share
of them, and every rate here is weighted so (Horvitz & Thompson 1952,
doi:10.1080/01621459.1952.10483446); its interval is Wilson's at the effective number of runs
(Kish 1965), so that few heavy controls are not taken for many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from oracle.audit.ended import INTERVALS, SEEN, EndedRun
from oracle.audit.proven import Proven
from oracle.audit.rates import SURE, Count, Rate, at_least, rate_of, wilson
from oracle.decision.wrong_stops import upper_bound
from oracle.history.quality_score import among_best
from oracle.types import LEVELS, FloatArray, Frozen, Ratio

#: Runs below which nothing is said, and as how many equal ones they must count.
ENOUGH, ENOUGH_EQUAL = 20, 10
#: P(good) is told in these groups.
GROUPS = (0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 1.0)

Word = Literal["in its promise", "cannot say yet", "worse than promised"]


class Coverage(Rate):
    """How many ends lay within an interval, by the share of the run seen when it was told.

    Attributes:
        seen: share of the run.
        level: share of ends that the interval promises to hold.
    """

    seen: Ratio
    level: Ratio


class Promised(Rate):
    """P(good) said, and how many came good.

    Attributes:
        low_said, high_said: of the group.
        said: mean of what was said.
    """

    low_said: Ratio
    high_said: Ratio
    said: Ratio


class Mistake(Frozen):
    """Mean absolute error of the median score.

    Attributes:
        seen: share of the run.
        error: None without a run.
        promised: the model's own on its test tables; None where it does not tell.
        n: runs that it is the mean of.
    """

    seen: Ratio
    error: float | None
    promised: float | None
    n: Count


class Control(Frozen):
    """A run that would have been stopped, and ran to its end.

    Attributes:
        run_id: name of the run.
        told_at: share of the budget at which its stop was due.
        p_good: said then.
        rank: place among all ended runs, 1 = best, stopped ones by their forecast; None = no score.
        of: ended runs with a score.
        good: it ended among the best: the stop would have been wrong.
        stands_for: stops, 1 / share of those held.
    """

    run_id: str
    told_at: Ratio | None
    p_good: Ratio | None
    rank: Count | None
    of: Count
    good: bool
    stands_for: float


class Lost(Frozen):
    """Good runs that the stops have cost.

    Attributes:
        stops: runs that the policy stopped.
        asked: those of them whose P(good) was told.
        expected: sum of these P(good).
        by_chance: as many stops at random would have cost so many.
        measured: share of controls that ended good, with its interval; each is one stop.
        upper: 95 % bound of that share from above, at every look.
        chance: share of runs that are good: what `measured` is of random stops.
    """

    stops: Count
    asked: Count
    expected: float
    by_chance: float
    measured: Rate
    upper: Ratio
    chance: Ratio


class Audit(Frozen):
    """What the ended runs of a search say of the oracle.

    Attributes:
        word, sentence, advice: the verdict, why, and what to do.
        runs: that have ended.
        finished: of these, that were seen to their end.
        looks: decisions on its runs.
        unlike: looks at which the oracle itself said that the run is unlike its training data,
            which promise nothing.
        good: share that counts as good.
        pooled: of the 90 % interval, all shares seen together, a run once: what the word rests on.
        coverage: of each interval, by the share of the run seen.
        promised: P(good) said against how many came good, by groups of what was said.
        mistakes: error of the median score, by the share of the run seen.
        controls: each run that would have been stopped, and ran to its end.
        lost: good runs that the stops have cost.
        proven: what was proven of the model in use, and whether it holds for this search.
    """

    word: Word
    sentence: str
    advice: str
    runs: Count
    finished: Count
    looks: Count
    unlike: Count
    good: Ratio
    pooled: Rate
    coverage: tuple[Coverage, ...]
    promised: tuple[Promised, ...]
    mistakes: tuple[Mistake, ...]
    controls: tuple[Control, ...]
    lost: Lost
    proven: tuple[Proven, ...] = ()


def audit(
    runs: Sequence[EndedRun],
    good: float,
    *,
    promise: Mapping[float, float] | None = None,
    unlike: int = 0,
    looks: int = 0,
) -> Audit:
    """Hold what was said of ended runs against how they ended.

    Args:
        runs: of one search, in order of ending.
        good: share that counts as good.
        promise: share seen -> the model's own mean error of the score, see `promise_of`.
        unlike, looks: decisions that said so, of so many; for the verdict's advice.
    """
    known = [run for run in runs if run.weight]
    came = dict(
        zip((r.run_id for r in runs), among_best(_ranked_by(runs), good).tolist(), strict=True)
    )
    pooled = _pooled(known, 0.9)
    controls = _controls(runs, came)
    lost = _lost(runs, controls, good)
    word, sentence, advice = _verdict(pooled, controls, lost, unlike, looks)
    return Audit(
        word=word,
        sentence=sentence,
        advice=advice,
        runs=len(runs),
        finished=len(known),
        looks=looks,
        unlike=unlike,
        good=good,
        pooled=pooled,
        coverage=tuple(
            Coverage(seen=seen, level=level, **rate_of(*_inside(known, i, level)).model_dump())
            for i, seen in enumerate(SEEN)
            for level in INTERVALS
        ),
        promised=_promised(known, came),
        mistakes=tuple(_mistake(known, i, promise or {}) for i in range(len(SEEN))),
        controls=controls,
        lost=lost,
    )


def promise_of(score: object) -> dict[float, float]:
    """Read the model's own errors of the relative score, by share seen, from its manifest's score.

    >>> promise_of({"scale": "relative", "by_progress": {"0.1": {"quality": 0.07}}})
    {0.1: 0.07}
    """
    if not isinstance(score, Mapping) or score.get("scale") != "relative":
        return {}
    by_progress = score.get("by_progress")
    if not isinstance(by_progress, Mapping):
        return {}
    found = {
        float(seen): one.get("quality")
        for seen, one in by_progress.items()
        if isinstance(one, Mapping)
    }
    return {seen: float(error) for seen, error in found.items() if isinstance(error, float)}


def _ranked_by(runs: Sequence[EndedRun]) -> FloatArray:
    return np.array([run.rank_by for run in runs], np.float64)


def _inside(runs: Sequence[EndedRun], i: int, level: float) -> tuple[list[float], list[float]]:
    told = [(run, look) for run in runs if (look := run.looks[i]) and look.quality is not None]
    inside = [float(look.holds(run.score or 0.0, level)) for run, look in told]
    return inside, [run.weight for run, _ in told]


def _pooled(runs: Sequence[EndedRun], level: float) -> Rate:
    """Count a run once, by the mean over its looks: looks at one run err together."""
    inside, weights = [], []
    for run in runs:
        found = [x.holds(run.score or 0.0, level) for x in run.looks if x and x.quality is not None]
        if found:
            inside.append(sum(found) / len(found))
            weights.append(run.weight)
    return rate_of(inside, weights)


def _promised(runs: Sequence[EndedRun], came: Mapping[str, bool]) -> tuple[Promised, ...]:
    groups: list[list[tuple[float, bool, float]]] = [[] for _ in GROUPS[1:]]
    for run in runs:
        said = [look.p_good for look in run.looks if look and look.p_good is not None]
        of_group: dict[int, list[float]] = {}
        for p in said:
            at = min(int(np.searchsorted(GROUPS, p, side="right")) - 1, len(groups) - 1)
            of_group.setdefault(at, []).append(p)
        for at, told in of_group.items():
            groups[at].append((sum(told) / len(told), came[run.run_id], run.weight))
    found = []
    for i, members in enumerate(groups):
        if not members:
            continue
        table = np.array(members, np.float64)
        weights = table[:, 2]
        found.append(
            Promised(
                low_said=GROUPS[i],
                high_said=GROUPS[i + 1],
                said=min(1.0, float(np.average(table[:, 0], weights=weights))),
                **rate_of(table[:, 1].tolist(), weights.tolist()).model_dump(),
            )
        )
    return tuple(found)


def _mistake(runs: Sequence[EndedRun], i: int, promise: Mapping[float, float]) -> Mistake:
    errors, weights = [], []
    for run in runs:
        look = run.looks[i]
        if look and look.quality is not None and run.score is not None:
            errors.append(abs(look.quality[LEVELS.index(0.5)] - run.score))
            weights.append(run.weight)
    seen = sorted(promise)
    told = float(np.interp(SEEN[i], seen, [promise[s] for s in seen])) if seen else None
    error = float(np.average(errors, weights=weights)) if errors else None
    return Mistake(seen=SEEN[i], error=error, promised=told, n=len(errors))


def _controls(runs: Sequence[EndedRun], came: Mapping[str, bool]) -> tuple[Control, ...]:
    scores = _ranked_by(runs)
    known = np.sort(scores[~np.isnan(scores)])
    return tuple(
        Control(
            run_id=run.run_id,
            told_at=run.told,
            p_good=run.p_good,
            rank=None if np.isnan(run.rank_by) else int(np.searchsorted(known, run.rank_by)) + 1,
            of=len(known),
            good=came[run.run_id],
            stands_for=1.0 / run.held,
        )
        for run in runs
        if run.held and not run.stopped
    )


def _lost(runs: Sequence[EndedRun], controls: Sequence[Control], good: float) -> Lost:
    stops = [run for run in runs if run.stopped]
    said = [run.p_good for run in stops if run.p_good is not None]
    scored = [one for one in controls if one.rank is not None]
    wrong = [float(one.good) for one in scored]
    return Lost(
        stops=len(stops),
        asked=len(said),
        expected=float(sum(said)),
        by_chance=good * len(stops),
        measured=rate_of(wrong, [one.stands_for for one in scored]),
        upper=upper_bound(int(sum(wrong)), len(wrong)),
        chance=good,
    )


def _verdict(
    pooled: Rate, controls: Sequence[Control], lost: Lost, unlike: int, looks: int
) -> tuple[Word, str, str]:
    held = "" if pooled.rate is None else (
        f"90 % interval held {pooled.rate:.0%} ({pooled.low:.0%} to {pooled.high:.0%}) "
        f"of {pooled.n} runs"
    )  # fmt: skip
    often_unlike = looks >= ENOUGH and unlike > 0.2 * looks
    asked = [one for one in controls if one.rank is not None and one.p_good is not None]
    wrong = sum(one.good for one in asked)
    chance = at_least(wrong, [one.p_good or 0.0 for one in asked]) if wrong else 1.0
    if chance < 0.01:
        said = sum(one.p_good or 0.0 for one in asked)
        sentence = f"{wrong} of {len(asked)} controls ended good, {said:.1f} were expected"
        return "worse than promised", sentence, _STRICTER
    if pooled.n >= ENOUGH and pooled.n_effective >= ENOUGH_EQUAL:
        high = wilson(pooled.rate or 0.0, pooled.n_effective, SURE)[1]
        if high < 0.9:
            return "worse than promised", held, _RETRAIN
        advice = _UNLIKE if often_unlike else _FINE
        return "in its promise", held, advice
    missing = f"{pooled.n} of {ENOUGH} runs that it takes have gone to their end"
    if pooled.n >= ENOUGH:
        missing = f"{pooled.n} runs, weighted, tell as much as {pooled.n_effective:.0f}"
        missing += f" of {ENOUGH_EQUAL} that it takes"
    if often_unlike:
        return "cannot say yet", missing, _UNLIKE
    return "cannot say yet", missing, "Wait: every finished run and every ended control counts."


_STRICTER = (
    "Lower the policy's `risk`, or let runs be seen longer (`min_progress`), and keep what was "
    "stopped lately (second look) until its controls end good no more than chance has it."
)
_RETRAIN = (
    "Give the full context (docs/hook.md), lower the policy's `risk` meanwhile, "
    "and train an oracle on runs of this search (`oracle train --from`, docs/training.md)."
)
_FINE = "Nothing to do: what it says of these runs can be relied on."
_UNLIKE = (
    "More than a fifth of its decisions say that these runs are unlike its training data: give "
    "what the context lacks, or train an oracle on your runs (docs/training.md)."
)
