"""What a process has read of a population: how its runs ended, and what they teach."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from oracle.forecast.residuals import TEACHERS, Residuals
from oracle.history.quality_score import common_scale, same_scale
from oracle.types import MAX_REFERENCE_RUNS, Outcome, Reference

#: Of the table of runs, in the order that `Seen.take` reads them in.
COLUMNS = (
    "run_id",
    "ended",
    "state",
    "final_mqe",
    "final_topographic_error",
    "final_dead_neuron_ratio",
    "spread",
    "mqe_of_mean",
    "model",
    "teaches",
)


class Seen:
    """The runs of one population that ended, the latest MAX_REFERENCE_RUNS.

    Attributes:
        outcomes: run_id -> how it ended, and its mqe_of_mean.
        ended: the clock up to which it was read.
        live: runs that still train.
        fresh: nothing was written since.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, tuple[Outcome, float | None]] = {}
        self.ended = 0
        self.live = 0
        self.fresh = False
        self._lessons: dict[str, tuple[str, Residuals]] = {}  # with the model that they are of
        self._known: tuple[str, dict[str, Residuals], Residuals] | None = None

    def take(self, rows: Iterable[Any]) -> None:
        """Enter rows of COLUMNS, in order of ending."""
        for run_id, ended, state, mqe, error, dead, spread, scale, model, lesson in rows:
            self._forget(run_id)  # a run begun anew counts at its new place
            outcome = Outcome(
                run_id=run_id,
                final_mqe=mqe,
                final_topographic_error=error,
                final_dead_neuron_ratio=dead,
                censored=state == "stopped",
                spread=spread,
            )
            self.outcomes[run_id] = outcome, scale
            taught = Residuals.from_bytes(lesson) if lesson is not None else None
            if taught is not None:
                self._lessons[run_id] = model, taught
            self.ended = ended
            self._known = None
        while len(self._lessons) > TEACHERS:
            del self._lessons[next(iter(self._lessons))]
        while len(self.outcomes) > MAX_REFERENCE_RUNS:
            self._forget(next(iter(self.outcomes)))

    def reference(self, without: str | None, population_size: int | None) -> Reference:
        """Give what a run must beat, see `Population.reference`."""
        scale = self._scale
        outcomes = tuple(
            outcome
            for run_id, (outcome, its_scale) in self.outcomes.items()
            if run_id != without and same_scale(its_scale, scale)
        )
        return Reference(
            outcomes=outcomes,
            mqe_of_mean=scale,
            live=max(0, self.live - 1) if without else self.live,
            population_size=population_size,
        )

    def teaches(self, model: str, without: str | None) -> Residuals | None:
        """Give what the runs teach the forecasts of a model, see `Population.known`."""
        if self._known is None or self._known[0] != model:
            scale = self._scale
            found = {
                run_id: lesson
                for run_id, (of, lesson) in self._lessons.items()
                if of == model and same_scale(self.outcomes[run_id][1], scale)
            }
            self._known = model, found, Residuals.of(list(found.values()))
        _, found, gathered = self._known
        others = found.keys() - {without}
        if len(others) < len(found):
            gathered = Residuals.of([found[run_id] for run_id in found if run_id in others])
        return gathered if others else None

    @property
    def _scale(self) -> float | None:
        """The mqe_of_mean of the table, by what most runs say."""
        return common_scale(scale for _, scale in self.outcomes.values())

    def _forget(self, run_id: str) -> None:
        self.outcomes.pop(run_id, None)
        self._lessons.pop(run_id, None)
