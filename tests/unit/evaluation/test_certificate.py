"""Certificates: what is proven holds as often as it says, and the bet pays where there is proof."""

from __future__ import annotations

import numpy as np
import pytest

from oracle.evaluation.certificate import (
    betting_p_value,
    certify,
    last_rejected,
    losses_by_table,
    on_average,
    shares_by_table,
    shuffled,
)
from oracle.evaluation.replay import COLUMNS, ReplayCounts, Setting
from oracle.types import Certificate, ModelInfo, PopulationPolicy
from oracle.types.certificate import Way

ALPHA, DELTA = 0.02, 0.1
WAY: Way = "one after another"
MADE_OF = {
    "model": ModelInfo(name="m", version="1", sha256="0" * 64),
    "population_size": 20,
    "checks": (0.1, 0.5),
    "dataset": ("tables.csv", "1" * 64),
}


def tables_that_lose(mean: float, n: int, seed: int) -> np.ndarray:
    """Losses of half the good runs, on so many tables that their mean is `mean`."""
    return np.where(np.random.default_rng(seed).random(n) < 2 * mean, 0.5, 0.0)


def replayed(losses: np.ndarray, risks: tuple[float, ...]) -> ReplayCounts:
    """Two good runs of twenty on each table, of which so many are lost by each risk."""
    counts = np.zeros((len(risks), losses.shape[1], len(COLUMNS)))
    for column, value in (("runs", 20.0), ("good", 2.0), ("saved", 10.0)):
        counts[..., COLUMNS.index(column)] = value
    counts[..., COLUMNS.index("lost")] = 2.0 * losses
    tables = [f"t{i}" for i in range(losses.shape[1])]
    return ReplayCounts([Setting(WAY, risk) for risk in risks], tables, counts)


def test_a_rate_at_the_bound_is_rejected_as_rarely_as_said() -> None:
    p = [betting_p_value(tables_that_lose(ALPHA, 400, seed), ALPHA) for seed in range(300)]
    # 99.9 % of such experiments reject at most 48 times.
    assert sum(one <= DELTA for one in p) <= 48
    assert all(0.0 < one <= 1.0 for one in p)


def test_a_rate_far_below_is_proven_and_one_above_is_not() -> None:
    low = [betting_p_value(tables_that_lose(0.004, 1000, seed), ALPHA) for seed in range(50)]
    high = [betting_p_value(tables_that_lose(0.03, 1000, seed), ALPHA) for seed in range(50)]
    assert np.median(low) < 0.01
    assert np.median(high) > 0.5


def test_no_table_proves_nothing_and_few_cannot() -> None:
    assert betting_p_value(np.empty(0), ALPHA) == 1.0
    assert betting_p_value(np.zeros(20), 0.01) > 0.5
    assert betting_p_value(np.zeros(600), 0.01) < 0.05


def test_a_bet_knows_only_what_came_before() -> None:
    late = np.zeros(400)
    late[-1] = 1.0
    # The capital had grown before the loss came: its maximum is what counts.
    assert betting_p_value(late, ALPHA) == betting_p_value(late[:-1], ALPHA)
    # The mean of all is the same, but the gambler is warned.
    assert betting_p_value(late[::-1], ALPHA) > betting_p_value(late, ALPHA)


def test_settings_are_tested_to_the_first_that_fails() -> None:
    none, half = np.zeros(600), np.full(600, 0.5)
    assert last_rejected(np.stack((none, none, half, none)), ALPHA, DELTA)[0] == 1
    assert len(last_rejected(np.stack((none, none, half, none)), ALPHA, DELTA)[1]) == 3
    found, tested = last_rejected(np.stack((half, none)), ALPHA, DELTA)
    assert found is None
    assert tested == [1.0]


def test_on_average_is_conformal_risk_control() -> None:
    losses = np.zeros((3, 99))
    losses[1, :1] = 0.99  # (99 x .01 + 1) / 100 = .0199
    losses[2, :2] = 0.99
    assert on_average(losses, 0.02) == 1
    assert on_average(losses, 0.0298) == 2
    assert on_average(losses, 0.009) is None
    # A setting that loses less than one more cautious counts as losing as much.
    assert on_average(losses[[2, 0]], 0.02) is None


def test_populations_of_one_table_are_one_loss() -> None:
    losses = np.array([[0.5, 0.0, 1.0]])
    counts = replayed(losses, (0.01,))
    counts.tables[1] = counts.tables[0]
    np.testing.assert_allclose(losses_by_table(counts, [0]), [[0.25, 1.0]])


def test_the_most_daring_risk_that_holds_is_certified() -> None:
    risks = (0.05, 0.01, 0.02)  # as they come
    losses = np.stack(
        (np.full(800, 0.5), tables_that_lose(0.002, 800, 0), tables_that_lose(0.003, 800, 1))
    )
    base = PopulationPolicy(control=0.0)
    made = certify(replayed(losses, risks), WAY, ALPHA, DELTA, base=base, **MADE_OF)
    assert isinstance(made, Certificate)
    assert isinstance(made.policy, PopulationPolicy)
    assert made.policy.risk == 0.02
    assert made.on_average == 0.02
    assert [risk for risk, *_ in made.tested] == [0.01, 0.02, 0.05]
    assert (made.tables, made.runs, made.saved, made.way) == (800, 16_000, 0.5, "one after another")
    assert made.loss == pytest.approx(losses[2].mean())
    assert made.p_value <= DELTA < made.tested[-1][2]
    assert "At most 2.0% of the good runs are lost" in str(made)
    assert Certificate.model_validate_json(made.model_dump_json()) == made
    bad = replayed(np.full((3, 800), 0.5), risks)
    assert certify(bad, WAY, ALPHA, DELTA, base=base, **MADE_OF) is None


def test_tables_are_put_into_an_order_of_the_seed() -> None:
    losses = np.arange(40.0).reshape(2, 20)
    first, again, other = (shuffled(losses, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(first[1], first[0] + 20)


def test_how_unlike_a_table_may_be_is_that_of_one_in_a_hundred() -> None:
    counts = replayed(np.zeros((1, 201)), (0.01,))
    of = {name: counts.counts[0, :, COLUMNS.index(name)] for name in ("kept", "missed", "unlike")}
    of["kept"][:] = 8
    of["missed"][:] = np.arange(201) % 2  # a half of the tables has 1 of 8
    of["unlike"][:3] = (8, 4, 2)
    made = certify(counts, WAY, ALPHA, 0.9, base=PopulationPolicy(), **MADE_OF)
    assert made is not None
    assert made.missed == pytest.approx(1 / 8)
    assert made.unlike == pytest.approx(0.25)  # two of 201 had more
    assert sorted(shares_by_table(counts, 0, "unlike", "kept"))[-4:] == [0.0, 0.25, 0.5, 1.0]
    assert shares_by_table(replayed(np.zeros((1, 2)), (0.01,)), 0, "missed", "kept").sum() == 0
