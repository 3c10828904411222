"""Decisions counted: why nothing was stopped when nothing was, and whether anything is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from oracle.forks import Lock
from oracle.types import Action, Decision, Policy, Reason

#: Runs in a row, without one that was judged, after which a search is told; at least.
UNJUDGED_RUNS = 8

# Of course, and no reason why a run was not stopped at its other checks.
_OF_COURSE = (Reason.FINISHED, Reason.TOO_FEW_CHECKPOINTS, Reason.TOO_EARLY)


class Verdicts:
    """Decisions of a run or of a search, counted by action and reason."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[Action, Reason]] = Counter()
        self._why: dict[Reason, str] = {}
        self._stop: Reason | None = None

    def add(self, decision: Decision) -> None:
        """Count a decision."""
        self.counts[decision.action, decision.reason] += 1
        if decision.stop:
            self._stop = decision.reason
        self._why[decision.reason] = decision.message.partition(": ")[2] or decision.message

    @property
    def are_none(self) -> bool:
        """Whether nothing was ever judged: every answer was an abstention, or no time to judge."""
        return all(
            action is Action.ABSTAIN or reason in _OF_COURSE for action, reason in self.counts
        )

    @property
    def reason(self) -> Reason | None:
        """Why it was not stopped, at most of the checks; None without any."""
        reasons: Counter[Reason] = Counter()
        for (action, reason), n in self.counts.items():
            if action is not Action.STOP:
                reasons[reason] += n
        telling = [r for r, _ in reasons.most_common() if r not in _OF_COURSE]
        return next(iter(telling or reasons), None)

    @property
    def why(self) -> str:
        """The last sentence that gave `reason`."""
        return self._why.get(self.reason, "").rstrip(".") if self.reason is not None else ""

    def told(self, stopped: bool) -> str | None:
        """Why the run was stopped, or was not: word and sentence, as a population file keeps them.

        Args:
            stopped: whether it was.
        """
        reason = self._stop if stopped else self.reason
        return None if reason is None else f"{reason.value}: {self._why[reason].rstrip('.')}"

    def __str__(self) -> str:
        by_action: dict[str, list[str]] = {}
        for (action, reason), n in self.counts.most_common():
            by_action.setdefault(action.value, []).append(f"{reason.value} {n}")
        return ", ".join(f"{action} ({', '.join(why)})" for action, why in by_action.items())


_unjudged: Counter[Hashable] = Counter()
_lock = Lock()


def unjudged_runs(policy: Policy) -> int:
    """Give how many runs without a verdict are no longer a search's beginning."""
    return max(UNJUDGED_RUNS, getattr(policy, "startup_runs", 0) + UNJUDGED_RUNS // 2)


def never_judged(search: Hashable, verdicts: Verdicts, policy: Policy) -> str | None:
    """Say, once in a row of runs, that none of a search was judged; None as long as it may yet be.

    Args:
        search: what the runs of one search in this process have in common.
        verdicts: of a run that has ended.
        policy: of the search.
    """
    with _lock:
        if not verdicts.are_none:
            del _unjudged[search]
            return None
        _unjudged[search] += 1
        n = _unjudged[search]
    if n != unjudged_runs(policy):
        return None
    return (
        f"none of the last {n} runs was ever judged, so nothing can be stopped. "
        f"Mostly because {verdicts.why}."
    )
