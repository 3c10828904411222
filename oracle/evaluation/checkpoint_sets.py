"""How few checkpoints do: forecasts on recorded runs of which only some checkpoints are seen.

A set is a few shares of the budget at which a map is measured. At every check a run is forecast
from the checkpoints of the set that lie before it, before the first from its plan alone. Sets
grow greedily, by the checkpoint that takes most of the error away, until the error is within a
given share of that with all; equally spaced ones stand beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from oracle.decision.rules import draw_scores
from oracle.errors import DatasetError, must_be
from oracle.evaluation.intervals import Array, Names, clusters_of, interval, mean_of
from oracle.evaluation.recorded_runs import Forecaster, scale_of
from oracle.history.quality_score import scores_of, weights_of
from oracle.history.targets import finals_of
from oracle.types import CHECKPOINT, History, Run

#: Shares of the budget that sets are made of: a few early ones, then every twentieth.
GRID = (0.01, 0.02, *(i / 20 for i in range(1, 20)))
CHECKS = (0.1, 0.2, 0.3, 0.5, 0.7)
#: Numbers of equally spaced checkpoints that are tried.
SPACED = (2, 3, 4, 5, 6, 8, 10, 15, 20, 40)


class Measured(NamedTuple):
    """What one set of checkpoints does.

    Attributes:
        shares: of the budget, increasing.
        error: mean absolute error of the quality score over runs and checks.
        excess: error over that with all checkpoints, less 1; the mean over the checks, for late
            errors are small and count as much.
        low, high: 95 % interval of the excess over tables; None of a single one.
        by_check: error at each check.
    """

    shares: tuple[float, ...]
    error: float
    excess: float
    low: float | None
    high: float | None
    by_check: tuple[float, ...]


@dataclass
class CheckpointSets:
    """Measures sets of checkpoints on recorded runs.

    Args:
        runs: whole ones, of known budget, scale and final values; others are left out.
        forecaster: the oracle.
        checks: shares of the budget at which runs are forecast.

    Raises:
        DatasetError: no run is left.
    """

    runs: Sequence[Run]
    forecaster: Forecaster
    checks: Sequence[float] = CHECKS

    def __post_init__(self) -> None:
        finals = finals_of(self.runs)
        known = np.atleast_1d(np.isfinite(finals).all(axis=1))
        kept = [
            i
            for i, run in enumerate(self.runs)
            if known[i] and run.history.total_epochs is not None and scale_of(run) is not None
        ]
        if not kept:
            rule = "of runs with total_epochs, context.mqe_of_mean and all final values"
            raise DatasetError(must_be("dataset", rule, f"{len(self.runs)} others"))
        self.runs = [self.runs[i] for i in kept]
        scales = np.array([scale_of(run) for run in self.runs], np.float64)
        self._true = scores_of(finals[kept].T, weights_of(scales))
        self._clusters: Names = clusters_of(np.array([run.dataset for run in self.runs]))
        self._all = self._errors(None)
        self._weights = 1 / self._all.mean(axis=1, keepdims=True)

    @property
    def error(self) -> float:
        """Mean absolute error with every recorded checkpoint."""
        return float(self._all.mean())

    def measure(self, shares: Sequence[float]) -> Measured:
        """Measure one set."""
        errors = self._errors(tuple(sorted(shares)))
        weighed = [(self._weights * e).sum(axis=0) for e in (errors, self._all)]
        per_run = np.stack(weighed, axis=1)
        found = interval(mean_of, per_run, self._clusters)
        low, high = (None, None) if found is None else (found[0] - 1, found[1] - 1)
        by_check = tuple(errors.mean(axis=1).tolist())
        excess = self._excess(errors)
        return Measured(tuple(sorted(shares)), float(errors.mean()), excess, low, high, by_check)

    def _excess(self, errors: Array) -> float:
        return float((self._weights * errors).mean() - 1)

    def spaced(self, counts: Sequence[int] = SPACED) -> Iterator[Measured]:
        """Measure so many equally spaced checkpoints, the end the last of them."""
        for n in counts:
            yield self.measure([(i + 1) / n for i in range(n)])

    def greedy(self, within: float, grid: Sequence[float] = GRID) -> Iterator[Measured]:
        """Grow a set until its error is within a share of that with all, or nothing helps.

        Args:
            within: e.g. 0.02.
            grid: shares to choose from; those after the last check say nothing.
        """
        left = [share for share in grid if share <= max(self.checks)]
        chosen: tuple[float, ...] = ()
        best = np.inf
        while left:
            tried = {
                share: self._excess(self._errors(tuple(sorted((*chosen, share))))) for share in left
            }
            share = min(tried, key=tried.__getitem__)
            if tried[share] >= best:
                return
            best = tried[share]
            chosen = (*chosen, share)
            left.remove(share)
            yield self.measure(chosen)
            if best <= within:
                return

    def _errors(self, shares: tuple[float, ...] | None) -> Array:
        """[check, run] absolute errors of the median quality score; None = all checkpoints."""
        asked = [_seen(run.history, check, shares) for check in self.checks for run in self.runs]
        # Before a set's next checkpoint nothing is new: the same question is asked once.
        keys = [(i % len(self.runs), h.epochs) for i, h in enumerate(asked)]
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        once = sorted(first.values())
        answers = self.forecaster.forecast_many([asked[i] for i in once])
        median = {}
        for i, forecast in zip(once, answers, strict=True):
            scale = scale_of(self.runs[i % len(self.runs)])
            scores = draw_scores(forecast, weights_of(scale or 1.0))
            median[keys[i]] = float(np.median(scores))
        said = np.array([median[key] for key in keys]).reshape(len(self.checks), -1)
        return np.asarray(np.abs(said - self._true))


def _seen(history: History, check: float, shares: tuple[float, ...] | None) -> History:
    """The run at a check, as one sees it who measures at these shares of the budget."""
    found = history.until(check)
    upto = history.prefix(0) if found is None else found  # before its first checkpoint: the plan
    if shares is None or not len(upto):
        return upto
    total = history.total_epochs or 1.0
    epochs = np.array(upto.epochs) * (1 - 1e-9)
    at = np.searchsorted(epochs, [s * total for s in shares if s <= check + 1e-9], side="right")
    keep = sorted({int(i) - 1 for i in at if i > 0})
    columns = {
        name: tuple(values[i] for i in keep)
        for name in CHECKPOINT
        if (values := getattr(upto, name)) is not None
    }
    return upto.model_copy(update=columns)
