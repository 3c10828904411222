"""History, Forecast, Reference, Policy and Decision: the wire format is the in-process type.

All types are frozen pydantic models that refuse unknown fields, NaN and Infinity.
Lower is better for every metric and for the quality score, everywhere.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from oracle.errors import InvalidHistory, must_be

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_CHECKPOINTS = 1000
MAX_SCHEDULE_POINTS = 64
MAX_REFERENCE_RUNS = 10_000
RUN_ID_PATTERN = r"^[A-Za-z0-9._-]{1,64}$"

#: Order of the three targets wherever they stand in an array.
TARGETS = ("final_mqe", "final_topographic_error", "final_dead_neuron_ratio")
#: The metric of a checkpoint that each target is the final value of.
METRICS = ("mqe", "topographic_error", "dead_neuron_ratio")
#: Quantile levels of every forecast.
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Levels that a network answers: LEVELS, and the tails on which decisions rest.
HEAD_LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
#: quality_score = sum of weight * metric (after METRICS); lower is better.
QUALITY_WEIGHTS = (1.0, 1.0, 0.5)

FloatArray = npt.NDArray[np.float64]

# strict: "0.5" and true are not numbers.
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Ratio = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[float, Field(strict=True, gt=0, le=1e15, allow_inf_nan=False)]
#: mqe in input-space units; the bounds keep sums and ratios of the two finite.
Mqe = Annotated[float, Field(strict=True, ge=0, le=1e150, allow_inf_nan=False)]
MqeOfMean = Annotated[float, Field(strict=True, ge=1e-150, le=1e150, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]
RunId = Annotated[str, Field(pattern=RUN_ID_PATTERN)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
T = TypeVar("T")
#: Any number of values, up to the first bad one: to tell 300,000 of them takes seconds.
Many = Annotated[tuple[T, ...], Field(fail_fast=True)]


class Frozen(BaseModel):
    """Immutable, strict about unknown fields, silent about nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Scale(StrEnum):
    """Units of mqe inside a quality score."""

    RAW = "raw"  # input-space units, as the brief has it: not comparable between tables
    RELATIVE = "relative"  # mqe / mqe_of_mean: comparable between tables


class Schedule(Frozen):
    """The plan of a whole run, known before it starts; linear between its points.

    Attributes:
        progress: share of the budget, strictly increasing within 0..1, 2..64 points.
        learning_rate: learning rate at each point, None where the method has none.
        radius: neighbourhood radius at each point, grid units.
    """

    progress: Many[Ratio] = Field(min_length=2, max_length=MAX_SCHEDULE_POINTS)
    learning_rate: Many[NonNegative] | None = None
    radius: Many[NonNegative] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(b <= a for a, b in zip(self.progress, self.progress[1:], strict=False)):
            raise ValueError(must_be("schedule.progress", "strictly increasing", self.progress))
        for name in ("learning_rate", "radius"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.progress):
                raise ValueError(
                    must_be(
                        f"schedule.{name}",
                        f"as long as schedule.progress ({len(self.progress)})",
                        len(values),
                        "Give one value a point, or leave the column out.",
                    )
                )
        return self


class RunContext(Frozen):
    """What is known of a run before its first checkpoint; every field may be missing.

    Attributes:
        map_rows, map_cols: neurons a side.
        topology: grid of the neurons.
        neighborhood: name of the neighbourhood function as the library calls it.
        n_samples, n_features: size of the table as the SOM sees it.
        initialization: how the weights began, e.g. random, sample, pca.
        mqe_of_mean: quantization error of the data's mean vector, input-space units: the
            one scale that compares between tables, initialisations and libraries.
        total_updates: sample updates planned over the whole run.
        batch_size: samples an update averages over (mean over the run), 1 = online.
        schedule: planned learning rate and radius.
    """

    map_rows: Count | None = None
    map_cols: Count | None = None
    topology: Literal["rectangular", "hexagonal"] | None = None
    neighborhood: Name | None = None
    n_samples: Count | None = None
    n_features: Count | None = None
    initialization: Name | None = None
    mqe_of_mean: MqeOfMean | None = None
    total_updates: Count | None = None
    batch_size: Count | None = None
    schedule: Schedule | None = None


