"""Histories that no training of a map produces: what the support score is taught to refuse.

Prefixes are drawn from recorded runs as a user may send them (any checkpoints, any context
missing); each corruption then breaks them in one way. Rescaled tables, rising mqe and missing
context are no corruption: they must not be refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from oracle.history.columns import PLANS, Array, Columns, kept_of
from oracle.types import METRICS

#: Checkpoints a drawn prefix has at most (closer ones are thinned away anyway).
MAX_LENGTH = 40
RATIOS = METRICS[1:]
#: Sizes that may be absurd, and the smallest value that is (recorded runs stay far below).
ABSURD = {
    "map_rows": 150.0,
    "map_cols": 150.0,
    "n_samples": 3e5,
    "n_features": 1500.0,
    "total_updates": 1e9,
}
#: Absurd sizes reach up to this multiple of the smallest absurd one.
ABSURD_RANGE = 1e4

Rng = np.random.Generator
Flags = npt.NDArray[np.bool_]
Corruption = Callable[[Columns, Rng], None]


def draw_prefixes(c: Columns, count: int, shortest: int, rng: Rng) -> Columns:
    """Draw `count` prefixes: a run each, `shortest`..MAX_LENGTH checkpoints, up to any progress.

    Fewer checkpoints than `shortest` remain only where the run has no more. The plan rows are left
    out: corruptions break checkpoints. `with_plan` puts them back.
    """
    rows = rng.integers(len(c), size=count)
    picks = np.zeros((count, MAX_LENGTH), np.int64)
    lengths = np.zeros(count, np.int64)
    wanted = np.exp(rng.uniform(np.log(shortest), np.log(MAX_LENGTH + 1), count)).astype(int)
    ends = np.where(rng.random(count) < 0.5, rng.uniform(0.02, 0.5, count), rng.random(count))
    bend = np.where(rng.random(count) < 0.5, 1.0, rng.uniform(0.6, 2.5, count))
    start = np.where(rng.random(count) < 0.6, 0.0, rng.uniform(0.0, 0.1, count))
    for i, row in enumerate(rows):
        n = c.length[row] - 1
        at = c.step["epochs"][row, 1 : 1 + n]
        total = c.total_epochs[row]
        at = at / (total if total == total else max(at[-1], 1e-12))
        end = max(ends[i], at[min(shortest, n) - 1])
        shape = (np.arange(wanted[i]) + 0.0) / max(wanted[i] - 1, 1)
        grid = start[i] * end + (1 - start[i]) * end * shape ** bend[i]
        index = np.unique(np.searchsorted(at, grid - 1e-9).clip(0, n - 1))
        index = index[kept_of(at[index].tolist(), 1.0)]
        if len(index) < shortest <= n:
            index = np.arange(shortest)
        picks[i, : len(index)] = index
        lengths[i] = len(index)
    beyond = np.arange(MAX_LENGTH) >= lengths[:, None]
    taken = c.take(rows)
    step = {k: np.take_along_axis(v, picks + 1, axis=1) for k, v in taken.step.items()}
    for values in step.values():
        values[beyond] = np.nan
    return replace(taken, step=step, length=lengths)


def with_plan(c: Columns) -> Columns:
    """Put the plan rows before the checkpoints, as `columns_of` does."""
    step = {k: np.pad(v, ((0, 0), (1, 0)), constant_values=np.nan) for k, v in c.step.items()}
    step["epochs"][:, 0] = 0.0
    return replace(c, step=step, length=c.length + 1)


def _real(c: Columns) -> Flags:
    return np.asarray(np.arange(c.step["mqe"].shape[1]) < c.length[:, None])


def _write(c: Columns, metric: str, values: Array, rows: Any) -> None:
    """Replace known values of `metric` in `rows` [run], in place."""
    old = c.step[metric]
    old[...] = np.where(rows[:, None] & (old == old), values, old)


def constant(c: Columns, rng: Rng) -> None:
    """Every checkpoint the same: the run's first values, or any."""
    generic = rng.random(len(c)) < 0.6
    scale = c.size["mqe_of_mean"]
    scale = np.where(scale == scale, scale, c.step["mqe"][:, 0])
    value = np.where(generic, scale * rng.uniform(0.05, 1.5, len(c)), c.step["mqe"][:, 0])
    everywhere = np.ones(len(c), bool)
    _write(c, "mqe", np.broadcast_to(value[:, None], c.step["mqe"].shape), everywhere)
    for metric in RATIOS:
        value = np.where(generic, rng.random(len(c)), c.step[metric][:, 0])
        _write(c, metric, np.broadcast_to(value[:, None], c.step[metric].shape), everywhere)


def oscillation(c: Columns, rng: Rng) -> None:
    """mqe, mostly the ratios too, swing to and fro."""
    runs, time = c.step["mqe"].shape
    t = np.arange(time)
    period = np.where(rng.random(runs) < 0.5, 2.0, rng.uniform(2.0, 7.0, runs))
    wave = np.cos(2 * np.pi * t / period[:, None] + rng.uniform(0, 6.3, (runs, 1)))
    wave = np.where(rng.random((runs, 1)) < 0.5, np.sign(wave), wave)
    wave = np.where(rng.random((runs, 1)) < 0.3, rng.uniform(-1, 1, (runs, time)), wave)
    height = np.exp(rng.uniform(np.log(0.4), np.log(4.0), (runs, 1)))
    everywhere = np.ones(runs, bool)
    _write(c, "mqe", c.step["mqe"] * np.exp(height * wave), everywhere)
    for metric in RATIOS:
        high = rng.uniform(0.2, 0.5, (runs, 1))
        middle = high + (1 - 2 * high) * rng.random((runs, 1))
        _write(c, metric, middle + high * wave * 0.999, rng.random(runs) < 0.7)


