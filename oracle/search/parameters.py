"""The parameters that a library's maps are made with, where a search may look, and how it draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from numbers import Real
from typing import Any

import numpy as np

from oracle.errors import InvalidSearch, must_be
from oracle.types import FloatArray

#: Digits that a drawn number is told with: more would promise what no search resolves.
DIGITS = 4


def as_float(number: Any) -> float:
    """Give a number as a float, infinite where none is as large: a whole number has no limit."""
    try:
        return float(number)
    except OverflowError:
        return inf if number > 0 else -inf


@dataclass(frozen=True)
class Number:
    """A number between two bounds.

    Attributes:
        low, high: where it is drawn from.
        log: uniform in its logarithm.
        whole: whether it is a whole one.
        least, most: what the library takes, or a machine holds.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False
    least: float = 0.0
    most: float = 1e9

    @property
    def usual(self) -> Any:
        """The value where none is told: the middle."""
        return self.at(np.array([0.5]))[0]

    def at(self, share: FloatArray) -> list[Any]:
        """Give the values at shares 0..1 of the range."""
        if self.whole:  # each number with the same chance
            low, high = self.low, self.high + 1
            drawn = low * (high / low) ** share if self.log else low + (high - low) * share
            return [min(int(self.high), int(value)) for value in drawn]
        if self.log:
            drawn = self.low * (self.high / self.low) ** share
        else:
            drawn = self.low + (self.high - self.low) * share
        return [float(f"{value:.{DIGITS}g}") for value in drawn]

    def within(self, name: str, wanted: Any) -> Parameter:
        """Give the part of it that the user wants: a number, a range (low, high), or a list.

        A tuple of two is a range; any other sequence are choices.

        Raises:
            InvalidSearch: what is wanted is no part of it.
        """
        kind = "whole numbers" if self.whole else "numbers"
        rule = f"{kind} from {self.least:g} to {self.most:g}: one, a range of two, or a list"
        values = [wanted] if (several := _several(wanted)) is None else several
        if not values or not all(self._takes(value) for value in values):
            raise InvalidSearch(must_be(f"space.{name}", rule, wanted))
        is_range = several is None or (isinstance(wanted, tuple) and len(values) == 2)
        if not is_range:
            numbers = tuple(dict.fromkeys(int(v) if self.whole else float(v) for v in values))
            return Choice(numbers, numbers)
        low, high = float(values[0]), float(values[-1])
        if low > high:
            raise InvalidSearch(must_be(f"space.{name}", f"{rule}, the lower one first", wanted))
        return replace(self, low=low, high=high, log=self.log and low > 0)

    def _takes(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, Real):
            return False
        number = as_float(value)
        return self.least <= number <= self.most and (not self.whole or number.is_integer())


@dataclass(frozen=True)
class Choice:
    """One of several values.

    Attributes:
        values: that are drawn, each with the same chance.
        known: all that the library takes.
        advice: why a value that the library has otherwise is not among them.
    """

    values: tuple[Any, ...]
    known: tuple[Any, ...]
    advice: str = ""

    @property
    def usual(self) -> Any:
        """The value where none is told: the first."""
        return self.values[0]

    def at(self, share: FloatArray) -> list[Any]:
        """Give the values at shares 0..1."""
        return [self.values[min(len(self.values) - 1, int(s * len(self.values)))] for s in share]

    def within(self, name: str, wanted: Any) -> Choice:
        """Give the part of it that the user wants: a value, or several.

        Raises:
            InvalidSearch: a value that the library does not take.
        """
        several = _several(wanted)
        values = (wanted,) if several is None else tuple(several)
        unknown = [value for value in values if value not in self.known]
        if unknown or not values:
            rule = f"among {', '.join(map(str, self.known))}"
            got = unknown[0] if unknown else wanted
            raise InvalidSearch(must_be(f"space.{name}", rule, got, self.advice))
        return replace(self, values=values)


def _several(wanted: Any) -> list[Any] | None:
    """Give the values of a sequence or an array; None of anything else."""
    if isinstance(wanted, np.ndarray):
        wanted = wanted.tolist()
    return list(wanted) if isinstance(wanted, Sequence) and not isinstance(wanted, str) else None


def beginnings(n_features: int, usual: Sequence[str], known: Sequence[str]) -> Choice:
    """Give the initializations on a table of so many features: of one there are no two axes."""
    if n_features > 1:
        return Choice(tuple(usual), tuple(known))
    advice = "pca takes two axes of the table, which has one feature."
    usual, known = ([one for one in names if one != "pca"] for names in (usual, known))
    return Choice(tuple(usual), tuple(known), advice)


Parameter = Number | Choice
Space = dict[str, Parameter]


def narrowed(space: Space, wanted: object, field: str = "space") -> Space:
    """Give a library's space with what the user wants of it: parameter -> where to look.

    Raises:
        InvalidSearch: a parameter that the library does not have, or values it does not take;
            or nothing that tells parameters by name, which is told as the `field`.
    """
    if wanted is None:
        return dict(space)
    if not isinstance(wanted, Mapping):
        rule = f"a dict, with parameters among {', '.join(space)}"
        raise InvalidSearch(must_be(field, rule, wanted))
    found = dict(space)
    for name, part in wanted.items():
        if name not in space:
            rule = f"of the parameters {', '.join(space)}"
            raise InvalidSearch(must_be("space", rule, name, "Leave it out."))
        found[name] = space[name].within(name, part)
    return found


def draw(space: Space, n: int, rng: np.random.Generator) -> tuple[list[dict[str, Any]], FloatArray]:
    """Draw `n` sets of parameters.

    Returns:
        The sets, and where each lies: shares of the ranges [set, parameter], by which two sets
        are near or far from each other.
    """
    share = rng.random((n, len(space)))
    columns = [parameter.at(share[:, i]) for i, parameter in enumerate(space.values())]
    for i, parameter in enumerate(space.values()):
        if isinstance(parameter, Choice):  # equal values lie in one place
            count = len(parameter.values)
            share[:, i] = np.minimum(np.floor(share[:, i] * count), count - 1) / max(1, count - 1)
        elif parameter.low == parameter.high:
            share[:, i] = 0.0
    return [dict(zip(space, values, strict=True)) for values in zip(*columns, strict=True)], share
