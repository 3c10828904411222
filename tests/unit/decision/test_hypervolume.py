"""Exact hypervolume gains, against inclusion and exclusion."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from oracle.decision.hypervolume import gains, hypervolume, nondominated


def by_inclusion(points: np.ndarray, corner: np.ndarray) -> float:
    total = 0.0
    for k in range(1, len(points) + 1):
        for some in combinations(points, k):
            edges = np.clip(corner - np.max(some, axis=0), 0.0, None)
            total += (-1) ** (k + 1) * float(edges.prod())
    return total


#: The objectives end differently far.
CORNER = np.array([1.0, 1.25, 0.75])


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("objectives", [1, 2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_gain_is_the_difference_of_two_volumes(objectives: int, seed: int, tied: bool) -> None:
    rng = np.random.default_rng(seed)
    front = rng.uniform(0, 1.2, (seed + 1, objectives))  # some beyond the corner, some dominated
    corner = CORNER[:objectives]
    points = np.vstack([rng.uniform(-0.2, 1.1, (8, objectives)), front[:1]])
    if tied:
        front, points = np.round(4 * front) / 4, np.round(4 * points) / 4
    before = by_inclusion(front, corner)
    wanted = [by_inclusion(np.vstack([front, p]), corner) - before for p in points]
    np.testing.assert_allclose(gains(points, front, corner), wanted, atol=1e-12)
    assert hypervolume(front, corner) == pytest.approx(before, abs=1e-12)


def test_an_empty_front_leaves_everything_free() -> None:
    assert gains(np.array([[0.5, 0.5]]), np.empty((0, 2)), np.ones(2)) == pytest.approx([0.25])


def test_ties_and_duplicates_are_harmless() -> None:
    front = np.array([[0.2, 0.5, 0.5], [0.2, 0.5, 0.5], [0.2, 0.6, 0.5], [0.4, 0.5, 0.1]])
    assert len(nondominated(front)) == 2
    assert gains(front, front, np.ones(3)) == pytest.approx([0.0] * 4)