class History(Frozen):
    """A run's checkpoints so far, by column, and its context.

    Attributes:
        run_id: name of the run; optional where nothing is stored.
        dataset: name of the table.
        population: the runs this one is ranked among (default: `dataset`).
        epochs: the run's own counter, whatever it counts; strictly increasing.
        mqe: mean quantization error, input-space units.
        topographic_error: 0..1, null where undefined (a 1x1 map).
        dead_neuron_ratio: 0..1, null where unknown.
        learning_rate, radius: in force at each checkpoint; null where unknown.
        total_epochs: the budget in the unit of `epochs`; without it progress is unknown.
        context: what is known before the run starts.
    """

    run_id: RunId | None = None
    dataset: Name | None = None
    population: Name | None = None
    epochs: Many[NonNegative] = Field(min_length=1, max_length=MAX_CHECKPOINTS)
    mqe: Many[Mqe]
    topographic_error: Many[Ratio | None] = Field(
        validation_alias=AliasChoices("topographic_error", "topo_error")
    )
    dead_neuron_ratio: Many[Ratio | None] = Field(
        validation_alias=AliasChoices("dead_neuron_ratio", "dead_ratio")
    )
    learning_rate: Many[NonNegative | None] | None = None
    radius: Many[NonNegative | None] | None = None
    total_epochs: Positive | None = None
    context: RunContext = RunContext()

    @model_validator(mode="after")
    def _check(self) -> Self:
        n = len(self.epochs)
        if self.run_id in (".", ".."):
            raise ValueError(must_be("run_id", "a name, not a folder", self.run_id))
        for name in (*METRICS, "learning_rate", "radius"):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise ValueError(
                    must_be(
                        name,
                        f"as long as epochs ({n})",
                        len(column),
                        "Give one value a checkpoint.",
                    )
                )
        for a, b in zip(self.epochs, self.epochs[1:], strict=False):
            if b <= a:
                raise ValueError(
                    must_be("epochs", "strictly increasing", [a, b], "Sort the checkpoints.")
                )
        if self.total_epochs is not None and self.epochs[-1] > self.total_epochs:
            raise ValueError(
                must_be(
                    "epochs",
                    f"at most total_epochs ({self.total_epochs:g})",
                    self.epochs[-1],
                    "Count both in the same unit.",
                )
            )
        return self

    def __len__(self) -> int:
        return len(self.epochs)

    @property
    def progress(self) -> float | None:
        """Share of the budget used at the last checkpoint, 0..1; None without total_epochs."""
        return None if self.total_epochs is None else self.epochs[-1] / self.total_epochs

    @property
    def population_name(self) -> str | None:
        """The population this run is ranked among."""
        return self.population or self.dataset

    def prefix(self, n: int) -> History:
        """Cut to the first `n` checkpoints, 1..len."""
        if not 1 <= n <= len(self):
            raise InvalidHistory(must_be("n", f"within 1..{len(self)}", n))
        columns = ("epochs", *METRICS, "learning_rate", "radius")
        cut = {c: v[:n] for c in columns if (v := getattr(self, c)) is not None}
        return self.model_copy(update=cut)

    def until(self, progress: float) -> History | None:
        """Cut to the checkpoints at or before `progress` (0..1); None where none is."""
        if self.total_epochs is None:
            raise InvalidHistory(must_be("total_epochs", "known to cut by progress", None))
        limit = progress * self.total_epochs * (1 + 1e-9)
        n = sum(e <= limit for e in self.epochs)
        return self.prefix(n) if n else None

    @classmethod
    def parse(cls, raw: str | bytes | dict[str, Any]) -> History:
        """Validate a JSON text or a dict.

        Raises:
            InvalidHistory: naming every field, its rule and what came.
        """
        try:
            if isinstance(raw, dict):
                return cls.model_validate(raw)
            return cls.model_validate_json(raw)
        except ValidationError as error:
            raise InvalidHistory(explain(error)) from None


