"""Decisions written through to the tracker of a run: W&B's run, or any object with `log`, `config`.

MLflow's has a module of its own, `oracle.integrations.mlflow`, since its runs are no such objects.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Protocol

from oracle.hook import WatchedRun
from oracle.types import TARGETS

#: Failures in a row after which a tracker is left alone: a server that is away costs seconds each.
FAILURES = 3


class Config(Protocol):
    """Attributes of a run: a dict, or what W&B has."""

    def update(self, values: dict[str, Any], /) -> object:
        """Set some of them."""


class Tracker(Protocol):
    """A run of a tracker.

    Attributes:
        config: its attributes.
    """

    config: Any

    def log(self, values: dict[str, float], /) -> object:
        """Keep numbers of now."""


def track(run: WatchedRun, tracker: Tracker) -> WatchedRun:
    """Write what is decided on a run to its tracker, from now on.

    Numbers are logged at each decision: `oracle/epoch`, `oracle/progress`, `oracle/p_good`,
    `oracle/support`, `oracle/will_worsen`, the quality score's and the final values' medians.
    Attributes are set when they change: `oracle.action`, `oracle.reason`, `oracle.message`,
    `oracle.policy`, `oracle.model`, `oracle.state`. Whatever fails gives one warning, and three
    failures in a row end it; the training goes on.

    Args:
        run: of `watch`.
        tracker: W&B's run, or an object with `log(numbers)` and `config.update(attributes)`.

    Returns:
        The run.
    """
    return run.follow(_Written(tracker))


def numbers_of(run: WatchedRun) -> dict[str, float]:
    """Tell the last decision on a run in numbers; what is not known is left out."""
    decision = run.decision
    if decision is None:
        return {}
    found = {"epoch": run.epoch, "progress": decision.progress, "p_good": decision.p_good}
    if (forecast := decision.forecast) is not None:
        found |= {"support": forecast.support, "will_worsen": forecast.will_worsen}
        score = forecast.quality[-1].values if forecast.quality else ()
        found |= {"score": score[len(score) // 2] if score else None}
        found |= {target: forecast.median(target) for target in TARGETS}
    return {
        f"oracle/{name}": float(value)
        for name, value in found.items()
        if value is not None and isfinite(value)
    }


def attributes_of(run: WatchedRun) -> dict[str, str]:
    """Tell the last decision on a run, and how it stands, in words."""
    told = {"run_id": run.run_id, "state": run.state}
    if (decision := run.decision) is not None:
        told |= {"action": decision.action.value, "reason": decision.reason.value}
        told |= {"message": decision.message, "policy": decision.policy.name}
        if (model := decision.model) is not None:
            told["model"] = f"{model.name} {model.version} {model.sha256[:12]}"
    return {f"oracle.{name}": text for name, text in told.items()}


class _Written:
    """Writes what is new of a run."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._logged: object = None
        self._said: dict[str, str] = {}
        self._failures = 0

    def __call__(self, run: WatchedRun) -> None:
        """Write the last decision, where it is not written yet."""
        if self._failures >= FAILURES:
            return
        self._failures += 1
        decision, self._logged = self._logged, run.decision
        if run.decision is not decision and (numbers := numbers_of(run)):
            self._tracker.log(numbers)
        said = attributes_of(run)
        # The message has figures in it: of one verdict the first stands, until the run ends.
        verdict = [f"oracle.{name}" for name in ("action", "reason", "state", "model")]
        if any(said.get(name) != self._said.get(name) for name in verdict):
            self._update(said)
            self._said = said
        self._failures = 0

    def _update(self, said: dict[str, str]) -> None:
        config = self._tracker.config
        if isinstance(config, dict):
            config.update(said)
            return
        try:
            config.update(said, allow_val_change=True)  # W&B refuses a second value otherwise
        except TypeError:
            config.update(said)
