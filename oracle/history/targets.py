"""Targets: the change from the last observed value that a network forecasts, and the way back.

`log` ratio for mqe, difference for the two ratios. Before the first checkpoint mqe_of_mean and
UNKNOWN_RATIO stand in. A ratio that a checkpoint does not tell is carried forward from the one that
did.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oracle.history.columns import Array, Columns
from oracle.types import METRICS, TARGETS

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


def anchors(c: Columns) -> tuple[Array, Array]:
    """What a forecast is a change from, at every row.

    Returns:
        values [run, time, 3]: last known value of each metric; mqe_of_mean (NaN where that is
            unknown) and UNKNOWN_RATIO where there is none.
        floor [run, time]: added to both sides of mqe's log ratio, input-space units.
    """
    scale = c.size["mqe_of_mean"][:, None]
    level = carried(np.array([c.step[m] for m in METRICS]))
    floor = MQE_SHARE * np.where(np.isfinite(scale), scale, np.fmax.accumulate(level[0], axis=1))
    values = level.transpose(1, 2, 0)
    instead = np.full((len(c), 1, len(METRICS)), UNKNOWN_RATIO)
    instead[..., 0] = scale
    return np.where(np.isfinite(values), values, instead), np.maximum(floor, 1e-300)


def last_anchors(c: Columns) -> tuple[Array, Array]:
    """The same of each run's last row: values [3, run, 1], floor [run, 1]."""
    run, last = np.arange(len(c)), c.length - 1
    values = np.array([c.step[m][run, last] for m in METRICS])
    if np.isfinite(values).all():  # nothing is carried forward
        scale = c.size["mqe_of_mean"]
        known = scale == scale
        if not known.all():
            scale = np.where(known, scale, np.fmax.reduce(c.step["mqe"], axis=1))
        return values[..., None], np.maximum(MQE_SHARE * scale, 1e-300)[:, None]
    every, floor = anchors(c)
    return every[run, last].T[..., None], floor[run, last][:, None]


def carried(values: Array) -> Array:
    """Carry the last finite value forward along time, [..., time]; NaN before the first."""
    known = np.isfinite(values)
    if known[..., 1:].all() and not known[..., 0].any():
        return values.copy()
    index = np.maximum.accumulate(np.where(known, np.arange(values.shape[-1]), 0), axis=-1)
    return np.take_along_axis(values, index, axis=-1)


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
        values: [3, ...] and floor: [...], of the last checkpoint, in shapes that fit.
    """
    final = np.empty_like(change, dtype=np.float64)
    grown = final[0, ...]
    change[0].clip(-MAX_LOG, MAX_LOG, out=grown)
    np.exp(grown, out=grown)
    grown *= values[0] + floor
    grown -= floor
    np.maximum(grown, 0.0, out=grown)
    ratios = final[1:]
    np.add(change[1:].T, values[1:].T, out=ratios.T)
    ratios.clip(0.0, 1.0, out=ratios)
    return final


def finals_of(ended: Sequence[Any]) -> Array:
    """[run, 3] final values of what has them (runs, outcomes, rows), NaN where undefined."""
    rows = [
        (e.final_mqe, e.final_topographic_error, e.final_dead_neuron_ratio)  # after TARGETS
        for e in ended
    ]
    return np.array(rows, np.float64).reshape(-1, len(TARGETS))
