"""Decide what to do with a run: pure functions of history, forecast, reference and policy.

One order holds for every rule: doubts first (each one abstains), then the rule's own verdict,
then patience, the protection of the current best, and the control share; a run that may go on
may have converged. Nothing but the last step ever says stop, and a better forecast never makes a
stop more likely.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace

from oracle.decision.convergence import converged
from oracle.decision.rules import RULES, Generation, Others, Verdict, spread_of_score
from oracle.errors import InvalidHistory, must_be
from oracle.history.quality_score import common_scale, same_scale, weights_of, weights_without
from oracle.types import (
    METRICS,
    TARGETS,
    Action,
    Decision,
    Forecast,
    History,
    Outcome,
    Policy,
    PopulationPolicy,
    Reason,
    Reference,
)

#: A forecast this likely to end above the best map seen is worth a sentence.
ADVISE_WORSENING = 0.5
#: Progress between two looks worth their cost grows with what was already seen.
NEXT_CHECK_FACTOR = 1.5
FIRST_CHECK, LAST_CHECK = 0.05, 0.9

#: Doubts that leave a run out of the ranking of others, too.
_INCOMPARABLE = (Reason.NOT_MEASURED, Reason.OTHER_SCALE)
_VERB = {Action.STOP: "Stop", Action.CONTINUE: "Continue", Action.ABSTAIN: "No verdict"}
_NO_MODEL = Verdict(Action.ABSTAIN, Reason.NO_MODEL, "no model answered")


def decide(
    history: History,
    forecast: Forecast | None,
    reference: Reference | None = None,
    policy: Policy | None = None,
    *,
    previous: int = 0,
) -> Decision:
    """Answer for one run: continue, stop or abstain, with its reason.

    Args:
        history: the run so far.
        forecast: what the oracle says of it; None where no model answered.
        reference: what the run must beat; only `threshold` does without.
        policy: rule and settings; None = `threshold` with its defaults.
        previous: `below_risk` of the run's previous decision; what `patience` counts.
    """
    policy = policy or Policy()
    others = Others.of(reference) if reference is not None else None
    without = dropped([history], others, policy)
    unsure = doubt(history, forecast, policy, without, others.mqe_of_mean if others else None)
    if unsure is not None or forecast is None:
        return _decision(history, forecast, policy, unsure or _NO_MODEL, 0)
    verdict = RULES[policy.name](forecast, others, policy, without)
    scale = others.mqe_of_mean if others else None
    end = converged(history, forecast, policy, without, scale)
    return _conclude(history, forecast, policy, verdict, previous, end)


def decide_population(
    histories: Sequence[History],
    forecasts: Sequence[Forecast | None],
    reference: Reference | None,
    policy: Policy,
    *,
    previous: Sequence[int] | None = None,
) -> list[Decision]:
    """Answer for a whole generation in step, one decision a history, in their order.

    With the `population` rule the members are ranked jointly by their draws, and against the
    outcomes of the reference (earlier generations, stopped members by their forecast). Without
    `population_size` the population is who is seen. Other rules judge each run by itself, as
    this one does by the goal `gain`.

    Raises:
        InvalidHistory: lengths differ.
    """
    counts = list(previous) if previous is not None else [0] * len(histories)
    if not len(histories) == len(forecasts) == len(counts):
        raise InvalidHistory(
            must_be("forecasts", f"as many as histories ({len(histories)})", len(forecasts))
        )
    if not isinstance(policy, PopulationPolicy):
        return [
            decide(h, f, reference, policy, previous=c)
            for h, f, c in zip(histories, forecasts, counts, strict=True)
        ]
    others = Others.of(reference or Reference())
    without = dropped(histories, others, policy)
    scale = others.mqe_of_mean or common_scale(h.context.mqe_of_mean for h in histories)
    others = replace(others, mqe_of_mean=scale)
    doubts = [
        doubt(h, f, policy, without, scale) for h, f in zip(histories, forecasts, strict=True)
    ]
    # A member in doubt is not judged, but it competes where it has a comparable forecast.
    members = {
        i: f
        for i, (f, unsure) in enumerate(zip(forecasts, doubts, strict=True))
        if f is not None
        and f.draws is not None
        and (unsure is None or unsure.reason not in _INCOMPARABLE)
    }
    generation = Generation(list(members.values()), others, policy, without)
    place = {i: n for n, i in enumerate(members)}
    return [
        _decision(h, f, policy, d or _NO_MODEL, 0)
        if d is not None or f is None
        else _conclude(
            h, f, policy, generation.verdict(place[i]), c, converged(h, f, policy, without, scale)
        )
        for i, (h, f, d, c) in enumerate(zip(histories, forecasts, doubts, counts, strict=True))
    ]


def outcome_of(
    history: History, forecast: Forecast, policy: Policy, *, mqe_of_mean: float | None = None
) -> Outcome:
    """Stand for a run that was stopped or still trains by its forecast: medians and spread.

    A metric that the run never measured is as undefined as it would be at its end.

    Args:
        history: the run.
        forecast: the last one before the stop.
        policy: whose weights the quality score takes.
        mqe_of_mean: scale of the table, if the reference has one.
    """
    never = never_measured(history)
    unit = mqe_of_mean or forecast.mqe_of_mean or 1.0
    weights = weights_of(unit, weights_without(never, policy.quality_weights))
    spread = {"spread": spread_of_score(forecast, weights)}
    return medians_of(history, forecast).model_copy(update=spread)


def medians_of(history: History, forecast: Forecast) -> Outcome:
    """Stand for a run by the medians of its forecast; a metric that it never measured has none."""
    never = never_measured(history)
    mqe, *ratios = (forecast.median(target) for target in TARGETS)
    topographic, dead = (
        None if metric in never else median
        for metric, median in zip(METRICS[1:], ratios, strict=True)
    )
    return Outcome(
        run_id=forecast.run_id,
        final_mqe=mqe,
        final_topographic_error=topographic,
        final_dead_neuron_ratio=dead,
        censored=True,
    )


# -- doubts -----------------------------------------------------------------------------------


def never_measured(history: History) -> tuple[str, ...]:
    """Name the metrics that no checkpoint of a run has; of a run without any nothing is said."""
    if not history.epochs:
        return ()
    return tuple(m for m in METRICS if all(value is None for value in getattr(history, m)))


def dropped(histories: Sequence[History], others: Others | None, policy: Policy) -> tuple[str, ...]:
    """Name the metrics that a policy asks for and no run of the population has measured."""
    if others is None:  # one run alone: what it lacks may be what makes it bad
        return ()
    begun = [never_measured(history) for history in histories if history.epochs]
    never = set(METRICS).intersection(*begun) if begun else set[str]()
    return tuple(m for m in policy.asks if m in never and m not in others.measured)


def doubt(
    history: History,
    forecast: Forecast | None,
    policy: Policy,
    without: Collection[str] = (),
    mqe_of_mean: float | None = None,
) -> Verdict | None:
    """Name the first reason not to judge this run now, None where there is none.

    Args:
        history, forecast, policy: as `decide`.
        without: metrics that no run of the population has.
        mqe_of_mean: scale of the population, where known.
    """
    progress = history.progress
    if forecast is None:
        return _NO_MODEL
    unmeasured = _unmeasured(history, policy, without)
    if unmeasured is not None:  # of a whole run, too: it ranks beside none that has measured it
        return Verdict(Action.ABSTAIN, Reason.NOT_MEASURED, unmeasured)
    if progress is not None and history.is_whole:
        why = f"the run has used {progress:.0%} of its budget"
        return Verdict(Action.CONTINUE, Reason.FINISHED, why)
    own = history.context.mqe_of_mean
    if not same_scale(own, mqe_of_mean):
        why = (
            f"`context.mqe_of_mean` is {own:.4g}, that of its population {mqe_of_mean:.4g}: "
            "runs of one table are compared, on data scaled alike"
        )
        return Verdict(Action.ABSTAIN, Reason.OTHER_SCALE, why)
    if len(history) < policy.min_checkpoints:
        why = f"{len(history)} of the {policy.min_checkpoints} checkpoints needed are there"
        return Verdict(Action.ABSTAIN, Reason.TOO_FEW_CHECKPOINTS, why)
    if forecast.support < policy.min_support:
        why = (
            f"the history is unlike the training data "
            f"(support {forecast.support:.2f} < {policy.min_support:.2f})"
        )
        return Verdict(Action.ABSTAIN, Reason.NO_SUPPORT, why)
    if progress is None and policy.name != "threshold":
        why = f"`total_epochs` is unknown, and the {policy.name} rule needs the progress"
        return Verdict(Action.ABSTAIN, Reason.NO_PROGRESS, why)
    if policy.stops_nothing:
        return Verdict(Action.ABSTAIN, Reason.TOO_EARLY, "the run is trained to its end")
    if progress is not None and progress < policy.min_progress:
        why = f"progress {progress:.0%} is before the first check at {policy.min_progress:.0%}"
        return Verdict(Action.ABSTAIN, Reason.TOO_EARLY, why)
    if not forecast.is_drawn:
        why = "the forecast came without finite joint draws"
        return Verdict(Action.ABSTAIN, Reason.TOO_UNCERTAIN, why)
    return None


def _unmeasured(history: History, policy: Policy, without: Collection[str]) -> str | None:
    """Say which metric is asked for and not known now: its forecast would be a guess."""
    asked = [name for name in policy.asks if name not in without]
    if policy.asks and not asked:
        names = " and ".join(f"`{name}`" for name in policy.asks)
        return f"no run of the population has {names}, all that the policy asks for"
    remedy = "leave it out of `objectives`" if policy.name == "pareto" else "give it the weight 0"
    for name in asked if history.epochs else ():
        if getattr(history, name)[-1] is None:
            return (
                f"`{name}` is not known at the last checkpoint, and the {policy.name} rule "
                f"asks for it: report it, or {remedy}"
            )
    return None


# -- from verdict to decision -----------------------------------------------------------------


def is_control(history: History, share: float) -> bool:
    """Draw, once a run, whether it runs to the end although a rule would stop it.

    Seeded by population and run_id, so every process and every replay draws the same, and
    searches that name their runs alike do not; a run without a name is known by its first
    checkpoint, before it by its plan.
    """
    if share <= 0.0:
        return False
    first = repr((history.epochs[0], history.mqe[0])) if history.epochs else repr(history.context)
    name = history.run_id or first
    seed = f"control:{history.population_name or ''}\0{name}"
    digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def _conclude(
    history: History,
    forecast: Forecast,
    policy: Policy,
    verdict: Verdict,
    previous: int,
    end: Verdict | None = None,
) -> Decision:
    """Apply the protection of the best, patience and the control share to a verdict.

    Control comes last: a run that is let run on for another reason measures no stop. A run that
    has converged (`end`) loses nothing, so that the best need no protection from it; a control
    runs on.
    """
    below = previous + 1
    if verdict.action is not Action.STOP:
        if end is None:
            return _decision(history, forecast, policy, verdict, 0)
    elif verdict.best:
        why = f"it is expected to be the best run so far, although {verdict.why}"
        verdict = verdict._replace(action=Action.CONTINUE, reason=Reason.BEST, why=why)
    elif below < policy.patience:
        why = f"{verdict.why}, for {below} of {policy.patience} checks"
        verdict = verdict._replace(action=Action.CONTINUE, reason=Reason.WAITING, why=why)
    elif is_control(history, policy.control):
        why = f"it was drawn to run on as a control, although {verdict.why}"
        verdict = verdict._replace(action=Action.CONTINUE, reason=Reason.CONTROL, why=why)
    may_end = below >= policy.patience and not is_control(history, policy.control)
    if end is not None and may_end and verdict.action is not Action.STOP:
        verdict = end._replace(p=verdict.p)
    return _decision(history, forecast, policy, verdict, below)


def _decision(
    history: History, forecast: Forecast | None, policy: Policy, verdict: Verdict, below: int
) -> Decision:
    progress = history.progress
    advice: list[str] = []
    if forecast is not None and forecast.will_worsen > ADVISE_WORSENING:
        advice.append(
            f"Keep the best map seen so far: the final mqe is expected to end more than 5 % "
            f"above it (P = {forecast.will_worsen:.0%})."
        )
    next_check = None
    stopped = verdict.action is Action.STOP
    if progress is not None and progress < LAST_CHECK and not stopped:
        later = max(policy.min_progress, progress * NEXT_CHECK_FACTOR)
        next_check = min(LAST_CHECK, later or FIRST_CHECK)
    return Decision.of_valid(
        {
            "run_id": history.run_id,
            "progress": progress,
            "action": verdict.action,
            "reason": verdict.reason,
            "message": f"{_VERB[verdict.action]}: {verdict.why}.",
            "p_good": verdict.p,
            "forecast": forecast,
            "expected_saving": 1.0 - progress if stopped and progress is not None else None,
            "next_check": next_check,
            "advice": tuple(advice),
            "below_risk": below,
            "policy": policy,
            "model": forecast.model if forecast is not None else None,
        }
    )
