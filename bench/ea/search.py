"""One search: its budget of epochs, its maps, and the record of what it found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.ea.libraries import LIBRARIES
from collector.sources import load_dataset
from oracle.decision.hypervolume import hypervolume
from oracle.hook.fitness import Fitness
from oracle.search.table import Table

#: Runs that the budget of a search pays for.
RUNS = 60
OBJECTIVES = ("mqe", "topographic_error")
#: Kind of search -> what it minimises.
SEARCHES: dict[str, tuple[str, ...]] = {"single": ("score",), "multi": OBJECTIVES}
#: Corner of the hypervolume: mqe_of_mean, and all samples out of order.
CORNER = np.array([1.0, 1.0])


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
        library: whose maps, by its name in LIBRARIES.
        table: dataset, e.g. wine-standard.
        seed: of the search and its runs.
        objectives: what is minimised.
        budget: runs' worth of epochs.
    """

    def __init__(
        self, library: str, table: str, seed: int, objectives: tuple[str, ...], budget: int
    ) -> None:
        self.library = LIBRARIES[library]
        self.data = load_dataset(table)
        self.table = Table.of(self.data)
        self.seed, self.objectives, self.budget = seed, objectives, budget
        self.trace, self._found = Trace(), list[Fitness]()
        self._epochs, self._start = 0.0, (time.process_time(), time.perf_counter())

    @property
    def left(self) -> bool:
        """Whether there is budget for another run."""
        return self._epochs < self.budget

    def som(self, genes: Sequence[float]) -> tuple[Any, str]:
        """Build the map of a genome in 0..1, and tell how it was initialised."""
        drawn = (np.clip(np.asarray(genes, dtype=float), 0.0, 1.0) * 1e6).astype(int)
        seed = int(np.random.default_rng([self.seed, *drawn]).integers(2**31))
        return self.library.som(genes, self.data, seed)

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
