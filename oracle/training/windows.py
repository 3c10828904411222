"""Training batches: recorded runs seen through random checkpoint grids, with inputs hidden.

A user's checkpoints may be even, quadratic, logarithmic or irregular, few or many, and any
context may be missing. Each batch therefore re-samples every run's checkpoints and hides inputs
as they are missing in life; the network never sees the same prefix twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from oracle.history.columns import MIN_STEP, Array, Columns, columns_of
from oracle.history.features import Float32, encode_columns
from oracle.history.targets import HORIZONS, anchors, encode_outcomes, finals_of
from oracle.training.hidden import hide_inputs
from oracle.types import METRICS, QUALITY_WEIGHTS, Run

#: Checkpoints a run in one batch; one length a batch, so nothing is padded and TensorFlow
#: traces each once.
LENGTHS = (4, 8, 12, 20, 32, 48)
LENGTH_SHARES = (0.05, 0.2, 0.25, 0.25, 0.15, 0.1)

#: Share of a run's loss that falls on its plan row, before any checkpoint.
PLAN_SHARE = 0.15
#: Weight of a horizon before the end, the end's being 1.
HORIZON_WEIGHT = 0.15


@dataclass(frozen=True)
class Batch:
    """One training batch; `time` counts the plan row and the checkpoints.

    Attributes:
        sequence: [run, time, feature] unscaled features.
        target: [run, time, horizon * 3] change from each row's last value to the values at
            HORIZONS, 0 where undefined.
        weight: [run, time, horizon * 3] of the pinball loss; 0 where undefined or padding.
        length: [run] real rows.
        progress: [run, time] share of the run; NaN beyond the real rows.
        told: [run] whether the features tell the progress.
        values, floor: anchors of each row, [run, time, 3] and [run, time].
        unit: [run] mqe_of_mean, 1 where it is hidden.
        points: [run, time] row of `Windows.movable` that each step was drawn from.
    """

    sequence: Float32
    target: Float32
    weight: Float32
    length: npt.NDArray[np.int32]
    progress: Array
    told: npt.NDArray[np.bool_]
    values: Array
    floor: Array
    unit: Array
    points: npt.NDArray[np.int64]


class Windows:
    """Random windows over recorded runs.

    Args:
        runs: usable runs (see `oracle.history.dataset.usable`).
        hide: scale of the hiding rates; 0 shows all that is known.
    """

    def __init__(self, runs: Sequence[Run], hide: float = 1.0) -> None:
        self.columns = columns_of([run.history for run in runs])
        self.finals = finals_of(runs)
        self.last_epoch = np.nanmax(self.columns.step["epochs"], axis=1)
        self.hide = hide

    def __len__(self) -> int:
        return len(self.columns)

    def draw_lengths(self, batches: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Checkpoints a run for each of `batches`."""
        return rng.choice(LENGTHS, size=batches, p=LENGTH_SHARES)

    def batch(self, rows: npt.NDArray[np.int64], length: int, rng: np.random.Generator) -> Batch:
        """Draw one window of at most `length` checkpoints for each of `rows`."""
        whole = self.columns.take(rows)
        columns, index = _resample(whole, length, rng)
        unit = columns.size["mqe_of_mean"].copy()
        hide_inputs(columns, self.hide, rng)
        progress = columns.step["epochs"] / self.last_epoch[rows][:, None]
        sequence = encode_columns(columns)
        values, floor = anchors(columns)
        outcomes = _outcomes(whole, self.finals[rows], progress)
        target = encode_outcomes(outcomes, values[:, :, None], floor[:, :, None])
        weight = _horizon_weights(row_weights(columns, values, progress))
        target = target.reshape(*target.shape[:2], -1)
        weight[~np.isfinite(target)] = 0.0
        hidden = np.isnan(columns.size["mqe_of_mean"])
        return Batch(
            sequence,
            np.nan_to_num(target).astype(np.float32),
            weight.astype(np.float32),
            columns.length.astype(np.int32),
            progress,
            np.isfinite(columns.total_epochs),
            values,
            floor,
            np.where(hidden, 1.0, np.nan_to_num(unit, nan=1.0)),
            rows[:, None] * self._steps + index,
        )

    @property
    def _steps(self) -> int:
        """Rows of the longest run, its plan among them."""
        return int(self.columns.step["epochs"].shape[1])

    def movable(self) -> npt.NDArray[np.bool_]:
        """[run * step] which rows are a checkpoint, so that what it measured may be corrected."""
        steps = np.arange(self._steps)
        checkpoint = (steps > 0) & (steps < self.columns.length[:, None])
        return np.asarray(checkpoint.ravel())


