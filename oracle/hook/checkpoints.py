"""The checkpoints of a watched run, checked one by one, and as many kept as a forecast reads."""

from __future__ import annotations

from collections.abc import Collection
from math import isfinite
from typing import Any, NamedTuple, SupportsFloat

from oracle.errors import must_be
from oracle.history.columns import far_enough
from oracle.hook.warn_once import Problems
from oracle.types import METRICS, History
from oracle.types.end_of_run import BUDGET_ADVICE, budget_rule, is_beyond_end, reaches_end
from oracle.types.fields import MAX_MQE

Value = SupportsFloat | None

#: Reports closer together than this share of the budget are kept but not judged.
CHECK_EVERY = 0.01


class Checkpoint(NamedTuple):
    """One measurement, a row of `History.of_rows`; None where unknown or undefined."""

    epoch: float
    mqe: float
    topographic_error: float | None
    dead_neuron_ratio: float | None
    learning_rate: float | None = None
    radius: float | None = None


class Checkpoints:
    """Collect checkpoints; what cannot be one is told to `problems` and left out.

    Attributes:
        kept: in order of epoch, the newest always last.
        total_epochs: the budget, None where unknown.
        asked: the metrics without which nothing is judged.
        diverged: the mqe that came last was no finite number: such a map has no values, and
            those of before are not its own.
    """

    def __init__(self, problems: Problems, asked: Collection[str] = METRICS) -> None:
        self.kept: list[Checkpoint] = []
        self.total_epochs: float | None = None
        self.asked = asked
        self.diverged = False
        self._problems = problems

    def add(
        self, epoch: Value, mqe: Value, error: Value, dead: Value, rate: Value, radius: Value
    ) -> bool:
        """Take a report; False where it cannot be a checkpoint."""
        at, total = number(epoch), self.total_epochs
        last = self.kept[-1].epoch if self.kept else None
        if at is None or at < 0:
            rule, advice = "a finite number >= 0", ""
        elif last is not None and at <= last:
            rule = f"larger than at the last report ({last:g})"
            advice = " A training that goes on from an earlier map says so by `rewind`."
        elif total and at > total and is_beyond_end([c.epoch for c in self.kept] + [at], total):
            rule, advice = budget_rule(total), f" {BUDGET_ADVICE}"
        else:
            checkpoint = self.measured(at, mqe, error, dead, rate, radius)
            if checkpoint is not None:
                append(self.kept, checkpoint, self.total_epochs)
            return checkpoint is not None
        advice = "The report is ignored." + advice
        self._problems.note("epoch", must_be("epoch", rule, epoch, advice))
        return False

    def rewind(self, epoch: float) -> None:
        """Forget the checkpoints after `epoch`."""
        self.diverged = False
        self.kept = [checkpoint for checkpoint in self.kept if checkpoint.epoch <= epoch]

    def measured(
        self, at: float, mqe: Value, error: Value, dead: Value, rate: Value, radius: Value
    ) -> Checkpoint | None:
        """Check the values of a report at epoch `at`; None where mqe, the one needed, is not."""
        value = number(mqe)
        self.diverged = _is_beyond(mqe)
        if self.diverged:
            rule = f"a finite number, at most {MAX_MQE:g}"
            advice = "A map that ends like this has diverged, and counts as infinitely bad."
            self._problems.note("diverged", must_be("mqe", rule, mqe, advice))
            return None
        if value is None or value < 0:
            advice = "The report is ignored. `oracle.measure(weights, data, topology)` gives it."
            self._problems.note("mqe", must_be("mqe", "a finite number >= 0", mqe, advice))
            return None
        for name, given in zip(METRICS[1:], (error, dead), strict=True):
            if given is None and name in self.asked:
                advice = (
                    "Where no run of the population has it, runs are ranked without it; where some "
                    f"have, one without is not stopped. Pass `{name}=`, or give it the weight 0."
                )
                self._problems.note("missing_metric", must_be(name, "given", None, advice))
        return Checkpoint(
            at,
            value,
            self._within("topographic_error", error, 1.0),
            self._within("dead_neuron_ratio", dead, 1.0),
            self._within("learning_rate", rate, float("inf")),
            self._within("radius", radius, float("inf")),
        )

    @property
    def is_whole(self) -> bool:
        """Whether the last checkpoint is the run's end; of an unknown budget each may be it."""
        if not self.kept or self.total_epochs is None:
            return bool(self.kept)
        return reaches_end([c.epoch for c in self.kept], self.total_epochs)

    @property
    def never_measured(self) -> tuple[str, ...]:
        """The metrics that no checkpoint has; before the first nothing is said."""
        if not self.kept:
            return ()
        return tuple(
            m for m in METRICS if all(getattr(checkpoint, m) is None for checkpoint in self.kept)
        )

    def history(self, fixed: dict[str, Any]) -> History:
        """Give the run so far, with what all its histories have in common.

        Raises:
            InvalidHistory: `fixed` does not fit.
        """
        return History.of_rows(self.kept, **fixed, total_epochs=self.total_epochs)

    def _within(self, name: str, given: Value, most: float) -> float | None:
        value = number(given)  # NaN is how libraries say undefined: no problem
        if value is None or 0 <= value <= most:
            return value
        rule = "within 0..1" if most == 1.0 else ">= 0"
        self._problems.note(name, must_be(name, rule, given, "It is taken as unknown."))
        return None


def append(kept: list[Checkpoint], newest: Checkpoint, total_epochs: float | None) -> None:
    """Append; one that stands too close to the one before is kept only while it is last."""
    if len(kept) > 1 and not far_enough(kept[-2].epoch, kept[-1].epoch, total_epochs):
        kept.pop()
    kept.append(newest)


def is_soon(last: float | None, epoch: float, total_epochs: float | None, every: float) -> bool:
    """Whether a look at `epoch` is not worth its cost, so soon after the one at `last`.

    Args:
        last: epoch of the last look, None before the first.
        epoch, total_epochs: now, and the budget.
        every: smallest share of the budget between two looks; without one they grow apart.
    """
    if last is None or (total_epochs is not None and epoch >= total_epochs):
        return False
    if total_epochs is None:
        return every > 0 and not far_enough(last, epoch, None)
    return epoch - last < every * total_epochs


def _is_beyond(mqe: Value) -> bool:
    """Whether it is a number that no map has which trains well: not finite, or near its end."""
    try:
        return not abs(float(mqe)) <= MAX_MQE  # type: ignore[arg-type]
    except OverflowError:  # of a whole number
        return True
    except (TypeError, ValueError):
        return False


def number(value: Value) -> float | None:
    """Give a Python float of any number, NumPy's included; None for what is none or not finite."""
    try:
        result = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return result if isfinite(result) else None
