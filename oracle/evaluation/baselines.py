"""What the oracle must beat: forecasters that see the same prefixes and the same inputs.

Each is fitted on training runs only and answers with the three final values, raw units. None of
them ships: they stand beside the oracle in `oracle evaluate --baselines` and `oracle replay`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from oracle.history.features import (
    MAX_LOG,
    anchors,
    columns_of,
    decode,
    encode_columns,
    encode_outcomes,
    finals_of,
    thin,
)
from oracle.types import METRICS, History, Run

Array = npt.NDArray[np.float64]

#: Prefixes drawn from each training run, and rows at most: more bring little and cost minutes.
PREFIXES_A_RUN = 4
MAX_ROWS = 20_000
#: Progress the training prefixes are cut at, as the oracle's own.
FIRST_CUT, LAST_CUT = 0.05, 0.9
#: Features that hold the readings of the three metrics, for the summary statistics.
_LEVELS = (0, 5, 10)


class Baseline(Protocol):
    """A forecaster that can be fitted: one contract for all of them.

    `predict` is pure and answers [history, 3] finite values within what is possible: mqe >= 0,
    ratios within 0..1.
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
    """Answer with the last value seen."""

    name = "last value"

    def fit(self, runs: Sequence[Run]) -> Self:
        """Learn nothing."""
        return self

    def predict(self, histories: Sequence[History]) -> Array:
        """Return the last known value of each metric."""
        return _last(histories)[0]


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
        last = _last(histories)[0]
        result = last.copy()
        for i, metric in enumerate(METRICS):
            y = columns.step[metric]
            seen = np.isfinite(y) & np.isfinite(p)
            rows = seen.sum(axis=1) >= 4
            if rows.any():
                result[rows, i] = self._extrapolate(p[rows], y[rows], seen[rows])
        # A wild extrapolation is bounded by what the metric has ever done.
        result[:, 0] = np.clip(result[:, 0], 0.0, 2 * np.nanmax(columns.step["mqe"], axis=1))
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

        inputs, change = training_rows(runs)
        self._models = []
        for i in range(len(METRICS)):
            known = np.isfinite(change[:, i])
            model = make_pipeline(StandardScaler(), RidgeCV(np.geomspace(1.0, 1e5, 11)))
            self._models.append(model.fit(inputs[known], change[known, i]))
        return self

    def predict(self, histories: Sequence[History]) -> Array:
        """Predict the changes and add them to the last values."""
        inputs = summarise(histories)
        return _from_change([model.predict(inputs) for model in self._models], histories)


