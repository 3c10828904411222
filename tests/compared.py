"""The cost of questions to a small store and a large one, asked in turns on the same machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reliability import Result

#: An act to be measured; one that answers `Spent` has measured itself.
Act = Callable[[], object]
#: The CPU so far, seconds.
Cpu = Callable[[], float]


class Spent(float):
    """CPU that an act took by its own measure, seconds."""


#: With more in the store a question must cost less than this factor: the rest is noise of a busy
#: machine and one more level of an index.
MOST = 2.0
#: Each is measured so often, and the least counts: what a busy machine adds is not its cost.
REPEATS = 15


def compare(
    result: Result,
    few: Iterator[tuple[str, Act]],
    many: Iterator[tuple[str, Act]],
    cpu: tuple[Cpu, Cpu],
    *,
    first: int = 1,
) -> dict[str, float]:
    """Check each kind of question against MOST, after `first` unmeasured ones.

    Returns:
        The cost in the larger store, ms, by kind.
    """
    costs = {}
    for (what, small), (_, large) in zip(few, many, strict=True):
        times: tuple[list[float], list[float]] = ([], [])
        for n in range(first + REPEATS):
            for act, so_far, took in zip((small, large), cpu, times, strict=True):
                began = so_far()
                own = act()
                spent = own if isinstance(own, Spent) else so_far() - began
                if n >= first:
                    took.append(spent)
        before, after = (1e3 * min(one) for one in times)
        result.check(after / before < MOST, f"{what}: {before:.2f} ms, then {after:.2f}")
        result.seen[what] = f"{before:.2f} -> {after:.2f} ms"
        costs[what] = after
    return costs
