"""One search: its budget of epochs, its maps, and the record of what it found."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from minisom import MiniSom

from collector.sources import load_dataset
from oracle.decision.hypervolume import hypervolume
from oracle.hook.fitness import Fitness
from oracle.integrations.minisom import RADII, RATES
from oracle.search.minisom import INITIALIZATIONS
from oracle.search.table import Table

#: Updates of a whole run, and runs that the budget of a search pays for.
UPDATES, RUNS = 5000, 60
#: Shares of a run at which a watched run is measured.
LOOKS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
OBJECTIVES = ("mqe", "topographic_error")
#: Kind of search -> what it minimises.
SEARCHES: dict[str, tuple[str, ...]] = {"single": ("score",), "multi": OBJECTIVES}
#: Corner of the hypervolume: mqe_of_mean, and all samples out of order.
CORNER = np.array([1.0, 1.0])
GENES = 7


def parameters_of(genes: Sequence[float]) -> dict[str, Any]:
    """Read a genome in 0..1 as the parameters of `oracle.search.minisom`."""
    g = np.clip(np.asarray(genes, dtype=float), 0.0, 1.0)
    x, y = 4 + int(g[0] * 10.99), 4 + int(g[1] * 10.99)
    return {
        "x": x,
        "y": y,
        "sigma": 0.3 + g[2] * 0.6 * min(x, y),
        "learning_rate": 10 ** (-2.5 + 2.5 * g[3]),
        "decay_function": RATES[min(2, int(g[4] * 3))],
        "sigma_decay_function": RADII[min(2, int(g[5] * 3))],
        "neighborhood_function": "gaussian",
        "topology": "rectangular",
        "initialization": tuple(INITIALIZATIONS)[min(2, int(g[6] * 3))],
    }


@dataclass
class Trace:
    """How a search went, one entry a run: what was spent so far and the best found so far."""

    epochs: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    stopped: int = 0


class Search:
    """A budget of epochs, the watch over it, and the record of what it found.

    Args:
        table: dataset, e.g. wine-standard.
        seed: of the search and its runs.
        objectives: what is minimised.
        budget: runs' worth of epochs.
    """

    def __init__(self, table: str, seed: int, objectives: tuple[str, ...], budget: int) -> None:
        self.data = load_dataset(table)
        self.table = Table.of(self.data)
        self.seed, self.objectives, self.budget = seed, objectives, budget
        self.trace, self._found = Trace(), list[Fitness]()
        self._epochs, self._start = 0.0, (time.process_time(), time.perf_counter())

    @property
    def left(self) -> bool:
        """Whether there is budget for another run."""
        return self._epochs < self.budget

    def som(self, genes: Sequence[float]) -> tuple[MiniSom, str]:
        """Build the map of a genome in 0..1, and tell how it was initialised."""
        settings = parameters_of(genes)
        kind = settings.pop("initialization")
        drawn = (np.clip(np.asarray(genes, dtype=float), 0.0, 1.0) * 1e6).astype(int)
        seed = int(np.random.default_rng([self.seed, *drawn]).integers(2**31))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MiniSom's advice on what the search tries
            som = MiniSom(input_len=self.data.shape[1], random_seed=seed, **settings)
        if begin := INITIALIZATIONS[kind]:
            getattr(som, begin)(self.data)
        return som, kind

    def record(self, fitness: Fitness, spent: float) -> Fitness:
        """Enter a run that used the share `spent` of its epochs."""
        self._epochs += spent
        if not fitness.censored:
            self._found.append(fitness)
        trace = self.trace
        trace.stopped += fitness.censored
        trace.epochs.append(round(self._epochs / self.budget, 5))
        trace.best.append(round(self._best(), 6))
        trace.cpu_s.append(round(time.process_time() - self._start[0], 4))
        trace.wall_s.append(round(time.perf_counter() - self._start[1], 4))
        return fitness

    def _best(self) -> float:
        """Lowest score found, or hypervolume found."""
        if len(self.objectives) == 1:
            return min((f.objectives(self.objectives)[0] for f in self._found), default=np.inf)
        points = [(f.mqe / (f.mqe_of_mean or 1.0), f.topographic_error or 0.0) for f in self._found]
        inside = np.array([p for p in points if (np.array(p) < CORNER).all()]).reshape(-1, 2)
        return hypervolume(inside, CORNER) if len(inside) else 0.0
