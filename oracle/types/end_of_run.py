"""Where a run ends, told by how it counts: the one rule of hook, service and ingest."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

#: A run whose last checkpoint lies from this share of its budget on is whole.
WHOLE_FROM = 0.95
BUDGET_ADVICE = "Count both in the same unit."


def budget_rule(total_epochs: float) -> str:
    """Word the rule of `is_beyond_end` for a message."""
    return f"at most total_epochs ({total_epochs:g}), or the last one, a step beyond it"


def is_beyond_end(epochs: Sequence[float], total_epochs: float) -> bool:
    """Whether the last of `epochs` lies beyond what may be the end of such a budget.

    A budget is approximate where it is counted in seconds, or in steps that do not divide it: one
    checkpoint may lie beyond it, by no more than the longest step before. What lies further is
    counted in another unit.
    """
    *before, last = epochs
    if last <= total_epochs:
        return False
    if not before or before[-1] >= total_epochs:
        return True
    longest = max(b - a for a, b in pairwise((0.0, *before)))
    return last - total_epochs > longest


def reaches_end(epochs: Sequence[float], total_epochs: float) -> bool:
    """Whether a run that was seen at `epochs` was seen to its end.

    It was from WHOLE_FROM of its budget on, and where the next checkpoint would lie beyond the
    budget, by the usual step of three or more. A run that counts from 0 ends a step before the
    budget: the last epoch of `range(10)` is 9.

    >>> reaches_end(range(10), 10), reaches_end(range(1, 10), 10)
    (True, False)
    """
    last = epochs[-1]
    if last >= WHOLE_FROM * total_epochs:
        return True
    steps = len(epochs) - 1
    # Half of the steps are as long as the usual one, or longer: most runs are known by this.
    if steps < 2 or last + 2 * (last - epochs[0]) / steps < total_epochs:
        return False
    following = last + median(b - a for a, b in pairwise(epochs))
    return following > total_epochs or (epochs[0] == 0 and following == total_epochs)
