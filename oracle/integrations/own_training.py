"""A map's training by its own library's code, with a seam between two steps.

A library has its subclass of `OwnTraining` in `oracle.integrations.libraries`: where its map keeps
grid, kernel and weights, what it plans, and which of its functions is called once a step. That
one is watched, on this one map and while it trains, so that the library itself goes on as ever.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from math import isfinite
from typing import Any, ClassVar, NamedTuple

import numpy as np

from oracle.history.context import table
from oracle.history.grids import Grid
from oracle.types import FloatArray, Schedule

#: Points at which a planned schedule is read; linear between them.
PLAN_POINTS = 33


class Stopped(BaseException):
    """Leaves a library's training at a seam; no library catches it as an error of its own."""


class Plan(NamedTuple):
    """What a training will do, in the library's own steps.

    Attributes:
        total: steps of the whole training.
        updates_each: sample updates of a step.
        batch: samples that an update averages over; None for all of a step.
        radius: of the step t = 0..total - 1, as a Gaussian's standard deviation on the grid, or
            how far a bubble reaches; None where it cannot be told.
        rate: learning rate of that step; None where there is none.
    """

    total: int
    updates_each: float = 1.0
    batch: float | None = None
    radius: Callable[[int], float] | None = None
    rate: Callable[[int], float] | None = None

    def at(self, step: int) -> tuple[float | None, float | None]:
        """Give the learning rate and radius of a step; None where they are no number >= 0."""
        return _number(self.rate, step), _number(self.radius, step)

    def schedule(self) -> Schedule | None:
        """Read the plan at up to PLAN_POINTS points; what is not known throughout is left out."""
        if self.total < 2:
            return None
        steps = np.unique(np.linspace(0, self.total - 1, PLAN_POINTS).round().astype(int)).tolist()
        columns = {
            name: tuple(column)
            for name, column in zip(
                ("learning_rate", "radius"), zip(*map(self.at, steps), strict=True), strict=True
            )
            if None not in column
        }
        progress = tuple(step / (self.total - 1) for step in steps)
        return Schedule.model_validate({"progress": progress, **columns}) if columns else None


