"""Which of many candidates a search should train: those that are forecast to end best."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar

import numpy as np

from oracle.decision.hypervolume import box_of, gains
from oracle.errors import InvalidSearch, must_be
from oracle.forecast.forecaster import Oracle
from oracle.search.lessons import Place, PopulationLessons
from oracle.search.libraries import library_of
from oracle.search.plan import Plan
from oracle.search.reach import (
    FEW,
    beyond,
    forecasts_of,
    known_of,
    learned_by,
    oracle_of,
    warn_of,
    warn_unlike,
)
from oracle.search.suggest import (
    CAUTION,
    MOST_CANDIDATES,
    check_count,
    checked,
    complete,
    expected,
    updates_of,
)
from oracle.search.table import Table, table_of
from oracle.types import FloatArray, Forecast

Candidate = TypeVar("Candidate")


def screen(
    data: Any,
    candidates: Sequence[Mapping[str, Any]],
    keep: int,
    *,
    library: str = "minisom",
    objectives: str | Sequence[str] = "quality",
    budget: float | None = None,
    oracle: Oracle | None = None,
    population: Place = None,
    population_name: str | int | None = None,
) -> list[int]:
    """Choose the candidates that are worth training, before any is.

    An evolutionary search draws several times the offspring it needs and trains those that this
    keeps. A candidate that the oracle knows too little of is neither the best nor the worst: it
    stands in the middle; one with which no map would be trained stands behind all others. Where
    all are unknown the first are kept, and an OracleWarning says once why: such a search is an
    unscreened one.

    Args:
        data: as in `suggest`.
        candidates: parameters of the library's space; what is left out is as usual.
        keep: how many are wanted; all of them where there are fewer.
        library, budget, oracle, population, population_name: as in `suggest`.
        objectives: one of those of `suggest`; of several the candidates are kept that together
            cover the most hypervolume.

    Returns:
        Their indices, best first.

    Raises:
        InvalidSearch: an argument breaks a rule; no candidate with which a map would be trained.
        InvalidHistory: `data` is no table of numbers, `population` no place of runs.
    """
    chooses = Screen(
        data, library=library, objectives=objectives, budget=budget, oracle=oracle,
        population=population, population_name=population_name,
    )  # fmt: skip
    return chooses(candidates, keep)


class Screen:
    """`screen` for a search that asks again and again: the table is read once.

    With the `population` that the search's runs are watched in it learns of those that end: each
    choice is made with what is known by then.

    Args:
        data, library, objectives, budget, oracle, population, population_name: as in `screen`.
        parameters: reads a candidate of the search (genes, a row of numbers) as parameters of
            the library's space; None = it is that already.

    Attributes:
        learned: ended runs that had a say in the last choice.
        not_learned: why those of the population had none; None where they had, or none was told.

    Raises:
        InvalidSearch, InvalidHistory: an argument breaks a rule.
    """

    def __init__(
        self,
        data: Any,
        parameters: Callable[[Any], Mapping[str, Any]] | None = None,
        *,
        library: str = "minisom",
        objectives: str | Sequence[str] = "quality",
        budget: float | None = None,
        oracle: Oracle | None = None,
        population: Place = None,
        population_name: str | int | None = None,
    ) -> None:
        self.objectives = checked(objectives)
        self._table, self._made = table_of(data), library_of(library)
        self._budget, self._updates = budget, updates_of(budget, self._table)
        self._parameters, self._oracle = parameters, oracle
        self._lessons = PopulationLessons(population, population_name, self._table)
        self.learned = 0
        self.not_learned: str | None = None
        self._is_told = self._is_warned = self._has_fitted = False

    def __deepcopy__(self, memo: object) -> Self:
        """Stay one: pymoo copies its algorithms, and what is told of the last choice is wanted."""
        return self

    def __call__(self, candidates: Sequence[Any], keep: int) -> list[int]:
        """Give the indices of the candidates that are worth training, best first.

        Raises:
            InvalidSearch: no number to keep; no candidate so far with which a map would be trained.
        """
        check_count("keep", keep, MOST_CANDIDATES)
        _check_candidates(candidates)
        wholes = self._wholes([self._parameters(c) if self._parameters else c for c in candidates])
        right = [i for i, whole in enumerate(wholes) if whole is not None]
        if not right:
            return list(range(len(wholes)))[:keep]
        fitting = [whole for whole in wholes if whole is not None]
        plans = [self._made.plan(whole, self._table, self._updates) for whole in fitting]
        oracle = self._oracle = oracle_of(self._oracle)
        forecasts = self._forecasts(plans, oracle)
        values = np.array([[expected(f, o)[CAUTION] for o in self.objectives] for f in forecasts])
        known = known_of(forecasts)
        if not known.any() and not self._is_told:
            self._is_told = True
            self._tell_unknown(fitting, oracle)
        values[~known] = np.median(values[known], axis=0) if known.any() else 0.0
        kept = [right[i] for i in _most_volume(values, keep)]
        return [*kept, *(i for i, whole in enumerate(wholes) if whole is None)][:keep]

    def _wholes(self, told: Sequence[Any]) -> list[dict[str, Any] | None]:
        """Complete candidates; None for one with which no map would be trained: a search varies on.

        Raises:
            InvalidSearch: no candidate so far was one that would train a map.
        """
        found: list[dict[str, Any] | None] = []
        wrong: InvalidSearch | None = None
        for one in told:
            try:
                found.append(complete(self._made, self._table, one))
            except InvalidSearch as error:
                found.append(None)
                wrong = wrong or error
        self._has_fitted |= any(whole is not None for whole in found)
        if wrong is not None:
            if not self._has_fitted:
                raise wrong
            if not self._is_warned:
                self._is_warned = True
                left_out = sum(whole is None for whole in found)
                warn_of(f"{left_out} of {len(found)} candidates stand behind all others: {wrong}")
        return found

    def _forecasts(self, plans: Sequence[Plan], oracle: Oracle) -> list[Forecast]:
        """Forecast by what the ended runs teach; where that fails, without."""
        taught = self._lessons.or_none(oracle)
        self.not_learned = taught.why_not
        if taught.known is not None:
            try:
                forecasts = forecasts_of(plans, oracle, taught.known)
            except Exception as error:
                self.not_learned = f"it failed ({error})"
                self._lessons.tell(self.not_learned)
            else:
                self.learned = learned_by(forecasts)
                return forecasts
        self.learned = 0
        return forecasts_of(plans, oracle)

    def best(self, candidates: Sequence[Candidate], keep: int) -> list[Candidate]:
        """Give the candidates themselves."""
        return [candidates[i] for i in self(candidates, keep)]

    def _tell_unknown(self, wholes: Sequence[dict[str, Any]], oracle: Oracle) -> None:
        def ask(table: Table, budget: float | None, own: bool) -> list[Plan]:
            parameters = wholes[:FEW] if own else [complete(self._made, table, {})]
            return [self._made.plan(one, table, updates_of(budget, table)) for one in parameters]

        what = f"none of {len(wholes)} candidates could be judged, and the first are kept"
        warn_unlike(what, beyond(self._table, self._budget, ask, oracle))


def _check_candidates(candidates: object) -> None:
    if not isinstance(candidates, Iterable):
        raise InvalidSearch(must_be("candidates", "a list of candidates", candidates))


def _most_volume(values: FloatArray, keep: int) -> list[int]:
    """Choose by values [candidate, objective] those that together cover the most hypervolume.

    Each next one is the one that adds the most; what adds nothing follows in layers, each chosen as
    if those before were not there. Of one objective this is their order.
    """
    if values.shape[1] == 1:
        order: list[int] = np.argsort(values[:, 0], kind="stable")[:keep].tolist()
        return order
    best, span, corner = box_of(values)
    points = (values - best) / span
    left, chosen = list(range(len(points))), list[int]()
    layer: list[int] = []
    while left and len(chosen) < keep:
        gain = gains(points[left], points[layer], corner)
        at = int(gain.argmax())
        if gain[at] <= 0.0 and layer:
            layer = []
            continue
        layer.append(left[at])
        chosen.append(left.pop(at))
    return chosen
