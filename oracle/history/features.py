"""History -> what the network sees: the only feature code there is.

The same vectorised code encodes one history in a request and a hundred thousand in training.
Row 0 of every run is its plan: context and schedule, no metric measured. One row a checkpoint
follows. Every row depends on its own and earlier checkpoints only.

mqe enters relative to mqe_of_mean, which compares between tables and libraries; where it is
missing, only its ratios to the run's own earlier values are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from oracle.history.columns import (
    GEOMETRY,
    KINDS,
    PLANS,
    SCHEDULE_POINTS,
    About,
    Array,
    Columns,
    columns_of,
    thin,
)
from oracle.history.targets import UNKNOWN_RATIO, carried
from oracle.types import METRICS, History, RunContext

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
_WHEN = np.array((0.0, *REST))[:, None, None]
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
_PLAN_KNOWN = slice(_AT["learning_rate_known"], _AT["radius_planned"] + 1)
_TO_MAP = slice(_AT["radius_to_map"], _AT["radius_end_to_map"] + 1)
#: Stand in for levels before the first checkpoint: [metric, run, time].
_UNKNOWN = np.array((0.0, UNKNOWN_RATIO, UNKNOWN_RATIO))[:, None, None]
#: Where each plan begins among those of one run: [plan, when, run, time].
_OF_PLAN = SCHEDULE_POINTS * np.arange(len(PLANS))[:, None, None, None]
#: What does not change along a run stands last: its size, and its kind.
_FIXED = slice(_AT["map_rows"], len(FEATURES))
_KIND = slice(_AT["hexagonal"] - _FIXED.start, None)
_SHAPE = slice(_AT["variance_1"] - _FIXED.start, _AT["geometry_known"] - _FIXED.start)


def _floors(part: slice) -> tuple[npt.NDArray[np.int64], Array]:
    """Columns of a part of the features that are logarithms, and the floor under each."""
    floors = list(_FLOORS.values())[part]
    at = [i for i, floor in enumerate(floors) if floor is not None]
    return np.array(at), np.array([floors[i] for i in at])[:, None]


_STEP_LOG, _STEP_FLOOR = _floors(slice(_FIXED.start))
_FIXED_LOG, _FIXED_FLOOR = _floors(_FIXED)
#: Runs whose context is kept as the network sees it: it comes with every one of their checkpoints.
_CONTEXTS = 256


#: Absurd numbers overflow to infinity, which is clipped, or cancel to NaN, which is missing.
_ABSURD = np.errstate(over="ignore", invalid="ignore")


class Told(NamedTuple):
    """What the contexts of runs tell the network, and their plans as they are read.

    Attributes:
        fixed: [run, feature] float32, the last features.
        plan: [run, plan, point] the plans on their grid.
        area: [run, plan, point] its integral from the start.
        most: [run, plan, point] the largest value from there on.
    """

    fixed: Float32
    plan: Array
    area: Array
    most: Array

    @classmethod
    @_ABSURD
    def by(cls, about: About | Columns) -> Self:
        """Encode what is known beside the checkpoints."""
        values = np.stack([about.plan[name] for name in PLANS], axis=1)
        area = np.zeros_like(values)  # trapezoids
        np.cumsum((values[:, :, 1:] + values[:, :, :-1]) / 2, axis=2, out=area[:, :, 1:])
        area /= SCHEDULE_POINTS - 1
        most = np.maximum.accumulate(values[:, :, ::-1], axis=2)[:, :, ::-1]
        return cls(_fixed(about), values, area, np.ascontiguousarray(most))


def see(histories: Sequence[History]) -> tuple[Columns, Float32]:
    """Gather histories, thinned, and encode them.

    Returns:
        The columns, and what `encode_columns` gives.
    """
    if len(histories) > 1:
        columns = columns_of([thin(history) for history in histories])
        return columns, encode_columns(columns)
    history = thin(histories[0])
    about, told = _told(history.context)
    columns = columns_of([history], about)
    return columns, encode_columns(columns, told)


@lru_cache(maxsize=_CONTEXTS)
def _told(context: RunContext) -> tuple[About, Told]:
    about = About.of([context])
    told = Told.by(about)
    arrays: list[npt.NDArray[Any]] = [*told, about.kind, about.geometry]
    for array in (*arrays, *about.size.values(), *about.plan.values()):
        array.setflags(write=False)
    return about, told


@_ABSURD
def encode_columns(c: Columns, told: Told | None = None) -> Float32:
    """Encode padded histories.

    Args:
        c: the histories.
        told: of their contexts, where it is there already.

    Returns:
        [run, time, feature] float32, unscaled; padding rows hold zeros.
    """
    told = told or Told.by(c)
    runs, time = c.step["mqe"].shape
    # Features first while they are computed: each is written in one piece.
    steps = np.empty((_FIXED.start, runs, time))
    known_scale = _put_metrics(steps, c)
    steps[_AT["mqe_known_scale"]] = known_scale

    progress = np.minimum(c.step["epochs"] / c.total_epochs[:, None], 1.0)
    progress[:, 0] = 0.0  # whatever the budget is
    index = np.arange(time)
    steps[_AT["index"]] = index
    steps[_AT["progress"]] = steps[_AT["progress_log"]] = progress
    passed = steps[_AT["progress_to_previous"]]
    np.multiply(0.0, progress[:, :1], out=passed[:, :1])
    np.subtract(progress[:, 1:], progress[:, :-1], out=passed[:, 1:])
    known_progress = progress == progress
    steps[_AT["progress_known"]] = known_progress

    rest = steps[_PLAN].reshape(len(PLANS), len(_READ), runs, time, copy=False)
    _read_plan(told, progress, known_progress, rest)
    now = np.array([c.step[name] for name in PLANS])
    np.copyto(rest[:, 0], now, where=now == now)
    now_and_end = rest[:, 0:4:3]
    flags = steps[_PLAN_KNOWN].reshape(now_and_end.shape, copy=False)
    np.equal(now_and_end, now_and_end, out=flags, casting="unsafe")

    rows, cols = c.size["map_rows"], c.size["map_cols"]
    np.divide(rest[1, 0:4:3], np.maximum(rows, cols)[:, None], out=steps[_TO_MAP])
    rate = rest[0, _READ.index("rest_mean")]
    work = (c.size["total_updates"] / (rows * cols))[:, None] * (1 - progress)
    steps[_AT["work_left"]] = work * np.where(rate == rate, rate, 1.0)
    steps[_AT["work_left_known"]] = work == work

    _finish(steps, _STEP_LOG, _STEP_FLOOR[..., None])
    out = np.empty((runs, time, len(FEATURES)), np.float32)
    out[:, :, : _FIXED.start] = steps.transpose(1, 2, 0)
    out[:, :, _FIXED] = told.fixed[:, None]
    if (c.length < time).any():
        out[index >= c.length[:, None]] = 0.0
    return out


def encode(history: History) -> Float32:
    """Encode one history: [1 + time, feature] float32, unscaled; thinned, see `thin`."""
    rows: Float32 = see([history])[1][0]
    return rows


def _finish(features: Array, logs: npt.NDArray[np.int64], floors: Array) -> None:
    """Take the logarithms of [feature, ...], clip and fill it, in place."""
    taken = features.take(logs, axis=0)
    np.maximum(taken, 0.0, out=taken)
    taken += floors
    features[logs] = np.log(taken, out=taken)
    features.clip(-MAX_FEATURE, MAX_FEATURE, out=features)
    np.copyto(features, 0.0, where=features != features)


def _put_metrics(steps: Array, c: Columns) -> npt.NDArray[np.bool_]:
    """Put levels of the metrics, and their changes since the first, the previous and the best.

    Without the scale the first mqe stands in: its ratios stay right.

    Returns:
        [run, 1] whether the scale is known.
    """
    scale = c.size["mqe_of_mean"][:, None]
    known_scale = np.asarray(scale == scale)  # NaN is not equal to itself
    measured = np.array([c.step[m] for m in METRICS])  # [metric, run, time]
    level = carried(measured)
    first = level[..., min(1, level.shape[-1] - 1), None]  # the plan's own row has none
    unit = np.where(known_scale, scale, np.maximum(first[0], 1e-300))
    mqe = level[0]
    mqe /= unit
    np.minimum(mqe, 1e6, out=mqe)
    mqe += MQE_FLOOR
    np.log(mqe, out=mqe)
    known = level == level
    metric = steps[_METRIC].reshape(len(METRICS), 5, *mqe.shape, copy=False)
    metric[:, 0] = np.where(known, level, _UNKNOWN)
    np.subtract(level, _first_known(level, known), out=metric[:, 1])
    metric[:, 2, :, :1] = 0.0
    np.subtract(level[..., 1:], level[..., :-1], out=metric[:, 2, :, 1:])
    np.subtract(level, np.fmin.accumulate(level, axis=-1), out=metric[:, 3])
    np.multiply(known, CARRIED, out=metric[:, 4])
    np.copyto(metric[:, 4], 1.0, where=measured == measured)
    np.multiply(metric[0, 0], known_scale, out=metric[0, 0])
    return known_scale


def _first_known(level: Array, known: npt.NDArray[np.bool_]) -> Array:
    """First finite value along time, [metric, run, 1]; NaN where there is none."""
    if known.shape[-1] > 1 and known[..., 1].all() and not known[..., 0].any():
        return level[..., 1:2]
    return np.take_along_axis(level, known.argmax(axis=-1)[..., None], axis=-1)


def _fixed(c: About | Columns) -> Float32:
    """Encode what does not change along a run, [run, feature]."""
    rows, cols, samples = c.size["map_rows"], c.size["map_cols"], c.size["n_samples"]
    neurons, updates, batch = rows * cols, c.size["total_updates"], c.size["batch_size"]
    fixed = np.empty((len(FEATURES) - _FIXED.start, len(rows)))
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
        fixed[i] = values
    fixed[_SHAPE] = c.geometry.T
    fixed[_SHAPE.stop] = np.isfinite(c.geometry).any(axis=1)
    fixed[_KIND] = c.kind.T
    _finish(fixed, _FIXED_LOG, _FIXED_FLOOR)
    return fixed.T.astype(np.float32)


def _read_plan(told: Told, progress: Array, known: npt.NDArray[np.bool_], out: Array) -> None:
    """Read learning rate and radius now and along what is left of the plan.

    Args:
        told: the plans.
        progress: [run, time].
        known: where it is.
        out: [plan, what, run, time], after _READ.
    """
    runs = len(progress)
    every = bool(known.all())
    done = progress if every else np.where(known, progress, 0.0)
    left = 1 - done
    x = done + left * _WHEN  # [when, run, time]
    x *= SCHEDULE_POINTS - 1
    low = np.minimum(x.astype(np.int64), SCHEDULE_POINTS - 2)
    x -= low  # share of the step between two points
    low += len(PLANS) * SCHEDULE_POINTS * np.arange(runs)[:, None]
    place = low + _OF_PLAN  # [plan, when, run, time] in the flattened grids

    def at(grid: Array, place: npt.NDArray[np.int64], share: Array) -> Array:
        below = grid.take(place)
        return np.asarray(below + share * (grid.take(place + 1) - below))

    now = place[:, 0]
    out[:, :4] = at(told.plan, place, x)
    whole = told.area[:, :, -1].T[..., None]  # [plan, run, 1]
    mean = (whole - at(told.area, now, x[0])) / np.maximum(left, 1e-6)
    end = told.plan[:, :, -1].T[..., None]
    out[:, 4] = np.where(left > 1e-6, mean, end)
    np.maximum(out[:, 0], told.most.take(now + 1), out=out[:, 5])
    if not every:
        out[:, :, ~known] = np.nan
    out[:, 6] = told.plan[:, :, 0].T[..., None]
