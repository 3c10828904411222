"""Decide what to do with a run: pure functions of history, forecast, reference and policy.

One order holds for every rule: doubts first (each one abstains), then the rule's own verdict,
then patience, the protection of the current best, and the control share. Nothing but the last
step ever says stop, and a better forecast never makes a stop more likely.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from oracle.decision.hypervolume import gains, hypervolume, nondominated
from oracle.decision.ranking import FloatArray, n_good, p_good, p_good_jointly
from oracle.errors import InvalidHistory, must_be
from oracle.forecast.quantiles import quantiles_of
from oracle.types import (
    LEVELS,
    METRICS,
    Action,
    Decision,
    Forecast,
    History,
    Outcome,
    Policy,
    Reason,
    Reference,
    Scale,
)

#: A forecast this likely to end above the best map seen is worth a sentence.
ADVISE_WORSENING = 0.5
#: The corner of the hypervolume lies this share of the range beyond the worst outcome.
CORNER_MARGIN = 0.1
#: Progress between two looks worth their cost grows with what was already seen.
NEXT_CHECK_FACTOR = 1.5
LAST_CHECK = 0.9
#: Part of every `threshold` message where the table's scale is unknown.
SCALE_HINT = "; without `context.mqe_of_mean` such a threshold depends on the scale of the data"


class Verdict(NamedTuple):
    """What a rule says before patience, protection and control.

    Attributes:
        action: the rule's wish.
        reason: why, for machines.
        why: why, a clause for a person.
        p: P(good) or P(gain), None where the rule has none.
        best: the run is expected to be the best of all.
    """

    action: Action
    reason: Reason
    why: str
    p: float | None = None
    best: bool = False


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
    unsure = doubt(history, forecast, policy)
    if unsure is not None or forecast is None:
        return _decision(history, forecast, policy, unsure or _NO_MODEL, 0)
    return _conclude(
        history,
        forecast,
        policy,
        RULES[policy.name](forecast, reference, policy),
        previous,
    )


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
    `population_size` the population is who is seen. Other rules judge each run by itself.

    Raises:
        InvalidHistory: lengths differ.
    """
    counts = list(previous) if previous is not None else [0] * len(histories)
    if not len(histories) == len(forecasts) == len(counts):
        raise InvalidHistory(
            must_be("forecasts", f"as many as histories ({len(histories)})", len(forecasts))
        )
    if policy.name != "population":
        return [
            decide(h, f, reference, policy, previous=c)
            for h, f, c in zip(histories, forecasts, counts, strict=True)
        ]
    doubts = [doubt(h, f, policy) for h, f in zip(histories, forecasts, strict=True)]
    # A member in doubt is not judged, but it does compete where it has a forecast.
    members = [f for f in forecasts if f is not None and f.draws is not None]
    verdicts = iter(_rank_generation(members, reference or Reference(), policy))
    ranked = [
        next(verdicts) if f is not None and f.draws is not None else _NO_MODEL for f in forecasts
    ]
    return [
        _decision(h, f, policy, d or _NO_MODEL, 0)
        if d is not None or f is None
        else _conclude(h, f, policy, v, c)
        for h, f, d, v, c in zip(histories, forecasts, doubts, ranked, counts, strict=True)
    ]


def outcome_of(forecast: Forecast, policy: Policy, *, mqe_of_mean: float | None = None) -> Outcome:
    """Stand for a run that was stopped or still trains by its forecast: medians and spread.

    Args:
        forecast: the last one before the stop.
        policy: whose weights the quality score takes.
        mqe_of_mean: scale of the table, if the reference has one.
    """
    scores = quality_scores(forecast, policy, mqe_of_mean or forecast.mqe_of_mean)
    low, high = quantiles_of(scores, (0.25, 0.75))
    mqe, topographic, dead = (values[LEVELS.index(0.5)] for values in forecast.final.values())
    return Outcome(
        run_id=forecast.run_id,
        final_mqe=mqe,
        final_topographic_error=topographic,
        final_dead_neuron_ratio=dead,
        censored=True,
        spread=float(high - low) / 2,
    )


