"""P(good): against brute force."""

from __future__ import annotations

from itertools import combinations
from statistics import NormalDist

import numpy as np
import pytest

from oracle.decision.ranking import (
    QUARTILE_SD,
    _GrowingTable,
    chance_by_rank,
    n_good,
    p_good,
    p_good_jointly,
    places,
)


def test_good_runs_are_counted_down_but_never_to_none() -> None:
    assert [n_good(size, 0.1) for size in (1, 9, 10, 45, 50)] == [1, 1, 1, 4, 5]
    assert n_good(30, 0.1) == 3  # 0.1 * 30 is 3.0000000000000004 or 2.9999999999999996


@pytest.mark.parametrize(("n_seen", "size", "good"), [(3, 6, 0.34), (5, 7, 0.5), (6, 6, 0.2)])
def test_places_counts_every_subset(n_seen: int, size: int, good: float) -> None:
    best = n_good(size, good)
    hits = np.zeros(n_seen + 1)
    for subset in combinations(range(size), n_seen):
        hits[sum(run < best for run in subset)] += 1
    np.testing.assert_allclose(places(n_seen, size, good), hits / hits.sum(), atol=1e-12)


def test_an_open_ended_population_is_the_limit_of_a_large_one() -> None:
    np.testing.assert_allclose(
        chance_by_rank(10, None, 0.1), chance_by_rank(10, 1_000_000, 0.1), atol=1e-4
    )


def test_a_complete_population_has_a_hard_bar() -> None:
    assert chance_by_rank(45, 45, 0.1).tolist() == [1.0] * 4 + [0.0] * 41


def test_more_better_runs_never_help() -> None:
    for n_seen in (1, 2, 9, 40):
        chance = chance_by_rank(n_seen, None, 0.2)
        assert len(chance) == n_seen
        assert (np.diff(chance) <= 1e-12).all()


def test_finished_runs_set_the_bar_by_their_values() -> None:
    values = np.linspace(0.1, 1.0, 10)
    draws = np.array([0.05, 0.15, 0.95, 2.0])
    # 11 of 11 seen, one is good: only the first draw beats everybody.
    assert p_good(draws, values, np.zeros(10), 11, 0.1) == pytest.approx(0.25)


@pytest.mark.parametrize("spread", [0.0, 1e-6])
@pytest.mark.parametrize("size", [None, 5, 40])
def test_where_nothing_is_uncertain_one_run_has_the_chance_of_its_rank(
    size: int | None, spread: float
) -> None:
    values = np.array([0.4, 0.1, 0.3, 0.2])
    for rank, own in enumerate((0.05, 0.15, 0.25, 0.35, 0.45)):
        p = p_good(np.full(8, own), values, np.full(4, spread), size, 0.3)
        assert p == pytest.approx(chance_by_rank(5, size, 0.3)[rank], abs=1e-12)


def test_a_stopped_run_far_away_is_counted_as_far_as_its_draws_reach() -> None:
    """Of 4,000 draws the least lies 3.7 deviations below the middle, and 3.5 are enough here."""
    spread = np.array([0.2 * QUARTILE_SD])
    assert p_good(np.full(4000, 0.3), np.array([1.0]), spread, 2, 0.5) == 1 - 1 / 4000


def test_stopped_runs_enter_with_their_spread() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal(0.5, 0.1, 4000)
    values, spreads = np.array([0.5, 0.6]), np.array([0.06745, 0.06745])
    theirs = rng.normal(values, 0.1, (4000, 2))
    wanted = (draws[:, None] < theirs).all(axis=1).mean()
    assert p_good(draws, values, spreads, 3, 0.34) == pytest.approx(wanted, abs=0.03)


def test_a_generation_in_step_shares_out_its_good_places() -> None:
    rng = np.random.default_rng(1)
    draws = rng.normal(rng.uniform(0, 1, (20, 1)), 0.3, (20, 1000))
    p = p_good_jointly(draws, np.empty(0), np.empty(0), None, 0.1)
    assert p.sum() == pytest.approx(2.0, abs=0.08)
    ranks = rng.permuted(draws, axis=1).argsort(axis=0).argsort(axis=0)
    np.testing.assert_allclose(p, (ranks < 2).mean(axis=1), atol=0.04)


def test_equal_draws_are_not_paired() -> None:
    """Forecasts made from the same random numbers still compete as strangers."""
    same = np.linspace(0.0, 1.0, 500)
    p = p_good_jointly(np.stack([same, same, same]), np.empty(0), np.empty(0), None, 0.34)
    np.testing.assert_allclose(p, 1 / 3, atol=0.05)


@pytest.mark.parametrize("size", [None, 20])
def test_a_run_alone_is_the_best_of_its_population(size: int | None) -> None:
    assert p_good_jointly(np.ones((1, 8)), np.empty(0), np.empty(0), size, 0.1) == [1.0]


@pytest.mark.parametrize("good", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("size", [5, 7, 40])
def test_where_nothing_is_uncertain_the_rank_decides(size: int, good: float) -> None:
    """A generation and the outcomes of others, each sure of its value."""
    for n_members, n_outcomes in ((3, 2), (40, 60)):
        seen = np.random.default_rng(0).permutation(n_members + n_outcomes).astype(float)
        if n_outcomes == 2:  # the best of all and the worst are members
            seen = np.array([1.0, 0.0, 4.0, 2.0, 3.0])
        draws = np.repeat(seen[:n_members], 4).reshape(-1, 4)
        outcomes = seen[n_members:]
        p = p_good_jointly(draws, outcomes, np.zeros(n_outcomes), size, good)
        chance = chance_by_rank(len(seen), size, good)
        np.testing.assert_allclose(p, chance[seen[:n_members].astype(int)], atol=1e-6)


def test_every_draw_meets_every_bar() -> None:
    """Of two draws against two of a rival's, one pair of four is won by the worse run."""
    draws = np.array([[1.0, 3.0], [2.0, 4.0]])
    p = p_good_jointly(draws, np.empty(0), np.empty(0), None, 0.5)
    assert p.tolist() == [0.75, 0.25]


def test_a_generation_meets_stopped_runs_with_their_spread() -> None:
    sd, draws = 0.2, np.full((1, 4000), 0.5)
    for value in (0.4, 0.6):
        wanted = 1 - NormalDist(value, sd).cdf(0.5)
        p = p_good_jointly(draws, np.array([value]), np.array([sd * QUARTILE_SD]), None, 0.5)
        assert p[0] == pytest.approx(wanted, abs=1e-3)


def test_random_numbers_are_the_same_however_many_were_asked_for() -> None:
    grid = np.array([NormalDist().inv_cdf((d + 0.5) / 8) for d in range(8)], dtype=np.float32)
    rng = np.random.default_rng(20)  # decisions replay: these numbers never change
    wanted = [rng.permutation(grid) for _ in range(70)]
    table = _GrowingTable(8)
    for n in (3, 70, 5):
        rows = table.rows(n)
        assert (rows.shape, rows.dtype) == ((n, 8), np.float32)
        np.testing.assert_array_equal(rows, wanted[:n])
        assert not rows.flags.writeable