def explain(error: ValidationError) -> str:
    """Turn pydantic's error into our message form, at most five problems."""
    problems = []
    for item in error.errors(include_url=False)[:5]:
        field = ".".join(str(part) for part in item["loc"])
        if item["type"] == "value_error":
            problems.append(str(item["ctx"]["error"]))
        elif item["type"] == "extra_forbidden":
            advice = "Remove it or correct its name."
            problems.append(must_be(field, "a known field", field, advice))
        elif item["type"] == "missing":
            problems.append(f"`{field}` must be given, but is missing.")
        elif item["type"] == "json_invalid":
            problems.append(f"The text must be valid JSON: {item['msg']}.")
        else:
            rule = item["msg"][0].lower() + item["msg"][1:]
            problems.append(must_be(field or "history", f"valid ({rule})", item["input"]))
    more = error.error_count() - len(problems)
    return " ".join(problems) + (f" ({more} more.)" if more > 0 else "")


class ModelInfo(Frozen):
    """Which model answered."""

    name: str
    version: str
    sha256: str


class QualityForecast(Frozen):
    """Distribution of the quality score, on the scale it names.

    Attributes:
        scale: units of mqe inside the score.
        weights: after METRICS.
        values: the score at each of LEVELS.
    """

    scale: Scale
    weights: tuple[NonNegative, NonNegative, NonNegative]
    values: tuple[Finite, ...]


class Forecast(Frozen):
    """The three final values with their uncertainty, in the history's own units.

    Attributes:
        progress: share of the budget seen, None where unknown.
        final: target -> value at each of `levels`, non-decreasing.
        quality: the joint quality score, raw always, relative where mqe_of_mean is known.
        coverage: share of outcomes expected within the outer levels (0.90).
        support: how much the history resembles the training data, 0..1.
        will_worsen: P(final mqe ends more than 5 % above the best mqe seen).
        draws: [draw, target] joint outcomes, in process only, never on the wire.
    """

    run_id: RunId | None = None
    progress: float | None
    n_checkpoints: int
    model: ModelInfo
    levels: tuple[float, ...] = LEVELS
    final: dict[str, tuple[Finite, ...]]
    quality: tuple[QualityForecast, ...]
    coverage: float
    support: Ratio
    will_worsen: Ratio
    mqe_of_mean: float | None = None
    _draws: FloatArray | None = PrivateAttr(default=None)

    def __eq__(self, other: object) -> bool:
        # The draws follow from the rest, and arrays do not compare to one truth value.
        return isinstance(other, Forecast) and self.__dict__ == other.__dict__

    @property
    def draws(self) -> FloatArray | None:
        """Joint outcomes [draw, target], raw units; None after a trip over the wire."""
        return self._draws

    def with_draws(self, draws: FloatArray) -> Self:
        """Attach the joint draws (kept out of the wire format)."""
        self._draws = draws
        return self

    def median(self, target: str) -> float:
        """The forecast of `target` at level 0.5."""
        return self.final[target][self.levels.index(0.5)]

    def plot(self, history: History | None = None) -> Figure:
        """Draw the forecast as a Matplotlib figure; with its history, as a fan that leaves it."""
        from oracle.fan import draw

        return draw(self, history)

    def quality_on(self, scale: Scale) -> QualityForecast | None:
        """The quality score's distribution on `scale`, None where the scale is unknown."""
        return next((q for q in self.quality if q.scale == scale), None)


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


class Run(Frozen):
    """One row of a dataset: a whole history and how it ended.

    Attributes:
        source: implementation that trained it, e.g. minisom, nexussom, simulated.
        final_*: last checkpoint's values, raw units.
        censored: True where the run was stopped early: never a training label.
    """

    run_id: RunId
    source: Name
    dataset: Name
    final_mqe: NonNegative
    final_topographic_error: Ratio | None
    final_dead_neuron_ratio: Ratio | None
    censored: bool = False
    history: History
