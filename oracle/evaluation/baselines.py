"""What the oracle must beat: forecasters that see the same prefixes and the same inputs.

Each is fitted on training runs only and answers with the three final values, raw units. None of
them ships: they stand beside the oracle in `oracle evaluate --baselines` and `oracle replay`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from oracle.evaluation.baseline_inputs import (
    Array,
    Bools,
    Windows,
    begun,
    last_of,
    summarise,
    windows_of,
)
from oracle.history.columns import columns_of
from oracle.history.targets import MAX_LOG, decode, finals_of
from oracle.types import METRICS, History, Run


class Baseline(Protocol):
    """A forecaster that can be fitted: one contract for all of them.

    `predict` is pure and answers [history, 3] finite values within what is possible: mqe >= 0,
    ratios within 0..1. A history may hold its plan alone, if that tells mqe_of_mean.
    """

    name: str

    def fit(self, runs: Sequence[Run]) -> Self:
        """Learn from whole, uncensored runs."""

    def predict(self, histories: Sequence[History]) -> Array:
        """Forecast the final values of partial histories."""


class TrainingMean:
    """Answer with the mean final values of the training runs, mqe on the relative scale."""

    name = "training mean"

    def fit(self, runs: Sequence[Run]) -> Self:
        """Learn the means (0 where undefined); without `mqe_of_mean` by the run's first mqe."""
        finals = finals_of(runs)
        finals[:, 0] /= _scale_of([run.history for run in runs])
        self._mean = np.nansum(finals, axis=0) / np.maximum(np.isfinite(finals).sum(axis=0), 1)
        return self

    def predict(self, histories: Sequence[History]) -> Array:
        """Return the means, mqe on each history's own scale."""
        values = np.tile(self._mean, (len(histories), 1))
        values[:, 0] *= _scale_of(histories)
        return values


class LastValue:
    """Answer with the last value seen; before the first, with that of no map at all."""

    name = "last value"

    def fit(self, runs: Sequence[Run]) -> Self:
        """Learn nothing."""
        return self

    def predict(self, histories: Sequence[History]) -> Array:
        """Return the last known value of each metric."""
        return last_of(histories)[0]


class CurveFit:
    """Extrapolate each metric by a robust exponential or power law, whichever fits better.

    y = a + b·exp(-c·p) or a + b·(p + p0)^-c over progress p. The rate c runs over a grid; a and
    b are then linear and solved by reweighted least squares with the soft-L1 loss, for all
    histories at once (variable projection). Below four points it answers the last value.
    """

    name = "curve fit"
    rates = np.geomspace(0.5, 60.0, 14)
    powers = np.geomspace(0.15, 3.0, 8)
    offset = 0.02
    rounds = 4

    def fit(self, runs: Sequence[Run]) -> Self:
        """Learn nothing: the curve is the history's own."""
        return self

    def predict(self, histories: Sequence[History]) -> Array:
        """Extrapolate to the end of the budget."""
        columns = columns_of(histories)
        p = np.minimum(columns.step["epochs"] / columns.total_epochs[:, None], 1.0)
        last = last_of(histories)[0]
        result = last.copy()
        for i, metric in enumerate(METRICS):
            y = columns.step[metric]
            seen = np.isfinite(y) & np.isfinite(p)
            rows = seen.sum(axis=1) >= 4
            if rows.any():
                result[rows, i] = self._extrapolate(p[rows], y[rows], seen[rows])
        # A wild extrapolation is bounded by what the metric has ever done.
        most = np.fmax.reduce(columns.step["mqe"], axis=1, initial=0.0)
        most = np.where(columns.length > 1, 2 * most, np.inf)
        result[:, 0] = np.clip(result[:, 0], 0.0, most)
        result[:, 1:] = np.clip(result[:, 1:], 0.0, 1.0)
        return result

    def _extrapolate(self, p: Array, y: Array, seen: npt.NDArray[np.bool_]) -> Array:
        x = np.where(seen, p, 0.0)[:, :, None]
        basis = np.concatenate(
            [np.exp(-self.rates * x), (x + self.offset) ** -self.powers], axis=2
        )  # [history, time, curve]
        end = np.concatenate([np.exp(-self.rates), (1 + self.offset) ** -self.powers])
        target = np.where(seen, y, 0.0)[:, :, None]
        width = np.maximum(_spread(y, seen), 1e-6)[:, None, None] * 0.1
        weight = np.where(seen, 1.0, 0.0)[:, :, None] * np.ones_like(basis)
        for _ in range(self.rounds):
            total = weight.sum(axis=1)
            mean_b = (weight * basis).sum(axis=1) / total
            mean_y = (weight * target).sum(axis=1) / total
            centred = basis - mean_b[:, None]
            variance = (weight * centred**2).sum(axis=1)
            slope = (weight * centred * (target - mean_y[:, None])).sum(axis=1)
            slope /= np.maximum(variance, 1e-12)
            residual = (target - mean_y[:, None] - slope[:, None] * centred) / width
            weight = seen[:, :, None] / np.sqrt(1.0 + residual**2)
        loss = (seen[:, :, None] * (np.sqrt(1.0 + residual**2) - 1.0)).sum(axis=1)
        best = np.argmin(loss, axis=1)
        rows = np.arange(len(y))
        final = mean_y + slope * (end - mean_b)
        return np.asarray(final[rows, best])


