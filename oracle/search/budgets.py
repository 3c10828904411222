"""How long one plan should train: its forecast over budgets, and where more stops paying."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oracle.errors import InvalidSearch, must_be
from oracle.forecast.forecaster import Oracle
from oracle.search.libraries import library_of
from oracle.search.suggest import checked, complete, expected, forecasts_of, updates_of
from oracle.search.table import table_of
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

    Raises:
        InvalidSearch: an argument breaks a rule.
    """
    checked((objective,))
    if not shares or any(not 0 < s < np.inf for s in shares) or list(shares) != sorted({*shares}):
        raise InvalidSearch(must_be("shares", "numbers above 0, each larger", tuple(shares)))
    table = table_of(data)
    made, updates = library_of(library), updates_of(budget, table)
    whole = complete(made, table, parameters)
    plans = [made.plan(whole, table, max(1, round(updates * share))) for share in shares]
    oracle = oracle or Oracle.load()
    forecasts = forecasts_of(plans, oracle)
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
    )
