"""The libraries whose parameters are known before there is a map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oracle.errors import InvalidSearch, must_be
from oracle.search import minisom, nexussom, susi, xpysom
from oracle.search.parameters import Space
from oracle.search.plan import Plan
from oracle.search.table import Table


@dataclass(frozen=True)
class Library:
    """One library.

    Attributes:
        name: as `library=` takes it.
        space: its parameters, for a table and the longest side of a map on it.
        fits: whether it would take a set of them.
        rule: which those are, in words.
        plan: what follows from a set, for a table and a number of sample updates.
        plane: the two parameters that matter most, as a picture shows them.
    """

    name: str
    space: Callable[[Table, int], Space]
    fits: Callable[[dict[str, Any]], bool]
    rule: str
    plan: Callable[[dict[str, Any], Table, int], Plan]
    plane: tuple[str, str]


def _library(module: Any, *plane: str) -> Library:
    across, up = plane
    name = module.__name__.rpartition(".")[2]
    return Library(name, module.space, module.fits, module.RULE, module.plan, (across, up))


LIBRARIES = {
    library.name: library
    for library in (
        _library(minisom, "sigma", "learning_rate"),
        _library(nexussom, "start_radius_init_ratio", "start_learning_rate"),
        _library(xpysom, "sigma", "sigmaN"),
        _library(susi, "learning_rate_start", "n_rows"),
    )
}


def library_of(name: object) -> Library:
    """Find a library.

    Raises:
        InvalidSearch: none of that name.
    """
    if not isinstance(name, str) or name not in LIBRARIES:
        raise InvalidSearch(must_be("library", f"one of {', '.join(LIBRARIES)}", name))
    return LIBRARIES[name]