# -- doubts -----------------------------------------------------------------------------------

_NO_MODEL = Verdict(Action.ABSTAIN, Reason.NO_MODEL, "no model answered")


def doubt(history: History, forecast: Forecast | None, policy: Policy) -> Verdict | None:
    """Name the first reason not to judge this run now, None where there is none."""
    progress = history.progress
    if forecast is None:
        return _NO_MODEL
    if progress is not None and history.is_whole:
        why = f"the run has used {progress:.0%} of its budget"
        return Verdict(Action.CONTINUE, Reason.FINISHED, why)
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
    if progress is not None and progress < policy.min_progress:
        why = f"progress {progress:.0%} is before the first check at {policy.min_progress:.0%}"
        return Verdict(Action.ABSTAIN, Reason.TOO_EARLY, why)
    draws = forecast.draws
    if draws is None or not np.isfinite(draws).all():
        why = "the forecast came without finite joint draws"
        return Verdict(Action.ABSTAIN, Reason.TOO_UNCERTAIN, why)
    return None


# -- rules ------------------------------------------------------------------------------------


def quality_scores(forecast: Forecast, policy: Policy, mqe_of_mean: float | None) -> FloatArray:
    """[draw] quality scores; relative where a scale is given."""
    draws = forecast.draws
    if draws is None:
        raise InvalidHistory(must_be("forecast.draws", "there", None, "Forecast in process."))
    mqe, topographic, dead = policy.weights
    weights = np.array([mqe / (mqe_of_mean or 1.0), topographic, dead])
    return np.asarray(draws @ weights)


def _threshold(forecast: Forecast, reference: Reference | None, policy: Policy) -> Verdict:
    """Judge by the brief's rule: the predicted quality score against a fixed number."""
    scale = policy.scale or Scale.RAW
    if scale is Scale.RELATIVE and forecast.mqe_of_mean is None:
        why = "the relative scale needs `context.mqe_of_mean`"
        return Verdict(Action.ABSTAIN, Reason.TOO_UNCERTAIN, why)
    relative = forecast.mqe_of_mean if scale is Scale.RELATIVE else None
    scores = quality_scores(forecast, policy, relative)
    low, score = quantiles_of(scores, (LEVELS[0], 0.5))
    why = f"predicted quality score {score:.3f} ({scale.value}) "
    hint = "" if forecast.mqe_of_mean is not None else SCALE_HINT
    best = _is_best(float(score), reference, policy, relative)
    if score <= policy.caution:
        why += f"is good (caution from {policy.caution:g}){hint}"
        return Verdict(Action.CONTINUE, Reason.GOOD, why, best=best)
    if score <= policy.threshold:
        why += f"calls for caution ({policy.caution:g} to {policy.threshold:g}){hint}"
        return Verdict(Action.CONTINUE, Reason.CAUTION, why, best=best)
    why += f"is above the threshold {policy.threshold:g}"
    if low <= policy.caution:
        why += f", but may as well be {low:.3f}: too wide to tell{hint}"
        return Verdict(Action.ABSTAIN, Reason.TOO_UNCERTAIN, why, best=best)
    return Verdict(Action.STOP, Reason.ABOVE_THRESHOLD, why + hint, best=best)


def _population(forecast: Forecast, reference: Reference | None, policy: Policy) -> Verdict:
    """Judge by P(the run ends among the best share of its population)."""
    if reference is None:
        return Verdict(Action.ABSTAIN, Reason.NO_POPULATION, "the run has no population")
    scale = reference.mqe_of_mean or forecast.mqe_of_mean
    values, spreads = _values(reference, policy, scale)
    if len(values) < policy.startup_runs:
        return _too_few(len(values), policy)
    scores = quality_scores(forecast, policy, scale)
    size = reference.population_size
    p = p_good(scores, values, spreads, size, policy.good)
    best = bool(2 * np.count_nonzero(scores < values.min()) > len(scores))  # its median
    return _by_risk(p, best, policy, size, forecast)


