"""How fast the machine is just now: searches of several machines, or loads, share one unit of time.

The same search takes four times as long on one machine as on another, and a page's searches are
rarely of one. So each is told with the CPU time that one fixed training takes beside it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from minisom import MiniSom

#: Sample updates of the training, about a tenth of a second.
UPDATES = 5_000
#: Trainings, of which the middle counts.
TIMES = 3


def pace_s() -> float:
    """CPU seconds that the fixed training takes, the median of a few."""
    data = np.random.default_rng(0).normal(size=(200, 8))
    return float(np.median([_trained_s(data) for _ in range(TIMES)]))


def _trained_s(data: np.ndarray) -> float:
    som = MiniSom(10, 10, data.shape[1], sigma=2.0, random_seed=0)
    began = time.process_time()
    som.train(data, UPDATES)
    return time.process_time() - began


def at_one_pace(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the searches whose pace is known, their CPU time as at the median pace of these."""
    known = [e for e in entries if e.get("pace_s")]
    middle = float(np.median([e["pace_s"] for e in known])) if known else 1.0
    return [{**e, "cpu_s": (np.array(e["cpu_s"]) * middle / e["pace_s"]).tolist()} for e in known]
