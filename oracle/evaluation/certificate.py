"""Certificates: how many good runs a policy loses at most, with a proof whose units are tables.

Runs of one table err together, so a table counts once: its loss is the share of its good runs that
the policy stops, 0..1, replayed as the policy is used, start-up runs, bar and order included.

- With high probability: settings are tested from the most cautious on, each by a betting p-value
  of "the mean loss is above alpha"; the last one rejected before one is not holds, at 1 - delta,
  and nothing is paid for the choice (Learn-then-Test with fixed-sequence testing: Angelopoulos,
  Bates, Candes, Jordan & Lei 2021, doi:10.48550/arXiv.2110.01052; the bet: Waudby-Smith & Ramdas
  2024, doi:10.1093/jrsssb/qkad009).
- On average over calibrations: conformal risk control (Angelopoulos, Bates, Fisch, Lei & Schuster
  2024, doi:10.48550/arXiv.2208.02814).

Both hold for the next table where it is drawn as these were.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from oracle.evaluation.recorded_runs import Array, at_checks, by_table, populations
from oracle.evaluation.replay import (
    COLUMNS,
    ReplayCounts,
    Setting,
    StopPolicy,
    in_step,
    one_after_another,
    replay,
)
from oracle.types import Certificate, PopulationPolicy, Run
from oracle.types.certificate import Way

if TYPE_CHECKING:
    from oracle.forecast.forecaster import Oracle

#: A bet of all on one table would be lost with the first that loses as much.
MOST_BET = 0.9
#: One table in so many is as unlike the others as a search that a certificate does not hold for.
RARE = 0.01


def shares_by_table(replayed: ReplayCounts, row: int, name: str, of: str) -> Array:
    """Give [table] a count of one setting as a share of another, 0..1; 0 where that is 0.

    Args:
        replayed: populations of any number of tables.
        row: the setting.
        name, of: the counts, see `COLUMNS`.
    """
    _, index = np.unique(np.asarray(replayed.tables), return_inverse=True)
    which = [COLUMNS.index(name), COLUMNS.index(of)]
    summed = np.zeros((2, index.max() + 1))
    np.add.at(summed.T, index, replayed.counts[row][:, which])
    return np.asarray(summed[0] / np.maximum(summed[1], 1.0))


def unusual(replayed: ReplayCounts, row: int, name: str, of: str) -> float:
    """Give the share that all tables but one in a hundred keep to, see `shares_by_table`."""
    return float(np.quantile(shares_by_table(replayed, row, name, of), 1 - RARE))


def losses_by_table(replayed: ReplayCounts, rows: Sequence[int]) -> Array:
    """Give [setting, table] the share of each table's good runs that was lost."""
    return np.stack([shares_by_table(replayed, row, "lost", "good") for row in rows])


def betting_p_value(losses: Array, alpha: float) -> float:
    """Test whether the mean of independent losses within 0..1 is above alpha.

    A gambler bets against it, table by table, by what was seen before; the most that the capital
    came to is a p-value by Ville's inequality.

    >>> losses = np.zeros(500)
    >>> round(betting_p_value(losses, 0.01), 3), betting_p_value(losses + 0.01, 0.01)
    (0.011, 1.0)
    """
    n = len(losses)
    if n == 0:
        return 1.0
    # Predictable plug-ins: of each table, what those before it give.
    count = np.arange(1, n + 1)
    mean = (alpha + np.cumsum(losses)) / (count + 1)
    variance = (alpha + np.cumsum((losses - mean) ** 2)) / (count + 1)
    before_mean = np.concatenate(([alpha], mean[:-1]))
    before_variance = np.concatenate(([alpha], variance[:-1]))
    # Kelly's bet to second order: what is to be won, over its variance.
    edge = np.maximum(alpha - before_mean, alpha / np.sqrt(count))
    bet = np.minimum(edge / (before_variance + edge**2), MOST_BET / (1 - alpha))
    capital = np.cumsum(np.log1p(bet * (alpha - losses)))
    return float(min(1.0, np.exp(-capital.max())))


def last_rejected(losses: Array, alpha: float, delta: float) -> tuple[int | None, list[float]]:
    """Test settings in their order, to the first that cannot be rejected.

    Args:
        losses: [setting, table] from the most cautious on, tables in random order.
        alpha, delta: see `Certificate`.

    Returns:
        the last setting that holds, None where not even the first does; and the p-values.
    """
    found, tested = None, []
    for setting, of in enumerate(losses):
        tested.append(betting_p_value(of, alpha))
        if tested[-1] > delta:
            break
        found = setting
    return found, tested


