"""The body that asks for suggestions: a table by its numbers, and what is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Annotated, Any

from pydantic import Field, JsonValue

from oracle.types import Frozen, Name, Positive, RunContext

#: So many forecasts are made at once for a caller; a process of one's own may make more.
MOST_CANDIDATES = 2_000
Whole = Annotated[int, Field(strict=True)]


def told_space(space: Mapping[str, Any]) -> dict[str, Any]:
    """Write a space as JSON, where two numbers are a range: a list of two is told by three."""
    return {
        name: [*where, where[0]] if isinstance(where, list) and _are_two_numbers(where) else where
        for name, where in space.items()
    }


def read_space(space: Mapping[str, JsonValue]) -> dict[str, Any]:
    """Read a space of JSON as `oracle.suggest` takes it, ranges as tuples."""
    return {
        name: tuple(where) if isinstance(where, list) and _are_two_numbers(where) else where
        for name, where in space.items()
    }


def _are_two_numbers(where: Sequence[object]) -> bool:
    return len(where) == 2 and all(isinstance(end, Real) for end in where)


class SuggestRequest(Frozen):
    """What `oracle.suggest` takes, with the table told by its numbers.

    Attributes:
        context: the table's size, `mqe_of_mean` and, better, `geometry` (docs/data.md).
        n: plans wanted.
        library: whose parameters.
        objectives: what is wanted low: quality, mqe, topographic_error, dead_neuron_ratio.
        space: parameter -> a value, a range [low, high], or a list of choices. Two numbers are
            a range; of choices among two numbers one stands twice, [8, 12, 8].
        budget: sample updates of each training; null = 20 passes over the table.
        candidates: plans that are drawn and forecast.
        seed: of the drawing.
        population: of the service; its runs that ended, on this table, teach the forecasts.
    """

    context: RunContext
    n: Annotated[Whole, Field(ge=1, le=100)] = 20
    library: Name = "minisom"
    objectives: tuple[Name, ...] = Field(("quality",), min_length=1, max_length=3)
    space: dict[Name, JsonValue] = Field({}, max_length=50)
    budget: Positive | None = None
    candidates: Annotated[Whole, Field(ge=1, le=MOST_CANDIDATES)] = 1_000
    seed: Annotated[Whole, Field(ge=0, le=2**31)] = 0
    population: Name | None = None
