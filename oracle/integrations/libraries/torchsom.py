"""torchsom: batches shuffled anew each epoch; its update is called once a batch.

Neighbours are those of hexagons with odd rows shifted, as its own topographic error counts them.
"""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np

from oracle.history.grids import Grid
from oracle.integrations.own_training import OwnTraining, Plan, Seam


class Training(OwnTraining):
    """One `fit` of a `torchsom.SOM`."""

    method = "fit"

    def handed(self) -> Any:
        """Give the data as a tensor; an array is made one."""
        if hasattr(self.data, "dim"):
            return self.data
        return self.som.weights.new_tensor(np.asarray(self.data))

    def samples(self) -> Any:
        """Give the data as the map sees them, from whichever device they are on."""
        tensor = self.handed().detach().cpu()
        return np.asarray(tensor.numpy(), dtype=float)

    def weights(self) -> Any:
        """Give the weights, from whichever device they are on."""
        return self.som.weights.detach().cpu().numpy()

    def grid(self) -> Grid:
        """Tell grid and borders."""
        name = "odd-r" if self.som.topology == "hexagonal" else "rectangular"
        return Grid(name, bool(self.som.pbc), bool(self.som.pbc))

    def kind(self) -> dict[str, Any]:
        """Tell size, kernel and initialisation: rows of length 1 are its constructor's draw."""
        som = self.som
        drawn = np.allclose(np.linalg.norm(self.weights(), axis=-1), 1.0, atol=1e-5)
        asked = {"random": "sample"}.get(som.initialization_mode, som.initialization_mode)
        return {
            "map_rows": som.x,
            "map_cols": som.y,
            "neighborhood": som.neighborhood_fn_name,
            "initialization": "random" if drawn else asked,
        }

    def plan(self) -> Plan:
        """Read its schedules."""
        som, n = self.som, len(self.handed())
        return Plan(
            som.epochs,
            n,
            min(som.batch_size, n),
            radius=lambda t: float(som.sigma_schedule[t]),
            rate=lambda t: float(som.lr_schedule[t]),
        )

    def run(self, seam: Seam) -> None:
        """Watch its updates."""
        batches = ceil(len(self.handed()) / self.som.batch_size)
        self.between("_update_weights", seam, each=batches)


planned = Training.planned