def _rank_generation(
    members: list[Forecast], reference: Reference, policy: Policy
) -> list[Verdict]:
    """Judge the members of one generation jointly."""
    if not members:
        return []
    scale = reference.mqe_of_mean or members[0].mqe_of_mean
    values, spreads = _values(reference, policy, scale)
    n_seen = len(values) + len(members)
    if n_seen - 1 < policy.startup_runs:
        return [_too_few(n_seen - 1, policy)] * len(members)
    scores = [quality_scores(f, policy, scale) for f in members]
    # Forecasts of one oracle have equally many draws; of several, the fewest serve all.
    fewest = min(len(s) for s in scores)
    draws = np.stack([s[np.linspace(0, len(s) - 1, fewest).astype(int)] for s in scores])
    size = reference.population_size
    chances = p_good_jointly(draws, values, spreads, size, policy.good)
    medians = np.median(draws, axis=1)
    bar = min(medians.min(), values.min(initial=np.inf))
    return [
        _by_risk(float(p), bool(m <= bar), policy, size or n_seen, f)
        for f, p, m in zip(members, chances, medians, strict=True)
    ]


def _by_risk(p: float, best: bool, policy: Policy, size: int | None, forecast: Forecast) -> Verdict:
    risk = policy.risk_at(forecast.progress or 0.0)
    good = (
        f"the best {n_good(size, policy.good)} of {size}" if size else f"the best {policy.good:.0%}"
    )
    if p < risk:
        why = f"P(among {good}) is {p:.2%}, below the risk of {risk:.2%}"
        return Verdict(Action.STOP, Reason.UNLIKELY_GOOD, why, p, best)
    why = f"P(among {good}) is {p:.2%}"
    return Verdict(Action.CONTINUE, Reason.PROMISING, why, p, best)


def _pareto(forecast: Forecast, reference: Reference | None, policy: Policy) -> Verdict:
    """Judge by P(the outcome would enlarge the front's hypervolume by more than epsilon).

    The front is made of finished runs only: what a stopped run might have reached is no map
    anybody holds. Stopped runs still widen the range that the objectives are measured in.
    """
    unknown = [name for name in policy.objectives if name not in METRICS]
    if unknown:
        why = f"the oracle does not forecast the objective `{unknown[0][:40]}`"
        return Verdict(Action.ABSTAIN, Reason.UNKNOWN_OBJECTIVE, why)
    if reference is None:
        return Verdict(Action.ABSTAIN, Reason.NO_POPULATION, "the run has no population")
    columns = [METRICS.index(name) for name in dict.fromkeys(policy.objectives)]
    rows = np.array(
        [
            (o.final_mqe, o.final_topographic_error, o.final_dead_neuron_ratio, o.censored)
            for o in reference.outcomes
        ],
        dtype=np.float64,  # None -> NaN
    ).reshape(-1, 4)
    points = rows[:, columns]
    known = np.isfinite(points).all(axis=1)
    finished = points[known & (rows[:, 3] == 0.0)]
    if len(finished) < policy.startup_runs:
        return _too_few(len(finished), policy)
    best, worst = points[known].min(axis=0), points[known].max(axis=0)
    span = np.where(worst > best, worst - best, 1.0)
    corner = np.full(len(columns), 1.0 + CORNER_MARGIN)
    front = nondominated((finished - best) / span)
    draws = forecast.draws
    if draws is None:
        return Verdict(Action.ABSTAIN, Reason.TOO_UNCERTAIN, "the forecast has no joint draws")
    gain = gains((draws[:, columns] - best) / span, front, corner)
    bar = policy.epsilon * hypervolume(front, corner)
    p = float((gain > bar).mean())
    why = f"P(the Pareto front gains more than {policy.epsilon:.2%}) is {p:.1%}"
    risk = policy.risk_at(forecast.progress or 0.0)
    if p < risk:
        why += f", below the risk of {risk:.2%}"
        return Verdict(Action.STOP, Reason.UNLIKELY_GAIN, why, p)
    return Verdict(Action.CONTINUE, Reason.PROMISING, why, p)


