"""A plan: what a library is told to make and train a map, and what the oracle knows by that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oracle.types import RunContext

#: Passes over the table where no budget is given.
PASSES = 20
#: Of a map, neurons: more than that squared is more than memory holds.
LONGEST_SIDE = 4_096


@dataclass(frozen=True)
class Plan:
    """One training that nobody has begun.

    Attributes:
        parameters: what was drawn, by the names of the library's space.
        make: arguments of the map's constructor.
        train: arguments of its training.
        code: lines that make and train it; `data` is the table.
        context: what a forecast knows of it.
    """

    parameters: dict[str, Any]
    make: dict[str, Any]
    train: dict[str, Any]
    code: str
    context: RunContext

    @property
    def cost(self) -> float:
        """Work of the training: samples x neurons x features that its updates go through."""
        c = self.context
        sizes = (c.total_updates, c.map_rows, c.map_cols, c.n_features)
        product = 1.0
        for size in sizes:
            product *= size or 1.0
        return product


def call(name: str, arguments: dict[str, Any]) -> str:
    """Write a call as code."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
