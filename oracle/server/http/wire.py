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
from oracle.types.about import Setting

State = Literal["running", "stopped", "finished"]
Override = Literal["keep", "stop"]
EventKind = Literal["created", "checkpoint", "finished", "keep", "stop", "about", "deleted"]
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
        generation: rank the histories also among themselves, as one generation in step.
    """

    histories: tuple[History | Any, ...] = Field(min_length=1)
    reference: Reference | None = None
    policy: Policy | None = None
    generation: Flag = False


class Problem(Frozen):
    """Why one request, or one history of a batch, was refused."""

    code: str
    message: str
    field: str | None = None
    request_id: str | None = None


class ErrorAnswer(Frozen):
    """The one shape of every error."""

    error: Problem


class BatchResult(Frozen):
    """The answer to one history of a batch: a decision or an error."""

    decision: Decision | None = None
    error: Problem | None = None


class BatchAnswer(Frozen):
    """Answers in the order of the histories."""

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

    by: Annotated[str, Field(max_length=200, pattern=PLAIN_PATTERN)] | None = None


class AboutRequest(About):
    """What is said of a run from now on; what is left out stays as it is, null takes it back."""


class Final(Frozen):
    """How a run ended: its values, or the medians of its forecast where censored."""

    final_mqe: NonNegative
    final_topographic_error: Ratio | None
    final_dead_neuron_ratio: Ratio | None
    censored: bool
    spread: NonNegative


class Rewind(Frozen):
    """A run went on from an earlier map: what was told from `epoch` on was told anew then."""

    epoch: float
    at: str


class RunSummary(Frozen):
    """A run at a glance: last checkpoint, last decision, how it ended.

    Attributes:
        left: finished before its end, and without values of one: its last checkpoint counts.
        rewinds: when it went on from an earlier map, in order.
        ending: how it ended, one sentence; null while it runs.
        name, config, tags, notes: as its client said.
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


class RunList(Frozen):
    """One page of runs, newest first; `next_cursor` leads to the next, null at the end."""

    runs: tuple[RunSummary, ...]
    next_cursor: str | None


class Track(Frozen):
    """A run's decisions over time, by column; null where a decision had no forecast."""

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
    """All that is stored about a run."""

    run: RunSummary
    history: History
    track: Track
    decision: Decision | None


class ReplayInputs(Frozen):
    """Everything a decision rested on.

    Attributes:
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
    """A decision and its inputs."""

    decision: Decision
    decided_at: str
    inputs: ReplayInputs


class PopulationCount(Frozen):
    """A population in the list."""

    name: str
    running: int
    stopped: int
    finished: int
    updated_at: str


class PopulationList(Frozen):
    """The populations last heard of."""

    populations: tuple[PopulationCount, ...]


class Savings(Frozen):
    """Compute saved by stops, over ended runs whose budget is known.

    A run that was left by a rule of its own counts as planned up to where it ended.
    """

    runs: int
    planned_epochs: float
    used_epochs: float
    saved_epochs: float
    saved_share: Ratio


class WrongStops(Frozen):
    """How often a stop would have been wrong, measured on runs that were let run on.

    Attributes:
        controls: control runs that have ended.
        waiting: control runs still training.
        wrong: of the ended ones, how many are among the best share `good`.
        upper: one-sided 95 % bound of the rate, at every look: 0 of 5 still allows 49 %.
        held: runs that were let run on by the control draw.
        stops: runs that were stopped or held: held / stops should be the policy's `control`.
        share: `control` of the service's policy.
        departs: so few or so many of the stops were held that chance hardly explains it.
    """

    controls: int
    waiting: int
    wrong: int
    rate: float | None
    upper: float
    confidence: float = 0.95
    good: float
    held: int = 0
    stops: int = 0
    share: Ratio = 0.0
    departs: bool = False


class EndedRun(Final):
    """One outcome of a population with its quality score; null where a metric is undefined."""

    run_id: RunId
    quality: float | None
    control: bool


class PopulationDetail(Frozen):
    """One population: what was saved, what was lost, how its runs ended."""

    name: str
    running: int
    stopped: int
    finished: int
    mqe_of_mean: float | None
    updated_at: str
    savings: Savings
    wrong_stops: WrongStops
    scale: str
    weights: tuple[float, float, float]
    outcomes: tuple[EndedRun, ...]


class PromisingRun(Frozen):
    """A stopped run, and what finishing it is worth.

    Attributes:
        p_better: P(it ends better than every finished run), of several objectives P(their front
            gains).
        gain: expected: of one objective in its own units, of several the hypervolume, in units of
            the box between the best and the worst values.
        cost: rest of its budget, as a share of it; a run that is trained anew costs 1.
    """

    run_id: RunId
    name: str | None
    config: dict[str, Setting] | None
    p_better: Ratio
    gain: NonNegative
    cost: Ratio


class PromisingList(Frozen):
    """The stopped runs of a population that are worth finishing, the most promising first.

    Attributes:
        stopped, finished: runs that were compared.
    """

    population: str
    objectives: tuple[str, ...]
    stopped: int
    finished: int
    runs: tuple[PromisingRun, ...]


class Event(Frozen):
    """What happened, with the run as it is then; a deleted run has its names only."""

    kind: EventKind
    run: RunSummary | dict[str, str | None]
