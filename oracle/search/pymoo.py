"""pymoo: first generations and offspring drawn several times as many, the best forecast kept.

algorithm = screened(NSGA2(pop_size=12), Screen(data, parameters, objectives=("mqe", ...)))
result = minimize(problem, algorithm, ("n_gen", 10))
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from pymoo.core.sampling import Sampling

from oracle.errors import InvalidSearch, must_be
from oracle.search.screen import Screen
from oracle.search.suggest import MOST_CANDIDATES, check_count

#: Times as many of the first generation, and of the offspring, as are trained.
FIRST, LATER = 25, 5
Algorithm = TypeVar("Algorithm")


def screened(
    algorithm: Algorithm, screen: Screen, *, first: int = FIRST, later: int = LATER
) -> Algorithm:
    """Have a genetic algorithm of pymoo draw more than it trains; the oracle chooses.

    Args:
        algorithm: with a sampling and a mating, such as NSGA2 or GA; changed in place. A first
            generation that is given as an array or a Population is trained as it is.
        screen: chooses; its `parameters` reads a row of the problem's variables.
        first, later: times as many of the first generation, and of the offspring.

    Returns:
        The algorithm.

    Raises:
        InvalidSearch: times that are no whole number from 1 on; an algorithm that has neither
            sampling nor mating, or is screened.
    """
    for name, value in (("first", first), ("later", later)):
        check_count(name, value, MOST_CANDIDATES)
    changed: Any = algorithm
    if not all(hasattr(changed, part) for part in ("initialization", "mating")):
        rule = "one that draws a first generation and mates, as NSGA2 or GA"
        raise InvalidSearch(must_be("algorithm", rule, type(algorithm).__name__))
    if isinstance(changed.mating, _Mating):
        raise InvalidSearch(must_be("algorithm", "screened once", "a screened one"))
    sampling = changed.initialization.sampling
    if not isinstance(sampling, np.ndarray):  # as a Population is, too
        changed.initialization.sampling = _Sampling(sampling, screen, first)
    changed.mating = _Mating(changed.mating, screen, later)
    return algorithm


class _Sampling(Sampling):  # type: ignore[misc]  # pymoo has no types
    """A first generation of those that are forecast to end best."""

    def __init__(self, sampling: Any, screen: Screen, times: int) -> None:
        super().__init__()
        self._sampling, self._screen, self._times = sampling, screen, times

    def _do(self, problem: Any, n_samples: int, *args: Any, **kwargs: Any) -> Any:
        drawn = self._sampling(problem, self._times * n_samples, *args, **kwargs)
        kept = self._screen(drawn.get("X"), n_samples)
        return drawn[kept].get("X")


class _Mating:
    """A mating that has more offspring than are wanted, and keeps the best forecast."""

    def __init__(self, mating: Any, screen: Screen, times: int) -> None:
        self._mating, self._screen, self._times = mating, screen, times

    def do(self, problem: Any, pop: Any, n_offsprings: int, *args: Any, **kwargs: Any) -> Any:
        """Mate, and choose; see `pymoo.core.infill.InfillCriterion`."""
        drawn = self._mating.do(problem, pop, self._times * n_offsprings, *args, **kwargs)
        if len(drawn) <= n_offsprings:
            return drawn
        return drawn[self._screen(drawn.get("X"), n_offsprings)]
