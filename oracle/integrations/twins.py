"""Equal individuals of a search, of which one is trained for all."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

Individual = TypeVar("Individual")


def twins(
    individuals: Iterable[Individual], genes: Callable[[Individual], Any]
) -> list[list[Individual]]:
    """Put individuals of equal genes together, in the order of the first of each.

    One that is there several times, as selection leaves it, is told once. One whose genes cannot
    be compared at once has no twin.

    Args:
        individuals: of one search.
        genes: reads those of one: names -> values, or values in order.

    >>> twins([{"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": 2, "a": 1}], lambda one: one)
    [[{'a': 1, 'b': 2}, {'b': 2, 'a': 1}], [{'a': 1, 'b': 3}]]
    """
    alike: dict[Hashable, dict[int, Individual]] = {}
    for one in individuals:
        alike.setdefault(_key(genes(one), id(one)), {})[id(one)] = one
    return [list(same.values()) for same in alike.values()]


def _key(genes: Any, otherwise: int) -> Hashable:
    key: Hashable
    try:
        if isinstance(genes, Mapping):
            key = frozenset(genes.items())
        else:
            key = tuple(genes.tolist() if isinstance(genes, np.ndarray) else genes)
        hash(key)
    except (TypeError, ValueError):
        return otherwise
    return key