Rule = Callable[[Forecast, Reference | None, Policy], Verdict]
#: Every policy by its name; a rule sees a forecast with draws, and never a doubtful one.
RULES: dict[str, Rule] = {"threshold": _threshold, "population": _population, "pareto": _pareto}


def _values(
    reference: Reference, policy: Policy, mqe_of_mean: float | None
) -> tuple[FloatArray, FloatArray]:
    """[outcome] quality scores and spreads; outcomes with an undefined metric are left out."""
    mqe, topographic, dead = policy.weights
    mqe /= mqe_of_mean or 1.0
    rows = [
        (
            mqe * o.final_mqe
            + topographic * o.final_topographic_error
            + dead * o.final_dead_neuron_ratio,
            o.spread,
        )
        for o in reference.outcomes
        if o.final_topographic_error is not None and o.final_dead_neuron_ratio is not None
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _is_best(
    score: float, reference: Reference | None, policy: Policy, mqe_of_mean: float | None
) -> bool:
    """Whether a score beats every outcome of the reference; False without one."""
    if reference is None or not reference.outcomes:
        return False
    values, _ = _values(reference, policy, mqe_of_mean)
    return bool(len(values) and score < values.min())


def _too_few(n: int, policy: Policy) -> Verdict:
    why = f"the population has {n} of the {policy.startup_runs} outcomes needed"
    return Verdict(Action.ABSTAIN, Reason.TOO_FEW_RUNS, why)


# -- from verdict to decision -----------------------------------------------------------------


def is_control(history: History, share: float) -> bool:
    """Draw, once a run, whether it runs to the end although a rule would stop it.

    Seeded by run_id, so every process and every replay draws the same; a run without a name
    is known by its first checkpoint.
    """
    if share <= 0.0:
        return False
    name = history.run_id or repr((history.dataset, history.epochs[0], history.mqe[0]))
    digest = hashlib.sha256(b"control:" + name.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def _conclude(
    history: History, forecast: Forecast, policy: Policy, verdict: Verdict, previous: int
) -> Decision:
    """Apply patience, the protection of the best and the control share to a verdict."""
    if verdict.action is not Action.STOP:
        return _decision(history, forecast, policy, verdict, 0)
    below = previous + 1
    if verdict.best:
        why = f"it is expected to be the best run so far, although {verdict.why}"
        verdict = verdict._replace(action=Action.CONTINUE, reason=Reason.PROTECTED, why=why)
    elif below < policy.patience:
        why = f"{verdict.why}, for {below} of {policy.patience} checks"
        verdict = verdict._replace(action=Action.CONTINUE, reason=Reason.WAITING, why=why)
    elif is_control(history, policy.control):
        why = f"it was drawn to run on as a control, although {verdict.why}"
        verdict = verdict._replace(action=Action.CONTINUE, reason=Reason.PROTECTED, why=why)
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
        next_check = min(LAST_CHECK, later)
    verb = {Action.STOP: "Stop", Action.CONTINUE: "Continue", Action.ABSTAIN: "No verdict"}
    return Decision(
        run_id=history.run_id,
        progress=progress,
        action=verdict.action,
        reason=verdict.reason,
        message=f"{verb[verdict.action]}: {verdict.why}.",
        p_good=verdict.p,
        forecast=forecast,
        expected_saving=1.0 - progress if stopped and progress is not None else None,
        next_check=next_check,
        advice=tuple(advice),
        below_risk=below,
        policy=policy,
        model=forecast.model if forecast is not None else None,
    )
