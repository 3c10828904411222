"""Bodies of the HTTP interface that are not types of the library itself."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from oracle.errors import must_be
from oracle.types import (
    About,
    Decision,
    Finite,
    Flag,
    Frozen,
    History,
    ModelInfo,
    Mqe,
    NonNegative,
    Policy,
    QualityForecast,
    Ratio,
    Reference,
    RunId,
)
from oracle.types.about import Line, Setting

State = Literal["running", "stopped", "finished"]
Override = Literal["keep", "stop"]
EventKind = Literal[
    "created", "checkpoint", "finished", "keep", "stop", "policy", "about", "deleted"
]
#: Text without control characters: PostgreSQL refuses NUL, and the others are nobody's name.
PLAIN_PATTERN = r"^[^\x00-\x1f\x7f]*$"
#: One value at each of LEVELS.
Five = tuple[Finite, ...]


class DecideRequest(History):
    """A history, and what to hold it against.

    Attributes:
        reference: what the run must beat; without one the default policy is `threshold`.
        policy: rule and settings; None = `population` with a reference, else `threshold`.
        previous: `below_risk` of the run's last decision, which patience counts.
    """

    reference: Reference | None = None
    policy: Policy | None = None
    previous: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = 0


class BatchRequest(Frozen):
    """Many histories, one reference and policy; each history is validated by itself.

    Attributes:
        histories: whatever is no History gets its error in its place.
        reference: what each run must beat, the same for all.
        policy: rule and settings for all; None = `population` with a reference or a generation,
            else `threshold`.
        generation: rank the histories also among themselves, as one generation in step.
    """

    histories: tuple[History | Any, ...] = Field(min_length=1)
    reference: Reference | None = None
    policy: Policy | None = None
    generation: Flag = False


class Problem(Frozen):
    """Why one request, or one history of a batch, was refused.

    Attributes:
        code: kind of error, one word for machines (docs/api.md).
        message: what is wrong and what to do, for a person.
        field: path of the field that breaks its rule; null where it is none.
        request_id: names the request in the service's log.
    """

    code: str
    message: str
    field: str | None = None
    request_id: str | None = None


class ErrorAnswer(Frozen):
    """The one shape of every error.

    Attributes:
        error: what went wrong.
    """

    error: Problem


class BatchResult(Frozen):
    """The answer to one history of a batch: a decision or an error.

    Attributes:
        decision: on this history; absent where it was refused.
        error: why it was refused; absent where it was not.
    """

    decision: Decision | None = None
    error: Problem | None = None


class BatchAnswer(Frozen):
    """Answers in the order of the histories.

    Attributes:
        results: one for each history, in their order.
    """

    results: tuple[BatchResult, ...]


class CheckpointsRequest(History, About):
    """New checkpoints of a stored run, by column, and what is said of it.

    Attributes:
        policy: rule for this decision; None = the service's (ORACLE_POLICY).
        population_size: runs the whole search is planned to have.
        rewind_from: the run went on from an earlier map and tells itself anew from this epoch on:
            what is stored from there and not told the same in this piece is left behind.
    """

    _piece: ClassVar[bool] = True

    policy: Policy | None = None
    population_size: Annotated[int, Field(strict=True, ge=1, le=10_000_000)] | None = None
    rewind_from: NonNegative | None = None

    @model_validator(mode="after")
    def _has_a_checkpoint(self) -> Self:
        if not self.epochs:
            advice = "POST /v1/forecast and /v1/decide answer to a plan alone."
            raise ValueError(must_be("epochs", "of one checkpoint at least", 0, advice))
        return self


class FinishRequest(Frozen):
    """How a run ended; final values default to the last checkpoint's.

    Without final_mqe a run whose checkpoints do not reach its end is marked as left.

    Attributes:
        censored: ended early: its forecast stands for it, and it is no training label. Values
            given with it are used only where the service has no forecast of the run. Left out:
            true after a stop, unless the run went on to its end.
        final_mqe, final_topographic_error, final_dead_neuron_ratio: measured at the end; given for
            all that was measured they are the run's last checkpoint, at `total_epochs`.
    """

    censored: Flag | None = None
    final_mqe: Mqe | None = None
    final_topographic_error: Ratio | None = None
    final_dead_neuron_ratio: Ratio | None = None


class OverrideRequest(Frozen):
    """A person's word about a run.

    Attributes:
        by: who says so, for the record.
    """

    by: Line | None = None


class OverrideTo(OverrideRequest):
    """A person's word about a run, or its end.

    Attributes:
        to: keep, stop; null gives the run back to its policy.
    """

    to: Override | None


class AboutRequest(About):
    """What is said of a run from now on; what is left out stays as it is, null takes it back."""


class Final(Frozen):
    """How a run ended: its values, or the medians of its forecast where censored.

    Attributes:
        final_*: the values, raw units; null where undefined.
        censored: true where the run was stopped and the values are a forecast's medians.
        spread: for a censored run, half the width of the central 50 % interval of its quality
            score; 0 for a finished run.
    """

    final_mqe: NonNegative
    final_topographic_error: Ratio | None
    final_dead_neuron_ratio: Ratio | None
    censored: bool
    spread: NonNegative


class Rewind(Frozen):
    """A run went on from an earlier map: what was told from `epoch` on was told anew then.

    Attributes:
        epoch: from which on the run was told anew.
        at: when, UTC, ISO 8601.
    """

    epoch: float
    at: str


class RunSummary(Frozen):
    """A run at a glance: last checkpoint, last decision, how it ended.

    Attributes:
        run_id: name of the run.
        dataset: name of the table; null where none was given.
        population: the runs it is ranked among.
        state: running; stopped (it was told to stop, or ended so); or finished.
        left: finished before its end, and without values of one: its last checkpoint counts.
        override: a person's word, keep or stop; null without one.
        control: drawn to run on past a stop, so that wrong stops are measured.
        censored: its forecast stands for its outcome.
        n_checkpoints: checkpoints stored.
        epoch: the last checkpoint's, the run's own counter.
        total_epochs: its budget in the unit of `epoch`; null where unknown.
        progress: share of the budget used, 0..1; null without `total_epochs`.
        mqe: at the last checkpoint, input-space units.
        topographic_error: at the last checkpoint, 0..1; null where undefined.
        dead_neuron_ratio: at the last checkpoint, 0..1; null where unknown.
        action: the last decision's: continue, stop or abstain; null before one.
        reason: the last decision's, one word for machines (docs/reasons.md).
        message: the last decision's, one sentence.
        p_good: the last decision's P(the run ends good) or P(gain); null where its policy has none.
        expected_saving: share of its budget that a stop would save; null if unknown.
        support: how much its history resembles the training data, 0..1.
        quality: the last forecast of its quality score; null without one.
        forecast: target -> the last forecast at each of the levels; null without one.
        final: how it ended; null while it runs.
        created_at: when its first checkpoint came, UTC, ISO 8601.
        updated_at: when it last changed, UTC, ISO 8601.
        ended_at: when it ended, UTC, ISO 8601; null while it runs.
        rewinds: when it went on from an earlier map, in order.
        ending: how it ended, one sentence; null while it runs.
        name, config, tags, notes: as its client said.
        override_by, override_at: who overruled its policy last, or gave it back, and when.
        decided: how many of its decisions had which reason.
        stops, first_stop: how many were stops, and the epoch of the first; its caller goes on at 2.
    """

    run_id: RunId
    dataset: str | None
    population: str | None
    state: State
    left: bool = False
    override: Override | None
    control: bool
    censored: bool
    n_checkpoints: int
    epoch: float
    total_epochs: float | None
    progress: float | None
    mqe: float
    topographic_error: float | None
    dead_neuron_ratio: float | None
    action: str | None
    reason: str | None
    message: str | None
    p_good: float | None
    expected_saving: float | None
    support: float | None
    quality: QualityForecast | None
    forecast: dict[str, Five] | None
    final: Final | None
    created_at: str
    updated_at: str
    ended_at: str | None
    rewinds: tuple[Rewind, ...] = ()
    ending: str | None = None
    name: str | None = None
    config: dict[str, Setting] | None = None
    tags: tuple[str, ...] | None = None
    notes: str | None = None
    override_by: str | None = None
    override_at: str | None = None
    decided: dict[str, int] | None = None
    stops: int = 0
    first_stop: float | None = None


class RunList(Frozen):
    """One page of runs, newest first; `next_cursor` leads to the next, null at the end.

    Attributes:
        runs: of this page, newest first.
        next_cursor: `cursor` of the next page; null at the end.
    """

    runs: tuple[RunSummary, ...]
    next_cursor: str | None


class Track(Frozen):
    """A run's decisions over time, by column; null where a decision had no forecast.

    Attributes:
        epochs: of the checkpoints at which it was decided, increasing.
        decided_at: when, UTC, ISO 8601.
        action: continue, stop or abstain.
        reason: one word for machines (docs/reasons.md).
        p_good: P(the run ends good) or P(gain).
        support: how much the history resembled the training data, 0..1.
        levels: quantile levels of the forecasts, increasing.
        quality_scale: units of mqe in the quality score: raw or relative.
        quality: [decision][level] the quality score that was forecast.
        final_*: [decision][level] the final value that was forecast, raw units.
    """

    epochs: tuple[float, ...]
    decided_at: tuple[str, ...]
    action: tuple[str, ...]
    reason: tuple[str, ...]
    p_good: tuple[float | None, ...]
    support: tuple[float | None, ...]
    levels: tuple[float, ...]
    quality_scale: tuple[str | None, ...]
    quality: tuple[Five | None, ...]
    final_mqe: tuple[Five | None, ...]
    final_topographic_error: tuple[Five | None, ...]
    final_dead_neuron_ratio: tuple[Five | None, ...]


class RunDetail(Frozen):
    """All that is stored about a run.

    Attributes:
        run: the run at a glance.
        history: all of its checkpoints, and its context.
        track: its decisions over time, by column.
        decision: the last one, whole; null before one.
    """

    run: RunSummary
    history: History
    track: Track
    decision: Decision | None


class ReplayInputs(Frozen):
    """Everything a decision rested on.

    Attributes:
        history: as it was known then.
        reference: what the run had to beat; null without a population.
        reference_sha256: digest of the reference as it was then.
        policy: rule and settings in force.
        model: which model forecast; null where none did.
        override: a person's word that was in force; null without one.
        previous: `below_risk` of the decision before, what patience counts.
        rewound: the run was rewound to before this decision since.
        exact: False where runs of the population were deleted since.
    """

    history: History
    reference: Reference | None
    reference_sha256: str | None
    policy: Policy
    model: ModelInfo | None
    override: Override | None
    previous: int
    rewound: bool
    exact: bool


class ReplayAnswer(Frozen):
    """A decision and its inputs.

    Attributes:
        decision: as it was made.
        decided_at: when, UTC, ISO 8601.
        inputs: what it rested on: `decide` on them gives it again.
    """

    decision: Decision
    decided_at: str
    inputs: ReplayInputs


class Event(Frozen):
    """What happened, with the run as it is then; a deleted run has its names only.

    Attributes:
        kind: what happened.
        run: as it is then; of a deleted one its names.
    """

    kind: EventKind
    run: RunSummary | dict[str, str | None]
