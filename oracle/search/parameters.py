"""The parameters that a library's maps are made with, where a search may look, and how it draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np

from oracle.errors import InvalidSearch, must_be
from oracle.types import FloatArray

#: Digits that a drawn number is told with: more would promise what no search resolves.
DIGITS = 4


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

    def within(self, name: str, wanted: Any) -> Number:
        """Give the part of it that the user wants: a number, or a range (low, high).

        Raises:
            InvalidSearch: what is wanted is no part of it.
        """
        kind = "whole numbers" if self.whole else "numbers"
        rule = f"one or two {kind} from {self.least:g} to {self.most:g}"
        ends = wanted if isinstance(wanted, Sequence) and not isinstance(wanted, str) else [wanted]
        numbers = [e for e in ends if not isinstance(e, bool) and isinstance(e, Real) and e == e]
        whole = not self.whole or all(float(e).is_integer() for e in numbers)
        if len(numbers) != len(ends) or len(ends) not in (1, 2) or not whole:
            raise InvalidSearch(must_be(f"space.{name}", rule, wanted))
        low, high = float(numbers[0]), float(numbers[-1])
        if not self.least <= low <= high <= self.most:
            raise InvalidSearch(must_be(f"space.{name}", f"{rule}, the lower one first", wanted))
        return replace(self, low=low, high=high, log=self.log and low > 0)


@dataclass(frozen=True)
class Choice:
    """One of several values.

    Attributes:
        values: that are drawn, each with the same chance.
        known: all that the library takes.
    """

    values: tuple[Any, ...]
    known: tuple[Any, ...]

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
        several = isinstance(wanted, Sequence) and not isinstance(wanted, str)
        values = tuple(wanted) if several else (wanted,)
        unknown = [value for value in values if value not in self.known]
        if unknown or not values:
            rule = f"among {', '.join(map(str, self.known))}"
            raise InvalidSearch(must_be(f"space.{name}", rule, unknown[0] if unknown else wanted))
        return replace(self, values=values)


Parameter = Number | Choice
Space = dict[str, Parameter]


def narrowed(space: Space, wanted: Mapping[str, Any] | None) -> Space:
    """Give a library's space with what the user wants of it.

    Raises:
        InvalidSearch: a parameter that the library does not have, or values it does not take.
    """
    found = dict(space)
    for name, part in (wanted or {}).items():
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
