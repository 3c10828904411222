"""Forecast: the three final values of a run with their uncertainty, and which model gave them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Self

import numpy as np
from pydantic import Field, PrivateAttr

from oracle.errors import InvalidHistory, must_be
from oracle.types.fields import (
    LEVELS,
    Finite,
    FloatArray,
    Frozen,
    NonNegative,
    Ratio,
    RunId,
)
from oracle.types.history import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from oracle.forecast.forecaster import Oracle
    from oracle.types.explanation import Explanation


class Scale(StrEnum):
    """Units of mqe inside a quality score."""

    RAW = "raw"  # input-space units, as measured: not comparable between tables
    RELATIVE = "relative"  # mqe / mqe_of_mean: comparable between tables


class ModelInfo(Frozen):
    """Which model answered.

    Attributes:
        name: of the model, as `oracle models list` shows it.
        version: of the model, e.g. 1.0.0.
        sha256: digest of its files: equal digests answer equally.
    """

    name: str
    version: str
    sha256: str


class QualityForecast(Frozen):
    """Distribution of the quality score, on the scale it names.

    Attributes:
        scale: units of mqe inside the score.
        weights: after METRICS.
        values: the score at each of LEVELS.
    """

    scale: Scale
    weights: tuple[NonNegative, NonNegative, NonNegative]
    values: tuple[Finite, ...]


class Curve(Frozen):
    """The way to the end: the metrics' quantiles at shares of what is left of the run.

    Attributes:
        of_the_rest: shares of what is left, increasing; 1 = the end, as in `Forecast.final`.
        mqe, topographic_error, dead_neuron_ratio: [share][level], the run's own units.
    """

    of_the_rest: tuple[Ratio, ...]
    mqe: tuple[tuple[Finite, ...], ...]
    topographic_error: tuple[tuple[Finite, ...], ...]
    dead_neuron_ratio: tuple[tuple[Finite, ...], ...]


class Learned(Frozen):
    """What runs of the table that ended have changed in a forecast (`oracle.forecast.residuals`).

    Attributes:
        runs: how many there were.
        shift, spread: target -> the forecast's level u became Phi(shift + spread Phi^-1(u)).
    """

    runs: Annotated[int, Field(ge=1)]
    shift: tuple[Finite, Finite, Finite]
    spread: tuple[Ratio, Ratio, Ratio]


class Forecast(Frozen):
    """The three final values with their uncertainty, in the history's own units.

    Attributes:
        draws: [draw, target] joint outcomes, in process only, never on the wire.
        run_id: name of the run, where the history has one.
        progress: share of the budget seen, None where unknown.
        n_checkpoints: checkpoints it rests on; 0 = the plan alone.
        model: which model gave it.
        levels: quantile levels of all values here, increasing.
        final: target -> value at each of `levels`, non-decreasing.
        curve: the way there; None from a service that does not tell it.
        quality: the joint quality score, raw always, relative where mqe_of_mean is known.
        coverage: share of outcomes expected within the outer levels (0.90).
        support: how much the history resembles the training data, 0..1.
        will_worsen: P(final mqe ends more than 5 % above the best mqe seen).
        mqe_of_mean: scale of the table, input-space units; None where unknown.
        learned: what runs of the table that ended have changed; None where none had a say.
    """

    run_id: RunId | None = None
    progress: float | None
    n_checkpoints: int
    model: ModelInfo
    levels: tuple[float, ...] = LEVELS
    final: dict[str, tuple[Finite, ...]]
    curve: Curve | None = None
    quality: tuple[QualityForecast, ...]
    coverage: float
    support: Ratio
    will_worsen: Ratio
    mqe_of_mean: float | None = None
    learned: Learned | None = None
    _draws: FloatArray | Callable[[], FloatArray] | None = PrivateAttr(default=None)

    def __eq__(self, other: object) -> bool:
        # The draws follow from the rest, and arrays do not compare to one truth value.
        return isinstance(other, Forecast) and self.__dict__ == other.__dict__

    @property
    def draws(self) -> FloatArray | None:
        """Joint outcomes [draw, target], raw units; None after a trip over the wire."""
        private = self.__pydantic_private__  # past pydantic's search for it, 10 us a decision
        if not private:
            return None
        if callable(private["_draws"]):
            private["_draws"] = private["_draws"]()
        draws: FloatArray | None = private["_draws"]
        return draws

    @property
    def is_drawn(self) -> bool:
        """Whether its joint draws are there, and finite.

        Those that an oracle has still to make are as finite as the quantiles, which are checked.
        """
        draws = (self.__pydantic_private__ or {}).get("_draws")
        return callable(draws) or (draws is not None and bool(np.isfinite(draws).all()))

    def with_draws(self, draws: FloatArray | Callable[[], FloatArray]) -> Self:
        """Attach the joint draws (kept out of the wire format), or what makes them when asked."""
        private = {"_draws": draws}  # its only one, at a fraction of the time of setting it
        object.__setattr__(self, "__pydantic_private__", private)
        return self

    def median(self, target: str) -> float:
        """The forecast of `target` at level 0.5."""
        return self.final[target][self.levels.index(0.5)]

    def plot(self, history: History | None = None, came: History | None = None) -> Figure:
        """Draw the forecast as a Matplotlib figure; with its history, as a fan that leaves it.

        Args:
            history: the one it was made for.
            came: the same run to a later checkpoint, drawn beside the forecast.
        """
        from oracle.pictures.fan import draw  # the one late arrow upward, see test_layers

        return draw(self, history, came=came)

    def explain(self, history: History, oracle: Oracle | None = None) -> Explanation:
        """Tell what each checkpoint and each part of the plan contributed, see `Oracle.explain`.

        Args:
            history: the one it was made for.
            oracle: the one that made it; None = the active one is loaded, if it is the same.

        Raises:
            InvalidHistory: another oracle's forecast, or another history's.
        """
        from oracle.forecast.forecaster import Oracle  # a late arrow upward, see test_layers

        oracle = oracle or Oracle.load()
        if oracle.info.sha256 != self.model.sha256:
            asked = f"{oracle.info.name} {oracle.info.version}"
            rule = f"the one that made the forecast, {self.model.name} {self.model.version}"
            raise InvalidHistory(must_be("oracle", rule, asked, "Pass it as `oracle=`."))
        if len(history) != self.n_checkpoints:
            rule = f"the forecast's own, with {self.n_checkpoints} checkpoints"
            raise InvalidHistory(must_be("history", rule, len(history)))
        return oracle.explain(history)

    def quality_on(self, scale: Scale) -> QualityForecast | None:
        """The quality score's distribution on `scale`, None where the scale is unknown."""
        return next((q for q in self.quality if q.scale == scale), None)
