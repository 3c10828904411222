"""zsom: batches of the whole table; its update is called once an epoch."""

from __future__ import annotations

from math import exp
from typing import Any

from oracle.history.grids import Grid
from oracle.integrations.own_training import OwnTraining, Plan, Seam


class Training(OwnTraining):
    """One `fit` of a `zsom.SOM`."""

    method = "fit"
    count = "epochs"

    def weights(self) -> Any:
        """Give the weights; its columns come first, and stand for rows here."""
        return self.som.weights

    def grid(self) -> Grid:
        """Tell its grid."""
        return Grid("odd-q" if self.som.topology == "hex" else "rectangular")

    def kind(self) -> dict[str, Any]:
        """Tell the kernel; how the weights began is not kept."""
        return {"neighborhood": "gaussian"}

    def plan(self) -> Plan:
        """Follow its formulas; a rate that adapts to the error is no plan."""
        given, total = self.given, self.given["epochs"]
        falls = (given.get("decay_schedule") or self.som.decay_schedule) == "exponential"
        wide, start = self.som.w / 2, given["learning_rate"]

        def radius(t: int) -> float:
            share = exp(-3 * t / total) if falls else 1 - 0.85 * t / total
            return max(1.0, float(wide * share))

        def rate(t: int) -> float:
            return float(start * (exp(-3 * t / total) if falls else 1 - 0.8 * t / total))

        if given.get("adaptive_lr"):
            return Plan(total, len(self.data), radius=None if falls else radius)
        return Plan(total, len(self.data), radius=radius, rate=rate)

    def run(self, seam: Seam) -> None:
        """Watch its updates."""
        self.between("update_weights", seam)


planned = Training.planned