class Ridge:
    """Linear regression on everything the oracle sees, with a penalty chosen by validation."""

    name = "ridge"

    def fit(self, runs: Sequence[Run]) -> Self:
        """Fit one regression a target on changes from the last value."""
        from sklearn.linear_model import RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self._stages = _Stages(
            lambda: make_pipeline(StandardScaler(), RidgeCV(np.geomspace(1.0, 1e5, 11)))
        ).fit(windows_of(runs, 0))
        return self

    def predict(self, histories: Sequence[History]) -> Array:
        """Predict the changes and add them to the last values."""
        return _from_change(self._stages.predict(histories), histories)


class Boosting:
    """Gradient-boosted trees on everything the oracle sees, plan and geometry among it: its
    strongest rival.

    Absolute error on changes from the last value. For decisions it also gives draws: residuals
    of runs it was not fitted on, by progress, added to its predictions.
    """

    name = "gradient boosting"
    #: Residuals are pooled in bins of progress with these edges.
    bins = np.array([0.08, 0.15, 0.25, 0.4, 0.6])

    def __init__(self, iterations: int = 300, seed: int = 0) -> None:
        self.iterations, self.seed = iterations, seed

    def fit(self, runs: Sequence[Run]) -> Self:
        """Fit on four fifths of the tables, keep the residuals of the rest for the draws."""
        held = _held_out(runs, self.seed)
        inside = [run for run, out in zip(runs, held, strict=True) if not out]
        outside = [run for run, out in zip(runs, held, strict=True) if out]
        self._stages = _Stages(self._regressor).fit(windows_of(inside, self.seed))
        windows = windows_of(outside, self.seed)
        histories = windows.histories
        residual = np.nan_to_num(windows.change - self._stages.predict(histories).T)
        bin_of = self._bins_of(histories)
        self._residuals = [
            residual[bin_of == b] if (bin_of == b).sum() >= 50 else residual
            for b in range(len(self.bins) + 2)
        ]
        return self

    def _regressor(self) -> _Regressor:
        from sklearn.ensemble import HistGradientBoostingRegressor

        made: _Regressor = HistGradientBoostingRegressor(
            loss="absolute_error",
            learning_rate=0.06,
            max_iter=self.iterations,
            max_leaf_nodes=31,
            min_samples_leaf=20,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=self.seed,
        )
        return made

    def _bins_of(self, histories: Sequence[History]) -> npt.NDArray[np.int64]:
        """Which pool of residuals each history draws from; the plan alone has the last."""
        progress = np.array([1.0 if h.progress is None else h.progress for h in histories])
        return np.where(begun(histories), np.digitize(progress, self.bins), len(self.bins) + 1)

    def predict(self, histories: Sequence[History]) -> Array:
        """Predict the changes and add them to the last values."""
        return _from_change(self._stages.predict(histories), histories)

    def draws(self, histories: Sequence[History], n_draws: int = 1000) -> Array:
        """Return joint outcomes [history, draw, target], raw units, the same at every call."""
        change = self._stages.predict(histories).T
        values, floor = last_of(histories)
        rng = np.random.default_rng(self.seed)
        result = np.empty((len(histories), n_draws, len(METRICS)))
        for i, b in enumerate(self._bins_of(histories)):
            pool = self._residuals[b]
            moved = change[i] + pool[rng.integers(len(pool), size=n_draws)]
            result[i] = decode(moved.T, values[i], floor[i]).T
        return result


