"""Recorded runs as a search: one after another under a policy, with every decision kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from oracle.evaluation.recorded_runs import CHECKS, at_checks, last_of
from oracle.evaluation.replay import Ended, by_decide
from oracle.forecast.forecaster import Oracle
from oracle.history.targets import finals_of
from oracle.types import LEVELS, TARGETS, Decision, FloatArray, Policy, Run


class Said(NamedTuple):
    """A decision on a run.

    Attributes:
        progress: share of the budget seen, 0..1.
        quality: score at LEVELS, on the scale of the search; None without a forecast.
    """

    progress: float
    decision: Decision
    quality: tuple[float, ...] | None


class Followed(NamedTuple):
    """A recorded run under the policy.

    Attributes:
        run: as it was recorded, to its end.
        said: every decision, the last one its stop where it was stopped.
        stopped: by the policy; converged: its rest was worth nothing.
        finals: after TARGETS, as the search knew them: of a stopped run its forecast's medians.
        score: of its recorded end; good: that is among the best of all.
    """

    run: Run
    said: tuple[Said, ...]
    stopped: bool
    converged: bool
    finals: tuple[float | None, ...]
    score: float
    good: bool


def follow(
    runs: Sequence[Run], oracle: Oracle, policy: Policy, checks: Sequence[float] = CHECKS
) -> list[Followed]:
    """Let recorded runs of one table be decided on in their order, as a search would have been.

    Nothing is held back as a control: how each stopped run would have ended is recorded.

    Args:
        runs: of one table, to their end, budgets known.
        oracle: that forecasts.
        policy: in force.
        checks: progress at which it decides, 0..1.
    """
    table = at_checks(runs, oracle, checks, policy.good_share, policy.quality_weights)
    said: list[list[Said]] = [[] for _ in runs]

    def tell(i: int, check: int, decision: Decision) -> None:
        draws = table.draws[check, i]
        known = draws.size > 0 and bool(np.isfinite(draws).all())
        quality = tuple(np.quantile(draws, LEVELS).tolist()) if known else None
        seen = table.prefixes[check][i]
        progress = checks[check] if seen is None else seen.progress or checks[check]
        said[i].append(Said(progress, decision, quality))

    ended = by_decide(policy, told=tell)(table)
    at, converged = ended[:2] if isinstance(ended, Ended) else (ended, np.zeros(len(runs), bool))
    finals: FloatArray = finals_of(list(runs))
    found = []
    for i, run in enumerate(runs):
        known: tuple[float | None, ...] = tuple(finals[i].tolist())
        over = int(at[i]) < table.n_checks
        if over and converged[i]:
            known = last_of(table.prefixes[int(at[i])][i])
        elif over:
            known = _medians(said[i][-1].decision)
        stopped = over and not bool(converged[i])
        score, good = float(table.final[i]), bool(table.is_good[i])
        found.append(Followed(run, tuple(said[i]), stopped, bool(converged[i]), known, score, good))
    return found


def _medians(decision: Decision) -> tuple[float | None, ...]:
    forecast, middle = decision.forecast, LEVELS.index(0.5)
    if forecast is None:
        return (None, None, None)
    told = [forecast.final.get(target) for target in TARGETS]
    return tuple(None if values is None else values[middle] for values in told)
