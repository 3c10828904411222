"""fastersom: batch training on the device it finds; each epoch begins with its search for winners.

Its weights are a local variable of its loop: the search is handed them.
"""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np

from oracle.integrations.own_training import OwnTraining, Plan, Seam, Stopped, watched_calls


class Training(OwnTraining):
    """One `fit` of a `fastersom.SOM`."""

    method = "fit"
    #: The weights of the epoch that begins, a tensor [neuron, feature].
    _seen: Any = None

    def weights(self) -> Any:
        """Give the weights in rows and columns, from whichever device they are on."""
        weights = self.som.weights_ if self._seen is None else self._seen.cpu().numpy()
        return np.reshape(weights, (self.som.n_rows, self.som.n_cols, -1))

    def kind(self) -> dict[str, Any]:
        """Tell size, kernel and initialisation."""
        som = self.som
        return {
            "map_rows": som.n_rows,
            "map_cols": som.n_cols,
            "neighborhood": "gaussian",
            "initialization": som.init if isinstance(som.init, str) else None,
        }

    def plan(self) -> Plan:
        """Follow its formula."""
        som = self.som
        wide = som.sigma_initial
        if wide is None:
            wide = ceil(min(som.n_rows, som.n_cols) / 2) / 2
        narrow = 0.1 * wide if som.sigma_final is None else som.sigma_final
        total = som.n_epochs
        return Plan(total, len(self.data), radius=lambda t: wide * (narrow / wide) ** (t / total))

    def run(self, seam: Seam) -> None:
        """Watch its searches; at a stop keep the weights that were seen."""
        som, calls = self.som, 0

        def searches(weights: Any, *args: Any, **kwargs: Any) -> None:
            nonlocal calls
            if calls > som.n_epochs - 1:  # the winners of the finished map
                return
            self._seen = weights
            if calls:
                seam(calls)
            calls += 1

        try:
            with watched_calls(som, "_search", searches):
                self.trained()
            self._seen = None
            seam.end(calls)
        except Stopped:
            som._set_weights(self._seen)
            found = som._bmus(som._check_X(self.data), self._seen, return_distance=False)
            som.labels_ = found[0].cpu().numpy()
            raise


planned = Training.planned
