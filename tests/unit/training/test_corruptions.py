"""What the support score is fitted on: prefixes that stand as far apart as those that are asked."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from oracle.history.columns import MIN_STEP, MIN_STEP_UNKNOWN, columns_of, thin
from oracle.training.corruptions import MAX_LENGTH, draw_prefixes
from oracle.types import History

STEPS = 960


def dense(total_epochs: float | None) -> History:
    """A checkpoint at every 960th of the run: ten where one is seen."""
    n = STEPS + 1
    return History(
        epochs=tuple(float(i) for i in range(n)), mqe=(0.5,) * n, topographic_error=(0.1,) * n,
        dead_neuron_ratio=(0.0,) * n, total_epochs=total_epochs,
    )  # fmt: skip


@pytest.mark.parametrize("total_epochs", [float(STEPS), None])
def test_drawn_prefixes_are_thinned_as_histories_are(total_epochs: float | None) -> None:
    drawn = draw_prefixes(columns_of([dense(total_epochs)]), 300, 1, np.random.default_rng(0))
    gaps: list[float] = []
    for epochs, length in zip(drawn.step["epochs"], drawn.length, strict=True):
        assert length <= MAX_LENGTH
        seen = (epochs[:length] / STEPS).tolist()
        # The last one may stand anywhere after the one before it.
        gaps += [b - a for a, b in pairwise(seen[:-1])]
        assert all(b > a for a, b in pairwise(seen))
    assert min(gaps) == pytest.approx(MIN_STEP)  # reached, and never passed


def test_the_step_is_the_one_of_histories() -> None:
    epochs = thin(dense(float(STEPS))).epochs
    assert set(np.diff(epochs)) == {MIN_STEP * STEPS}
    unknown = np.array(thin(dense(None)).epochs[1:-1])
    assert (np.diff(unknown) >= MIN_STEP_UNKNOWN * unknown[:-1]).all()
    assert (np.diff(unknown) < MIN_STEP_UNKNOWN * unknown[:-1] + 1).all()