def spike(c: Columns, rng: Rng) -> None:
    """One checkpoint far off, the others untouched; of mqe, mostly, or of a ratio too."""
    runs = len(c)
    at = (rng.random(runs) * c.length).astype(int)[:, None]
    here = np.arange(c.step["mqe"].shape[1]) == at
    factor = np.exp(rng.uniform(np.log(3), np.log(1e4), (runs, 1)))
    factor = np.where(rng.random((runs, 1)) < 0.75, factor, 1 / factor)
    on_mqe = rng.random(runs) < 0.85
    _write(c, "mqe", np.where(here, c.step["mqe"] * factor, c.step["mqe"]), on_mqe)
    for metric in RATIOS:
        old = c.step[metric]
        far = np.where(old > 0.5, rng.uniform(0, 0.05, (runs, 1)), rng.uniform(0.9, 1, (runs, 1)))
        _write(c, metric, np.where(here, far, old), ~on_mqe | (rng.random(runs) < 0.2))


def out_of_scale(c: Columns, rng: Rng) -> None:
    """mqe in other units than its own mqe_of_mean."""
    runs = len(c)
    scale = c.size["mqe_of_mean"]
    guess = c.step["mqe"][:, 0] * rng.uniform(0.8, 2.0, runs)
    c.size["mqe_of_mean"] = np.where(scale == scale, scale, np.maximum(guess, 1e-300))
    c.step["mqe"] *= 10 ** rng.uniform(1.2, 8, (runs, 1))


def shuffled(c: Columns, rng: Rng) -> None:
    """Checkpoints in random order, sometimes with their learning rate and radius."""
    key = np.where(_real(c), rng.random(c.step["mqe"].shape), np.inf)
    order = np.argsort(key, axis=1)
    for metric in METRICS:
        c.step[metric] = np.take_along_axis(c.step[metric], order, axis=1)
    rows = rng.random((len(c), 1)) < 0.4
    for name in PLANS:
        moved = np.take_along_axis(c.step[name], order, axis=1)
        c.step[name] = np.where(rows, moved, c.step[name])


def noise(c: Columns, rng: Rng) -> None:
    """Independent random numbers."""
    shape = c.step["mqe"].shape
    everywhere = np.ones(len(c), bool)
    height = rng.uniform(0.3, 4.0, (len(c), 1))
    _write(c, "mqe", c.step["mqe"][:, :1] * np.exp(height * rng.normal(size=shape)), everywhere)
    for metric in RATIOS:
        _write(c, metric, rng.random(shape), everywhere)


def wandering(c: Columns, rng: Rng) -> None:
    """Smooth paths that lead anywhere; of mqe, mostly, and of the ratios."""
    runs, time = c.step["mqe"].shape
    t = np.arange(time) / np.maximum(c.length - 1, 1)[:, None]

    def path() -> Array:
        waves = sum(
            np.cos(k * np.pi * t + rng.uniform(0, 6.3, (runs, 1))) * rng.normal(size=(runs, 1))
            for k in (1, 2, 4, 8)
        )
        path = waves + 2 * rng.normal(size=(runs, 1)) * t
        return path - path[:, :1]

    height = np.exp(rng.uniform(np.log(0.2), np.log(2.0), (runs, 1)))
    on_mqe = rng.random(runs) < 0.75
    _write(c, "mqe", c.step["mqe"][:, :1] * np.exp(height * path()), on_mqe)
    for metric in RATIOS:
        values = np.clip(rng.random((runs, 1)) + 0.5 * height * path(), 0, 1)
        _write(c, metric, values, ~on_mqe | (rng.random(runs) < 0.5))


def absurd_sizes(c: Columns, rng: Rng) -> None:
    """Map, table or budget far beyond anything trained on; one of them or several."""
    runs = len(c)
    chosen = rng.random((runs, 3)) < 0.5
    chosen[np.arange(runs), rng.integers(3, size=runs)] = True
    groups = (("map_rows", "map_cols"), ("n_samples", "n_features"), ("total_updates",))
    for group, rows in zip(groups, chosen.T, strict=True):
        for size in group:
            factor = ABSURD_RANGE ** rng.random(runs)
            c.size[size] = np.where(rows, np.rint(ABSURD[size] * factor), c.size[size])


#: Corruption -> share of the refused examples, and the fewest checkpoints at which it shows.
CORRUPTIONS: dict[Corruption, tuple[float, int]] = {
    constant: (0.12, 2),
    oscillation: (0.12, 2),
    spike: (0.18, 2),
    out_of_scale: (0.06, 1),
    shuffled: (0.2, 3),
    noise: (0.08, 2),
    wandering: (0.16, 3),
    absurd_sizes: (0.08, 1),
}
