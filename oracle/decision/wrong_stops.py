"""What stopping did to a population: runs stopped, epochs saved, and stops that were wrong."""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, lgamma, log, log1p, sqrt

import numpy as np

from oracle.history.quality_score import Bools, among_best
from oracle.types import FloatArray

#: A normal deviate is beyond so many deviations once in 1,000.
RARE_DEVIATIONS = 3.29
#: What is bet on: random stops would be wrong in a tenth.
MIXTURE = (0.5, 4.5)


@dataclass(frozen=True, slots=True)
class WrongStops:
    """How often a stop would have been wrong, measured on the runs that were let run on.

    Attributes:
        controls: runs that would have been stopped and ran to their end instead.
        wrong: how many of them ended among the good.
        upper: 95 % bound of the rate from above, at every look; 1 without controls.
        held: runs that were let run on, those that still train included.
        stops: runs that were stopped or held: held / stops should be the policy's `control`.
        share: the policy's `control`, None where it is not known.
    """

    controls: int
    wrong: int
    upper: float
    held: int = 0
    stops: int = 0
    share: float | None = None

    def __str__(self) -> str:
        told = "wrong stops not measured yet: no control run has ended"
        if self.controls:
            told = (
                f"{self.wrong} of {self.controls} control runs would have been stopped wrongly "
                f"(at most {self.upper:.0%} with 95 % confidence)"
            )
        if self.stops:
            told += (
                f"; {self.held} of {self.stops} stops were held back ({self.held / self.stops:.0%})"
            )
            if self.share is not None and departs(self.held, self.stops, self.share):
                told += f", far from the {self.share:.0%} that the policy asks for"
        return told


def wrong_stops(scores: FloatArray, held: Bools, good: float) -> WrongStops:
    """Count the held runs that ended among the best share of their population.

    Args:
        scores: [run] of every run that has ended, stopped ones by their forecast; NaN where a
            run cannot be scored, which leaves it out.
        held: [run] ran to its end although a rule would have stopped it.
        good: share that counts as good.
    """
    controls = held & ~np.isnan(scores)
    n, wrong = int(controls.sum()), int((controls & among_best(scores, good)).sum())
    return WrongStops(n, wrong, upper_bound(wrong, n))


def departs(held: int, stops: int, share: float) -> bool:
    """Whether the share of held runs is one that chance gives less than once in 1,000 populations.

    By the arcsine of its root, whose deviation depends on `stops` alone (Anscombe 1948,
    doi:10.2307/2332343).

    >>> departs(0, 45, 0.05), departs(0, 200, 0.05), departs(8, 45, 0.05)
    (False, True, False)
    """
    found = asin(sqrt((held + 3 / 8) / (stops + 3 / 4)))
    return 2 * sqrt(stops + 1 / 2) * abs(found - asin(sqrt(share))) > RARE_DEVIATIONS


@dataclass(frozen=True, slots=True)
class Tally:
    """A population in numbers.

    Attributes:
        finished, stopped, live, left, abandoned: runs by state.
        saved: share of all ended runs' budgets that stopped and converged ones saved, 0..1.
        converged: those of the finished that have.
        name: of the population.
        others: where it has no run: the populations that are there.
    """

    finished: int
    stopped: int
    live: int
    saved: float
    left: int = 0
    abandoned: int = 0
    converged: int = 0
    name: str = ""
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        runs = self.finished + self.left + self.stopped
        if not runs + self.live + self.abandoned:
            there = f"; there are {', '.join(self.others)}" if self.others else ""
            return f"no run of a population {self.name!r}{there}"
        told = f"{self.stopped} of {runs} runs stopped, {self.saved:.0%} of all epochs saved"
        rest = (
            (self.converged, "converged"), (self.live, "still live"), (self.abandoned, "abandoned"),
        )  # fmt: skip
        return told + "".join(f", {n} {what}" for n, what in rest if n)


def upper_bound(successes: int, trials: int, confidence: float = 0.95) -> float:
    """Bound a rate from above, one-sided, however often it is looked at.

    A page reads it after every run, and a search goes on by what it reads: a bound for one look
    would fail far more often than it says. A gambler bets against the rate p by a mixture of
    rates, Beta(a, b). Where p is true, B(a + k, b + n - k) / B(a, b) / (p^k (1 - p)^(n - k)), the
    capital, ever reaches 1 / (1 - confidence) with a probability of 1 - confidence at most
    (Robbins 1970, doi:10.1214/aoms/1177696786; Ville 1939).

    >>> round(upper_bound(0, 5), 3), round(upper_bound(1, 100), 3), upper_bound(0, 0)
    (0.492, 0.071, 1.0)
    """
    if successes >= trials:
        return 1.0
    a, b = MIXTURE
    failures = trials - successes
    mixed = _log_beta(a + successes, b + failures) - _log_beta(a, b)
    low, high = successes / trials, 1.0
    for _ in range(50):  # above its most likely value the capital grows with the rate
        rate = (low + high) / 2
        capital = mixed - failures * log1p(-rate) - (successes * log(rate) if successes else 0.0)
        low, high = (rate, high) if capital < -log1p(-confidence) else (low, rate)
    return high


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
