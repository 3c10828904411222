"""Converged: what is left of a run's budget is worth less than what the user calls nothing.

The gain of waiting is the quality score of the present values less that of the final ones, drawn
jointly by the forecast. It has converged where P(gain > epsilon) is at most a risk. Unlike a
plateau rule this sees the plan: a score that stands still under a decaying schedule may yet fall.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from oracle.decision.rules import Verdict
from oracle.forecast.quantiles import quantiles_of
from oracle.history.quality_score import Bools, scores_of, weights_of, weights_without
from oracle.types import (
    LEVELS,
    METRICS,
    Action,
    Decision,
    FloatArray,
    Forecast,
    History,
    Outcome,
    Policy,
    Reason,
    Scale,
)


def has_converged(now: FloatArray, ends: FloatArray, policy: Policy) -> Bools:
    """Tell where what is left is worth less than the policy's `converged`, [...].

    Args:
        now: [...] quality scores of the present values.
        ends: [..., draw] those of the final values.
        policy: with `converged` above 0.
    """
    gain = np.asarray(now)[..., None] - ends
    with np.errstate(invalid="ignore"):
        missed = (gain > policy.converged).mean(axis=-1)
    return np.asarray(np.isfinite(now) & np.isfinite(ends).all(axis=-1)
                      & (missed <= policy.converged_risk))  # fmt: skip


def converged(
    history: History,
    forecast: Forecast,
    policy: Policy,
    without: Collection[str] = (),
    mqe_of_mean: float | None = None,
) -> Verdict | None:
    """Say that a run has converged, None where it has not, or nobody asked.

    Args:
        history, forecast, policy: as `oracle.decide`; nothing is in doubt.
        without: metrics that no run of the population has.
        mqe_of_mean: scale of the population, where known.
    """
    progress = history.progress
    if policy.converged == 0.0 or progress is None or not history.epochs:
        return None
    draws = forecast.draws
    if draws is None:
        return None
    if any(name not in METRICS for name in getattr(policy, "objectives", ())):
        return None  # what the oracle does not forecast may yet gain
    unit = _unit(policy, forecast, mqe_of_mean)
    if unit is None:
        return None
    dropped = [m for m in METRICS if m in without or m not in policy.asks]
    weights = weights_of(unit, weights_without(dropped, policy.quality_weights))
    values = (getattr(history, m)[-1] for m in METRICS)
    now = float(scores_of(np.array([np.nan if v is None else v for v in values]), weights))
    ends = scores_of(draws.T, weights)
    if not has_converged(np.array(now), ends, policy):
        return None
    low, middle, high = now - quantiles_of(ends, (LEVELS[-1], 0.5, LEVELS[0]))
    sure = float((now - ends <= policy.converged).mean())
    why = (
        f"it has converged: the other {1 - progress:.0%} of its budget would improve its quality "
        f"score of {now:.3f} by {middle:.3f} (90 %: {low:.3f} to {high:.3f}), and by less than "
        f"{policy.converged:g} with P = {sure:.1%}"
    )
    return Verdict(Action.STOP, Reason.CONVERGED, why)


def _unit(policy: Policy, forecast: Forecast, mqe_of_mean: float | None) -> float | None:
    """What mqe is measured in, as by the policy's own rule; None where that is unknown."""
    if policy.name != "threshold":
        return mqe_of_mean or forecast.mqe_of_mean or 1.0
    return forecast.mqe_of_mean if getattr(policy, "scale", None) is Scale.RELATIVE else 1.0


def present(history: History, decision: Decision) -> Outcome | None:
    """Stand for a run that has converged by its present values; None for any other."""
    if not decision.converged:
        return None
    return Outcome(
        run_id=history.run_id,
        final_mqe=history.mqe[-1],
        final_topographic_error=history.topographic_error[-1],
        final_dead_neuron_ratio=history.dead_neuron_ratio[-1],
    )
