"""SimpSOM: hexagons with odd rows shifted; it has its data from the start, as float32.

Online, `update_sigma` is called once an iteration. In batches the weights are a local variable of
its loop: they are seen when it measures their distances to the data, first thing in an iteration.
Its batches know no torus (`PBC` bends only the online kernel), and its learning rate grows.
"""

from __future__ import annotations

from math import exp, log
from typing import Any

import numpy as np

from oracle.history.grids import Grid
from oracle.integrations.own_training import OwnTraining, Plan, Seam, Stopped, watched_calls


class Training(OwnTraining):
    """One `train` of a `simpsom.SOMNet`."""

    takes_data = False
    count = "epochs"
    #: The weights of a batch training, [neuron, feature].
    _seen: Any = None

    def weights(self) -> Any:
        """Give the nodes' weights in rows and columns: its list runs down the columns."""
        nodes = self._seen
        if nodes is None:
            nodes = np.array([node.weights for node in self.som.node_list])
        shape = self.som.net_width, self.som.net_height, -1
        return np.asarray(nodes).reshape(shape).transpose(1, 0, 2)

    def grid(self) -> Grid:
        """Tell the hexagons, closed where the training closes them."""
        closed = bool(self.som.PBC) and not self._is_batch
        return Grid("odd-r", closed, closed, skewed=True)

    def kind(self) -> dict[str, Any]:
        """Tell size and kernel; how the weights began is not kept."""
        return {
            "map_rows": self.som.net_height,
            "map_cols": self.som.net_width,
            "neighborhood": "gaussian",
        }

    def samples(self) -> Any:
        """Give the data that the map holds."""
        return np.asarray(self.som.data, dtype=float)

    def plan(self) -> Plan:
        """Follow its formulas: the radius falls from half the longer side to 1."""
        total = self.given["epochs"]
        if total == -1:
            total = len(self.som.data) * 10
        wide = max(self.som.net_height, self.som.net_width) / 2
        start = self.given["start_learning_rate"]

        def radius(t: int) -> float:
            return float(wide * exp(-t * log(wide) / total))

        def rate(t: int) -> float:
            return float(start * exp(t / total))

        batch = self._is_batch
        each = len(self.som.data) if batch else 1
        return Plan(total, each, radius=radius, rate=None if batch else rate)

    def run(self, seam: Seam) -> None:
        """Watch what an iteration begins with."""
        if not self._is_batch:
            self.between("update_sigma", seam)
            return
        step: int | None = None
        steps = 0

        def begins(n_iter: int) -> None:
            nonlocal step, steps
            step, steps = n_iter, n_iter + 1

        def measures(batch: Any, weights: Any, **kwargs: Any) -> None:
            nonlocal step
            done, step = step, None  # only the first of an iteration shows its map
            if done:
                self._seen = weights
                seam(done)

        try:
            with (
                watched_calls(self.som, "update_sigma", begins),
                watched_calls(self.som.interface, "pairdist", measures),
            ):
                self.trained()
            self._seen = None
            seam.end(steps)
        except Stopped:
            for node, weights in zip(self.som.node_list, self._seen, strict=True):
                node.weights = weights
            raise

    def fields(self, *, with_plan: bool = True) -> dict[str, Any]:
        """Tell what is known; whether a map with PBC is a torus hangs on how it will be trained."""
        found = super().fields(with_plan=with_plan)
        return found if with_plan or not self.som.PBC else {**found, "toroidal": None}

    @property
    def _is_batch(self) -> bool:
        return bool(self.given["train_algo"] == "batch")


planned = Training.planned
