"""What the baselines that learn are told: prefixes of runs, as rows of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oracle.history.columns import columns_of, thin
from oracle.history.features import FEATURES, encode_columns
from oracle.history.targets import anchors, encode_outcomes, finals_of
from oracle.types import METRICS, History, Run

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: Prefixes drawn from each training run, and rows at most: more bring little and cost minutes.
PREFIXES_A_RUN = 4
MAX_ROWS = 20_000
#: Plans at most that are learned from, where there is no checkpoint yet.
MAX_PLANS = 10_000
#: Progress the training prefixes are cut at, as the oracle's own.
FIRST_CUT, LAST_CUT = 0.05, 0.9
#: Features that hold the readings of the three metrics, for the summary statistics.
_LEVELS = [FEATURES.index(n) for n in ("mqe_relative", "topographic_error", "dead_neuron_ratio")]


@dataclass(frozen=True)
class Windows:
    """Prefixes to learn from.

    Attributes:
        histories: plans alone, and prefixes with checkpoints.
        inputs: [history, feature] what is known of each.
        change: [history, target] from its last value to the end.
    """

    histories: list[History]
    inputs: Array
    change: Array


def windows_of(runs: Sequence[Run], seed: int) -> Windows:
    """Cut random prefixes of runs, and their plans."""
    rng = np.random.default_rng(seed)
    cuts = min(PREFIXES_A_RUN, max(1, MAX_ROWS // max(1, len(runs))))
    if len(runs) * cuts > MAX_ROWS:
        runs = [runs[i] for i in rng.choice(len(runs), MAX_ROWS // cuts, replace=False)]
    histories: list[History] = []
    finals: list[Array] = []
    for i, (run, final) in enumerate(zip(runs, finals_of(runs), strict=True)):
        cut = [float(p) for p in rng.uniform(FIRST_CUT, LAST_CUT, cuts) ** 1.5]  # more early ones
        known = [run.history.until(p) if run.history.total_epochs else None for p in cut]
        seen = [prefix or run.history.prefix(1) for prefix in known]
        if i < MAX_PLANS and (plan := run.history.at(0.0)) is not None:
            seen.append(plan)
        histories += seen
        finals += [final] * len(seen)
    values, floor = last_of(histories)
    change = encode_outcomes(np.array(finals), values, floor)
    return Windows(histories, summarise(histories), change)


def summarise(histories: Sequence[History], block: int = 2000) -> Array:
    """[history, feature]: the oracle's last row of features, and statistics of the way there.

    The three metrics' mean, deviation, minimum, maximum, slope and readings at one and two
    thirds of the prefix stand for what a recurrent network gathers by itself; 0 where there is no
    checkpoint yet.
    """
    parts = [np.empty((0, len(FEATURES) + 7 * len(METRICS)))]
    for start in range(0, len(histories), block):
        columns = columns_of([thin(h) for h in histories[start : start + block]])
        rows = encode_columns(columns).astype(np.float64)  # [history, time, feature]
        n, time, _ = rows.shape
        index, length = np.arange(time), columns.length
        levels = rows[:, :, _LEVELS]
        # Row 0 is the plan: nothing is measured there.
        seen = ((index > 0) & (index < length[:, None]))[:, :, None]
        count = np.maximum(length[:, None] - 1, 1)
        mean = (levels * seen).sum(axis=1) / count
        centred = np.where(seen, levels - mean[:, None], 0.0)
        deviation = np.sqrt((centred**2).sum(axis=1) / count)
        at = np.where(seen[..., 0], index - (count + 1) / 2, 0.0)
        slope = (centred * at[:, :, None]).sum(axis=1) / np.maximum((at**2).sum(1), 1e-9)[:, None]
        each, started = np.arange(n), (length > 1)[:, None]
        ways = [
            mean,
            deviation,
            slope,
            np.where(seen, levels, np.inf).min(axis=1),
            np.where(seen, levels, -np.inf).max(axis=1),
            levels[each, np.minimum(1 + (length - 2) // 3, length - 1)],
            levels[each, np.minimum(1 + 2 * (length - 2) // 3, length - 1)],
        ]
        parts.append(
            np.hstack([rows[each, length - 1], *(np.where(started, way, 0.0) for way in ways)])
        )
    table: Array = np.nan_to_num(np.vstack(parts))
    return table


def begun(histories: Sequence[History]) -> Bools:
    """[history] whether there is a checkpoint."""
    return np.array([len(h) > 0 for h in histories], dtype=bool)


def last_of(histories: Sequence[History]) -> tuple[Array, Array]:
    """[history, 3] last known values and [history] floors of mqe's log ratio."""
    columns = columns_of(histories)
    values, floor = anchors(columns)
    rows, end = np.arange(len(histories)), columns.length - 1
    return values[rows, end], floor[rows, end]
