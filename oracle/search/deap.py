"""DEAP: first generations and offspring drawn several times as many, the best forecast kept.

    screened(toolbox, Screen(data, parameters, objectives=("mqe", ...)))
    algorithms.eaMuPlusLambda(toolbox.population(12), toolbox, mu=12, lambda_=12, ...)

DEAP's algorithms vary through the toolbox's own functions, so these are what changes; they and the
search's loop stay as they are. DEAP itself is never imported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from oracle.errors import InvalidSearch, must_be
from oracle.search.screen import Screen
from oracle.search.suggest import MOST_CANDIDATES, check_count

#: Times as many of the first generation, and of each pair's or parent's offspring, as are trained.
FIRST, LATER = 25, 5
Toolbox = TypeVar("Toolbox")


def screened(
    toolbox: Toolbox, screen: Screen, *, first: int = FIRST, later: int = LATER
) -> Toolbox:
    """Have a search by DEAP draw more than it trains; the oracle chooses.

    `mate` and `mutate` are called `later` times on copies of the same parents, and give the best
    forecast of what came of it; `population`, where it is registered, is called `first` times.
    Register them before, with their bounds.

    Args:
        toolbox: a `deap.base.Toolbox`; changed in place.
        screen: chooses; its `parameters` reads an individual.
        first, later: times as many.

    Returns:
        The toolbox.

    Raises:
        InvalidSearch: times that are no whole number from 1 on, or a toolbox that varies nothing.
    """
    for name, value in (("first", first), ("later", later)):
        check_count(name, value, MOST_CANDIDATES)
    tools: Any = toolbox
    varied = [name for name in ("mate", "mutate") if hasattr(tools, name)]
    if not varied:
        raise InvalidSearch(
            must_be("toolbox", "one with `mate` or `mutate`", "neither", "Register them before.")
        )
    if any(getattr(getattr(tools, name), "func", None) is _varied for name in varied):
        raise InvalidSearch(must_be("toolbox", "screened once", "a screened one"))
    for name in varied:
        tools.register(name, partial(_varied, getattr(tools, name), tools.clone, screen, later))
    if hasattr(tools, "population"):
        tools.register("population", partial(_first, tools.population, screen, first))
    return toolbox


def _varied(
    vary: Callable[..., Sequence[Any]],
    clone: Callable[[Any], Any],
    screen: Screen,
    times: int,
    *parents: Any,
    **settings: Any,
) -> tuple[Any, ...]:
    drawn = [child for _ in range(times) for child in vary(*map(clone, parents), **settings)]
    return tuple(screen.best(drawn, len(parents)))


def _first(
    population: Callable[..., Sequence[Any]],
    screen: Screen,
    times: int,
    *args: Any,
    **settings: Any,
) -> list[Any]:
    # How many that is may be bound, by place or by any name, so that it is asked for no number.
    drawn = [population(*args, **settings) for _ in range(times)]
    return screen.best([one for some in drawn for one in some], len(drawn[0]))
