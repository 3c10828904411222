"""What a service's store holds for training: `--store` of several commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from oracle.errors import DatasetError
from oracle.types import Run


@dataclass(frozen=True)
class Served:
    """What was read of a store.

    Attributes:
        weights: run_id of a control run -> runs that it stands for.
        skipped: why others were left out -> how many.
    """

    weights: dict[str, float] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)

    def read(self, store: str) -> Iterator[Run | DatasetError]:
        """Yield the ended runs, the censored ones too, or why one is left out."""
        from oracle.server.runs.export import Skipped, read_store

        for found in read_store(store):
            if isinstance(found, Skipped):
                self.skipped[found.reason.partition(":")[0]] += 1
                yield DatasetError(f"run {found.run_id}: {found.reason}.")
                continue
            if found.weight != 1.0:
                self.weights[found.run.run_id] = found.weight
            yield found.run
