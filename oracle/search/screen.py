"""Which of many candidates a search should train: those that are forecast to end best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

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


def screen(
    data: Any,
    candidates: Sequence[Mapping[str, Any]],
    keep: int,
    *,
    library: str = "minisom",
    objective: str = "quality",
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
        library, objective, budget, oracle: as in `suggest`.

    Returns:
        Their indices, best first.

    Raises:
        InvalidSearch: an argument breaks a rule; a candidate with which no map would be trained.
    """
    checked((objective,))
    check_count("keep", keep, MOST_CANDIDATES)
    table, made = table_of(data), library_of(library)
    updates = updates_of(budget, table)
    plans = [made.plan(complete(made, table, one), table, updates) for one in candidates]
    if not plans:
        return []
    oracle = oracle or Oracle.load()
    forecasts = forecasts_of(plans, oracle)
    values = np.array([expected(forecast, objective)[CAUTION] for forecast in forecasts])
    known = np.array([forecast.support >= MIN_SUPPORT for forecast in forecasts])
    values[~known] = np.median(values[known]) if known.any() else 0.0
    best: list[int] = np.argsort(values, kind="stable")[:keep].tolist()
    return best
