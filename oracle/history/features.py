"""History -> what the network sees, and its answer back: the only feature code there is.

The same vectorised code encodes one history in a request and a hundred thousand in training.
Row 0 of every run is its plan: context and schedule, no metric measured. One row a checkpoint
follows. Every row depends on its own and earlier checkpoints only.

A target is the change from the last observed value: `log` ratio for mqe, difference for the
two ratios. Before the first checkpoint mqe_of_mean and UNKNOWN_RATIO stand in. mqe enters
relative to mqe_of_mean, which compares between tables and libraries; where it is missing, only
its ratios to the run's own earlier values are left. A ratio that a checkpoint does not tell is
carried forward from the one that did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from oracle.types import METRICS, TARGETS, History

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

#: Layout of the features; an artifact written for another one is refused.
FEATURES_VERSION = 2

#: Keeps log(mqe) finite, as a share of the scale: mqe may reach 0 on a large map.
MQE_FLOOR = 1e-3
#: Scales of a table's features beyond these say no more than "not scaled": units are anybody's.
DEVIATIONS = (0.08, 12.0)
#: Changes of mqe beyond this (log units) say no more than "very large".
MAX_LOG = 8.0
#: Shares of what is left of a run at which the metrics are forecast; the end itself stands first.
HORIZONS = (1.0, 0.25, 0.5, 0.75)
#: Values that a network forecasts: each metric at each horizon, [horizon, metric] in a row.
OUTPUTS = len(HORIZONS) * len(METRICS)
#: Their names: the final values, then the metrics at the other horizons.
OUTPUT_NAMES = (*TARGETS, *(f"{metric}_at_{h}" for h in HORIZONS[1:] for metric in METRICS))
#: Added to both sides of mqe's log ratio, as a share of its scale.
MQE_SHARE = 0.01
#: Stands in for a ratio that no checkpoint has.
UNKNOWN_RATIO = 0.5
#: Features beyond this are clipped: far outside anything seen.
MAX_FEATURE = 25.0
#: Checkpoints closer together than this share of the budget are seen only while they are last.
MIN_STEP = 1 / 96
#: The same where the budget is unknown, as a share of the counter so far.
MIN_STEP_UNKNOWN = 0.02

#: What is left of the plan is read at these shares of the rest (FIELD: now, 1/3, 2/3, end).
REST = (1 / 3, 2 / 3, 1.0)
_WHEN = np.array((0.0, *REST))
#: Columns that a schedule plans.
PLANS = ("learning_rate", "radius")
#: What is read of each plan, beside its values at _WHEN: mean and most of the rest, and the start.
_READ = ("now", "first_third", "second_third", "end", "rest_mean", "rest_most", "start")
#: What a `known` column says of a ratio that is carried forward from an earlier checkpoint.
CARRIED = 0.5

#: Numbers of `oracle.types.Geometry` -> floor under the logarithm that is taken of them.
GEOMETRY: dict[str, float | None] = {
    "variance_1": None,
    "variance_2": None,
    "variance_5": None,
    "participation": 0.1,
    "dimension": 0.1,
    "neighbor_distance": 1e-3,
    "distance_spread": 1e-2,
    "offset": 0.1,
    "distinct": None,
    "row_step": 1e-2,
    "quantization_4": 1e-2,
    "quantization_16": 1e-2,
    "quantization_64": 1e-2,
    "quantization_map": 1e-2,
}

#: Columns of `encode` in order -> floor under the logarithm that is taken of them, None = as is.
_FLOORS: dict[str, float | None] = {
    "mqe_relative": None,
    "mqe_to_first": None,
    "mqe_to_previous": None,
    "mqe_to_best": None,
    "mqe_known_scale": None,
    "topographic_error": None,
    "topographic_error_to_first": None,
    "topographic_error_to_previous": None,
    "topographic_error_to_best": None,
    "topographic_error_known": None,
    "dead_neuron_ratio": None,
    "dead_neuron_ratio_to_first": None,
    "dead_neuron_ratio_to_previous": None,
    "dead_neuron_ratio_to_best": None,
    "dead_neuron_ratio_known": None,
    "index": 1.0,
    "progress": None,
    "progress_log": 1e-3,
    "progress_to_previous": None,
    "progress_known": None,
    # The plan: now, at 1/3, 2/3 and the end of what is left, its mean and most over the rest.
    **{
        f"{name}_{when}": floor
        for name, floor in (("learning_rate", 1e-5), ("radius", 1e-2))
        for when in _READ
    },
    "learning_rate_known": None,
    "learning_rate_planned": None,
    "radius_known": None,
    "radius_planned": None,
    "radius_to_map": 1e-3,
    "radius_end_to_map": 1e-3,
    # Sample updates still to come for each neuron, weighted by their learning rate.
    "work_left": 1e-3,
    "work_left_known": None,
    "map_rows": 1.0,
    "map_cols": 1.0,
    "neurons": 1.0,
    "map_known": None,
    "samples": 1.0,
    "samples_known": None,
    "dimensions": 1.0,
    "dimensions_known": None,
    "neurons_per_sample": 1e-3,
    # n samples have at most n BMUs: what must stay dead whatever happens.
    "dead_floor": None,
    "passes": 1e-3,
    "passes_known": None,
    "batch": 1.0,
    "batch_share": 1e-4,
    "batch_known": None,
    # How far the table's scaling is from one that gives every feature a deviation of 1.
    "deviation": 1e-3,
    **GEOMETRY,
    "geometry_known": None,
    "hexagonal": None,
    "topology_known": None,
    "gaussian": None,
    "compact": None,
    "neighborhood_known": None,
    "random": None,
    "sample": None,
    "pca": None,
    "initialization_known": None,
    "toroidal": None,
    "toroidal_known": None,
}
#: Names of the columns of `encode`, in order.
FEATURES = tuple(_FLOORS)

_AT = {name: i for i, name in enumerate(FEATURES)}
_METRIC = slice(_AT["mqe_relative"], _AT["mqe_relative"] + 15)
_PLAN = slice(_AT["learning_rate_now"], _AT["learning_rate_now"] + len(PLANS) * len(_READ))
#: What does not change along a run stands last: its size, and its kind.
_FIXED = slice(_AT["map_rows"], len(FEATURES))
_KIND = slice(_AT["hexagonal"] - _FIXED.start, None)
_FLAGS = FEATURES[_AT["hexagonal"] :]
_SHAPE = slice(_AT["variance_1"] - _FIXED.start, _AT["geometry_known"] - _FIXED.start)


def _floors(part: slice) -> tuple[npt.NDArray[np.int64], Array]:
    """Columns of a part of the features that are logarithms, and the floor under each."""
    floors = list(_FLOORS.values())[part]
    at = [i for i, floor in enumerate(floors) if floor is not None]
    return np.array(at), np.array([floors[i] for i in at])


_STEP_LOG, _STEP_FLOOR = _floors(slice(_FIXED.start))
_FIXED_LOG, _FIXED_FLOOR = _floors(_FIXED)

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
#: Neighbourhoods with an edge, as libraries call them.
_COMPACT = ("bubble", "cutgauss", "cut_gaussian", "ep", "epanechnikov", "triangle")
_SCHEDULE_POINTS = 33
_GRID = np.linspace(0.0, 1.0, _SCHEDULE_POINTS)


@dataclass
class Columns:
    """Many histories as padded arrays; NaN = missing or padding.

    Attributes:
        step: epochs, the metrics, learning_rate, radius: each [run, time]; row 0 is the plan's.
        total_epochs: [run].
        size: each of _SIZES, [run].
        plan: learning_rate and radius of the schedule on a fixed grid, [run, point].
        kind: hexagonal, neighbourhood, initialisation and torus flags, [run, flag].
        geometry: [run, number] the table's shape, after GEOMETRY.
        length: rows of each run, its plan and its checkpoints, [run].
    """

    step: dict[str, Array]
    total_epochs: Array
    size: dict[str, Array]
    plan: dict[str, Array]
    kind: Array
    geometry: Array
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
            self.geometry[rows],
            self.length[rows],
        )


def columns_of(histories: Sequence[History]) -> Columns:
    """Gather histories into padded columns."""
    n = len(histories)
    longest = 1 + max((len(h) for h in histories), default=0)
    step = dict(zip(_STEP_COLUMNS, _missing(len(_STEP_COLUMNS), n, longest), strict=True))
    size = dict(zip(_SIZES, _missing(len(_SIZES), n), strict=True))
    plan = dict(zip(PLANS, _missing(len(PLANS), n, _SCHEDULE_POINTS), strict=True))
    kind = np.zeros((n, len(_FLAGS)))
    geometry = _missing(n, len(GEOMETRY))
    total = np.full(n, np.nan)
    length = np.zeros(n, np.int64)
    step["epochs"][:, 0] = 0.0
    for i, history in enumerate(histories):
        t = length[i] = 1 + len(history)
        for column in _STEP_COLUMNS:
            values = getattr(history, column)
            if values is not None:
                step[column][i, 1:t] = values  # None becomes NaN
        if history.total_epochs is not None:
            total[i] = history.total_epochs
        context = history.context
        for s in _SIZES:
            if (value := getattr(context, s)) is not None:
                size[s][i] = value
        if (schedule := context.schedule) is not None:
            for p, grid in plan.items():
                if (values := getattr(schedule, p)) is not None:
                    grid[i] = _on_grid(schedule.progress, values)
        kind[i] = _kind(
            context.topology, context.neighborhood, context.initialization, context.toroidal
        )
        if (shape := context.geometry) is not None:
            geometry[i] = [np.nan if (v := getattr(shape, g)) is None else v for g in GEOMETRY]
    return Columns(step, total, size, plan, kind, geometry, length)


def until(c: Columns, share: float) -> Columns:
    """Cut every run after its last checkpoint at or before `share` of the budget, thinned.

    Where the budget is unknown its last checkpoint stands for it.
    """
    epochs = c.step["epochs"]
    budget = np.where(c.total_epochs == c.total_epochs, c.total_epochs, np.nanmax(epochs, axis=1))
    limit = share * budget * (1 + 1e-9) if share > 0 else -np.ones(len(c))
    counts = 1 + (epochs[:, 1:] <= limit[:, None]).sum(axis=1)
    index = np.zeros((len(c), int(counts.max())), np.int64)
    length = np.ones(len(c), np.int64)
    for i, n in enumerate(counts):
        total = c.total_epochs[i]
        kept = kept_of(epochs[i, 1:n].tolist(), total if total == total else None)
        index[i, 1 : 1 + len(kept)] = np.array(kept, np.int64) + 1
        length[i] += len(kept)
    step = {k: np.take_along_axis(v, index, axis=1) for k, v in c.step.items()}
    for values in step.values():
        values[np.arange(index.shape[1]) >= length[:, None]] = np.nan
    longest = int(length.max())
    return replace(c, step={k: v[:, :longest] for k, v in step.items()}, length=length)


def _missing(*shape: int) -> Array:
    return np.full(shape, np.nan)


# A run's plan and kind come with every one of its checkpoints.
@lru_cache(maxsize=256)
def _on_grid(progress: tuple[float, ...], values: tuple[float, ...]) -> Array:
    read: Array = np.interp(_GRID, progress, values)
    read.setflags(write=False)
    return read


@lru_cache(maxsize=256)
def _kind(
    topology: str | None,
    neighborhood: str | None,
    initialization: str | None,
    toroidal: bool | None,
) -> tuple[bool, ...]:
    near = (neighborhood or "").lower()
    start = (initialization or "").lower()
    return (
        topology not in (None, "rectangular"),  # whichever of its lines are shifted
        topology is not None,
        "gauss" in near,
        near in _COMPACT,
        bool(near) and "gauss" not in near,
        "rand" in start or "uniform" in start,
        "sample" in start or "data" in start,
        "pca" in start or "linear" in start,
        bool(start),
        toroidal is True,
        toroidal is not None,
    )


# Absurd numbers overflow to infinity, which is clipped, or cancel to NaN, which is missing.
@np.errstate(over="ignore", invalid="ignore")
def encode_columns(c: Columns) -> Float32:
    """Encode padded histories.

    Returns:
        [run, time, feature] float32, unscaled; padding rows hold zeros.
    """
    runs, time = c.step["mqe"].shape
    out = np.empty((runs, time, len(FEATURES)))

    def put(name: str, values: npt.NDArray[Any]) -> None:
        out[:, :, _AT[name]] = values

    # Metrics: [run, time, metric] levels and their changes since the first, the previous and
    # the best checkpoint. Without the scale the first mqe stands in: its ratios stay right.
    scale = c.size["mqe_of_mean"][:, None]
    known_scale = scale == scale  # NaN is not equal to itself
    measured = np.stack([c.step[m] for m in METRICS], axis=-1)
    level = carried(measured)
    first_mqe = level[:, min(1, time - 1), None, 0]
    unit = np.where(known_scale, scale, np.maximum(first_mqe, 1e-300))
    level[..., 0] = np.log(np.minimum(level[..., 0] / unit, 1e6) + MQE_FLOOR)
    metric = out[:, :, _METRIC].reshape(runs, time, len(METRICS), 5, copy=False)
    metric[..., 0] = np.where(level == level, level, (0.0, UNKNOWN_RATIO, UNKNOWN_RATIO))
    metric[..., 1] = level - _first_known(level)
    metric[:, :1, :, 2] = 0.0
    metric[:, 1:, :, 2] = level[:, 1:] - level[:, :-1]
    metric[..., 3] = level - np.fmin.accumulate(level, axis=1)
    metric[..., 4] = np.where(measured == measured, 1.0, CARRIED * (level == level))
    put("mqe_relative", np.where(known_scale, level[..., 0], 0.0))
    put("mqe_known_scale", known_scale)

    progress = np.minimum(c.step["epochs"] / c.total_epochs[:, None], 1.0)
    progress[:, 0] = 0.0  # whatever the budget is
    index = np.arange(time)
    put("index", index)
    put("progress", progress)
    put("progress_log", progress)
    put("progress_to_previous", 0.0 * progress)
    out[:, 1:, _AT["progress_to_previous"]] = progress[:, 1:] - progress[:, :-1]
    put("progress_known", progress == progress)

    rest = _read_plan(c.plan, progress)  # [run, time, plan, when]
    for i, name in enumerate(PLANS):
        now = c.step[name]
        rest[:, :, i, 0] = np.where(now == now, now, rest[:, :, i, 0])
        put(f"{name}_known", rest[:, :, i, 0] == rest[:, :, i, 0])
        put(f"{name}_planned", rest[:, :, i, 3] == rest[:, :, i, 3])
    out[:, :, _PLAN] = rest.reshape(runs, time, len(PLANS) * len(_READ))

    rows, cols, samples = c.size["map_rows"], c.size["map_cols"], c.size["n_samples"]
    neurons, updates, batch = rows * cols, c.size["total_updates"], c.size["batch_size"]
    side = np.maximum(rows, cols)[:, None]
    put("radius_to_map", rest[:, :, 1, 0] / side)
    put("radius_end_to_map", rest[:, :, 1, 3] / side)
    rate = rest[:, :, 0, 4]
    work = (updates / neurons)[:, None] * (1 - progress)
    put("work_left", work * np.where(rate == rate, rate, 1.0))
    put("work_left_known", work == work)

    fixed = np.empty((runs, len(FEATURES) - _FIXED.start))
    for i, values in enumerate(
        (
            rows,
            cols,
            neurons,
            neurons == neurons,
            samples,
            samples == samples,
            c.size["n_features"],
            c.size["n_features"] == c.size["n_features"],
            neurons / samples,
            np.maximum(0.0, 1 - samples / neurons),
            updates / samples,
            updates == updates,
            batch,
            batch / samples,
            batch == batch,
            np.clip(c.size["mqe_of_mean"] / np.sqrt(c.size["n_features"]), *DEVIATIONS),
        )
    ):
        fixed[:, i] = values
    fixed[:, _SHAPE] = c.geometry
    fixed[:, _SHAPE.stop] = np.isfinite(c.geometry).any(axis=1)
    fixed[:, _KIND] = c.kind
    fixed[:, _FIXED_LOG] = np.log(np.maximum(fixed[:, _FIXED_LOG], 0.0) + _FIXED_FLOOR)
    out[:, :, _FIXED] = fixed[:, None, :]

    out[:, :, _STEP_LOG] = np.log(np.maximum(out[:, :, _STEP_LOG], 0.0) + _STEP_FLOOR)
    np.minimum(out, MAX_FEATURE, out=out)
    np.maximum(out, -MAX_FEATURE, out=out)
    np.copyto(out, 0.0, where=out != out)
    if (c.length < time).any():
        out[index >= c.length[:, None]] = 0.0
    return out.astype(np.float32)


def encode(history: History) -> Float32:
    """Encode one history: [1 + time, feature] float32, unscaled; thinned, see `thin`."""
    rows: Float32 = encode_columns(columns_of([thin(history)]))[0]
    return rows


def thin(history: History) -> History:
    """Drop checkpoints that stand too close to be told apart, the last one never.

    Which earlier ones stay depends on earlier ones alone, so that a run followed checkpoint by
    checkpoint and a whole history give the same rows.
    """
    keep = kept_of(history.epochs, history.total_epochs)
    if len(keep) == len(history):
        return history
    cut = {
        c: tuple(values[i] for i in keep)
        for c in _STEP_COLUMNS
        if (values := getattr(history, c)) is not None
    }
    return history.model_copy(update=cut)


def kept_of(epochs: Sequence[float], total_epochs: float | None) -> list[int]:
    """Which checkpoints are seen, by index: those far enough from the one before, and the last."""
    keep: list[int] = []
    for i, epoch in enumerate(epochs[:-1]):
        if not keep or far_enough(epochs[keep[-1]], epoch, total_epochs):
            keep.append(i)
    return [*keep, len(epochs) - 1] if epochs else []


def far_enough(last: float, epoch: float, total_epochs: float | None) -> bool:
    """Whether a checkpoint at `epoch` is kept after one at `last`."""
    if total_epochs is not None:
        return epoch - last >= MIN_STEP * total_epochs
    return epoch - last >= MIN_STEP_UNKNOWN * last


# --- targets ---------------------------------------------------------------------------------


def anchors(c: Columns) -> tuple[Array, Array]:
    """What a forecast is a change from, at every row.

    Returns:
        values [run, time, 3]: last known value of each metric; mqe_of_mean (NaN where that is
            unknown) and UNKNOWN_RATIO where there is none.
        floor [run, time]: added to both sides of mqe's log ratio, input-space units.
    """
    scale = c.size["mqe_of_mean"][:, None]
    values = carried(np.stack([c.step[m] for m in METRICS], axis=-1))
    floor = MQE_SHARE * np.where(
        np.isfinite(scale), scale, np.fmax.accumulate(values[..., 0], axis=1)
    )
    instead = np.full((len(c), 1, len(METRICS)), UNKNOWN_RATIO)
    instead[..., 0] = scale
    return np.where(np.isfinite(values), values, instead), np.maximum(floor, 1e-300)


def carried(values: Array) -> Array:
    """Carry the last finite value forward along time, [run, time, metric]; NaN before the first."""
    known = np.isfinite(values)
    if known[:, 1:].all() and not known[:, :1].any():
        return values.copy()
    time = np.arange(values.shape[1])[None, :, None]
    index = np.maximum.accumulate(np.where(known, time, 0), axis=1)
    return np.take_along_axis(values, index, axis=1)


def _first_known(level: Array) -> Array:
    """First finite value along time, [run, 1, metric]; NaN where there is none."""
    at = np.isfinite(level).argmax(axis=1)[:, None]
    return np.take_along_axis(level, at, axis=1)


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


def change_bounds(values: Array) -> tuple[Array, Array]:
    """Smallest and largest change of each output that ends within what is possible.

    Args:
        values: [..., 3] from `anchors`. A ratio ends within 0..1; mqe has no bound that is met.

    Returns:
        [..., OUTPUTS] each.
    """
    low, high = -values, 1.0 - values
    low[..., 0], high[..., 0] = -np.inf, np.inf
    several = (1,) * (values.ndim - 1) + (len(HORIZONS),)
    return np.tile(low, several), np.tile(high, several)


def decode(change: Array, values: Array, floor: float | Array) -> Array:
    """Change -> final values, clipped to what is possible; monotone in `change`.

    Args:
        change: [3, ...] changes of the three targets.
        values: [3] and floor: scalar, of the last checkpoint.
    """
    final = np.empty_like(change, dtype=np.float64)
    grown = np.exp(np.minimum(np.maximum(change[0], -MAX_LOG), MAX_LOG))
    grown *= values[0] + floor
    np.subtract(grown, floor, out=final[0, ...])
    np.add(change[1:].T, values[1:].T, out=final[1:].T)
    np.maximum(final, 0.0, out=final)
    np.minimum(final[1:], 1.0, out=final[1:])
    return final


def finals_of(ended: Sequence[Any]) -> Array:
    """[run, 3] final values of what has them (runs, outcomes, rows), NaN where undefined."""
    rows = [
        (e.final_mqe, e.final_topographic_error, e.final_dead_neuron_ratio)  # after TARGETS
        for e in ended
    ]
    return np.array(rows, np.float64).reshape(-1, len(TARGETS))


def _read_plan(plan: dict[str, Array], progress: Array) -> Array:
    """Read learning rate and radius now and along what is left of the plan.

    Args:
        plan: each [run, point] on _GRID.
        progress: [run, time].

    Returns:
        [run, time, plan, what]: after _READ.
    """
    runs, time = progress.shape
    unknown = progress != progress
    known = np.where(unknown, 0.0, progress)
    left = 1 - known
    values = np.empty((runs, len(PLANS), _SCHEDULE_POINTS))
    for i, name in enumerate(PLANS):
        values[:, i] = plan[name]
    area = np.zeros_like(values)  # integral from the start, trapezoids
    np.cumsum((values[:, :, 1:] + values[:, :, :-1]) / 2, axis=2, out=area[:, :, 1:])
    area /= _SCHEDULE_POINTS - 1
    x = known[:, :, None] + left[:, :, None] * _WHEN  # [run, time, when]
    x *= _SCHEDULE_POINTS - 1
    low = np.minimum(x.astype(np.int64), _SCHEDULE_POINTS - 2)
    share = (x - low)[:, :, None, :]
    first = _SCHEDULE_POINTS * np.arange(runs * len(PLANS)).reshape(runs, 1, len(PLANS), 1)
    place = first + low[:, :, None, :]  # [run, time, plan, when], in the flattened grid

    def at(grid: Array, place: npt.NDArray[np.int64], share: Array) -> Array:
        below = grid.take(place)
        return np.asarray(below + share * (grid.take(place + 1) - below))

    most = np.maximum.accumulate(values[:, :, ::-1], axis=2)[:, :, ::-1]
    out = np.empty((runs, time, len(PLANS), len(_READ)))
    out[..., :4] = at(values, place, share)
    done = at(area, place[..., 0], share[..., 0])
    end = values[:, None, :, -1]
    left = left[:, :, None]
    out[..., 4] = np.where(left > 1e-6, (area[:, None, :, -1] - done) / np.maximum(left, 1e-6), end)
    out[..., 5] = np.maximum(out[..., 0], most.take(place[..., 0] + 1))
    out[unknown] = np.nan
    out[..., 6] = values[:, None, :, 0]
    return out
