"""XPySom: batch training that its own `train` does in pieces.

    run = train_map(som, data, 100)

Its Gaussian's standard deviation is `std_coeff` (0.5) times its sigma, and its batch rule divides
by the learning rate what it multiplied by it, so that there is none.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from oracle.history.grids import Grid
from oracle.integrations.own_training import OwnTraining, Plan, Seam

_GAUSSIANS = ("gaussian", "mexican_hat")


class Training(OwnTraining):
    """One `train` of an `xpysom.XPySom`."""

    count = "num_epochs"

    def weights(self) -> Any:
        """Give the weights, from whichever device they are on."""
        return self.som.get_weights()

    def grid(self) -> Grid:
        """Tell its grid: MiniSom's."""
        return Grid(self.som.topology)

    def kind(self) -> dict[str, Any]:
        """Tell the kernel."""
        return {"neighborhood": self.som.neighborhood_func_name}

    def plan(self) -> Plan:
        """Ask its own decay."""
        som, total = self.som, self.given["num_epochs"]
        reach = som._std_coeff if som.neighborhood_func_name in _GAUSSIANS else 1.0

        def radius(t: int) -> float:
            return reach * float(som._decay_function(som._sigma, som._sigmaN, t, total))

        return Plan(total, len(self.data), radius=radius)

    def run(self, seam: Seam) -> None:
        """Train from checkpoint to checkpoint."""
        for done, until in pairwise((0, *seam.at)):
            self.call.arguments.update(iter_beg=done, iter_end=until)
            self.trained()
            seam(until)


planned = Training.planned
