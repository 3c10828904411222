"""When a run has been seen to its end, and what may lie beyond its budget: one rule for all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import history_of

from oracle.errors import InvalidHistory
from oracle.server.http.wire import CheckpointsRequest
from oracle.types import History
from oracle.types.end_of_run import WHOLE_FROM, is_beyond_end, reaches_end


def history(epochs: Sequence[float], total: float | None) -> History:
    return history_of([0.5] * len(epochs), epochs=tuple(map(float, epochs)), total_epochs=total)


@pytest.mark.parametrize(
    ("epochs", "total", "whole"),
    [
        (range(10), 10, True),
        (range(9), 10, False),
        (range(1, 10), 10, False),  # counted from 1, and one is still to come
        (range(1, 11), 10, True),
        (range(0, 100, 10), 100, True),
        (range(0, 90, 10), 100, False),
        (range(1, 101, 10), 100, True),  # 91, the next would be 101
        ((4, 9), 10, False),  # two checkpoints are no cadence
        ((1, 4, 9), 10, True),
        ((300, 600, 900), 1000, True),
        ((300, 600), 1000, False),
        ((0, 50), 100, False),
        ((10, 20, 30, 80), 100, False),  # one pause is not the usual step
        ([950], 1000, True),
        ([949], 1000, False),
        ((6, 12, 18, 53.9), 60, False),
        ((6, 12, 18, 54.1), 60, True),
        ((20.0, 40.0, 60.1), 60, True),
    ],
    ids=str,
)
def test_a_run_is_whole_where_its_next_checkpoint_would_lie_beyond(
    epochs: Sequence[float], total: float, whole: bool
) -> None:
    assert reaches_end(epochs, total) is whole
    assert history(epochs, total).is_whole is whole


def test_without_a_budget_nobody_knows_the_end() -> None:
    assert not history((1, 2, 3), None).is_whole


@pytest.mark.parametrize(
    ("epochs", "total", "beyond"),
    [
        ((55.8, 61.9), 60, False),
        ((300, 600, 900, 1200), 1000, False),
        ((300, 600, 900, 1300.1), 1000, True),  # more than a step
        ((300, 600, 900, 1300), 1000, False),
        ((300, 600, 900, 1000, 1100), 1000, True),  # the run had ended
        ((300, 600, 900, 1100, 1150), 1000, True),
        ([1001], 1000, True),  # no step is known
        ((1, 1001), 1000, False),
        ((0.5, 1001), 1000, True),
    ],
    ids=str,
)
def test_the_last_checkpoint_may_lie_a_step_beyond_the_budget(
    epochs: Sequence[float], total: float, beyond: bool
) -> None:
    assert is_beyond_end(epochs, total) is beyond
    if beyond:
        with pytest.raises(InvalidHistory, match=r"a step beyond it, but got .* the same unit"):
            history(epochs, total)
    else:
        assert history(epochs, total).progress == 1.0
        assert len(history(epochs, total).until(1.0)) == len(epochs)  # type: ignore[arg-type]


def test_a_piece_of_a_history_is_judged_when_it_has_joined_the_rest() -> None:
    values = {"mqe": [0.5], "topographic_error": [0.1], "dead_neuron_ratio": [0.1]}
    CheckpointsRequest.parse({"epochs": [61.9], "total_epochs": 60.0, **values})


@given(
    st.lists(st.floats(0.01, 100), min_size=1, max_size=30),
    st.floats(1, 1000),
    st.booleans(),
)
def test_the_short_way_is_the_rule(steps: list[float], total: float, zero: bool) -> None:
    epochs = [0.0] if zero else [steps[0]]
    for step in steps[1:]:
        epochs.append(epochs[-1] + step)
    last = epochs[-1]
    expected = last >= WHOLE_FROM * total
    if len(epochs) >= 3:
        following = last + median(b - a for a, b in pairwise(epochs))
        expected |= following > total or (zero and following == total)
    assert reaches_end(epochs, total) is expected
