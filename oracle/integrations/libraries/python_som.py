"""python-som: its radius decay is the user's own function, and is called once an iteration."""

from __future__ import annotations

import copy
from typing import Any

from oracle.history.grids import Grid
from oracle.integrations.own_training import OwnTraining, Plan, Seam


class Training(OwnTraining):
    """One `train` of a `python_som.SOM`."""

    count = "n_iteration"

    def weights(self) -> Any:
        """Give the models."""
        return self.som.get_weights()

    def grid(self) -> Grid:
        """Tell which of its axes are cyclic."""
        return Grid("rectangular", *self.som._cyclic)

    def kind(self) -> dict[str, Any]:
        """Tell the kernel."""
        return {"neighborhood": _text(self.som._neighborhood_function_name)}

    def plan(self) -> Plan:
        """Ask the map's own decays, of a copy: a user's may keep state."""
        som, mode = self.som, _text(self.given["mode"])
        total = self.given["n_iteration"]
        if total is None:
            a_sample = type(som).train.__globals__["DEFAULT_ITERATIONS_PER_SAMPLE"]
            total = a_sample[mode] * len(self.data)
        batch = mode == "batch"
        each = len(self.data) if batch else 1
        try:
            narrow, slow = copy.deepcopy((som._neighborhood_radius_decay, som._learning_rate_decay))
        except (TypeError, copy.Error):  # the question must not change the training
            return Plan(total, each)

        def radius(t: int) -> float:
            width = narrow(som._neighborhood_radius, t, total)
            return max(float(width), float(som._min_neighborhood_radius))

        def rate(t: int) -> float:
            return float(slow(som._learning_rate, t, total))

        return Plan(total, each, radius=radius, rate=None if batch else rate)

    def run(self, seam: Seam) -> None:
        """Watch the decay of the radius."""
        self.between("_neighborhood_radius_decay", seam)


def _text(name: Any) -> str:
    """Read one of its enumerations, or the text that may stand for it."""
    return str(getattr(name, "value", name))


planned = Training.planned