class OwnTraining(ABC):
    """One training of a map by its own library.

    Args:
        som: the map.
        data: samples [sample, feature] as the library takes them.
        args, own: what else the library's own training method is given.

    Raises:
        TypeError: for arguments that this method has not.
    """

    #: The map's method that trains it.
    method: ClassVar[str] = "train"
    #: Whether it is handed the data; else the map has them already.
    takes_data: ClassVar[bool] = True
    #: Its argument that counts the steps; None where the map itself knows.
    count: ClassVar[str | None] = None

    def __init__(self, som: Any, data: Any, *args: Any, **own: Any) -> None:
        self.som = som
        self.data = data
        first = (self.handed(),) if self.takes_data else ()
        itself = signature(getattr(som, self.method))
        # What is read before it is known how it will be trained needs not all arguments.
        bind = itself.bind_partial if own.pop("_untold", False) else itself.bind
        self.call = bind(*first, *args, **own)
        self.call.apply_defaults()
        self.given = self.call.arguments

    # -- what a library's file says ---------------------------------------------------------

    @abstractmethod
    def weights(self) -> Any:
        """Give the weights [row, column, feature] as they are now."""

    @abstractmethod
    def plan(self) -> Plan:
        """Tell what the training will do."""

    @abstractmethod
    def run(self, seam: Seam) -> None:
        """Train, calling the seam with the number of steps done; leave the map usable at a stop."""

    def grid(self) -> Grid:
        """Tell which grid the map lies on."""
        return Grid()

    def kind(self) -> dict[str, Any]:
        """Give the fields of `RunContext` that need no plan."""
        return {}

    def handed(self) -> Any:
        """Give the data as the library takes them."""
        return self.data

    def samples(self) -> FloatArray:
        """Give the samples as the map sees them."""
        return table(self.data)[0]

    # -- what all have in common ------------------------------------------------------------

    @classmethod
    def planned(
        cls, som: Any, samples: Any, num_iteration: int | None, use_epochs: bool, **own: Any
    ) -> dict[str, Any]:
        """Gather what a map tells of a run before its first step.

        Args:
            som: the map.
            samples: [sample, feature].
            num_iteration: steps, where the library's own method is told them.
            use_epochs: not used; a library counts in one way.
            own: further arguments of the library's own training method.

        Returns:
            Fields of `RunContext`.
        """
        if cls.count is None:
            return cls(som, samples, **own).fields()
        if num_iteration is not None:
            own = {cls.count: num_iteration, **own}
        told = own.get(cls.count) is not None or bool(own)
        return cls(som, samples, _untold=not told, **own).fields(with_plan=told)

    def fields(self, *, with_plan: bool = True) -> dict[str, Any]:
        """Give all that is known before the first step, as fields of `RunContext`."""
        grid = self.grid()
        found = {
            "topology": grid.topology,
            "toroidal": grid.rows_wrap and grid.cols_wrap,
            **self.kind(),
        }
        if with_plan:
            plan = self.plan()
            found["total_updates"] = plan.total * plan.updates_each
            found["batch_size"] = plan.batch or plan.updates_each
            found["schedule"] = plan.schedule()
        return found

    def trained(self) -> None:
        """Have the library train."""
        getattr(self.som, self.method)(*self.call.args, **self.call.kwargs)

    def between(
        self, name: str, seam: Seam, *, each: int = 1, train: Callable[[], None] | None = None
    ) -> None:
        """Train with the seam ahead of every so many calls of the map's `name`, and at the end.

        Args:
            name: the map's function that is called in each step, before the weights move.
            seam: is not called ahead of the first.
            each: calls a step.
            train: does the training; None for the map's own method.
        """
        calls = 0

        def before(*args: Any, **kwargs: Any) -> None:
            nonlocal calls
            if calls and calls % each == 0:
                seam(calls // each)
            calls += 1

        with watched_calls(self.som, name, before):
            (train or self.trained)()
        seam.end(calls // each)


class Seam:
    """What is called between two steps.

    Args:
        at: numbers of steps after which the map is measured, increasing; the last ends the plan.
        look: takes such a number, and tells whether to stop.
    """

    def __init__(self, at: tuple[int, ...], look: Callable[[int], bool]) -> None:
        self.at = at
        self.done = 0  # steps done when it was last called
        self._look = look
        self._left = set(at)

    def __call__(self, done: int) -> None:
        """Measure where it is time.

        Raises:
            Stopped: where the training is to end here.
        """
        self.done = done
        if done in self._left:
            self._left.discard(done)
            if self._look(done):
                raise Stopped

    def end(self, done: int) -> None:
        """Measure the last map, wherever the library ended: it may stop by a rule of its own."""
        self.done = done
        if done and done not in set(self.at) - self._left:
            self._look(done)


class _InPlace:
    """Stands for a map's own function, on this one map; sent elsewhere it is that function."""

    def __init__(self, owner: Any, name: str, function: Callable[..., Any]) -> None:
        self._owner, self._name, self._function = owner, name, function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __reduce__(self) -> Any:
        return getattr, (self._owner, self._name)


@contextmanager
def in_place(owner: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Put a function in the place of `owner.name`, on this object alone, for a while."""
    own = vars(owner).get(name)
    owner.__dict__[name] = _InPlace(owner, name, function)
    try:
        yield
    finally:
        if own is None:
            del owner.__dict__[name]
        else:
            owner.__dict__[name] = own


@contextmanager
def watched_calls(owner: Any, name: str, before: Callable[..., None]) -> Iterator[None]:
    """Have `before` called with the arguments of each call of `owner.name`, ahead of it."""
    original = getattr(owner, name)

    def watched(*args: Any, **kwargs: Any) -> Any:
        before(*args, **kwargs)
        return original(*args, **kwargs)

    with in_place(owner, name, watched):
        yield


def _number(function: Callable[[int], float] | None, step: int) -> float | None:
    if function is None:
        return None
    value = float(function(step))
    return value if isfinite(value) and value >= 0 else None
