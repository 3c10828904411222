"""What a watched run takes as a checkpoint, and how many it keeps."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oracle.errors import OracleWarning
from oracle.hook.checkpoints import Checkpoints, number
from oracle.hook.warn_once import Problems
from oracle.types import MAX_CHECKPOINTS


@pytest.fixture
def seen() -> Checkpoints:
    checkpoints = Checkpoints(Problems())
    checkpoints.total_epochs = 1000.0
    return checkpoints


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7.0),
        (np.array(0.25), 0.25),
        (None, None),
        (math.nan, None),
        (-math.inf, None),
        ("much", None),
        (10**400, None),
        ([1, 2], None),
        (1j, None),
    ],
)
def test_numbers_of_any_library_become_floats(value: object, expected: float | None) -> None:
    result = number(value)  # type: ignore[arg-type]
    assert result == expected
    assert result is None or type(result) is float


@pytest.mark.parametrize(
    ("epoch", "mqe", "kind"),
    [
        (10, 0.4, "epoch"),  # twice
        (5, 0.4, "epoch"),  # out of order
        (1010.5, 0.4, "epoch"),  # more than a step after the end
        (math.nan, 0.4, "epoch"),
        (-1, 0.4, "epoch"),
        (20, math.nan, "diverged"),
        (20, math.inf, "diverged"),
        (20, "a", "mqe"),
        (20, None, "mqe"),
        (20, -0.1, "mqe"),
    ],
)
def test_what_cannot_be_a_checkpoint_is_told_and_left_out(
    seen: Checkpoints, epoch: float, mqe: float | None, kind: str
) -> None:
    assert seen.add(10, 0.5, 0.1, 0.2, None, None)
    field = "mqe" if kind == "diverged" else kind
    with pytest.warns(OracleWarning, match=f"`{field}` must be .* The training goes on"):
        assert not seen.add(epoch, mqe, 0.1, 0.2, None, None)
    assert not seen.add(epoch, mqe, 0.1, 0.2, None, None)  # one warning a kind, then a counter
    assert seen._problems.counts == {kind: 2}
    assert [c.epoch for c in seen.kept] == [10.0]


def test_an_undefined_metric_is_no_problem_and_a_forgotten_one_is_told(seen: Checkpoints) -> None:
    assert seen.add(10, 0.5, math.nan, 0.2, None, None)
    assert not seen._problems.counts
    with pytest.warns(OracleWarning, match="`dead_neuron_ratio` must be given"):
        assert seen.add(20, 0.5, 0.1, None, None, None)
    history = seen.history({})
    assert history.topographic_error == (None, 0.1)
    assert history.dead_neuron_ratio == (0.2, None)
    assert history.learning_rate is None


@pytest.mark.parametrize(
    "name", ["topographic_error", "dead_neuron_ratio", "learning_rate", "radius"]
)
def test_a_value_out_of_range_is_taken_as_unknown(seen: Checkpoints, name: str) -> None:
    values = {"topographic_error": 0.1, "dead_neuron_ratio": 0.1, "learning_rate": 0.1, "radius": 1}
    with pytest.warns(OracleWarning, match=f"`{name}` must be"):
        assert seen.add(10, 0.5, *{**values, name: -0.5}.values())
    assert getattr(seen.kept[0], name) is None


def test_dense_reports_are_thinned_and_the_newest_is_always_last(seen: Checkpoints) -> None:
    for epoch in range(1001):
        assert seen.add(epoch, 1.0 / (1 + epoch), 0.1, 0.2, 0.5, 1.0)
        assert seen.kept[-1].epoch == epoch
    assert len(seen.kept) <= 97
    assert len(seen.history({})) == len(seen.kept)
    assert seen.kept[0].epoch == 0


def test_without_a_budget_a_long_run_still_fits_a_history() -> None:
    seen = Checkpoints(Problems())
    for epoch in range(20_000):
        seen.add(epoch, 1.0, 0.1, 0.2, None, None)
    assert len(seen.history({})) < MAX_CHECKPOINTS


def test_sparse_reports_are_all_kept(seen: Checkpoints) -> None:
    for epoch in range(0, 1001, 50):
        seen.add(epoch, 1.0, 0.1, 0.2, None, None)
    assert len(seen.kept) == 21
