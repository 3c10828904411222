"""What decides: Outcome and Reference go in, a Decision with its Reason comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from oracle.forks import cached_property
from oracle.types.fields import (
    Flag,
    FloatArray,
    Frozen,
    Many,
    Mqe,
    MqeOfMean,
    NonNegative,
    Ratio,
    RunId,
)
from oracle.types.forecast import Forecast, ModelInfo
from oracle.types.policy import MAX_REFERENCE_RUNS, Policy, owner_of, policy_named
from oracle.types.reason import Reason


class Outcome(Frozen):
    """How a run of the reference ended, or is expected to end.

    Attributes:
        run_id: name of the run; a run is not compared with itself.
        final_*: the values, raw units.
        censored: True where the run was stopped and the values are a forecast's medians.
        spread: for a censored run, half the width of the central 50 % interval of its quality
            score, relative scale where known; 0 for a finished run.
    """

    run_id: RunId | None = None
    final_mqe: Mqe
    final_topographic_error: Ratio | None = None
    final_dead_neuron_ratio: Ratio | None = None
    censored: Flag = False
    spread: NonNegative = 0.0


class OutcomeColumns(NamedTuple):
    """Outcomes as arrays.

    Attributes:
        values: [3, outcome] after METRICS, raw units, NaN where undefined.
        spreads: [outcome] half the width of the central 50 % interval of the score.
        finished: [outcome].
    """

    values: FloatArray
    spreads: FloatArray
    finished: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Self:
        """Gather outcomes."""
        rows = [
            (o.final_mqe, o.final_topographic_error, o.final_dead_neuron_ratio, o.spread)
            for o in outcomes
        ]
        table = np.array(rows, np.float64).reshape(-1, 4).T
        finished = np.array([not o.censored for o in outcomes], dtype=bool)
        return cls(table[:3], table[3], finished)


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

    @cached_property
    def columns(self) -> OutcomeColumns:
        """The outcomes as arrays."""
        return OutcomeColumns.of(self.outcomes)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy; columns of other outcomes are not kept."""
        copied = super().model_copy(update=update, deep=deep)
        if update and "outcomes" in update:
            copied.__dict__.pop("columns", None)
        return copied

    @classmethod
    def of_columns(
        cls, outcomes: tuple[Outcome, ...], columns: OutcomeColumns, **fixed: Any
    ) -> Self:
        """Make a reference of valid outcomes and their columns, however many, at once.

        Args:
            outcomes: that were validated when they were made.
            columns: of these, in their order.
            fixed: the other fields, valid.
        """
        reference = cls.model_construct(outcomes=outcomes, **fixed)
        reference.__dict__["columns"] = columns
        return reference


class Action(StrEnum):
    """What to do with the run now; every caller treats ABSTAIN as CONTINUE."""

    CONTINUE = "continue"
    STOP = "stop"
    ABSTAIN = "abstain"


class Decision(Frozen):
    """One answer: action, why, and what it rests on.

    Attributes:
        run_id: name of the run, where the history has one.
        progress: share of the budget used, 0..1; None without `total_epochs`.
        action: what to do now; an `abstain` is a `continue`.
        reason: why, one word for machines (docs/reasons.md).
        message: one sentence for a person.
        p_good: P(the run ends good) or P(gain), None where the policy has none.
        forecast: how the run is expected to end; None where there is none.
        expected_saving: share of the run's budget a stop would save, None if unknown.
        next_check: progress worth the next look, None when there is none.
        advice: further sentences, e.g. to keep the present map when it will get worse.
        below_risk: consecutive checks, this one included, at which the rule wanted a stop: what
            `patience` counts; hand it to the next `decide` as `previous`.
        policy: rule and settings that were applied, defaults included.
        model: which model forecast; None where none did.
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

    @model_validator(mode="before")
    @classmethod
    def _as_recorded(cls, given: Any) -> Any:
        """Read what was recorded while a policy had every setting, and one reason two meanings."""
        if not isinstance(given, dict):
            return given
        if given.get("reason") == "protected":
            control = "as a control" in str(given.get("message"))
            given = given | {"reason": Reason.CONTROL if control else Reason.BEST}
        policy = given.get("policy")
        if isinstance(policy, dict):
            kind = policy_named(policy)
            own = {n: v for n, v in policy.items() if n in kind.model_fields or not owner_of(n)}
            given = given | {"policy": own}
        return given

    @property
    def stop(self) -> bool:
        """True only for an explicit stop: a doubt is never a stop."""
        return self.action is Action.STOP

    @property
    def converged(self) -> bool:
        """Whether it ends the run as finished: its present values stand, no forecast does."""
        return self.stop and self.reason is Reason.CONVERGED
