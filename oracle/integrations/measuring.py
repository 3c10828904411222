"""A map measured while it is watched: whatever fails is the run's problem, not the training's."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Any

import numpy as np

from oracle.history.grids import Grid
from oracle.history.metrics import measure
from oracle.hook import WatchedRun
from oracle.types import METRICS


def measured(
    run: WatchedRun, weights: Callable[[], Any], samples: Any, grid: Callable[[], str | Grid]
) -> dict[str, float] | None:
    """Measure the map as it is now.

    Args:
        run: whose problem it is where that fails.
        weights: gives them, [rows, columns, features].
        samples: [sample, feature] as the map sees them.
        grid: gives it, as `measure` takes it.

    Returns:
        The metrics as `report` takes them, NaN throughout for a map that has diverged; None where
        it could not be measured.
    """
    codebook: Any = None
    try:
        codebook = np.asarray(weights())
        metrics = measure(codebook, samples, grid())
    except Exception as error:
        run.problems.note_error("measure", "measure the map", error)
        return dict.fromkeys(METRICS, nan) if _is_broken(codebook) else None
    # NaN says undefined, as on a 1x1 map; None would say forgotten.
    return {name: nan if v is None else v for name, v in metrics._asdict().items()}


def _is_broken(codebook: Any) -> bool:
    try:
        return codebook is not None and not bool(np.isfinite(codebook).all())
    except TypeError:  # no numbers at all
        return False
