"""susi's SOMClustering, and the unsupervised part of its regressor and classifier.

Its own function for the radius is called once an iteration, before the map moves. What comes after
(the winners; a supervised training) is done at a stop as well: the map is whole.
"""

from __future__ import annotations

import copy
from typing import Any

from oracle.integrations.own_training import OwnTraining, Plan, Seam, Stopped, in_place


class Training(OwnTraining):
    """One `fit` of a `susi.SOMClustering`."""

    method = "fit"

    def weights(self) -> Any:
        """Give the unsupervised map."""
        return self.som.unsuper_som_

    def kind(self) -> dict[str, Any]:
        """Tell size, kernel and initialisation."""
        return {
            "map_rows": self.som.n_rows,
            "map_cols": self.som.n_columns,
            "neighborhood": self.som.nbh_dist_weight_mode,
            "initialization": self.som.init_mode_unsupervised,
        }

    def plan(self) -> Plan:
        """Ask its own formulas, on a copy that is set as its training sets it."""
        som = copy.copy(self.som)
        total = som.max_iterations_ = som.n_iter_unsupervised
        som.radius_max_, som.radius_min_ = max(som.n_rows, som.n_columns) / 2, 1
        online = som.train_mode_unsupervised == "online"

        def radius(t: int) -> float:
            return float(som._calc_neighborhood_func(t, som.neighborhood_mode_unsupervised))

        def rate(t: int) -> float:
            return float(som._calc_learning_rate(t, som.learn_mode_unsupervised))

        each = 1 if online else len(self.data)
        return Plan(total, each, radius=radius, rate=rate if online else None)

    def run(self, seam: Seam) -> None:
        """Watch the radius while the unsupervised map is trained."""
        som = self.som
        unsupervised = som._train_unsupervised_som

        def train() -> None:
            try:
                self.between("_calc_neighborhood_func", seam, train=unsupervised)
            except Stopped:
                som._set_bmus(som.X_)

        with in_place(som, "_train_unsupervised_som", train):
            self.trained()


planned = Training.planned