def _resample(
    c: Columns, length: int, rng: np.random.Generator
) -> tuple[Columns, npt.NDArray[np.int64]]:
    """Keep of each run its plan row and the checkpoints next after a random grid's points.

    Gives the rows that were kept, too, [run, time].
    """
    runs = len(c)
    epochs = c.step["epochs"][:, 1:]
    at = epochs / np.maximum(np.nanmax(epochs, axis=1), 1e-12)[:, None]
    grid = _grids(runs, length, rng)
    index = np.sum(at[:, None, :] < grid[:, :, None] - 1e-9, axis=2)  # NaN is never less
    index = np.minimum(index, c.length[:, None] - 2)
    picked = np.take_along_axis(at, index, axis=1)
    # The rule of `oracle.history.features.thin`: what stands closer to the one before is not kept.
    keep = np.zeros((runs, length), bool)
    last = np.full(runs, -1.0)
    for t in range(length):
        keep[:, t] = picked[:, t] - last >= MIN_STEP
        last = np.where(keep[:, t], picked[:, t], last)
    index = np.take_along_axis(index, np.argsort(~keep, axis=1, kind="stable"), axis=1)
    counts = 1 + keep.sum(axis=1)
    index = np.concatenate([np.zeros((runs, 1), np.int64), index + 1], axis=1)
    beyond = np.arange(length + 1) >= counts[:, None]
    step = {k: np.take_along_axis(v, index, axis=1) for k, v in c.step.items()}
    for values in step.values():
        values[beyond] = np.nan
    return replace(c, step=step, length=counts), index


def _outcomes(c: Columns, finals: Array, progress: Array) -> Array:
    """The metrics at HORIZONS of what is left at each row, [run, time, horizon, 3].

    Between recorded checkpoints they are linear; the end is the run's final values.
    """
    runs, time = progress.shape
    out = np.empty((runs, time, len(HORIZONS), len(METRICS)))
    out[:, :, 0] = finals[:, None]
    shares = np.array(HORIZONS[1:])
    asked = progress[..., None] + shares * (1 - progress[..., None])
    for i in range(runs):
        part = slice(1, c.length[i])
        epochs = c.step["epochs"][i, part]
        at = epochs / epochs[-1]
        for k, metric in enumerate(METRICS):
            out[i, :, 1:, k] = np.interp(asked[i], at, c.step[metric][i, part])
    return out


def row_weights(c: Columns, values: Array, progress: Array) -> Array:
    """Weight of each row's loss, [run, time, 3].

    Checkpoints count by the progress they stand for (dense early ones are no more prefixes),
    half even; the plan row has a share of its own. Targets are weighed in units of the quality
    score: a log ratio of mqe by the mqe it multiplies.
    """
    real = np.isfinite(progress)
    real[:, 0] = False
    gap = np.diff(progress, axis=1, append=1.0)
    gap = np.where(real, np.nan_to_num(np.clip(gap, 0.0, 0.2)), 0.0)
    gap /= np.maximum(gap.sum(axis=1, keepdims=True), 1e-9)
    even = real / np.maximum(real.sum(axis=1, keepdims=True), 1)
    # A forecast at the very end is no forecast.
    share = (0.5 * gap + 0.5 * even) * np.where(np.nan_to_num(progress, nan=1.0) > 0.97, 0.1, 1.0)
    share[:, 0] = PLAN_SHARE
    share *= c.length[:, None] / 4
    weight = share[..., None] * target_weights(c, values)
    return np.where(np.isfinite(progress)[..., None], weight, 0.0)


def _horizon_weights(weight: Array) -> Array:
    """[run, time, 3] -> [run, time, horizon * 3]."""
    each = np.array([1.0] + [HORIZON_WEIGHT] * (len(HORIZONS) - 1))
    spread = weight[:, :, None, :] * each[:, None]
    return np.asarray(spread.reshape(*weight.shape[:2], -1))


def target_weights(c: Columns, values: Array) -> Array:
    """Weight of each target in units of the quality score, [run, ..., 3].

    A log ratio of mqe weighs as much as the mqe that it multiplies.

    Args:
        c: of the runs.
        values: anchors, [run, 3] or [run, time, 3].
    """
    several = (slice(None),) + (None,) * (values.ndim - 2)
    scale = c.size["mqe_of_mean"][several]
    first = c.step["mqe"][:, min(1, c.step["mqe"].shape[1] - 1)][several]
    relative = np.where(scale == scale, values[..., 0] / scale, 0.6 * values[..., 0] / first)
    weight = np.empty_like(values)
    weight[..., 0] = np.clip(np.nan_to_num(relative), 0.1, 2.0) * QUALITY_WEIGHTS[0]
    weight[..., 1:] = QUALITY_WEIGHTS[1:]
    return weight


def _grids(runs: int, length: int, rng: np.random.Generator) -> Array:
    """Where users may put `length` checkpoints: [run, point] shares of the run, increasing."""
    even = np.linspace(0.0, 1.0, length)
    start = np.where(rng.random(runs) < 0.5, 0.0, rng.uniform(0.0, 0.1, runs))[:, None]
    power = even ** rng.uniform(1.3, 2.5, (runs, 1))
    first = np.log(rng.uniform(0.005, 0.05, (runs, 1)))
    logarithmic = np.exp(first * (1 - even))
    irregular = np.sort(rng.random((runs, length)), axis=1)
    kind = rng.random((runs, 1))
    shape = np.select(
        [kind < 0.45, kind < 0.65, kind < 0.85],
        [np.broadcast_to(even, (runs, length)), power, logarithmic],
        irregular,
    )
    return np.asarray(start + (1 - start) * shape)
