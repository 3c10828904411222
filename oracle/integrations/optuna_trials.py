"""What a trial of Optuna has told, as its storage keeps it: checkpoints, budget and context.

Whatever comes back from a storage has been through JSON, may be of an attempt that died, and is
paid for at every look: it is read anew with care, thinned, and written at steps of the budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from optuna.trial import FrozenTrial, Trial

from oracle.hook.checkpoints import CHECK_EVERY, Checkpoint, append, is_soon, number
from oracle.types import History, RunContext

#: User attribute of a trial that holds what it told.
HISTORY = "oracle_history"
#: User attribute of a trial that was stopped and is told with its forecast.
CENSORED = "censored"
#: ... that has its forecast, by objective, which a trial that was pruned has no values for.
FORECASTS = "oracle_forecasts"
#: ... that has the spreads of its forecast, by objective.
SPREADS = "oracle_spreads"
#: ... that has the name of its run.
RUN_ID = "oracle_run_id"
#: ... that trains a stopped trial to its end: the number of that one. Nothing stops it.
FINISHES = "oracle_finishes"


@dataclass
class Told:
    """What one trial has told.

    Attributes:
        kept: checkpoints in order of epoch, thinned.
        total_epochs: the budget, None where unknown.
        context: what is known before the run starts.
    """

    kept: list[Checkpoint] = field(default_factory=list)
    total_epochs: float | None = None
    context: RunContext = field(default_factory=RunContext)
    _written_at: float | None = None

    @classmethod
    def of(cls, trial: Trial | FrozenTrial) -> Self | None:
        """Read what a trial told by `report`; None where it told nothing itself.

        A trial that is tried again inherits the attributes of the attempt that died.
        """
        stored = trial.user_attrs.get(HISTORY)
        if not stored or stored.get("trial", trial.number) != trial.number:
            return None
        told = cls(
            [Checkpoint(*row) for row in stored["rows"]],
            stored["total_epochs"],
            RunContext.model_validate(stored["context"]),
        )
        told._written_at = told.kept[-1].epoch if told.kept else None
        return told

    @classmethod
    def of_values(
        cls, values: Mapping[int, float], total_epochs: float | None, context: RunContext
    ) -> Self:
        """Take plain intermediate values as mqe; what is none is left out."""
        told = cls([], total_epochs, context)
        for step in sorted(values):
            mqe = number(values[step])
            if mqe is not None and mqe >= 0:
                append(told.kept, Checkpoint(float(step), mqe, None, None), total_epochs)
        return told

    def add(self, newest: Checkpoint) -> bool:
        """Take a checkpoint; tell whether it is worth writing.

        One that does not come after the last was measured by a training that was resumed from
        an earlier map: what came after that map is forgotten.
        """
        last = self.kept[-1].epoch if self.kept else 0.0
        self.kept = self.before(newest.epoch)
        append(self.kept, newest, self.total_epochs)
        written, total = self._written_at, self.total_epochs
        if written is not None and newest.epoch > written:
            next_ends = total is not None and newest.epoch + (newest.epoch - last) >= total
            if is_soon(written, newest.epoch, total, CHECK_EVERY) and not next_ends:
                return False
        self._written_at = newest.epoch
        return True

    def before(self, epoch: float) -> list[Checkpoint]:
        """Give the checkpoints that come before an epoch."""
        return [checkpoint for checkpoint in self.kept if checkpoint.epoch < epoch]

    def stored(self, trial_number: int) -> dict[str, Any]:
        """Give what the storage keeps."""
        return {
            "trial": trial_number,
            "rows": [list(checkpoint) for checkpoint in self.kept],
            "total_epochs": self.total_epochs,
            "context": self.context.model_dump(mode="json", exclude_none=True),
        }

    def history(self, run_id: str, population: str) -> History | None:
        """Give it as a history; None without a checkpoint.

        Raises:
            InvalidHistory: where it breaks a rule.
        """
        if not self.kept:
            return None
        return History.of_rows(
            self.kept,
            run_id=run_id,
            population=population,
            total_epochs=self.total_epochs,
            context=self.context,
        )
