"""A run seen so far: History, its context and plan, and Run, a whole one with how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

from pydantic import AliasChoices, ConfigDict, Field, ValidationError, model_validator

from oracle.errors import InvalidHistory, must_be
from oracle.types.context import RunContext
from oracle.types.end_of_run import BUDGET_ADVICE, budget_rule, is_beyond_end, reaches_end
from oracle.types.fields import (
    CHECKPOINT,
    MAX_CHECKPOINTS,
    METRICS,
    Frozen,
    Many,
    Mqe,
    Name,
    NonNegative,
    Positive,
    Ratio,
    RunId,
)
from oracle.types.problems import explain

#: What a checkpoint must tell, each under all its names.
_COLUMNS = (
    ("epochs",),
    ("mqe",),
    ("topographic_error", "topo_error"),
    ("dead_neuron_ratio", "dead_ratio"),
)


class History(Frozen):
    """A run's checkpoints so far, by column, and its context; before the first, its context alone.

    Attributes:
        run_id: name of the run; optional where nothing is stored.
        dataset: name of the table.
        population: the runs this one is ranked among (default: `dataset`).
        epochs: the run's own counter, whatever it counts; strictly increasing.
        mqe: mean quantization error, input-space units.
        topographic_error: 0..1, null where undefined (a 1x1 map).
        dead_neuron_ratio: 0..1, null where unknown.
        learning_rate, radius: in force at each checkpoint; null where unknown.
        total_epochs: the budget in the unit of `epochs`; without it progress is unknown. It may
            be approximate: the last checkpoint may lie a step beyond it.
        context: what is known before the run starts.
    """

    #: Whether it is a piece of a history, whose earlier checkpoints are elsewhere.
    _piece: ClassVar[bool] = False

    # Before the first checkpoint a column may be left out (`_plan_alone`).
    model_config = ConfigDict(json_schema_extra=lambda schema: schema.pop("required", None))

    run_id: RunId | None = None
    dataset: Name | None = None
    population: Name | None = None
    epochs: Many[NonNegative] = Field(max_length=MAX_CHECKPOINTS)
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

    @model_validator(mode="before")
    @classmethod
    def _plan_alone(cls, given: Any) -> Any:
        """Let columns be left out before the first checkpoint."""
        if not isinstance(given, dict):
            return given
        told = [
            column
            for names in _COLUMNS
            for name in names
            if (column := given.get(name, ())) is not None
        ]
        if any(not hasattr(column, "__len__") or len(column) for column in told):
            return given
        return {**{names[0]: () for names in _COLUMNS if not given.keys() & set(names)}, **given}

    @model_validator(mode="after")
    def _check(self) -> Self:
        n = len(self.epochs)
        if self.run_id in (".", ".."):
            raise ValueError(must_be("run_id", "a name, not a folder", self.run_id))
        for name in CHECKPOINT[1:]:
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
        if not n and self.context == RunContext():
            raise ValueError(
                must_be(
                    "epochs", "of one checkpoint at least", 0,
                    "Without any, `context` must tell the plan and the table: there is nothing "
                    "else to go by.",
                )
            )  # fmt: skip
        total = self.total_epochs
        if n and total is not None and not self._piece and is_beyond_end(self.epochs, total):
            raise ValueError(must_be("epochs", budget_rule(total), self.epochs[-1], BUDGET_ADVICE))
        return self

    def __len__(self) -> int:
        return len(self.epochs)

    @property
    def progress(self) -> float | None:
        """Share of the budget used at the last checkpoint, 0..1; None without total_epochs.

        Before the first checkpoint it is 0.
        """
        if not self.epochs:
            return 0.0
        total = self.total_epochs
        return None if total is None else min(1.0, self.epochs[-1] / total)

    @property
    def is_forecastable(self) -> bool:
        """Whether mqe has a unit: a checkpoint, or mqe_of_mean before the first."""
        return bool(self.epochs) or self.context.mqe_of_mean is not None

    def check_forecastable(self) -> None:
        """Refuse a plan whose mqe has no unit, see `is_forecastable`.

        Raises:
            InvalidHistory: naming what is missing.
        """
        if not self.is_forecastable:
            raise InvalidHistory(
                must_be(
                    "context.mqe_of_mean", "known where there is no checkpoint yet", None,
                    "It is the mean distance of the samples to their mean: `context_of` reads it. "
                    "Without it mqe has no unit to be forecast in.",
                )
            )  # fmt: skip

    @property
    def is_whole(self) -> bool:
        """Whether the last checkpoint is the run's end, see `reaches_end`."""
        total = self.total_epochs
        return bool(self.epochs) and total is not None and reaches_end(self.epochs, total)

    @property
    def population_name(self) -> str | None:
        """The population this run is ranked among."""
        return self.population or self.dataset

    def prefix(self, n: int) -> History:
        """Cut to the first `n` checkpoints, 0..len; 0 leaves the plan."""
        if not 0 <= n <= len(self):
            raise InvalidHistory(must_be("n", f"within 0..{len(self)}", n))
        cut = {c: v[:n] for c in CHECKPOINT if (v := getattr(self, c)) is not None}
        return self.model_copy(update=cut)

    def until(self, progress: float) -> History | None:
        """Cut to the checkpoints at or before `progress` (0..1); None where none is."""
        if self.total_epochs is None:
            raise InvalidHistory(must_be("total_epochs", "known to cut by progress", None))
        if progress >= 1.0:
            return self
        limit = progress * self.total_epochs * (1 + 1e-9)
        n = sum(e <= limit for e in self.epochs)
        return self.prefix(n) if n else None

    def at(self, progress: float) -> History | None:
        """The run as it was known at `progress`: at 0 its plan alone; None where nothing was."""
        if progress > 0:
            return self.until(progress)
        plan = self.prefix(0)
        return plan if plan.is_forecastable else None

    @classmethod
    def of_rows(cls, rows: Iterable[Sequence[float | None]], **fixed: Any) -> History:
        """Make a history of its checkpoints, each a row of CHECKPOINT.

        Args:
            rows: in order of their epochs; a learning rate or radius that no row has is left out.
            fixed: the other fields.

        Raises:
            InvalidHistory: naming every field, its rule and what came.
        """
        columns = dict(zip(CHECKPOINT, zip(*rows, strict=True), strict=False))
        for name in CHECKPOINT[1 + len(METRICS) :]:
            if not any(value is not None for value in columns.get(name, ())):
                columns.pop(name, None)
        return cls.parse({**fixed, **columns})

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
    final_mqe: Mqe
    final_topographic_error: Ratio | None
    final_dead_neuron_ratio: Ratio | None
    censored: bool = False
    history: History

    @model_validator(mode="after")
    def _ran(self) -> Self:
        if not len(self.history):
            raise ValueError(must_be("epochs", "of one checkpoint at least in a run", 0))
        return self
