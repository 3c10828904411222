"""How learning rate and radius fall: one function for every library's decays.

`t` counts steps (updates, iterations or epochs) from 0, `total` is their planned number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oracle.errors import OracleError, must_be
from oracle.integrations.minisom import RADII, RATES, decay

Floats = npt.NDArray[np.float64]

#: Decays between a start and an end value.
BETWEEN = (
    "linear", "exponential", "cosine", "power", "step", "constant", "two_phase",
    "exp_drop", "log_drop", "step_down",
)  # fmt: skip
#: Decays whose end follows from the start (MiniSom's).
RATE_ONLY, RADIUS_ONLY = RATES, RADII


def schedule(
    kind: str, t: Floats, total: int, start: float, end: float = 0.0, shape: float = 2.0
) -> Floats:
    """Tell the value of a schedule at the steps `t`.

    Args:
        kind: one of BETWEEN, RATE_ONLY or RADIUS_ONLY.
        t: steps, 0..total-1.
        total: planned steps.
        start, end: values before the first and after the last step (MiniSom's decays know no
            `end`).
        shape: exponent of `power`, steps of `step`, growth of `exp_drop` and `log_drop`.

    Raises:
        OracleError: an unknown kind; the message lists what there is.
    """
    p = t / total
    if kind == "linear":
        return start + (end - start) * p
    if kind == "exponential":
        return np.asarray(start * (end / start) ** p)
    if kind == "cosine":
        return end + (start - end) * (1 + np.cos(np.pi * p)) / 2
    if kind == "power":
        return np.asarray(end + (start - end) * (1 - p) ** shape)
    if kind == "step":
        steps = max(2, round(shape))
        return start + (end - start) * np.minimum(np.floor(p * steps), steps - 1) / (steps - 1)
    if kind == "constant":
        return np.full(len(t), start)
    if kind == "two_phase":  # rough training for a share of the run, then a fine tail
        rough, middle = 1 / (1 + shape), end + 0.25 * (start - end)
        falling = start + (middle - start) * p / rough
        tail = middle + (end - middle) * (p - rough) / (1 - rough)
        return np.where(p < rough, falling, tail)
    if kind == "exp_drop":  # NexusSOM's
        return np.asarray(start - (start - end) * np.expm1(-shape * p) / np.expm1(-shape))
    if kind == "log_drop":  # NexusSOM's
        return np.asarray(start - (start - end) * np.log1p(shape * t) / np.log1p(shape * total))
    if kind == "step_down":  # NexusSOM's: a factor .7 at each tenth
        tenth = np.minimum(np.floor(t / max(1, total // 10)), 9)
        return np.maximum(end, start * 0.7**tenth)
    if kind in (*RATE_ONLY, *RADIUS_ONLY):
        return decay(kind, t, total, start)
    known = sorted({*BETWEEN, *RATE_ONLY, *RADIUS_ONLY})
    raise OracleError(must_be("schedule", f"one of {', '.join(known)}", kind))
