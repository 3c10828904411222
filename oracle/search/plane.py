"""A plane of two parameters: what is forecast where, all others as they are in one plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from oracle.errors import InvalidSearch, must_be
from oracle.forecast.forecaster import Oracle
from oracle.search.libraries import library_of
from oracle.search.parameters import Number, narrowed
from oracle.search.suggest import (
    checked,
    complete,
    expected,
    forecasts_of,
    longest_side,
    updates_of,
)
from oracle.search.table import table_of
from oracle.types import LEVELS, Plane

#: Values of each parameter.
POINTS = 24


def plane(
    data: Any,
    around: Mapping[str, Any],
    names: tuple[str, str],
    *,
    library: str = "minisom",
    objective: str = "quality",
    space: Mapping[str, Any] | None = None,
    budget: float | None = None,
    oracle: Oracle | None = None,
) -> Plane:
    """Forecast a grid of two number parameters; arguments as in `suggest`.

    Raises:
        InvalidSearch: a name that is no number parameter of the library, or another rule broken.
    """
    checked((objective,))
    table = table_of(data)
    made, updates = library_of(library), updates_of(budget, table)
    looked_in = narrowed(made.space(table, longest_side(table)), space)
    numbers = {name: p for name, p in looked_in.items() if isinstance(p, Number)}
    for name in names:
        if name not in numbers:
            raise InvalidSearch(must_be("plane", f"two of {', '.join(numbers)}", name))
    whole = complete(made, table, around)
    share = np.linspace(0, 1, POINTS)
    across, up = (list(dict.fromkeys(numbers[name].at(share))) for name in names)
    grid = [{**whole, names[0]: a, names[1]: b} for b in up for a in across]
    fitting = [i for i, one in enumerate(grid) if made.fits(one)]
    plans = [made.plan(grid[i], table, updates) for i in fitting]
    oracle = oracle or Oracle.load()
    forecasts = forecasts_of(plans, oracle)
    told = dict(zip(fitting, (expected(f, objective) for f in forecasts), strict=True))
    middle = LEVELS.index(0.5)
    values = [float(told[i][middle]) if i in told else None for i in range(len(grid))]
    wide = len(across)
    return Plane(
        names=names,
        across=tuple(across),
        up=tuple(up),
        log=(numbers[names[0]].log, numbers[names[1]].log),
        objective=objective,
        values=tuple(tuple(values[i : i + wide]) for i in range(0, len(values), wide)),
    )
