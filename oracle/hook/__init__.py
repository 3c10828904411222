"""`watch`: the hook in a training loop, and the parts it is made of.

The names below are loaded on first use, so that one part can be imported without the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oracle.hook.watched import Fitness as Fitness
    from oracle.hook.watched import Population as Population
    from oracle.hook.watched import WatchedRun as WatchedRun
    from oracle.hook.watched import context_of as context_of
    from oracle.hook.watched import policy_for as policy_for
    from oracle.hook.watched import watch as watch

__all__ = ["Fitness", "Population", "WatchedRun", "context_of", "policy_for", "watch"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'oracle.hook' has no attribute {name!r}")
    value = getattr(import_module("oracle.hook.watched"), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
