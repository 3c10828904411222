"""What a context lacks, with what it would be worth."""

from __future__ import annotations

from oracle.types import RunContext

#: Field -> the error at a fifth of a run without it, over the error with it: the table in
#: docs/libraries.md, which `python -m bench.libraries` writes anew. What is not worth a word
#: (1.05 and less) is not here.
WORTH = {
    "total_updates": 1.28,
    "schedule": 1.18,
    "map_rows": 1.07,
}


def lacking(context: RunContext) -> list[tuple[str, float]]:
    """Find the fields that are missing and worth having, with their worth, the largest first."""
    missing = [(name, worth) for name, worth in WORTH.items() if getattr(context, name) is None]
    return sorted(missing, key=lambda item: -item[1])
