"""Forecasts as they are for users who tell less: inputs left out on the way to the forecaster.

Outcomes, and the scale that errors are measured in, stay known to the one who judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from oracle.errors import OracleError, must_be
from oracle.evaluation.baselines import Baseline
from oracle.evaluation.intervals import Array
from oracle.evaluation.recorded_runs import Forecaster
from oracle.types import METRICS, Forecast, History, Run

#: What is told or left out together -> fields of the context, of the history.
PARTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "plan": (
        ("schedule", "total_updates", "batch_size", "initialization"),
        ("learning_rate", "radius"),
    ),
    "kind": (("topology", "toroidal", "neighborhood"), ()),
    "table": (("mqe_of_mean", "geometry"), ()),
    "geometry": (("geometry",), ()),
    "sizes": (("map_rows", "map_cols", "n_samples", "n_features"), ()),
    "budget": ((), ("total_epochs",)),
    "topographic_error": ((), ("topographic_error",)),
    "dead_neuron_ratio": ((), ("dead_neuron_ratio",)),
}
#: Without it there is nothing to measure a forecast in before the first checkpoint.
NEEDED_BY_PLANS = "table"


def parts_of(text: str) -> tuple[str, ...]:
    """Read names of PARTS, separated by commas.

    Raises:
        OracleError: an unknown name.
    """
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    if unknown := [part for part in parts if part not in PARTS]:
        raise OracleError(must_be("--hide", f"some of {', '.join(PARTS)}", unknown[0]))
    return parts


def without(history: History, parts: Sequence[str]) -> History:
    """Leave parts out of a history; ratios that are left out are null throughout."""
    context = {name: None for part in parts for name in PARTS[part][0]}
    columns = {
        name: (None,) * len(history) if name in METRICS else None
        for part in parts
        for name in PARTS[part][1]
    }
    return history.model_copy(
        update={"context": history.context.model_copy(update=context), **columns}
    )


@dataclass(frozen=True)
class ToldLess:
    """A forecaster that sees histories without some parts.

    Attributes:
        forecaster: that answers.
        parts: names of PARTS.
    """

    forecaster: Forecaster
    parts: tuple[str, ...]

    def forecast_many(self, histories: Sequence[History]) -> list[Forecast]:
        """Forecast each history from what is left of it."""
        return self.forecaster.forecast_many([without(h, self.parts) for h in histories])


class BaselineToldLess:
    """A baseline that learns from, and predicts, histories without some parts."""

    def __init__(self, baseline: Baseline, parts: tuple[str, ...]) -> None:
        self.baseline, self.parts, self.name = baseline, parts, baseline.name

    def fit(self, runs: Sequence[Run]) -> Self:
        """Learn from runs without the parts."""
        seen = [
            run.model_copy(update={"history": without(run.history, self.parts)}) for run in runs
        ]
        self.baseline.fit(seen)
        return self

    def predict(self, histories: Sequence[History]) -> Array:
        """[history, target] final values."""
        return self.baseline.predict([without(h, self.parts) for h in histories])
