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

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from oracle.evaluation.recorded_runs import Array
from oracle.evaluation.replay import COLUMNS, ReplayCounts
from oracle.types import Frozen, ModelInfo, NonNegative, Policy, PopulationPolicy, Ratio

Share = Annotated[float, Field(strict=True, gt=0, lt=1)]
#: A bet of all on one table would be lost with the first that loses as much.
MOST_BET = 0.9


class Certificate(Frozen):
    """What was proven of a model's policy.

    Attributes:
        model: that forecast.
        policy: that holds, its risk included.
        way: "one after another" or "in step".
        alpha: share of good runs that is lost at most, mean over tables.
        delta: probability, over the draw of the tables, that this is wrong.
        p_value: of the policy that holds.
        on_average: the most daring risk whose expected loss is at most alpha; None = none.
        loss, saved: of the policy, on these tables.
        tables, runs: replayed.
        population_size: runs of each population.
        checks: shares of a run at which it is judged.
        dataset: name and SHA-256 of the file of runs.
        tested: (risk, mean loss, p-value) in order, to the first that is not rejected.
        created: when.
    """

    model: ModelInfo
    policy: Policy
    way: str
    alpha: Share
    delta: Share
    p_value: Ratio
    on_average: Share | None
    loss: Ratio
    saved: Ratio
    tables: Annotated[int, Field(ge=1)]
    runs: Annotated[int, Field(ge=1)]
    population_size: Annotated[int, Field(ge=1)]
    checks: tuple[Ratio, ...]
    dataset: tuple[str, str]
    tested: tuple[tuple[NonNegative, Ratio, Ratio], ...]
    created: datetime

    def __str__(self) -> str:
        return (
            f"At most {self.alpha:.1%} of the good runs are lost (mean over tables), with "
            f"{1 - self.delta:.0%} confidence, by the {self.policy.name} policy at risk "
            f"{getattr(self.policy, 'risk', 0):g}, runs {self.way}, on tables drawn as the "
            f"{self.tables:,} of {self.dataset[0]}: {self.loss:.2%} were lost there and "
            f"{self.saved:.0%} of the epochs saved."
        )


def losses_by_table(replayed: ReplayCounts, rows: Sequence[int]) -> Array:
    """Give [setting, table] the share of each table's good runs that was lost.

    Args:
        replayed: populations of any number of tables.
        rows: the settings.
    """
    lost, good = (COLUMNS.index(name) for name in ("lost", "good"))
    names, index = np.unique(np.asarray(replayed.tables), return_inverse=True)
    summed = np.zeros((len(rows), len(names), len(COLUMNS)))
    for i, row in enumerate(rows):
        np.add.at(summed[i], index, replayed.counts[row])
    return np.asarray(summed[..., lost] / np.maximum(summed[..., good], 1.0))


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
    name: str,
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
        name: of the policy in it.
        alpha, delta: see `Certificate`.
        base: the policy, whose risk is chosen.
        seed: of the order of the tables.
        facts: the rest of `Certificate`.

    Returns:
        None where not even the most cautious risk holds.
    """
    rows = sorted(replayed.rows_of(name), key=lambda row: replayed.settings[row].value or 0.0)
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
        way=name.removeprefix("oracle, ").removeprefix("population "),
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
        **facts,
    )
