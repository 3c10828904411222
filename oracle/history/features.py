"""History -> what the network sees: the only feature code there is.

The same vectorised code encodes one history in a request and a hundred thousand in training.
Row 0 of every run is its plan: context and schedule, no metric measured. One row a checkpoint
follows. Every row depends on its own and earlier checkpoints only.

mqe enters relative to mqe_of_mean, which compares between tables and libraries; where it is
missing, only its ratios to the run's own earlier values are left.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from oracle.history.columns import (
    GEOMETRY,
    KINDS,
    PLANS,
    SCHEDULE_POINTS,
    Array,
    Columns,
    columns_of,
    thin,
)
from oracle.history.targets import UNKNOWN_RATIO, carried
from oracle.types import METRICS, History

Float32 = npt.NDArray[np.float32]
#: Layout of the features; an artifact written for another one is refused.
FEATURES_VERSION = 2
#: Keeps log(mqe) finite, as a share of the scale: mqe may reach 0 on a large map.
MQE_FLOOR = 1e-3
#: Scales of a table's features beyond these say no more than "not scaled": units are anybody's.
DEVIATIONS = (0.08, 12.0)
#: Features beyond this are clipped: far outside anything seen.
MAX_FEATURE = 25.0
#: What is left of the plan is read at these shares of the rest (FIELD: now, 1/3, 2/3, end).
REST = (1 / 3, 2 / 3, 1.0)
_WHEN = np.array((0.0, *REST))
#: What is read of each plan, beside its values at _WHEN: mean and most of the rest, and the start.
_READ = ("now", "first_third", "second_third", "end", "rest_mean", "rest_most", "start")
#: What a `known` column says of a ratio that is carried forward from an earlier checkpoint.
CARRIED = 0.5
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
    **dict.fromkeys(KINDS),
}
#: Names of the columns of `encode`, in order.
FEATURES = tuple(_FLOORS)
_AT = {name: i for i, name in enumerate(FEATURES)}
_METRIC = slice(_AT["mqe_relative"], _AT["mqe_relative"] + 15)
_PLAN = slice(_AT["learning_rate_now"], _AT["learning_rate_now"] + len(PLANS) * len(_READ))
#: What does not change along a run stands last: its size, and its kind.
_FIXED = slice(_AT["map_rows"], len(FEATURES))
_KIND = slice(_AT["hexagonal"] - _FIXED.start, None)
_SHAPE = slice(_AT["variance_1"] - _FIXED.start, _AT["geometry_known"] - _FIXED.start)


def _floors(part: slice) -> tuple[npt.NDArray[np.int64], Array]:
    """Columns of a part of the features that are logarithms, and the floor under each."""
    floors = list(_FLOORS.values())[part]
    at = [i for i, floor in enumerate(floors) if floor is not None]
    return np.array(at), np.array([floors[i] for i in at])


_STEP_LOG, _STEP_FLOOR = _floors(slice(_FIXED.start))
_FIXED_LOG, _FIXED_FLOOR = _floors(_FIXED)


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


def _first_known(level: Array) -> Array:
    """First finite value along time, [run, 1, metric]; NaN where there is none."""
    at = np.isfinite(level).argmax(axis=1)[:, None]
    return np.take_along_axis(level, at, axis=1)


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
    values = np.empty((runs, len(PLANS), SCHEDULE_POINTS))
    for i, name in enumerate(PLANS):
        values[:, i] = plan[name]
    area = np.zeros_like(values)  # integral from the start, trapezoids
    np.cumsum((values[:, :, 1:] + values[:, :, :-1]) / 2, axis=2, out=area[:, :, 1:])
    area /= SCHEDULE_POINTS - 1
    x = known[:, :, None] + left[:, :, None] * _WHEN  # [run, time, when]
    x *= SCHEDULE_POINTS - 1
    low = np.minimum(x.astype(np.int64), SCHEDULE_POINTS - 2)
    share = (x - low)[:, :, None, :]
    first = SCHEDULE_POINTS * np.arange(runs * len(PLANS)).reshape(runs, 1, len(PLANS), 1)
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