class Boosting:
    """Gradient-boosted trees on everything the oracle sees: its strongest rival.

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
        self._models = self._fit(*training_rows(inside, self.seed))
        histories, _, change = _windows(outside, self.seed)
        predicted = np.stack([m.predict(summarise(histories)) for m in self._models], axis=1)
        residual = np.nan_to_num(change - predicted)
        bin_of = np.digitize(_progress(histories), self.bins)
        self._residuals = [
            residual[bin_of == b] if (bin_of == b).sum() >= 50 else residual
            for b in range(len(self.bins) + 1)
        ]
        return self

    def _fit(self, inputs: Array, change: Array) -> list[_Regressor]:
        from sklearn.ensemble import HistGradientBoostingRegressor

        models: list[_Regressor] = []
        for i in range(len(METRICS)):
            known = np.isfinite(change[:, i])
            model = HistGradientBoostingRegressor(
                loss="absolute_error",
                learning_rate=0.06,
                max_iter=self.iterations,
                max_leaf_nodes=31,
                min_samples_leaf=20,
                l2_regularization=1.0,
                early_stopping=False,
                random_state=self.seed,
            )
            models.append(model.fit(inputs[known], change[known, i]))
        return models

    def predict(self, histories: Sequence[History]) -> Array:
        """Predict the changes and add them to the last values."""
        inputs = summarise(histories)
        return _from_change([model.predict(inputs) for model in self._models], histories)

    def draws(self, histories: Sequence[History], n_draws: int = 1000) -> Array:
        """Return joint outcomes [history, draw, target], raw units, the same at every call."""
        inputs = summarise(histories)
        change = np.stack([model.predict(inputs) for model in self._models], axis=1)
        values, floor = _last(histories)
        rng = np.random.default_rng(self.seed)
        result = np.empty((len(histories), n_draws, len(METRICS)))
        for i, b in enumerate(np.digitize(_progress(histories), self.bins)):
            pool = self._residuals[b]
            moved = change[i] + pool[rng.integers(len(pool), size=n_draws)]
            result[i] = decode(moved.T, values[i], floor[i]).T
        return result


class _Regressor(Protocol):
    def fit(self, inputs: Array, target: Array) -> Self: ...

    def predict(self, inputs: Array) -> Array: ...


#: Every baseline by its name on the command line, weakest first.
BASELINES: dict[str, Callable[[], Baseline]] = {
    "mean": TrainingMean,
    "last": LastValue,
    "curve": CurveFit,
    "ridge": Ridge,
    "boosting": Boosting,
}


# -- inputs -----------------------------------------------------------------------------------


def training_rows(runs: Sequence[Run], seed: int = 0) -> tuple[Array, Array]:
    """Cut random prefixes of runs: inputs [row, feature] and changes [row, target] to learn."""
    histories, inputs, change = _windows(runs, seed)
    del histories
    return inputs, change


def _windows(runs: Sequence[Run], seed: int) -> tuple[list[History], Array, Array]:
    rng = np.random.default_rng(seed)
    cuts = min(PREFIXES_A_RUN, max(1, MAX_ROWS // max(1, len(runs))))
    if len(runs) * cuts > MAX_ROWS:
        runs = [runs[i] for i in rng.choice(len(runs), MAX_ROWS // cuts, replace=False)]
    histories: list[History] = []
    finals: list[Array] = []
    for run, final in zip(runs, finals_of(runs), strict=True):
        for progress in rng.uniform(FIRST_CUT, LAST_CUT, cuts) ** 1.5:  # early ones matter more
            prefix = run.history.until(float(progress)) if run.history.total_epochs else None
            histories.append(prefix or run.history.prefix(1))
            finals.append(final)
    values, floor = _last(histories)
    change = encode_outcomes(np.array(finals), values, floor)
    return histories, summarise(histories), change


def summarise(histories: Sequence[History], block: int = 2000) -> Array:
    """[history, feature]: the oracle's last row of features, and statistics of the way there.

    The three metrics' mean, deviation, minimum, maximum, slope and readings at one and two
    thirds of the prefix stand for what a recurrent network gathers by itself.
    """
    parts = []
    for start in range(0, len(histories), block):
        columns = columns_of([thin(h) for h in histories[start : start + block]])
        rows = encode_columns(columns).astype(np.float64)  # [history, time, feature]
        n, time, _ = rows.shape
        index, length = np.arange(time), columns.length
        levels = rows[:, :, _LEVELS]
        seen = (index < length[:, None])[:, :, None]
        count = length[:, None]
        mean = (levels * seen).sum(axis=1) / count
        centred = np.where(seen, levels - mean[:, None], 0.0)
        deviation = np.sqrt((centred**2).sum(axis=1) / count)
        at = np.where(seen[..., 0], index - (count - 1) / 2, 0.0)
        slope = (centred * at[:, :, None]).sum(axis=1) / np.maximum((at**2).sum(1), 1e-9)[:, None]
        each = np.arange(n)
        parts.append(
            np.hstack(
                [
                    rows[each, length - 1],
                    mean,
                    deviation,
                    slope,
                    np.where(seen, levels, np.inf).min(axis=1),
                    np.where(seen, levels, -np.inf).max(axis=1),
                    levels[each, (length - 1) // 3],
                    levels[each, 2 * (length - 1) // 3],
                ]
            )
        )
    table: Array = np.nan_to_num(np.vstack(parts))
    return table


def _last(histories: Sequence[History]) -> tuple[Array, Array]:
    """[history, 3] last known values and [history] floors of mqe's log ratio."""
    columns = columns_of(histories)
    values, floor = anchors(columns)
    rows, end = np.arange(len(histories)), columns.length - 1
    return values[rows, end], floor[rows, end]


def _from_change(change: Sequence[Array], histories: Sequence[History]) -> Array:
    values, floor = _last(histories)
    moved = np.clip(np.stack(change), -MAX_LOG, MAX_LOG)  # [target, history]
    return np.asarray(decode(moved, values.T, floor).T)


def _scale_of(histories: Sequence[History]) -> Array:
    """mqe_of_mean of each history; its first mqe where that is unknown."""
    return np.array([h.context.mqe_of_mean or max(h.mqe[0], 1e-12) for h in histories])


def _progress(histories: Sequence[History]) -> Array:
    return np.array([1.0 if h.progress is None else h.progress for h in histories])


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
