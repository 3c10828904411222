"""The rules: what each policy makes of a forecast and of the outcomes it must beat.

A rule sees no doubtful forecast and knows neither patience nor protection nor control: those
are `oracle.decision.policy`'s. A metric that no run of the population has is judged without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from oracle.decision.hypervolume import box_of, gains, hypervolume, nondominated
from oracle.decision.ranking import JointRanking, p_good
from oracle.errors import InvalidHistory, must_be
from oracle.forecast.quantiles import between, quantiles_of
from oracle.history.quality_score import Bools, n_good, scores_of, weights_of, weights_without
from oracle.types import (
    LEVELS,
    METRICS,
    TARGETS,
    Action,
    FloatArray,
    Forecast,
    ParetoPolicy,
    PopulationPolicy,
    Reason,
    Reference,
    Scale,
    ThresholdPolicy,
)

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


@dataclass(frozen=True, eq=False)
class Others:
    """The outcomes of a reference as arrays.

    Attributes:
        values: [3, outcome] after METRICS, raw units, NaN where undefined.
        spreads: [outcome] half the width of the central 50 % interval of the score.
        finished: [outcome].
        mqe_of_mean: scale of the table, where known.
        size: runs the population will have, None = open-ended.
    """

    values: FloatArray
    spreads: FloatArray
    finished: Bools
    mqe_of_mean: float | None
    size: int | None

    @classmethod
    def of(cls, reference: Reference) -> Self:
        """Gather a reference."""
        return cls(
            *reference.columns,
            mqe_of_mean=reference.mqe_of_mean,
            size=reference.population_size,
        )

    @property
    def measured(self) -> frozenset[str]:
        """The metrics that an outcome at least has."""
        return frozenset(
            name for name, row in zip(METRICS, self.values, strict=True) if np.isfinite(row).any()
        )


def draw_scores(forecast: Forecast, weights: FloatArray) -> FloatArray:
    """[draw] quality scores of a forecast, weighed by [3]."""
    draws = forecast.draws
    if draws is None:
        raise InvalidHistory(must_be("forecast.draws", "there", None, "Forecast in process."))
    return scores_of(draws.T, weights)


def spreads_of(forecast: Forecast) -> tuple[float, float, float]:
    """Give half the width of the central 50 % interval of each final value, raw units."""
    mqe, topographic, dead = (_spread(forecast, forecast.final[target]) for target in TARGETS)
    return mqe, topographic, dead


def spread_of_score(forecast: Forecast, weights: FloatArray) -> float:
    """Give that of the quality score weighed by [3]; of the usual one where no draws are known."""
    if not weights.any():
        return 0.0
    if forecast.draws is None:
        return _spread(forecast, forecast.quality[-1].values) if forecast.quality else 0.0
    low, high = quantiles_of(draw_scores(forecast, weights), (0.25, 0.75)).tolist()
    return float(high - low) / 2


def _spread(forecast: Forecast, values: Sequence[float]) -> float:
    low, high = (between(level, forecast.levels, values) for level in (0.25, 0.75))
    return (high - low) / 2


def _threshold(
    forecast: Forecast, others: Others | None, policy: ThresholdPolicy, without: tuple[str, ...]
) -> Verdict:
    """Judge the predicted quality score by a fixed number."""
    scale = policy.scale or Scale.RAW
    if scale is Scale.RELATIVE and forecast.mqe_of_mean is None:
        why = "the relative scale needs `context.mqe_of_mean`"
        return Verdict(Action.ABSTAIN, Reason.TOO_UNCERTAIN, why)
    unit = forecast.mqe_of_mean or 1.0 if scale is Scale.RELATIVE else 1.0
    counted = weights_without(without, policy.weights)
    told = forecast.quality_on(scale)
    if told is not None and told.weights == counted:  # the usual score is in the forecast
        low, score = told.values[0], told.values[LEVELS.index(0.5)]
    else:
        scores = draw_scores(forecast, weights_of(unit, counted))
        low, score = quantiles_of(scores, (LEVELS[0], 0.5)).tolist()
    why = f"predicted quality score {score:.3f} ({scale.value}) "
    hint = "" if forecast.mqe_of_mean is not None else SCALE_HINT
    hint += _note(without)
    known = () if others is None else _known(scores_of(others.values, weights_of(unit, counted)))
    best = len(known) > 0 and bool(score < min(known))
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


def _population(
    forecast: Forecast, others: Others | None, policy: PopulationPolicy, without: tuple[str, ...]
) -> Verdict:
    """Judge by P(the run ends among the best share of its population)."""
    if others is None:
        return Verdict(Action.ABSTAIN, Reason.NO_POPULATION, "the run has no population")
    unit = others.mqe_of_mean or forecast.mqe_of_mean or 1.0
    weights = weights_of(unit, weights_without(without, policy.weights))
    scores = scores_of(others.values, weights)
    known = np.isfinite(scores)
    note = _note(without, len(scores) - int(known.sum()))
    values = scores[known]
    finished = scores[known & others.finished]
    if policy.says_gain and len(finished) < policy.startup_runs:
        return _too_few(len(finished), policy.startup_runs, note, "finished ")
    if len(values) < policy.startup_runs:
        return _too_few(len(values), policy.startup_runs, note)
    mine = draw_scores(forecast, weights)
    best = bool(2 * np.count_nonzero(mine < values.min()) > len(mine))  # its median
    if policy.says_gain:
        return _by_gain(mine, finished, best, policy, forecast.progress or 0.0, note)
    p = p_good(mine, values, others.spreads[known], others.size, policy.good)
    return _by_risk(p, best, policy, others.size, forecast, note)


def _by_gain(
    mine: FloatArray,
    finished: FloatArray,
    best: bool,
    policy: PopulationPolicy,
    progress: float,
    note: str,
) -> Verdict:
    """Judge draws by P(the run ends better than every finished one): maps that the search holds.

    Where all runs are alike each has a small chance of the best share, and by P(good) all of them
    are stopped; that some of them beat what has finished is likely all the same.
    """
    p = float((mine < finished.min()).mean())
    risk = policy.risk_at(progress)
    why = f"P(better than all {len(finished)} that finished) is {p:.2%}"
    if p < risk:
        why += f", below the risk of {risk:.2%}{note}"
        return Verdict(Action.STOP, Reason.UNLIKELY_GAIN, why, p, best)
    why += f", at least the risk of {risk:.2%}{note}"
    return Verdict(Action.CONTINUE, Reason.PROMISING, why, p, best)


class Generation:
    """The members of one generation, ranked jointly by the `population` rule.

    Args:
        members: forecasts with draws.
        others: outcomes of runs outside the generation.
        policy: the rule.
        without: metrics that no run of the population has.
    """

    def __init__(
        self,
        members: Sequence[Forecast],
        others: Others,
        policy: PopulationPolicy,
        without: tuple[str, ...],
    ) -> None:
        self._members, self._policy = members, policy
        self._others, self._without = others, without
        weights = weights_without(without, policy.weights)
        self._weights = weights_of(others.mqe_of_mean or 1.0, weights)
        scores = scores_of(others.values, self._weights)
        known = np.isfinite(scores)
        values = scores[known]
        self._note = _note(without, len(scores) - len(values))
        self._n_seen = len(values) + len(members)
        self._size = others.size
        if not members or policy.says_gain or self._n_seen - 1 < policy.startup_runs:
            return
        drawn = [draw_scores(f, self._weights) for f in members]
        # Forecasts of one oracle have equally many draws; of several, the fewest serve all.
        self._fewest = min(len(s) for s in drawn)
        draws = np.stack([self._thinned(s) for s in drawn])
        self._ranking = JointRanking(draws, values, others.spreads[known], others.size, policy.good)
        self._medians = np.median(draws, axis=1)
        self._bar = min(self._medians.min(), values.min(initial=np.inf))

    def verdict(self, i: int) -> Verdict:
        """Judge member `i`; by a gain on what has finished each of them alone."""
        if self._policy.says_gain:
            return _population(self._members[i], self._others, self._policy, self._without)
        if self._n_seen - 1 < self._policy.startup_runs:
            return _too_few(self._n_seen - 1, self._policy.startup_runs, self._note)
        best = bool(self._medians[i] <= self._bar)
        return self._by_risk(self._ranking.p_good(i), best, self._members[i])

    def _by_risk(self, p: float, best: bool, forecast: Forecast) -> Verdict:
        size = self._size or self._n_seen
        return _by_risk(p, best, self._policy, size, forecast, self._note)

    def _thinned(self, scores: FloatArray) -> FloatArray:
        return np.asarray(scores[np.linspace(0, len(scores) - 1, self._fewest).astype(int)])


def _by_risk(
    p: float, best: bool, policy: PopulationPolicy, size: int | None, forecast: Forecast, note: str
) -> Verdict:
    risk = policy.risk_at(forecast.progress or 0.0)
    good = (
        f"the best {n_good(size, policy.good)} of {size}" if size else f"the best {policy.good:.0%}"
    )
    if p < risk:
        why = f"P(among {good}) is {p:.2%}, below the risk of {risk:.2%}{note}"
        return Verdict(Action.STOP, Reason.UNLIKELY_GOOD, why, p, best)
    why = f"P(among {good}) is {p:.2%}, at least the risk of {risk:.2%}{note}"
    return Verdict(Action.CONTINUE, Reason.PROMISING, why, p, best)


def _pareto(
    forecast: Forecast, others: Others | None, policy: ParetoPolicy, without: tuple[str, ...]
) -> Verdict:
    """Judge by P(the outcome would enlarge the front's hypervolume by more than epsilon).

    The front is made of finished runs only: what a stopped run might have reached is no map
    anybody holds. Stopped runs still widen the range that the objectives are measured in.
    """
    unknown = [name for name in policy.objectives if name not in METRICS]
    if unknown:
        why = f"the oracle does not forecast the objective `{unknown[0][:40]}`"
        return Verdict(Action.ABSTAIN, Reason.UNKNOWN_OBJECTIVE, why)
    if others is None:
        return Verdict(Action.ABSTAIN, Reason.NO_POPULATION, "the run has no population")
    columns = [METRICS.index(name) for name in policy.asks if name not in without]
    points = others.values[columns].T
    known = np.isfinite(points).all(axis=1)
    finished = points[known & others.finished]
    note = _note(without, len(points) - int(known.sum()))
    if len(finished) < policy.startup_runs:
        return _too_few(len(finished), policy.startup_runs, note, "finished ")
    best, span, corner = box_of(points[known])
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
        why += f", below the risk of {risk:.2%}{note}"
        return Verdict(Action.STOP, Reason.UNLIKELY_GAIN, why, p)
    why += f", at least the risk of {risk:.2%}{note}"
    return Verdict(Action.CONTINUE, Reason.PROMISING, why, p)


Rule = Callable[[Forecast, Others | None, Any, tuple[str, ...]], Verdict]
#: Every rule by its policy's name; it gets a forecast with draws, and never a doubtful one.
RULES: dict[str, Rule] = {"threshold": _threshold, "population": _population, "pareto": _pareto}


def _known(scores: FloatArray) -> FloatArray:
    return scores[np.isfinite(scores)]


def _too_few(n: int, needed: int, note: str, kind: str = "") -> Verdict:
    why = f"the population has {n} of the {needed} {kind}outcomes needed{note}"
    return Verdict(Action.ABSTAIN, Reason.TOO_FEW_RUNS, why)


def _note(without: tuple[str, ...], left_out: int = 0) -> str:
    """Say what was judged otherwise than asked for."""
    note = ""
    if without:
        note += f"; judged without {' and '.join(without)}, which no run of the population has"
    if left_out:
        are = "outcome is" if left_out == 1 else "outcomes are"
        note += f"; {left_out} {are} left out for want of a metric that is asked for"
    return note
