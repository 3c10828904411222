"""Runs that have ended, and what was said of them on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from oracle.types import Decision
from oracle.types.policy import says_gain

#: Shares of a run at which what was said is held against how it ended, and how far from them a
#: decision may have been made.
SEEN = (0.10, 0.25, 0.45, 0.70)
NEAR = 0.06
#: Share of ends within each interval, and the LEVELS that bound it.
INTERVALS = {0.5: (1, 3), 0.9: (0, 4)}


class Look(NamedTuple):
    """What was said of a run when a share of it was seen.

    Attributes:
        progress: share of the budget seen.
        quality: score at LEVELS; None without a forecast, or of one unlike the training data.
        p_good: None where it was not asked.
    """

    progress: float
    quality: Sequence[float] | None
    p_good: float | None

    def holds(self, score: float, level: float) -> bool:
        """Whether an end lies within the interval of a level; never where none was told."""
        low, high = INTERVALS[level]
        return self.quality is not None and self.quality[low] <= score <= self.quality[high]


class EndedRun(NamedTuple):
    """A run that has ended.

    Attributes:
        score: of its end on the scale of its looks; of a stopped one None.
        rank_by: score on the population's scale, stopped ones by their forecast; NaN = unknown.
        stopped: by the policy.
        held: a control: the share of stops that were held, None = no control.
        told: the share of the budget at which the policy said stop first, None = never.
        p_good: said at its stop, of a control at the first.
        looks: one for each of SEEN, None where there is none near.
    """

    run_id: str
    score: float | None
    rank_by: float
    stopped: bool
    held: float | None
    told: float | None
    p_good: float | None
    looks: tuple[Look | None, ...]

    @property
    def weight(self) -> float:
        """How many runs it stands for: with its outcome known, itself; a control 1 / share."""
        return 0.0 if self.score is None else 1.0 / self.held if self.held else 1.0


def said_good(decision: Decision) -> float | None:
    """Give what a decision said of a good end, where it said anything.

    Some policies say P(gain): another event than to be among the best of a score.
    """
    return None if decision.policy.says_gain else decision.p_good


def stored_said_good(decision: Mapping[str, Any]) -> float | None:
    """`said_good` of a decision as JSON, which is many times cheaper than to validate it."""
    policy = decision["policy"]
    gain = says_gain(policy["name"], policy.get("goal"))
    return None if gain else decision.get("p_good")


def look_at(looks: Sequence[Look]) -> tuple[Look | None, ...]:
    """Choose for each of SEEN the look nearest to it, None where none is near."""
    chosen: list[Look | None] = []
    for seen in SEEN:
        near = [one for one in looks if abs(one.progress - seen) <= NEAR]
        chosen.append(min(near, key=lambda one: abs(one.progress - seen), default=None))
    return tuple(chosen)
