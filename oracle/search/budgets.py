"""How long one plan should train: its forecast over budgets, and where more stops paying."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from oracle.errors import InvalidSearch, must_be
from oracle.forecast.forecaster import Oracle
from oracle.search.lessons import Place, PopulationLessons
from oracle.search.libraries import library_of
from oracle.search.plan import Plan
from oracle.search.reach import (
    beyond,
    forecasts_of,
    known_of,
    learned_by,
    oracle_of,
    warn_unlike,
)
from oracle.search.suggest import checked, complete, expected, updates_of
from oracle.search.table import Table, table_of
from oracle.types import LEVELS, HowLong

#: Of the budget: what is looked at.
SHARES = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
#: A gain of less is not worth training on for: another seed moves the score by more.
WORTH = 0.02


def how_long(
    data: Any,
    parameters: Mapping[str, Any],
    *,
    library: str = "minisom",
    objective: str = "quality",
    budget: float | None = None,
    shares: Sequence[float] = SHARES,
    worth: float = WORTH,
    oracle: Oracle | None = None,
    population: Place = None,
    population_name: str | int | None = None,
) -> HowLong:
    """Forecast one plan for budgets around `budget`.

    Args:
        data: as in `suggest`.
        parameters: of the library's space; what is left out is as usual.
        library, objective: as in `suggest`.
        budget: sample updates; None = 20 passes over the table.
        shares: of the budget, increasing.
        worth: what more training must bring, in the objective.
        oracle: None = the active one.
        population, population_name: as in `suggest`.

    Raises:
        InvalidSearch: an argument breaks a rule.
        StoreUnavailable: the population cannot be read.

    Warns:
        OracleWarning: the oracle knows too little of all of them.
    """
    (objective,) = checked((objective,))
    _check_shares(shares)
    if not _is_number(worth) or not 0 <= worth < np.inf:
        raise InvalidSearch(must_be("worth", "a number from 0 on", worth))
    table = table_of(data)
    made = library_of(library)
    whole = complete(made, table, parameters)

    def ask(table: Table, budget: float | None, own: bool) -> list[Plan]:
        parameters = whole if own else complete(made, table, {})
        updates = updates_of(budget, table)
        return [made.plan(parameters, table, max(1, round(updates * share))) for share in shares]

    plans = ask(table, budget, True)
    oracle = oracle_of(oracle)
    taught = PopulationLessons(population, population_name, table)(oracle)
    forecasts = forecasts_of(plans, oracle, taught.known)
    if not known_of(forecasts).any():
        warn_unlike("none of the budgets could be judged", beyond(table, budget, ask, oracle))
    told = np.array([expected(forecast, objective) for forecast in forecasts])
    middle = told[:, LEVELS.index(0.5)]
    enough = int(np.argmax(middle <= middle.min() + worth))
    planned = [float(plan.context.total_updates or 0) for plan in plans]
    return HowLong(
        parameters=whole,
        objective=objective,
        updates=tuple(planned),
        expected=tuple(map(tuple, told.tolist())),
        worth=worth,
        enough=planned[enough],
        learned=learned_by(forecasts),
        not_learned=taught.why_not,
    )


def _check_shares(shares: object) -> None:
    numbers = list(shares) if isinstance(shares, Sequence) else []
    right = numbers and all(_is_number(share) and 0 < share < np.inf for share in numbers)
    if not right or numbers != sorted({*numbers}):
        raise InvalidSearch(must_be("shares", "numbers above 0, each larger", shares))


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
