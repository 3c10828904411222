"""What a context lacks, with what it would be worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from oracle.types import RunContext

#: Part of what is known before a run -> its fields, and the error at a fifth of a run without
#: them over the error with them: the table in docs/libraries.md, which `python -m bench.libraries`
#: writes anew. The table of samples itself is always there, or its lack is told by itself.
WORTH: dict[str, tuple[tuple[str, ...], float]] = {
    "plan": (("schedule", "total_updates", "batch_size"), 1.91),
    "kind": (("topology", "neighborhood"), 1.29),
    "sizes": (("map_rows", "map_cols"), 1.22),
}
#: What is known of the table of samples: without it the error is that of a table that is like any.
TABLE = ("n_samples", "n_features", "mqe_of_mean")
#: What is missing is told from here on.
WORTH_A_WORD = 1.05


def lacking(context: RunContext) -> list[tuple[tuple[str, ...], float]]:
    """Find the fields that are missing, part by part, with what the part is worth."""
    found = []
    for fields, worth in WORTH.values():
        missing = tuple(name for name in fields if getattr(context, name) is None)
        if missing and worth >= WORTH_A_WORD:
            found.append((missing, worth))
    return sorted(found, key=lambda item: -item[1])


class Untold(NamedTuple):
    """Fields that runs say nothing of.

    Attributes:
        fields: of their context.
        runs: how many lack all of them.
        worth: the error at a fifth of a run without them over that with them, where it is known.
    """

    fields: tuple[str, ...]
    runs: int
    worth: float | None


def untold(contexts: Iterable[RunContext]) -> list[Untold]:
    """Count the runs that tell nothing of a part of what can be known before a run.

    Args:
        contexts: one a run.
    """
    parts = [(TABLE, None), *WORTH.values()]
    counts = Counter(
        fields
        for context in contexts
        for fields, _ in parts
        if all(getattr(context, name) is None for name in fields)
    )
    return [Untold(fields, counts[fields], worth) for fields, worth in parts if counts[fields]]