def on_average(losses: Array, alpha: float) -> int | None:
    """Choose the most daring setting whose expected loss is at most alpha: conformal risk control.

    Args:
        losses: [setting, table] within 0..1, from the most cautious on; a setting counts as losing
            what any more cautious one does.
        alpha: see `Certificate`.
    """
    n = losses.shape[1]
    worst = np.maximum.accumulate(losses, axis=0).mean(axis=1)
    holds = np.flatnonzero((n * worst + 1.0) / (n + 1.0) <= alpha)
    return int(holds[-1]) if len(holds) else None


def shuffled(losses: Array, seed: int) -> Array:
    """Put tables into a random order: bets must not know it."""
    order = np.random.default_rng(seed).permutation(losses.shape[1])
    return np.asarray(losses[:, order])


def certify(
    replayed: ReplayCounts,
    way: Way,
    alpha: float,
    delta: float,
    *,
    base: PopulationPolicy,
    seed: int = 0,
    **facts: Any,
) -> Certificate | None:
    """Certify the most daring risk of a policy that can be shown to hold.

    Args:
        replayed: a population or more of every table, by each risk.
        way: by which runs were trained, the policy's name in it.
        alpha, delta: see `Certificate`.
        base: the policy, whose risk is chosen.
        seed: of the order of the tables.
        facts: the rest of `Certificate`.

    Returns:
        None where not even the most cautious risk holds.
    """
    rows = sorted(replayed.rows_of(way), key=lambda row: replayed.settings[row].value or 0.0)
    risks = [float(replayed.settings[row].value or 0.0) for row in rows]
    losses = shuffled(losses_by_table(replayed, rows), seed)
    found, p_values = last_rejected(losses, alpha, delta)
    if found is None:
        return None
    average = on_average(losses, alpha)
    saved, runs = (COLUMNS.index(column) for column in ("saved", "runs"))
    total = replayed.counts[rows[found]].sum(axis=0)
    return Certificate(
        policy=base.model_copy(update={"risk": risks[found]}),
        way=way,
        alpha=alpha,
        delta=delta,
        p_value=p_values[found],
        on_average=None if average is None else risks[average],
        loss=float(losses[found].mean()),
        saved=float(total[saved] / total[runs]),
        tables=losses.shape[1],
        runs=int(total[runs]),
        tested=tuple(
            (risk, float(of.mean()), p)
            for risk, of, p in zip(risks, losses, p_values, strict=False)
        ),
        created=datetime.now(UTC),
        missed=unusual(replayed, rows[found], "missed", "kept"),
        unlike=unusual(replayed, rows[found], "unlike", "kept"),
        **facts,
    )


def certify_tables(
    runs: Iterable[Run],
    oracle: Oracle,
    base: PopulationPolicy,
    risks: Sequence[float],
    *,
    population_size: int,
    checks: tuple[float, ...],
    seed: int = 0,
    **claim: Any,
) -> dict[Way, Certificate | None]:
    """Replay a policy over recorded runs by each risk, and certify both ways of training.

    Args:
        runs: of tables that the oracle never saw.
        oracle: that forecasts.
        base: the policy, whose risk is chosen.
        risks: that are tested.
        population_size, checks, seed: see `Certificate` and `certify`.
        claim: alpha, delta and dataset of `Certificate`.

    Returns:
        way -> what was proven; None where not even the most cautious risk holds.

    Raises:
        DatasetError: no table has enough runs.
    """
    tables, _ = by_table(runs, population_size)
    policies: dict[Setting, StopPolicy] = {}
    for risk in risks:
        policy = base.model_copy(update={"risk": risk})
        policies[Setting("one after another", risk)] = one_after_another(policy)
        policies[Setting("in step", risk)] = in_step(policy)
    seen = (at_checks(table, oracle, checks, base.good) for table in tables)
    replayed = replay((p for one in seen for p in populations(one, population_size)), policies)
    facts = {"model": oracle.info, "population_size": population_size, "checks": checks, **claim}
    ways: tuple[Way, ...] = ("one after another", "in step")
    return {way: certify(replayed, way, base=base, seed=seed, **facts) for way in ways}
