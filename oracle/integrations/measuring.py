"""A map measured while it is watched: whatever fails is the run's problem, not the training's."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from time import perf_counter
from typing import Any

import numpy as np

from oracle.errors import Message
from oracle.history.grids import Grid
from oracle.history.metrics import measure
from oracle.hook import WatchedRun
from oracle.types import METRICS

#: Measuring is told to cost much where it took so long, seconds, and this share of all the time.
LONG_S, SHARE = 1.0, 0.5


class Measuring:
    """Measures the map of one training, as often as it is called.

    Args:
        run: whose problem it is where that fails, or costs more than the training.
        weights: gives them, [rows, columns, features].
        samples: [sample, feature] as the map sees them.
        grid: gives it, as `measure` takes it.
    """

    def __init__(
        self,
        run: WatchedRun,
        weights: Callable[[], Any],
        samples: Any,
        grid: Callable[[], str | Grid],
    ) -> None:
        self._run, self._weights, self._samples, self._grid = run, weights, samples, grid
        self._began, self._spent_s = perf_counter(), 0.0

    def __call__(self) -> dict[str, float] | None:
        """Give the metrics as `report` takes them.

        Returns:
            NaN throughout for a map that has diverged; None where it could not be measured.
        """
        began, codebook = perf_counter(), None
        try:
            codebook = np.asarray(self._weights())
            metrics = measure(codebook, self._samples, self._grid())
        except Exception as error:
            # What is reported then says it; missing values in the table are no fault of the map.
            if _field_of(error) != "data" and _is_broken(codebook):
                return dict.fromkeys(METRICS, nan)
            self._run.problems.note_error("measure", "measure the map", error)
            return None
        finally:
            self._spent_s += perf_counter() - began
            self._tell()
        # NaN says undefined, as on a 1x1 map; None would say forgotten.
        return {name: nan if v is None else v for name, v in metrics._asdict().items()}

    def _tell(self) -> None:
        elapsed_s = perf_counter() - self._began
        if self._spent_s > max(LONG_S, SHARE * elapsed_s):
            self._run.problems.note(
                "measuring",
                f"measuring the map took {self._spent_s:.1f} of the {elapsed_s:.1f} s of the "
                f"training so far, a pass over all {len(self._samples):,} samples each time: fewer "
                "`checkpoints` cost less.",
            )


def _field_of(error: Exception) -> str | None:
    message = error.args[0] if error.args else None
    return message.field if isinstance(message, Message) else None


def _is_broken(codebook: Any) -> bool:
    try:
        return codebook is not None and not bool(np.isfinite(codebook).all())
    except TypeError:  # no numbers at all
        return False
