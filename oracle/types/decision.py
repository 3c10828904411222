"""What decides: Outcome, Reference and Policy go in, a Decision with its Reason comes out."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from oracle.errors import must_be
from oracle.types.fields import (
    MAX_CHECKPOINTS,
    METRICS,
    Flag,
    Frozen,
    Many,
    Mqe,
    MqeOfMean,
    Name,
    NonNegative,
    Positive,
    Ratio,
    RunId,
)
from oracle.types.forecast import Forecast, ModelInfo, Scale

MAX_REFERENCE_RUNS = 10_000
#: quality_score = sum of weight * metric (after METRICS); lower is better.
QUALITY_WEIGHTS = (1.0, 1.0, 0.5)


class Outcome(Frozen):
    """How a run of the reference ended, or is expected to end.

    Attributes:
        final_*: the values, raw units.
        censored: True where the run was stopped and the values are a forecast's medians.
        spread: for a censored run, half the width of the central 50 % interval of its
            quality score, relative scale where known; 0 for a finished run.
    """

    run_id: RunId | None = None
    final_mqe: Mqe
    final_topographic_error: Ratio | None = None
    final_dead_neuron_ratio: Ratio | None = None
    censored: Flag = False
    spread: NonNegative = 0.0


class Reference(Frozen):
    """What a run must beat: the outcomes of its population so far, one table's runs only.

    Attributes:
        outcomes: finished runs, and stopped ones by their forecast.
        mqe_of_mean: scale of the table, where known.
        live: how many runs of the population are still training (for the message only).
        population_size: runs the whole search is planned to have; None = open-ended.
    """

    outcomes: Many[Outcome] = Field(default=(), max_length=MAX_REFERENCE_RUNS)
    mqe_of_mean: MqeOfMean | None = None
    live: Annotated[int, Field(strict=True, ge=0)] = 0
    population_size: Annotated[int, Field(strict=True, ge=1)] | None = None


class Action(StrEnum):
    """What to do with the run now; every caller treats ABSTAIN as CONTINUE."""

    CONTINUE = "continue"
    STOP = "stop"
    ABSTAIN = "abstain"


class Reason(StrEnum):
    """Why; one word for machines, `Decision.message` is for persons."""

    GOOD = "good"  # forecast well inside what is wanted
    CAUTION = "caution"  # between the caution and the stop threshold
    PROMISING = "promising"  # P(good) above the risk
    ABOVE_THRESHOLD = "above_threshold"  # predicted quality score beyond the threshold
    UNLIKELY_GOOD = "unlikely_good"  # P(good) below the risk, patience used up
    UNLIKELY_GAIN = "unlikely_gain"  # P(hypervolume gain) below the risk
    WAITING = "waiting"  # would stop, patience not used up yet
    PROTECTED = "protected"  # the current best, or drawn to run on as a control
    TOO_EARLY = "too_early"  # before min_progress
    TOO_FEW_CHECKPOINTS = "too_few_checkpoints"
    TOO_FEW_RUNS = "too_few_runs"  # population smaller than startup_runs
    NO_PROGRESS = "no_progress"  # total_epochs unknown and the rule needs it
    NO_SUPPORT = "no_support"  # history unlike the training data
    TOO_UNCERTAIN = "too_uncertain"  # interval too wide to tell
    NO_POPULATION = "no_population"
    UNKNOWN_OBJECTIVE = "unknown_objective"  # an objective that the oracle does not forecast
    NO_MODEL = "no_model"
    FINISHED = "finished"  # the run has used its budget, or nearly all of it
    OVERRULED = "overruled"  # a person said keep or stop
    ERROR = "error"


class Policy(Frozen):
    """Settings of a policy; each policy reads its own and ignores none silently.

    Attributes:
        name: threshold (the brief's rule), population, or pareto.
        weights: of the quality score, after METRICS.
        threshold: `threshold` stops above this raw quality score.
        caution: `threshold` continues with a caution above this one.
        scale: units of mqe inside the score for `threshold`; None = raw, as the brief.
        good: share q of the population that counts as good.
        risk: stop when P(good) or P(gain) is below this.
        ramp: before this share of the budget the risk grows in proportion to progress from 0:
            an early stop is one of many chances to err, and waiting tells more than later.
        patience: consecutive checks below the risk before a stop.
        min_progress: no stop before this share of the budget.
        min_checkpoints: no stop with fewer checkpoints.
        startup_runs: no stop before the population has this many outcomes. Few suffice: runs
            to come are taken as exchangeable with those seen, so a short record stops little.
        min_support: below this support the policy abstains.
        epsilon: `pareto`: smallest hypervolume gain, share of the front's hypervolume.
        objectives: `pareto`: names of what the search minimises, after METRICS.
        control: share of stops let run to the end to measure wrong stops.
    """

    name: Literal["threshold", "population", "pareto"] = "threshold"
    weights: tuple[NonNegative, NonNegative, NonNegative] = QUALITY_WEIGHTS
    threshold: Positive = 1.0
    caution: Positive = 0.5
    scale: Scale | None = None
    good: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.1
    risk: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.02
    ramp: Ratio = 0.3
    patience: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    min_progress: Ratio = 0.05
    min_checkpoints: Annotated[int, Field(strict=True, ge=1, le=MAX_CHECKPOINTS)] = 2
    startup_runs: Annotated[int, Field(strict=True, ge=1, le=MAX_REFERENCE_RUNS)] = 3
    min_support: Ratio = 0.05
    epsilon: NonNegative = 0.001
    objectives: Many[Name] = Field(default=METRICS, min_length=1, max_length=16)
    control: Ratio = 0.05

    def risk_at(self, progress: float) -> float:
        """The risk in force at a share of the budget, 0..1."""
        return self.risk if progress >= self.ramp else self.risk * progress / self.ramp

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.caution > self.threshold:
            raise ValueError(
                must_be("caution", f"at most threshold ({self.threshold:g})", self.caution)
            )
        if not any(self.weights):
            raise ValueError(must_be("weights", "positive for one metric at least", self.weights))
        return self


class Decision(Frozen):
    """One answer: action, why, and what it rests on.

    Attributes:
        message: one sentence for a person.
        p_good: P(the run ends good) or P(gain), None where the policy has none.
        expected_saving: share of the run's budget a stop would save, None if unknown.
        next_check: progress worth the next look, None when there is none.
        advice: further sentences, e.g. to keep the present map when it will get worse.
        below_risk: consecutive checks, this one included, at which the rule wanted a stop:
            what `patience` counts; hand it to the next `decide` as `previous`.
    """

    run_id: RunId | None = None
    progress: float | None
    action: Action
    reason: Reason
    message: str
    p_good: Ratio | None = None
    forecast: Forecast | None = None
    expected_saving: Ratio | None = None
    next_check: Ratio | None = None
    advice: tuple[str, ...] = ()
    below_risk: Annotated[int, Field(ge=0)] = 0
    policy: Policy
    model: ModelInfo | None = None

    @property
    def stop(self) -> bool:
        """True only for an explicit stop: a doubt is never a stop."""
        return self.action is Action.STOP
