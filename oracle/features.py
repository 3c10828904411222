"""History -> what the network sees, and its answer back: the only feature code there is.

The same vectorised code encodes one history in a request and a hundred thousand in training.
Every row depends on its own and earlier checkpoints only (a row never changes when later
checkpoints come), so that a causal network can be followed checkpoint by checkpoint.

The target is the change from the last observed value: `log` ratio for mqe, difference for the
two ratios. mqe enters relative to mqe_of_mean, which compares between tables and libraries;
where it is missing, only its ratios to the run's own earlier values are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oracle.types import METRICS, TARGETS, History, Run

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

#: Layout of the features; an artifact written for another one is refused.
FEATURES_VERSION = 1

#: Keeps log(mqe) finite, as a share of the scale: mqe may reach 0 on a large map.
MQE_FLOOR = 1e-3
#: Keeps log(learning rate) and log(radius) finite.
RATE_FLOOR = 1e-5
RADIUS_FLOOR = 1e-2
#: Changes beyond this (log units) say no more than "very large".
MAX_LOG = 8.0
#: Checkpoints closer together than this share of the budget are seen only while they are last.
MIN_STEP = 1 / 96
#: The same where the budget is unknown, as a share of the counter so far.
MIN_STEP_UNKNOWN = 0.02

#: What is left of the plan is read at these shares of the rest (FIELD: now, 1/3, 2/3, end).
REST = (1 / 3, 2 / 3, 1.0)

_STEP = (
    "mqe_relative",
    "mqe_known_scale",
    "mqe_to_first",
    "mqe_to_previous",
    "mqe_to_best",
    "topographic_error",
    "topographic_error_known",
    "topographic_error_change",
    "topographic_error_to_first",
    "topographic_error_to_best",
    "dead_neuron_ratio",
    "dead_neuron_ratio_known",
    "dead_neuron_ratio_change",
    "dead_neuron_ratio_to_first",
    "dead_neuron_ratio_to_best",
    "progress",
    "progress_log",
    "progress_step",
    "progress_known",
    "index",
)
_PLAN = tuple(
    f"{name}_{when}"
    for name in ("learning_rate", "radius")
    for when in ("now", "first_third", "second_third", "end", "rest_mean", "start", "known", "plan")
) + ("radius_to_map", "radius_end_to_map", "work_left", "work_left_known")
_CONTEXT = (
    "map_rows",
    "map_cols",
    "map_known",
    "neurons",
    "samples",
    "samples_known",
    "dimensions",
    "dimensions_known",
    "neurons_per_sample",
    "dead_floor",
    "passes",
    "passes_known",
    "batch",
    "batch_share",
    "batch_known",
    "hexagonal",
    "topology_known",
    "gaussian",
    "bubble",
    "neighborhood_other",
    "random",
    "sample",
    "pca",
    "initialization_known",
)
#: Names of the columns of `encode`, in order.
FEATURES = _STEP + _PLAN + _CONTEXT

_STEP_COLUMNS = ("epochs", *METRICS, "learning_rate", "radius")
_SIZES = (
    "map_rows",
    "map_cols",
    "n_samples",
    "n_features",
    "mqe_of_mean",
    "total_updates",
    "batch_size",
)
_SCHEDULE_POINTS = 33
_GRID = np.linspace(0.0, 1.0, _SCHEDULE_POINTS)


@dataclass
class Columns:
    """Many histories as padded arrays; NaN = missing or padding.

    Attributes:
        step: epochs, the metrics, learning_rate, radius: each [run, time].
        total_epochs: [run].
        size: each of _SIZES, [run].
        plan: learning_rate and radius of the schedule on a fixed grid, [run, point].
        kind: hexagonal, neighbourhood and initialisation flags, [run, flag].
        length: real checkpoints of each run, [run].
    """

    step: dict[str, Array]
    total_epochs: Array
    size: dict[str, Array]
    plan: dict[str, Array]
    kind: Array
    length: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.length)

    def take(self, rows: npt.NDArray[np.int64]) -> Columns:
        """Select runs."""
        return Columns(
            {k: v[rows] for k, v in self.step.items()},
            self.total_epochs[rows],
            {k: v[rows] for k, v in self.size.items()},
            {k: v[rows] for k, v in self.plan.items()},
            self.kind[rows],
            self.length[rows],
        )


def columns_of(histories: Sequence[History]) -> Columns:
    """Gather histories into padded columns."""
    n = len(histories)
    longest = max((len(h) for h in histories), default=0)
    step = {c: np.full((n, longest), np.nan) for c in _STEP_COLUMNS}
    size = {s: np.full(n, np.nan) for s in _SIZES}
    plan = {p: np.full((n, _SCHEDULE_POINTS), np.nan) for p in ("learning_rate", "radius")}
    kind = np.zeros((n, 9))
    total = np.full(n, np.nan)
    length = np.zeros(n, np.int64)
    for i, history in enumerate(histories):
        t = length[i] = len(history)
        for column in _STEP_COLUMNS:
            values = getattr(history, column)
            if values is not None:
                step[column][i, :t] = values  # None becomes NaN
        if history.total_epochs is not None:
            total[i] = history.total_epochs
        context = history.context
        for s in _SIZES:
            if (value := getattr(context, s)) is not None:
                size[s][i] = value
        if (schedule := context.schedule) is not None:
            for p, grid in plan.items():
                if (values := getattr(schedule, p)) is not None:
                    grid[i] = np.interp(_GRID, schedule.progress, values)
        kind[i] = _kind(context.topology, context.neighborhood, context.initialization)
    return Columns(step, total, size, plan, kind, length)


def _kind(topology: str | None, neighborhood: str | None, initialization: str | None) -> list[bool]:
    near = (neighborhood or "").lower()
    start = (initialization or "").lower()
    return [
        topology == "hexagonal",
        topology is not None,
        "gauss" in near,
        near in ("bubble", "cutgauss", "cut_gaussian", "ep", "epanechnikov", "triangle"),
        bool(near) and "gauss" not in near,
        "rand" in start or "uniform" in start,
        "sample" in start or "data" in start,
        "pca" in start or "linear" in start,
        bool(start),
    ]


def encode_columns(c: Columns) -> Float32:
    """Encode padded histories.

    Returns:
        [run, time, feature] float32, unscaled; padding rows hold zeros.
    """
    mqe, te, dead = (c.step[m] for m in METRICS)
    runs, time = mqe.shape
    out: dict[str, Array] = {}
    scale = c.size["mqe_of_mean"][:, None]
    known_scale = np.isfinite(scale)
    # Without the scale the first value stands in: ratios stay right, levels are masked.
    unit = np.where(known_scale, scale, np.maximum(mqe[:, :1], 1e-300))
    level = _log(mqe / unit, MQE_FLOOR)
    out["mqe_relative"] = np.where(known_scale, level, 0.0)
    out["mqe_known_scale"] = np.broadcast_to(known_scale, mqe.shape)
    out["mqe_to_first"] = level - level[:, :1]
    out["mqe_to_previous"] = level - _previous(level)
    out["mqe_to_best"] = level - np.fmin.accumulate(level, axis=1)
    for name, values in (("topographic_error", te), ("dead_neuron_ratio", dead)):
        out[name] = values
        out[f"{name}_known"] = np.isfinite(values)
        out[f"{name}_change"] = values - _previous(values)
        out[f"{name}_to_first"] = values - values[:, :1]
        out[f"{name}_to_best"] = values - np.fmin.accumulate(values, axis=1)

    epochs = c.step["epochs"]
    progress = epochs / c.total_epochs[:, None]
    known_progress = np.isfinite(progress)
    out["progress"] = progress
    out["progress_log"] = _log(progress, 1e-3)
    out["progress_step"] = progress - _previous(progress)
    out["progress_known"] = known_progress
    out["index"] = np.broadcast_to(np.log1p(np.arange(time)), mqe.shape)

    rows, cols = c.size["map_rows"], c.size["map_cols"]
    neurons, samples = rows * cols, c.size["n_samples"]
    side = np.maximum(rows, cols)[:, None]
    rest: dict[str, Array] = {}
    for name, floor in (("learning_rate", RATE_FLOOR), ("radius", RADIUS_FLOOR)):
        plan = c.plan[name]
        planned = np.isfinite(plan[:, :1]) & known_progress
        now = np.where(np.isfinite(c.step[name]), c.step[name], _at(plan, progress))
        ahead = [_at(plan, progress + (1 - progress) * share) for share in REST]
        rest[name] = _mean_of_rest(plan, progress)
        out[f"{name}_now"] = _log(now, floor)
        for when, values in zip(("first_third", "second_third", "end"), ahead, strict=True):
            out[f"{name}_{when}"] = _log(values, floor)
        out[f"{name}_rest_mean"] = _log(rest[name], floor)
        out[f"{name}_start"] = np.broadcast_to(_log(plan[:, :1], floor), mqe.shape)
        out[f"{name}_known"] = np.isfinite(now)
        out[f"{name}_plan"] = planned
        if name == "radius":
            out["radius_to_map"] = _log(now / side, 1e-3)
            out["radius_end_to_map"] = _log(ahead[-1] / side, 1e-3)
    # Sample updates still to come, weighted by their learning rate, for each neuron.
    work = c.size["total_updates"][:, None] * (1 - progress) / neurons[:, None]
    out["work_left"] = _log(work * np.where(np.isfinite(rest["learning_rate"]), rest["learning_rate"], 1.0), 1e-3)
    out["work_left_known"] = np.isfinite(work)

    static: dict[str, Array] = {
        "map_rows": _log(rows, 1.0),
        "map_cols": _log(cols, 1.0),
        "map_known": np.isfinite(neurons),
        "neurons": _log(neurons, 1.0),
        "samples": _log(samples, 1.0),
        "samples_known": np.isfinite(samples),
        "dimensions": _log(c.size["n_features"], 1.0),
        "dimensions_known": np.isfinite(c.size["n_features"]),
        "neurons_per_sample": _log(neurons / samples, 1e-3),
        # n samples have at most n BMUs: what must stay dead whatever happens.
        "dead_floor": np.maximum(0.0, 1 - samples / neurons),
        "passes": _log(c.size["total_updates"] / samples, 1e-3),
        "passes_known": np.isfinite(c.size["total_updates"] / samples),
        "batch": _log(c.size["batch_size"], 1.0),
        "batch_share": _log(c.size["batch_size"] / samples, 1e-4),
        "batch_known": np.isfinite(c.size["batch_size"]),
    }
    static |= dict(zip(_CONTEXT[len(static) :], c.kind.T, strict=True))
    out |= {k: np.broadcast_to(v[:, None], mqe.shape) for k, v in static.items()}

    packed = np.empty((runs, time, len(FEATURES)), np.float32)
    for i, name in enumerate(FEATURES):
        packed[..., i] = out[name]
    np.nan_to_num(packed, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    packed[np.arange(time)[None, :] >= c.length[:, None]] = 0.0
    return packed


def encode(history: History) -> Float32:
    """Encode one history: [time, feature] float32, unscaled; thinned, see `thin`."""
    return encode_columns(columns_of([thin(history)]))[0]


def thin(history: History) -> History:
    """Drop checkpoints that stand too close to be told apart, the last one never.

    Which earlier ones stay depends on earlier ones alone, so that a run followed checkpoint by
    checkpoint and a whole history give the same rows.
    """
    keep, last = [], None
    for i, epoch in enumerate(history.epochs[:-1]):
        if last is None or far_enough(last, epoch, history.total_epochs):
            keep.append(i)
            last = epoch
    keep.append(len(history) - 1)
    if len(keep) == len(history):
        return history
    cut = {
        c: tuple(values[i] for i in keep)
        for c in _STEP_COLUMNS
        if (values := getattr(history, c)) is not None
    }
    return history.model_copy(update=cut)


def far_enough(last: float, epoch: float, total_epochs: float | None) -> bool:
    """Whether a checkpoint at `epoch` is kept after one at `last`."""
    if total_epochs is not None:
        return epoch - last >= MIN_STEP * total_epochs
    return epoch - last >= MIN_STEP_UNKNOWN * last


# --- targets ---------------------------------------------------------------------------------


def anchors(c: Columns) -> tuple[Array, Array]:
    """What a forecast is a change from, at every checkpoint.

    Returns:
        values [run, time, 3]: last known value of each metric (0.5 for a ratio never known).
        floor [run, time]: added to both sides of mqe's log ratio, input-space units.
    """
    mqe = c.step["mqe"]
    scale = c.size["mqe_of_mean"][:, None]
    floor = 0.01 * np.where(np.isfinite(scale), scale, np.fmax.accumulate(mqe, axis=1))
    floor = np.maximum(floor, 1e-300)
    ratios = [_last_known(c.step[m], 0.5) for m in METRICS[1:]]
    return np.stack([mqe, *ratios], axis=-1), floor


def encode_outcomes(final: Array, values: Array, floor: Array) -> Array:
    """Final values -> change from `values`; NaN stays NaN.

    Args:
        final: [..., 3], raw units.
        values: [..., 3] and floor: [...], from `anchors`.
    """
    change = final - values
    ratio = np.log((final[..., 0] + floor) / (values[..., 0] + floor))
    change[..., 0] = np.clip(ratio, -MAX_LOG, MAX_LOG)
    return change


def decode(change: Array, values: Array, floor: Array) -> Array:
    """Change -> final values, clipped to what is possible; monotone in `change`.

    Args:
        change: [3, ...] changes of the three targets.
        values: [3] and floor: scalar, of the last checkpoint.
    """
    final = np.empty_like(change, dtype=np.float64)
    grown = (values[0] + floor) * np.exp(np.clip(change[0], -MAX_LOG, MAX_LOG)) - floor
    final[0] = np.maximum(grown, 0.0)
    final[1] = np.clip(values[1] + change[1], 0.0, 1.0)
    final[2] = np.clip(values[2] + change[2], 0.0, 1.0)
    return final


def finals_of(runs: Sequence[Run]) -> Array:
    """[run, 3] final values, NaN where undefined."""
    return np.array([[_nan(getattr(run, t)) for t in TARGETS] for run in runs], np.float64).reshape(
        -1, len(TARGETS)
    )


def _nan(value: float | None) -> float:
    return np.nan if value is None else value


def _log(values: Array, floor: float) -> Array:
    """Log with a floor; NaN stays NaN."""
    return np.clip(np.log(np.maximum(values, 0.0) + floor), -3 * MAX_LOG, 3 * MAX_LOG)


def _previous(values: Array) -> Array:
    return np.concatenate([values[:, :1], values[:, :-1]], axis=1)


def _last_known(values: Array, default: float) -> Array:
    """Carry the last finite value forward along time."""
    known = np.isfinite(values)
    index = np.maximum.accumulate(np.where(known, np.arange(values.shape[1]), -1), axis=1)
    carried = np.take_along_axis(values, np.maximum(index, 0), axis=1)
    return np.where(index >= 0, carried, default)


def _at(plan: Array, progress: Array) -> Array:
    """The plan, [run, point] on _GRID, read at `progress` [run, time] by linear interpolation."""
    x = np.clip(np.nan_to_num(progress), 0.0, 1.0) * (_SCHEDULE_POINTS - 1)
    low = np.minimum(x.astype(np.int64), _SCHEDULE_POINTS - 2)
    share = x - low
    left = np.take_along_axis(plan, low, axis=1)
    right = np.take_along_axis(plan, low + 1, axis=1)
    return np.where(np.isfinite(progress), left + share * (right - left), np.nan)


def _mean_of_rest(plan: Array, progress: Array) -> Array:
    """Mean of the plan over what is left of the run, [run, time]."""
    step = 1 / (_SCHEDULE_POINTS - 1)
    area = np.zeros_like(plan)
    area[:, 1:] = np.cumsum((plan[:, 1:] + plan[:, :-1]) / 2 * step, axis=1)
    left = np.maximum(1 - progress, 1e-9)
    mean = (area[:, -1:] - _at(area, progress)) / left
    return np.where(left > 1e-6, mean, plan[:, -1:])
