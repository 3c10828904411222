"""IntraSOM: a rough and a fine phase of batch training on normalised data that it holds.

Its radius falls within each phase and may jump up between them. Its kernel is exp(-d^p / 2r^2)
with d in steps on hexagons and p its `dist_factor` (2): a Gaussian of r^(2/p).
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from oracle.history.grids import Grid
from oracle.integrations.own_training import OwnTraining, Plan, Seam, Stopped


class Training(OwnTraining):
    """One `train` of an `intrasom` SOM."""

    takes_data = False
    count = None

    def weights(self) -> Any:
        """Give the codebook in rows and columns."""
        cols, rows = self.som.mapsize
        return np.asarray(self.som.codebook.matrix).reshape(rows, cols, -1)

    def grid(self) -> Grid:
        """Tell lattice and borders."""
        closed = self.som.mapshape == "toroid"
        return Grid("odd-r" if self.som.lattice == "hexa" else "rectangular", closed, closed)

    def kind(self) -> dict[str, Any]:
        """Tell size, kernel and initialisation."""
        cols, rows = self.som.mapsize
        return {
            "map_rows": rows,
            "map_cols": cols,
            "neighborhood": self.som.neighborhood.name,
            "initialization": None if self.som.load_param else self.som.initialization,
        }

    def samples(self) -> Any:
        """Give the data as the map sees them: normalised."""
        return np.asarray(self.som.get_data, dtype=float)

    def plan(self) -> Plan:
        """Ask its two phases what they would train, on a copy that trains nothing."""
        radii = np.concatenate([np.linspace(first, last, n) for n, first, last in self._phases()])
        power = 2.0 / self.som.dist_factor if self.som.lattice == "hexa" else 1.0
        share = self.given["bootstrap_proportion"] if self.given["bootstrap"] else 1.0
        samples = int(share * len(self.samples()))
        return Plan(len(radii), samples, radius=lambda t: float(radii[t]) ** power)

    def run(self, seam: Seam) -> None:
        """Watch its updates; at a stop look up the winners, as it does in each of its epochs."""
        try:
            self.between("_update_codebook_voronoi", seam)
        except Stopped:
            som = self.som
            som._bmu = som._find_bmu(som.get_data, njb=1, pace_size=som.pace_size)
            raise

    def _phases(self) -> list[tuple[int, float, float]]:
        phases: list[tuple[int, float, float]] = []

        def noted(length: int, first: float, last: float, *others: Any) -> None:
            phases.append((length, first, last))

        som, given = copy.copy(self.som), self.given
        som._batchtrain = noted
        for name, phase in (("rough", som.rough_train), ("finetune", som.finetune_train)):
            phase(
                trainlen=given[f"train_{name}_len"],
                radiusin=given[f"train_{name}_radiusin"],
                radiusfin=given[f"train_{name}_radiusfin"],
                train_len_factor=given["train_len_factor"],
                maxtrainlen=given["maxtrainlen"],
            )
        return phases


planned = Training.planned
