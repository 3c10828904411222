"""A run seen so far: History, its context and plan, and Run, a whole one with how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from oracle.errors import InvalidHistory, must_be
from oracle.types.end_of_run import BUDGET_ADVICE, budget_rule, is_beyond_end, reaches_end

MAX_CHECKPOINTS = 1000
MAX_SCHEDULE_POINTS = 64
RUN_ID_PATTERN = r"^[A-Za-z0-9._-]{1,64}$"

#: Order of the three targets wherever they stand in an array.
TARGETS = ("final_mqe", "final_topographic_error", "final_dead_neuron_ratio")
#: The metric of a checkpoint that each target is the final value of.
METRICS = ("mqe", "topographic_error", "dead_neuron_ratio")
#: Quantile levels of every forecast.
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Levels that a network answers: LEVELS, and the tails on which decisions rest.
HEAD_LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
#: What is known at a checkpoint, in the order of a row.
CHECKPOINT = ("epochs", *METRICS, "learning_rate", "radius")
#: ... and may be null there.
NULLABLE = CHECKPOINT[2:]

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
        total_epochs: the budget in the unit of `epochs`; without it progress is unknown. It may
            be approximate: the last checkpoint may lie a step beyond it.
        context: what is known before the run starts.
    """

    #: Whether it is a piece of a history, whose earlier checkpoints are elsewhere.
    _piece: ClassVar[bool] = False

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
        total = self.total_epochs
        if total is not None and not self._piece and is_beyond_end(self.epochs, total):
            raise ValueError(must_be("epochs", budget_rule(total), self.epochs[-1], BUDGET_ADVICE))
        return self

    def __len__(self) -> int:
        return len(self.epochs)

    @property
    def progress(self) -> float | None:
        """Share of the budget used at the last checkpoint, 0..1; None without total_epochs."""
        total = self.total_epochs
        return None if total is None else min(1.0, self.epochs[-1] / total)

    @property
    def is_whole(self) -> bool:
        """Whether the last checkpoint is the run's end, see `reaches_end`."""
        return self.total_epochs is not None and reaches_end(self.epochs, self.total_epochs)

    @property
    def population_name(self) -> str | None:
        """The population this run is ranked among."""
        return self.population or self.dataset

    def prefix(self, n: int) -> History:
        """Cut to the first `n` checkpoints, 1..len."""
        if not 1 <= n <= len(self):
            raise InvalidHistory(must_be("n", f"within 1..{len(self)}", n))
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


#: Begins the names that pydantic puts into a path where one type of several was chosen.
UNION_TAG = "is:"


def path_of(location: tuple[int | str, ...]) -> str:
    """Spell where in a body a problem is."""
    parts = (str(part) for part in location)
    return ".".join(part for part in parts if not part.startswith(UNION_TAG))


def explain(error: ValidationError) -> str:
    """Turn pydantic's error into our message form, at most five problems."""
    items = error.errors(include_url=False)
    unknown = [str(item["loc"][-1]) for item in items if item["type"] == "extra_forbidden"]
    problems = []
    for item in items[:5]:
        field = path_of(item["loc"])
        rule = item["msg"][0].lower() + item["msg"][1:]
        if item["type"] == "value_error":
            problems.append(str(item["ctx"]["error"]))
        elif item["type"] == "extra_forbidden":
            advice = "Remove it or correct its name."
            problems.append(must_be(field, "a known field", field, advice))
        elif item["type"] == "missing":
            problems.append(_missing(field, unknown))
        elif item["type"] == "json_invalid":
            problems.append(f"The text must be valid JSON: {item['msg']}.")
        elif item["type"] == "finite_number" and item["loc"][0] in NULLABLE:
            advice = "Write null where it is undefined or unknown."
            problems.append(must_be(field, f"valid ({rule})", item["input"], advice))
        else:
            problems.append(must_be(field or "history", f"valid ({rule})", item["input"]))
    more = len(items) - len(problems)
    return " ".join(problems) + (f" ({more} more.)" if more > 0 else "")


def _missing(field: str, unknown: list[str]) -> str:
    """Say that a field is missing, and which of the unknown ones is perhaps meant for it."""
    advice = ""
    if near := get_close_matches(field, unknown, 1):
        advice = f" Name it so instead of `{near[0]}`."
    elif field in NULLABLE:
        advice = " Give [null, ...] where it is unknown."
    return f"`{field}` must be given, but is missing.{advice}"


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
