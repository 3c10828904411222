"""Data correction: the step by its formula, overlapping windows, what stays, what diverges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oracle.errors import OracleError
from oracle.training.correction import EPSILON, KINDS, Correction, Corrector, Kind

POINTS = np.arange(4)[:, None] + np.arange(3)  # four windows of three steps over six points


def corrector(kind: Kind = "raw", rate: float = 0.1, features: int = 2) -> Corrector:
    return Corrector(np.array([True] * 5 + [False]), features, Correction(kind, rate, 0), epochs=1)


def gradients(features: int = 2) -> np.ndarray:
    shape = (*POINTS.shape, features)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_a_point_moves_once_by_what_all_its_windows_ask(kind: Kind) -> None:
    made, gradient = corrector(kind), gradients()
    asked, average = np.zeros((6, 2)), np.zeros((6, 2))
    expected = np.zeros((6, 2))
    for _ in range(2):  # the second step finds an average
        made.move(POINTS, gradient)
        asked[:] = 0
        for window, points in enumerate(POINTS):
            for step, point in enumerate(points):
                asked[point] += len(POINTS) * gradient[window, step]
        average = 0.9 * average + 0.1 * asked**2
        g = {
            "raw": asked,
            "relu": np.where(asked > 0, asked, 0),
            "sigmoid": asked / (1 + np.exp(-asked)),
        }[kind]
        expected -= 0.1 * g / np.sqrt(average + EPSILON)
    expected[5] = 0  # not movable
    np.testing.assert_allclose(made.offset, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(made.at(POINTS)[1], expected[1:4], rtol=1e-4, atol=1e-6)


def test_only_its_columns_move() -> None:
    made = Corrector(np.ones(6, bool), 3, Correction(epoch_threshold=0), 1, columns=[2, 0])
    gradient = gradients(3)
    made.move(POINTS, gradient)
    offset = made.at(POINTS)
    assert (offset[..., 1] == 0).all()
    assert (np.sign(offset[0, 0, [0, 2]]) == -np.sign(gradient[0, 0, [0, 2]])).all()


def test_nothing_moves_before_its_epoch() -> None:
    made = Corrector(np.ones(6, bool), 2, Correction(epoch_threshold=3), epochs=9)
    for epoch in range(4):
        assert (made.offset == 0).all()
        made.start_epoch(epoch)
        made.move(POINTS, gradients())
    assert (made.offset != 0).all()


def test_when_it_begins() -> None:
    assert Correction().begins(100) == Correction().begins(50) == 45
    assert Correction().begins(20) == 18
    assert Correction(epoch_threshold=7).begins(8) == 7
    with pytest.raises(OracleError, match="`epoch_threshold` must be below the number of epochs"):
        Correction(epoch_threshold=8).begins(8)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_diverges_is_called_off_and_put_back(bad: float) -> None:
    made = corrector(rate=1.0)
    made.move(POINTS, gradients())
    assert (made.offset != 0).any()
    made.move(POINTS, np.full_like(gradients(), bad))
    assert (made.offset == 0).all()
    assert made.stopped is not None
    made.start_epoch(5)
    made.move(POINTS, gradients())
    assert (made.offset == 0).all()


def test_points_that_run_away_are_lost() -> None:
    made = corrector(rate=1.0)
    for _ in range(10):
        made.move(POINTS, gradients())
    assert made.stopped is not None
    assert "correction_rate 1" in made.stopped
    assert (made.offset == 0).all()


def test_it_goes_on_after_a_kill(tmp_path: Path) -> None:
    one, other = corrector(), corrector()
    one.move(POINTS, gradients())
    one.save(tmp_path / "o.npz")
    other.restore(tmp_path / "o.npz")
    for made in (one, other):
        made.move(POINTS, gradients())
    assert (one.offset == other.offset).all()
    assert other.stopped is None
