"""GEMA: online on a square map, a disc that shrinks to nothing; its rate is asked in each step."""

from __future__ import annotations

from typing import Any

from oracle.history.context import table
from oracle.integrations.own_training import OwnTraining, Plan, Seam


class Training(OwnTraining):
    """One `train` of a `GEMA.Map`."""

    def weights(self) -> Any:
        """Give the weights."""
        return self.som.weights

    def kind(self) -> dict[str, Any]:
        """Tell size, kernel and initialisation."""
        som = self.som
        return {
            "map_rows": som.map_size,
            "map_cols": som.map_size,
            # Its Gaussian ends at the radius, too.
            "neighborhood": "cut_gaussian" if som.use_decay else "bubble",
            "initialization": som.weights_init,
        }

    def samples(self) -> Any:
        """Give the data as the map sees them: in its own normalisation."""
        return self.som._Map__normalize(table(self.data)[0], self.som.normalization)

    def plan(self) -> Plan:
        """Ask its own formulas; it counts from 1."""
        som, last = self.som, 1 if self.som.use_decay else 0

        def radius(t: int) -> float:
            return float(
                type(som).variation_neighbourhood(som.neighbourhood, t + 1, som.period, last)
            )

        def rate(t: int) -> float:
            return float(type(som).variation_learning_rate(som.initial_lr, t + 1, som.period))

        return Plan(som.period, radius=radius, rate=rate)

    def run(self, seam: Seam) -> None:
        """Watch its learning rate."""
        self.between("variation_learning_rate", seam)


planned = Training.planned
