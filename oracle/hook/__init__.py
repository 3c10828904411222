"""`watch`: the hook in a training loop, and the parts it is made of.

The names below are loaded on first use, so that one part can be imported without the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from oracle.forks import uncut

if TYPE_CHECKING:
    from oracle.history.context import context_of as context_of
    from oracle.hook.fitness import Fitness as Fitness
    from oracle.hook.population import Population as Population
    from oracle.hook.second_look import finish_promising as finish_promising
    from oracle.hook.second_look import promising as promising
    from oracle.hook.set_up import policy_for as policy_for
    from oracle.hook.set_up import watch as watch
    from oracle.hook.watched import WatchedRun as WatchedRun

#: Name -> module that defines it.
_HOME = {
    "Fitness": "oracle.hook.fitness",
    "Population": "oracle.hook.population",
    "WatchedRun": "oracle.hook.watched",
    "context_of": "oracle.history.context",
    "finish_promising": "oracle.hook.second_look",
    "policy_for": "oracle.hook.set_up",
    "promising": "oracle.hook.second_look",
    "watch": "oracle.hook.set_up",
}
__all__ = [
    "Fitness",
    "Population",
    "WatchedRun",
    "context_of",
    "finish_promising",
    "policy_for",
    "promising",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'oracle.hook' has no attribute {name!r}")
    with uncut():  # a child would wait for ever for an import that a thread of its parent had begun
        value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
