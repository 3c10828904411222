"""awesom's IncrementalMap: online in epochs, a step a sample; its update is computed in each."""

from __future__ import annotations

from typing import Any

import numpy as np

from oracle.integrations.own_training import OwnTraining, Plan, Seam


class Training(OwnTraining):
    """One `fit` of an `awesom.som.IncrementalMap`."""

    method = "fit"

    def weights(self) -> Any:
        """Give the weights in rows and columns."""
        return np.reshape(self.som.weights, (*self.som.shape, -1))

    def kind(self) -> dict[str, Any]:
        """Tell size and kernel; how the weights began is not kept."""
        rows, cols = self.som.shape
        kernel = self.som._neighbourhood.__name__
        return {"map_rows": rows, "map_cols": cols, "neighborhood": kernel}

    def plan(self) -> Plan:
        """Ask its own decays, which stand still within an epoch."""
        som, n = self.som, len(self.data)
        its = type(som).fit.__globals__
        decays, ends = its["utils"], its["defaults"]
        rates = list(decays.decrease_linear(som.init_eta, som.n_iter, ends.FINAL_ETA))
        radii = list(decays.decrease_expo(som.init_nhr, som.n_iter, ends.FINAL_NHR))
        return Plan(
            som.n_iter * n,
            radius=lambda t: float(radii[t // n]),
            rate=lambda t: float(rates[t // n]),
        )

    def run(self, seam: Seam) -> None:
        """Watch its updates."""
        self.between("_compute_update", seam)


planned = Training.planned
