"""sklearn-som: online, a radius that stays, a rate that falls to 0; a step is a sample.

Its kernel is exp(-d^2 / sigma^2), a Gaussian of 0.71 sigma; `max_iter` (3000) may cut a training.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

from oracle.integrations.own_training import OwnTraining, Plan, Seam, Stopped


class Training(OwnTraining):
    """One `fit` of a `sklearn_som.som.SOM`."""

    method = "fit"
    count = "epochs"

    def weights(self) -> Any:
        """Give the weights in rows and columns."""
        return self.som.cluster_centers_

    def kind(self) -> dict[str, Any]:
        """Tell size and kernel; the first training starts from its own normal weights."""
        return {
            "map_rows": self.som.m,
            "map_cols": self.som.n,
            "neighborhood": "gaussian",
            "initialization": None if self.som._trained else "random",
        }

    def plan(self) -> Plan:
        """Follow its loop: one step is one sample."""
        som, all_steps = self.som, self.given["epochs"] * len(self.data)
        falls_over = min(all_steps, som.max_iter)
        first = som.lr  # that of an earlier training stays until the first step is done

        def rate(t: int) -> float:
            return float((1 - t / falls_over) * som.initial_lr) if t else float(first)

        # It looks whether `max_iter` is passed, so it does one step more.
        total = min(all_steps, som.max_iter + 1)
        return Plan(total, radius=lambda t: som.sigma / sqrt(2), rate=rate)

    def run(self, seam: Seam) -> None:
        """Watch its steps; at a stop do what it does after the last one."""
        try:
            self.between("step", seam)
        except Stopped:
            som = self.som
            som._inertia_ = sum(float(som._compute_point_intertia(x)) for x in self.data)
            som._n_iter_, som._trained = seam.done, True
            raise


planned = Training.planned
