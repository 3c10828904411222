"""A plane of two parameters: what is forecast where, all others as they are in one plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oracle.errors import InvalidSearch, must_be
from oracle.forecast.forecaster import Oracle
from oracle.search.lessons import Place, PopulationLessons
from oracle.search.libraries import Library, library_of
from oracle.search.parameters import Number, Parameter, narrowed
from oracle.search.reach import forecasts_of, oracle_of
from oracle.search.suggest import checked, complete, expected, longest_side, updates_of
from oracle.search.table import Table, table_of
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
    population: Place = None,
    population_name: str | int | None = None,
) -> Plane:
    """Forecast a grid of two number parameters; arguments as in `suggest`.

    Raises:
        InvalidSearch: a name that is no number parameter of the library, or another rule broken.
    """
    (objective,) = checked((objective,))
    table = table_of(data)
    made, updates = library_of(library), updates_of(budget, table)
    numbers = axes_of(made, table, names, space)
    whole = complete(made, table, around)
    share = np.linspace(0, 1, POINTS)
    across, up = (sorted({*numbers[name].at(share)}) for name in names)
    grid = [{**whole, names[0]: a, names[1]: b} for b in up for a in across]
    fitting = [i for i, one in enumerate(grid) if made.fits(one)]
    plans = [made.plan(grid[i], table, updates) for i in fitting]
    oracle = oracle_of(oracle)
    taught = PopulationLessons(population, population_name, table)(oracle)
    forecasts = forecasts_of(plans, oracle, taught.known)
    told = dict(zip(fitting, (expected(f, objective) for f in forecasts), strict=True))
    middle = LEVELS.index(0.5)
    values = [float(told[i][middle]) if i in told else None for i in range(len(grid))]
    wide = len(across)
    return Plane(
        names=names,
        across=tuple(across),
        up=tuple(up),
        log=(_is_log(numbers[names[0]]), _is_log(numbers[names[1]])),
        objective=objective,
        values=tuple(tuple(values[i : i + wide]) for i in range(0, len(values), wide)),
    )


def axes_of(
    made: Library, table: Table, names: Sequence[str], space: Mapping[str, Any] | None
) -> dict[str, Parameter]:
    """Give the number parameters of a library, where they are looked for.

    Raises:
        InvalidSearch: the names are not two of them; a space that the library does not have.
    """
    usual = made.space(table, longest_side(table))
    looked_in = narrowed(usual, space)
    numbers = {name: looked_in[name] for name, p in usual.items() if isinstance(p, Number)}
    if len(names) != 2 or len({*names} & numbers.keys()) != 2:
        wrong = next((name for name in names if name not in numbers), names)
        raise InvalidSearch(must_be("plane", f"two of {', '.join(numbers)}", wrong))
    return numbers


def _is_log(parameter: Parameter) -> bool:
    return isinstance(parameter, Number) and parameter.log
