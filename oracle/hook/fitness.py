"""What a watched run is worth to the search: its final values, or its forecast, marked censored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isnan

import numpy as np

from oracle.errors import InvalidHistory, must_be
from oracle.history.quality_score import scores_of, weights_of, weights_without
from oracle.types import METRICS, QUALITY_WEIGHTS, Outcome, Scale


def names_of(objectives: Iterable[str] | str) -> tuple[str, ...]:
    """Give what a search minimises by name; one may be given as it is.

    `quality` is what suggestions call the `score`.
    """
    names = (objectives,) if isinstance(objectives, str) else tuple(objectives)
    return tuple("score" if name == "quality" else name for name in names)


@dataclass(frozen=True, slots=True)
class Fitness:
    """The three final values of a run; lower is better for each, and for the score.

    Nothing else is forecast: what a search measures besides on the map of a stopped run, such as
    NexusSOM's topological correlation, is that of the unfinished map.

    Attributes:
        mqe: input-space units; infinite where the run never reported.
        topographic_error, dead_neuron_ratio: 0..1; None where never known.
        censored: True where the run did not reach its end and the values are the medians of
            its last forecast (or, without one, its last values): rank it, never learn from it.
        mqe_of_mean: scale of the table, where known.
        lacking: metrics that no run of its population has: the score does without.
        spreads: where censored by a forecast, half the width of the central 50 % interval of each
            metric and of the score.
        run_id: of the run, where it was watched: it may be trained anew under that name.
    """

    mqe: float
    topographic_error: float | None
    dead_neuron_ratio: float | None
    censored: bool
    mqe_of_mean: float | None = None
    lacking: tuple[str, ...] = ()
    spreads: tuple[float, float, float, float] | None = None
    run_id: str | None = None

    def score(
        self,
        *,
        weights: tuple[float, float, float] = QUALITY_WEIGHTS,
        scale: Scale | None = None,
    ) -> float:
        """Give the quality score; infinite where a metric that counts is undefined.

        Args:
            weights: after METRICS.
            scale: of mqe; None = relative where `mqe_of_mean` is known, else raw.

        Raises:
            InvalidHistory: the relative scale is asked for and not known.
        """
        if scale is Scale.RELATIVE and self.mqe_of_mean is None:
            raise InvalidHistory(must_be("context.mqe_of_mean", "known for this scale", None))
        unit = 1.0 if scale is Scale.RAW else self.mqe_of_mean or 1.0
        counted = weights_of(unit, weights_without(self.lacking, weights))
        values = (self.mqe, self.topographic_error, self.dead_neuron_ratio)
        score = float(scores_of(np.array(values, dtype=np.float64), counted))
        return inf if isnan(score) else score

    def outcome(self, run_id: str) -> Outcome:
        """Give how the run ended, as its population compares it."""
        return Outcome(
            run_id=run_id,
            final_mqe=self.mqe,
            final_topographic_error=self.topographic_error,
            final_dead_neuron_ratio=self.dead_neuron_ratio,
            censored=self.censored,
        )

    def objectives(self, names: tuple[str, ...] | str = METRICS) -> tuple[float, ...]:
        """Give the values to minimise, in the order of `names`: METRICS, or `score`.

        An undefined metric is given as infinite: a search ranks it last.

        Raises:
            InvalidHistory: for a name that is none of these.
        """
        return tuple(self._objective(name) for name in names_of(names))

    def spreads_of(self, names: tuple[str, ...] | str = METRICS) -> tuple[float, ...]:
        """Give the spread of each objective, in the order of `names`; 0 where none is known."""
        known = dict(zip((*METRICS, "score"), self.spreads or (), strict=self.spreads is not None))
        return tuple(known.get(name, 0.0) for name in names_of(names))

    def _objective(self, name: str) -> float:
        if name == "score":
            return self.score()
        if name not in METRICS:
            rule = f"one of {', '.join(METRICS)} or score"
            advice = "No oracle forecasts another: of a stopped run it is the unfinished map's."
            raise InvalidHistory(must_be("objectives", rule, name, advice))
        value: float | None = getattr(self, name)
        return inf if value is None else value
