"""Histories as padded columns: gathered, thinned, and cut at a share of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple, Self, TypeGuard

import numpy as np
import numpy.typing as npt

from oracle.types import MAX_CHECKPOINTS, METRICS, History, RunContext

Array = npt.NDArray[np.float64]

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
#: Columns that a schedule plans.
PLANS = ("learning_rate", "radius")
#: Checkpoints closer together than this share of the budget are seen only while they are last.
MIN_STEP = 1 / 96
#: The same where the budget is unknown, as a share of the counter so far.
MIN_STEP_UNKNOWN = 0.02
STEP_COLUMNS = ("epochs", *METRICS, "learning_rate", "radius")
_SIZES = (
    "map_rows",
    "map_cols",
    "n_samples",
    "n_features",
    "mqe_of_mean",
    "total_updates",
    "batch_size",
)
#: Sizes of which no training saw one alone: where one is unknown, so is the other.
TOLD_TOGETHER = (("map_rows", "map_cols"), ("n_samples", "n_features"))
#: Neighbourhoods with an edge, as libraries call them.
_COMPACT = ("bubble", "cutgauss", "cut_gaussian", "ep", "epanechnikov", "triangle")
SCHEDULE_POINTS = 33
_GRID = np.linspace(0.0, 1.0, SCHEDULE_POINTS)
#: Flags of a run's kind: each `..._known` tells whether those before it were told.
KINDS = (
    *("hexagonal", "topology_known"),
    *("gaussian", "compact", "neighborhood_known"),
    *("random", "sample", "pca", "initialization_known"),
    *("toroidal", "toroidal_known"),
)


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

    def take(self, rows: npt.NDArray[np.int64] | slice) -> Columns:
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


class About(NamedTuple):
    """What is known of runs beside their checkpoints, as arrays; fields as of `Columns`."""

    size: dict[str, Array]
    plan: dict[str, Array]
    kind: Array
    geometry: Array

    @classmethod
    def of(cls, contexts: Sequence[RunContext]) -> Self:
        """Gather contexts."""
        n = len(contexts)
        size = dict(zip(_SIZES, _missing(len(_SIZES), n), strict=True))
        plan = dict(zip(PLANS, _missing(len(PLANS), n, SCHEDULE_POINTS), strict=True))
        kind = np.zeros((n, len(KINDS)))
        geometry = _missing(n, len(GEOMETRY))
        for i, context in enumerate(contexts):
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
        for pair in TOLD_TOGETHER:
            alone = np.isnan(size[pair[0]]) | np.isnan(size[pair[1]])
            for s in pair:
                size[s][alone] = np.nan
        return cls(size, plan, kind, geometry)


def columns_of(histories: Sequence[History], about: About | None = None) -> Columns:
    """Gather histories into padded columns.

    Args:
        histories: the runs.
        about: of their contexts, where it is there already.
    """
    n = len(histories)
    longest = 1 + max((len(h) for h in histories), default=0)
    step = dict(zip(STEP_COLUMNS, _missing(len(STEP_COLUMNS), n, longest), strict=True))
    total = np.full(n, np.nan)
    length = np.zeros(n, np.int64)
    step["epochs"][:, 0] = 0.0
    for i, history in enumerate(histories):
        t = length[i] = 1 + len(history)
        for column in STEP_COLUMNS:
            values = getattr(history, column)
            if values is not None:
                step[column][i, 1:t] = values  # None becomes NaN
        if history.total_epochs is not None:
            total[i] = history.total_epochs
    about = about or About.of([history.context for history in histories])
    return Columns(step, total, **about._asdict(), length=length)


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
        for c in STEP_COLUMNS
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


def shortened(item: dict[str, Any]) -> dict[str, Any]:
    """Leave out of a history of more than MAX_CHECKPOINTS what a forecast cannot tell apart."""
    epochs, total = item.get("epochs"), item.get("total_epochs")
    if not isinstance(epochs, list) or len(epochs) <= MAX_CHECKPOINTS:
        return item
    if not all(_is_number(epoch) for epoch in epochs) or any(a >= b for a, b in pairwise(epochs)):
        return item  # and let it be refused
    kept = kept_of(epochs, total if _is_number(total) else None)
    return {
        name: [value[i] for i in kept]
        if isinstance(value, list) and len(value) == len(epochs)
        else value
        for name, value in item.items()
    }


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
