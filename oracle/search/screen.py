"""Which of many candidates a search should train: those that are forecast to end best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from oracle.decision.hypervolume import box_of, gains
from oracle.forecast.forecaster import Oracle
from oracle.search.libraries import library_of
from oracle.search.suggest import (
    CAUTION,
    MIN_SUPPORT,
    MOST_CANDIDATES,
    check_count,
    checked,
    complete,
    expected,
    forecasts_of,
    updates_of,
)
from oracle.search.table import table_of
from oracle.types import FloatArray

Candidate = TypeVar("Candidate")


def screen(
    data: Any,
    candidates: Sequence[Mapping[str, Any]],
    keep: int,
    *,
    library: str = "minisom",
    objective: str | Sequence[str] = "quality",
    budget: float | None = None,
    oracle: Oracle | None = None,
) -> list[int]:
    """Choose the candidates that are worth training, before any is.

    An evolutionary search draws several times the offspring it needs and trains those that this
    keeps. A candidate that the oracle knows too little of is neither the best nor the worst: it
    stands in the middle.

    Args:
        data: as in `suggest`.
        candidates: parameters of the library's space; what is left out is as usual.
        keep: how many are wanted; all of them where there are fewer.
        library, budget, oracle: as in `suggest`.
        objective: one of those of `suggest`; of several the candidates are kept that together
            cover the most hypervolume.

    Returns:
        Their indices, best first.

    Raises:
        InvalidSearch: an argument breaks a rule; a candidate with which no map would be trained.
    """
    wanted = checked((objective,) if isinstance(objective, str) else objective)
    return Screen(data, library=library, objective=wanted, budget=budget, oracle=oracle)(
        candidates, keep
    )


class Screen:
    """`screen` for a search that asks again and again: the table is read once.

    Args:
        data, library, objective, budget, oracle: as in `screen`.
        parameters: reads a candidate of the search (genes, a row of numbers) as parameters of
            the library's space; None = it is that already.

    Raises:
        InvalidSearch: an argument breaks a rule.
    """

    def __init__(
        self,
        data: Any,
        parameters: Callable[[Any], Mapping[str, Any]] | None = None,
        *,
        library: str = "minisom",
        objective: str | Sequence[str] = "quality",
        budget: float | None = None,
        oracle: Oracle | None = None,
    ) -> None:
        self.objectives = checked((objective,) if isinstance(objective, str) else objective)
        self._table, self._made = table_of(data), library_of(library)
        self._updates = updates_of(budget, self._table)
        self._parameters, self._oracle = parameters, oracle

    def __call__(self, candidates: Sequence[Any], keep: int) -> list[int]:
        """Give the indices of the candidates that are worth training, best first.

        Raises:
            InvalidSearch: no number to keep; a candidate with which no map would be trained.
        """
        check_count("keep", keep, MOST_CANDIDATES)
        told = [self._parameters(one) if self._parameters else one for one in candidates]
        plans = [
            self._made.plan(complete(self._made, self._table, one), self._table, self._updates)
            for one in told
        ]
        if not plans:
            return []
        self._oracle = self._oracle or Oracle.load()
        forecasts = forecasts_of(plans, self._oracle)
        values = np.array([[expected(f, o)[CAUTION] for o in self.objectives] for f in forecasts])
        known = np.array([forecast.support >= MIN_SUPPORT for forecast in forecasts])
        values[~known] = np.median(values[known], axis=0) if known.any() else 0.0
        return _most_volume(values, keep)

    def best(self, candidates: Sequence[Candidate], keep: int) -> list[Candidate]:
        """Give the candidates themselves."""
        return [candidates[i] for i in self(candidates, keep)]


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
