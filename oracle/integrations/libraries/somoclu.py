"""Somoclu: batch training in C++, an epoch at a time with the radius and scale of that epoch.

Its cooling is done again here in its own single precision, so that the epochs one by one make the
weights that they make in one call, bit for bit; the price is that the winners of each epoch are
looked up once more. A random start is drawn from the clock: two trainings differ by it.
On hexagons its kernel rounds half steps down (an unsigned number); neighbours are as drawn, odd-r.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oracle.history.grids import Grid
from oracle.integrations.own_training import OwnTraining, Plan, Seam

#: What C++ takes for a radius or a scale of 0.
_SCALE, _RADIUS_END = 0.1, 1.0


class Training(OwnTraining):
    """One `train` of a `somoclu.Somoclu`."""

    count = "epochs"

    def weights(self) -> Any:
        """Give the codebook in rows and columns."""
        shape = self.som._n_rows, self.som._n_columns, -1
        return np.reshape(self.som.codebook, shape)

    def grid(self) -> Grid:
        """Tell grid and borders."""
        closed = self.som._map_type == "toroid"
        name = "odd-r" if self.som._grid_type == "hexagonal" else "rectangular"
        return Grid(name, closed, closed)

    def kind(self) -> dict[str, Any]:
        """Tell size, kernel and initialisation."""
        som = self.som
        return {
            "map_rows": som._n_rows,
            "map_cols": som._n_columns,
            "neighborhood": som._neighborhood,
            "initialization": som._initialization if som.codebook is None else None,
        }

    def samples(self) -> Any:
        """Give the data in its own single precision."""
        data = self.som._data if self.data is None else self.data
        return np.asarray(np.asarray(data, dtype=np.float32), dtype=float)

    def plan(self) -> Plan:
        """Cool as it does; a Gaussian's deviation is `std_coeff` times the radius."""
        som, total = self.som, self.given["epochs"]
        reach = som._std_coeff if som._neighborhood == "gaussian" else 1.0
        return Plan(total, len(self.samples()), radius=lambda t: reach * self._cooled(t)[0])

    def run(self, seam: Seam) -> None:
        """Train epoch by epoch: the first value of an exponential cooling is the one given."""
        if self.given["epochs"] == 1:  # there is nothing to cool, nor to take apart
            self.trained()
            seam(1)
            return
        arguments = self.call.arguments
        cooled = [self._cooled(t) for t in range(self.given["epochs"])]
        exponential = {"radiuscooling": "exponential", "scalecooling": "exponential"}
        for done, (radius, scale) in enumerate(cooled, 1):
            arguments.update(exponential, epochs=1, radius0=radius, radiusN=1.0)
            arguments.update(scale0=scale, scaleN=scale)
            if scale:  # an update by nothing; 0 would be taken for the default
                self.trained()
            arguments["data"] = None  # it keeps them
            seam(done)

    def _cooled(self, t: int) -> tuple[float, float]:
        """Give radius and scale of an epoch, as single precision makes them."""
        a = self._told
        start = a["radius0"] or min(self.som._n_columns, self.som._n_rows) / 2
        radius = _cooling(a["radiuscooling"], start, a["radiusN"] or _RADIUS_END, a["epochs"], t)
        scale = _cooling(a["scalecooling"], a["scale0"] or _SCALE, a["scaleN"], a["epochs"], t)
        return radius, scale

    @property
    def _told(self) -> dict[str, Any]:
        if not hasattr(self, "_kept"):
            self._kept = dict(self.given)  # `run` changes them from epoch to epoch
        return self._kept


def _cooling(kind: str, start: float, end: float, epochs: int, t: int) -> float:
    """Follow linearCooling and exponentialCooling of its training.cpp."""
    first, last, n = np.float32(start), np.float32(end), np.float32(epochs)
    if kind == "linear":
        step = (first - last) / (n - np.float32(1)) if epochs > 1 else np.float32(0)
        return float(first - np.float32(t) * step)
    # Its logarithm and exponential are those of single precision, which are rounded double ones
    # but for one epoch in a thousand.
    if last == 0:
        fall = np.float32(-np.log(0.1) / float(n))
    else:
        fall = -np.float32(np.log(float(last / first))) / n
    return float(first * np.float32(np.exp(float(-np.float32(t) * fall))))


planned = Training.planned
