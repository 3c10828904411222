"""Forks: no lock is inherited locked, and what nobody could mend is not cut in two.

A fork copies the process with one of its threads alone. A lock that another thread held stays
locked in the child for ever; so do the locks inside SQLite, the runtime and the import system,
which nobody can renew. Therefore every lock of this library is made here and free in a child,
unless the forking thread itself holds it, that of a cached property too; and what takes locks of
others, as an import does, runs `uncut`: a fork waits until no other thread is inside.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

T = TypeVar("T")

#: How long a fork waits for the threads that are `uncut`, seconds; then it goes on.
WAIT_S = 5.0


class Renewed(Protocol):
    """What a child cannot use as it was inherited."""

    def renew(self) -> None:
        """Make it usable, in a child that was just forked."""


_renewed: WeakSet[Renewed] = WeakSet()


def renew_in_child(thing: Renewed) -> None:
    """Call `thing.renew` in every child that is forked while it lives."""
    _renewed.add(thing)


class Lock:
    """A reentrant lock that no child inherits locked; a copy, pickled or not, is one of its own."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        renew_in_child(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()

    def renew(self) -> None:
        """Free it in a child, unless the thread that forked holds it."""
        if not self._lock._is_owned():  # type: ignore[attr-defined]
            self._lock = threading.RLock()


def cached_property(func: Callable[[Any], T]) -> functools.cached_property[T]:
    """Make the standard library's, whose instances share a lock up to Python 3.11: one of ours."""
    made = functools.cached_property(func)
    made.lock = Lock()  # type: ignore[attr-defined]
    return made


class UncutLock(Lock):
    """A lock whose holder is `uncut`, and so are those who wait for it."""

    def __enter__(self) -> None:
        uncut.enter()
        super().__enter__()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        uncut.leave()


class _Gate:
    """Counts the threads inside; a fork holds newcomers back and waits for the others."""

    def __init__(self) -> None:
        self._mine = threading.local()
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._forks = 0
        self._inside = int(self._depth > 0)

    @property
    def _depth(self) -> int:
        depth: int = getattr(self._mine, "depth", 0)
        return depth

    def enter(self) -> None:
        """Come in; who is inside already comes in at once."""
        if not self._depth:
            with self._changed:
                self._changed.wait_for(lambda: not self._forks, WAIT_S)
                self._inside += 1
        self._mine.depth = self._depth + 1

    def leave(self) -> None:
        """Go out, as often as one came in."""
        self._mine.depth -= 1
        if not self._depth:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Stay inside for a block."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def before(self) -> None:
        """Wait, before a fork, until nobody else is inside."""
        self._changed.acquire()
        self._forks += 1
        mine = int(self._depth > 0)
        self._changed.wait_for(lambda: self._inside <= mine, WAIT_S)

    def in_parent(self) -> None:
        """Let them in again."""
        self._forks -= 1
        self._changed.notify_all()
        self._changed.release()

    def in_child(self) -> None:
        """Begin anew, and renew what was inherited."""
        self._begin()
        for thing in list(_renewed):
            thing.renew()


#: `with uncut():` no fork of this process happens; for what is short.
uncut = _Gate()

if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(
        before=uncut.before,
        after_in_parent=uncut.in_parent,
        after_in_child=uncut.in_child,
    )