class _Regressor(Protocol):
    def fit(self, inputs: Array, target: Array) -> Self: ...

    def predict(self, inputs: Array) -> Array: ...


class _Stages:
    """A regression a target for runs that have begun, and another for plans alone.

    They are different questions: how far the last value is from the end, and how far no map at all.
    """

    def __init__(self, make: Callable[[], _Regressor]) -> None:
        self._make = make

    def fit(self, windows: Windows) -> Self:
        """Learn the changes of each stage; a stage without examples expects none."""
        started = begun(windows.histories)
        self._models: dict[bool, list[_Regressor | None]] = {
            stage: [
                self._fitted(windows.inputs, change, started == stage)
                for change in windows.change.T
            ]
            for stage in (True, False)
        }
        return self

    def _fitted(self, inputs: Array, change: Array, rows: Bools) -> _Regressor | None:
        rows = rows & np.isfinite(change)
        return self._make().fit(inputs[rows], change[rows]) if rows.any() else None

    def predict(self, histories: Sequence[History]) -> Array:
        """Predict the changes [target, history]."""
        inputs, started = summarise(histories), begun(histories)
        change = np.zeros((len(METRICS), len(histories)))
        for stage, models in self._models.items():
            rows = started == stage
            for k, model in enumerate(models):
                if model is not None and rows.any():
                    change[k, rows] = model.predict(inputs[rows])
        return change


#: Every baseline by its name on the command line, weakest first.
BASELINES: dict[str, Callable[[], Baseline]] = {
    "mean": TrainingMean,
    "last": LastValue,
    "curve": CurveFit,
    "ridge": Ridge,
    "boosting": Boosting,
}


def _from_change(change: Array, histories: Sequence[History]) -> Array:
    """[target, history] changes -> [history, target] final values."""
    values, floor = last_of(histories)
    moved = np.clip(change, -MAX_LOG, MAX_LOG)
    return np.asarray(decode(moved, values.T, floor).T)


def _scale_of(histories: Sequence[History]) -> Array:
    """mqe_of_mean of each history; its first mqe where that is unknown."""
    return np.array([h.context.mqe_of_mean or max(h.mqe[0], 1e-12) for h in histories])


def _spread(y: Array, seen: npt.NDArray[np.bool_]) -> Array:
    highest: Array = np.where(seen, y, -np.inf).max(axis=1)
    lowest: Array = np.where(seen, y, np.inf).min(axis=1)
    return highest - lowest


def _held_out(runs: Sequence[Run], seed: int) -> npt.NDArray[np.bool_]:
    """Hold out a fifth: by table where there are ten or more, else by run."""
    rng = np.random.default_rng(seed)
    tables = sorted({run.dataset for run in runs})
    if len(tables) >= 10:
        out = {t for t in tables if rng.random() < 0.2} or {tables[0]}
        return np.array([run.dataset in out for run in runs])
    return rng.random(len(runs)) < 0.2
