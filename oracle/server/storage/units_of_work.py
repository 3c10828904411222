"""Units of work that ask: each yields a question, is sent the answer and returns its result.

What waits together is asked together. That is how stored runs are forecast: sixteen at once cost
a third of sixteen one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
J = TypeVar("J", bound="About")

#: A unit of work that asks.
Asking = Generator[Any, Any, T]
#: Answers questions, as many at once as were asked together.
Answer = Callable[[Sequence[Any]], Sequence[Any]]


class About(Protocol):
    """What can be parted by what it is about."""

    @property
    def about(self) -> Hashable:
        """What it reads before its question and changes after it; None asks alone."""


class Unit:
    """A unit of work under way: at its question, or at its end.

    Attributes:
        question: what it waits for the answer of, None at its end.
        result: what it came to.

    Args:
        made: what the work gave: a generator, or the result where it asks nothing.
    """

    def __init__(self, made: Any) -> None:
        self.question: Any = None
        self.result: Any = made
        if isinstance(made, Generator):
            self._made = made
            self.go_on(None)

    def go_on(self, answer: Any) -> None:
        """Send the answer."""
        try:
            self.question = self._made.send(answer)
        except StopIteration as end:
            self.question, self.result = None, end.value


def answer_all(units: Sequence[Unit], answer: Answer) -> None:
    """Take units to their ends."""
    while asking := [unit for unit in units if unit.question is not None]:
        answers = answer([unit.question for unit in asking])
        for unit, found in zip(asking, answers, strict=True):
            unit.go_on(found)


def nobody(questions: Sequence[Any]) -> Sequence[Any]:
    """Stand in for an answer where nothing asks."""
    raise TypeError("A unit of work must not ask where there is no `answer`.")


def apart(jobs: Sequence[J]) -> Iterator[list[J]]:
    """Part jobs, in order, into neighbours that are about different things."""
    group: list[J] = []
    for job in jobs:
        if group and (job.about is None or any(job.about == other.about for other in group)):
            yield group
            group = []
        group.append(job)
        if job.about is None:
            yield group
            group = []
    if group:
        yield group
