"""Recorded runs of one table seen at every check: what a replay plays on.

Every run was trained to its end, so a policy can be told afterwards what its stops would have
cost. Forecasts are made once a run and check; a population is a choice of runs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from oracle.decision.convergence import has_converged
from oracle.decision.policy import doubt
from oracle.decision.rules import draw_scores
from oracle.errors import DatasetError, must_be
from oracle.forks import cached_property
from oracle.history.dataset import listed, usable
from oracle.history.quality_score import (
    Weights,
    among_best,
    common_scale,
    lacking,
    scores_among,
    scores_of,
    weights_of,
    weights_without,
)
from oracle.history.targets import finals_of
from oracle.types import METRICS, QUALITY_WEIGHTS, Forecast, History, Policy, PopulationPolicy, Run

Array = npt.NDArray[np.float64]

CHECKS = (0.1, 0.2, 0.3, 0.5, 0.7)
#: A remainder smaller than this share of the wanted size is no population.
SMALLEST_SHARE = 0.5
#: Share of a run by which it is known whether a search is one that the forecasts are made for.
EARLY = 0.1
#: Below it a policy judges no run, unless it says otherwise.
LEAST_SUPPORT = Policy().min_support


class Forecaster(Protocol):
    """Whatever forecasts many histories at once, the `Oracle` first of all."""

    def forecast_many(self, histories: Sequence[History]) -> list[Forecast]:
        """Forecast each history, with draws."""


@dataclass(frozen=True, eq=False)
class RecordedRuns:
    """Runs of one table seen at every check; arrays are [check, run, ...].

    Attributes:
        table: name of the table, the cluster of every interval.
        runs: recorded to their end.
        checks: progress of each check, 0..1.
        good: share of the population that counts as good.
        prefixes: history up to the check, at 0 the plan alone; None where nothing was known.
        forecasts: None where there is no prefix or no forecaster.
        draws: [check, run, draw] quality scores, empty without a forecaster.
        medians, spreads: [check, run] of the draws; spread as `Outcome.spread`.
        last: [check, run] quality score of the last values, inf where there is no prefix.
        final: [run] quality score at the end.
        compute: [run] sample updates x neurons x features of the whole run.
        is_good: [run] the truly best.
        scale: [3] what raw values are weighed by, 0 for a metric that no run of the table has.
        without: metrics that drop out for that reason.
    """

    table: str
    runs: list[Run]
    checks: tuple[float, ...]
    good: float
    prefixes: list[list[History | None]]
    forecasts: list[list[Forecast | None]]
    draws: Array
    medians: Array
    spreads: Array
    last: Array
    final: Array
    compute: Array
    is_good: npt.NDArray[np.bool_]
    scale: Array
    without: tuple[str, ...]

    def take(self, rows: Sequence[int]) -> RecordedRuns:
        """Make a population of some of the runs, in the given order."""
        which = np.asarray(rows)
        return replace(
            self,
            runs=[self.runs[i] for i in rows],
            prefixes=[[row[i] for i in rows] for row in self.prefixes],
            forecasts=[[row[i] for i in rows] for row in self.forecasts],
            draws=self.draws[:, which],
            medians=self.medians[:, which],
            spreads=self.spreads[:, which],
            last=self.last[:, which],
            final=self.final[which],
            compute=self.compute[which],
            is_good=among_best(self.final[which], self.good),
        )

    def with_draws(self, draws: Array) -> RecordedRuns:
        """The same runs seen through other draws [check, run, draw]; inf where there are none."""
        medians, spreads = np.full(self.last.shape, np.inf), np.zeros(self.last.shape)
        known = np.isfinite(draws).all(axis=2) & (draws.shape[2] > 0)
        if known.any():
            low, medians[known], high = np.quantile(draws[known], [0.25, 0.5, 0.75], axis=1)
            spreads[known] = (high - low) / 2
        return replace(self, draws=draws, medians=medians, spreads=spreads)

    @cached_property
    def early_forecasts(self) -> EarlyForecasts:
        """How each run's forecast at a tenth of it fared, whatever the policy."""
        return _early_forecasts(self)

    @property
    def n_runs(self) -> int:
        """Runs of the population."""
        return len(self.runs)

    @property
    def n_checks(self) -> int:
        """Checks of every run; as a stop it means never."""
        return len(self.checks)

    def risks(self, policy: PopulationPolicy) -> Array:
        """[check, run] the policy's risk at each run's own progress; 0 where nothing is seen."""
        return np.array(
            [
                [0.0 if h is None else policy.risk_at(h.progress or 0.0) for h in row]
                for row in self.prefixes
            ]
        )

    def converged(self, policy: Policy) -> npt.NDArray[np.bool_]:
        """[check, run] where a run has converged under a policy that may judge it."""
        if policy.converged == 0.0 or not self.draws.shape[2]:
            return np.zeros(self.last.shape, dtype=bool)
        return np.asarray(
            self.may_judge(policy) & has_converged(self.last, self.draws, policy), dtype=bool
        )

    def may_judge(self, policy: Policy) -> npt.NDArray[np.bool_]:
        """[check, run] where the policy has no doubt (support, checkpoints, progress)."""
        pairs = zip(self.prefixes, self.forecasts, strict=True)
        return np.array(
            [
                [
                    h is not None and doubt(h, f, policy, self.without) is None
                    for h, f in zip(hs, fs, strict=True)
                ]
                for hs, fs in pairs
            ]
        )


class EarlyForecasts(NamedTuple):
    """The forecast of each run at the first check at EARLY or later, beside how it ended.

    Attributes:
        told: [run] whether there is one.
        missed: [run] whether it had support and the run ended outside its 90 % interval.
        unlike: [run] whether its support is below what a policy asks for by default.
    """

    told: npt.NDArray[np.bool_]
    missed: npt.NDArray[np.bool_]
    unlike: npt.NDArray[np.bool_]


def _early_forecasts(population: RecordedRuns) -> EarlyForecasts:
    check = next((i for i, at in enumerate(population.checks) if at >= EARLY), -1)
    told = np.isfinite(population.medians[check])
    unlike = np.array(
        [f is not None and f.support < LEAST_SUPPORT for f in population.forecasts[check]]
    )
    missed, asked = np.zeros(population.n_runs, dtype=bool), told & ~unlike
    if asked.any():
        low, high = np.quantile(population.draws[check, asked], [0.05, 0.95], axis=1)
        missed[asked] = (population.final[asked] < low) | (population.final[asked] > high)
    return EarlyForecasts(told, missed, told & unlike)


def by_table(runs: Iterable[Run], size: int) -> tuple[list[list[Run]], dict[str, int]]:
    """Gather the runs of each table that can be replayed.

    Args:
        runs: of any number of tables.
        size: runs of a population; a table needs SMALLEST_SHARE of it.

    Returns:
        the tables' runs, and why runs were left out -> how many.

    Raises:
        DatasetError: where no table has enough.
    """
    gathered: dict[str, list[Run]] = {}
    for run in runs:
        gathered.setdefault(run.history.population_name or run.dataset, []).append(run)
    tables, left_out = {}, Counter[str]()
    for name, members in gathered.items():
        tables[name], excluded = replayable(members)
        left_out.update(excluded)
    least = math.ceil(SMALLEST_SHARE * size)
    enough = [members for members in tables.values() if len(members) >= least]
    left_out["too few runs of the table"] += sum(
        len(members) for members in tables.values() if len(members) < least
    )
    if not enough:
        raise DatasetError(
            must_be(
                "dataset",
                f"{least} usable runs of one table at least",
                max((len(m) for m in tables.values()), default=0),
                f"Left out: {listed(left_out)}. Take a smaller --population-size.",
            )
        )
    return enough, dict(+left_out)


def replayable(runs: Iterable[Run]) -> tuple[list[Run], dict[str, int]]:
    """Leave out the runs of one table that cannot be replayed, counted by reason."""
    kept, excluded = usable(runs)
    planned = [run for run in kept if run.history.total_epochs is not None]
    scores = scores_among(finals_of(planned).T, [scale_of(run) for run in planned])
    found = [run for run, score in zip(planned, scores, strict=True) if np.isfinite(score)]
    left_out = Counter(excluded)
    left_out["unknown total_epochs"] += len(kept) - len(planned)
    left_out["undefined final metric"] += len(planned) - len(found)
    return found, dict(+left_out)


def populations(
    table: RecordedRuns, size: int, shuffles: int = 1, seed: int = 0
) -> Iterator[RecordedRuns]:
    """Cut a table's runs into populations: once in their order, then in random ones.

    A remainder smaller than SMALLEST_SHARE of `size` is left out of that cut.
    """
    rng = np.random.default_rng(seed)
    for shuffle in range(shuffles):
        order = rng.permutation(table.n_runs) if shuffle else np.arange(table.n_runs)
        for start in range(0, table.n_runs, size):
            rows = order[start : start + size]
            if len(rows) >= SMALLEST_SHARE * size:
                yield table.take(rows.tolist())


def at_checks(
    runs: Sequence[Run],
    forecaster: Forecaster | None,
    checks: Sequence[float] = CHECKS,
    good: float = 0.1,
    weights: Weights = QUALITY_WEIGHTS,
) -> RecordedRuns:
    """Gather one table: cut every run at every check, forecast once, score the end.

    Args:
        runs: one table's runs, finished, final metrics known.
        forecaster: None where only rivals that need no forecast are replayed.
        checks: progress of each check, increasing, 0..1; at 0 a run is known by its plan alone.
        good: share that counts as good.
        weights: of the quality score.
    """
    finals = finals_of(runs).T
    without = lacking(finals, weights)
    unit = common_scale(scale_of(run) for run in runs)
    scale = weights_of(unit or 1.0, weights_without(without, weights))
    prefixes = [[run.history.at(check) for run in runs] for check in checks]
    flat = [h for row in prefixes for h in row if h is not None]
    answers = iter(forecaster.forecast_many(flat) if forecaster is not None else ())
    forecasts: list[list[Forecast | None]] = [
        [next(answers, None) if h is not None else None for h in row] for row in prefixes
    ]
    final = scores_of(finals, scale)
    seen = [[last_of(h) for h in row] for row in prefixes]
    last = scores_of(np.array(seen, np.float64).transpose(2, 0, 1), scale)
    last[np.isnan(last)] = np.inf
    n_draws = max(
        (len(f.draws) for r in forecasts for f in r if f and f.draws is not None), default=0
    )
    draws = np.full((len(checks), len(runs), n_draws), np.inf)
    for c, row in enumerate(forecasts):
        for i, forecast in enumerate(row):
            if forecast is not None and forecast.draws is not None:
                draws[c, i] = draw_scores(forecast, scale)
    return RecordedRuns(
        table=runs[0].dataset,
        runs=list(runs),
        checks=tuple(checks),
        good=good,
        prefixes=prefixes,
        forecasts=forecasts,
        draws=np.empty((len(checks), len(runs), 0)),
        medians=np.full(last.shape, np.inf),
        spreads=np.zeros(last.shape),
        last=last,
        final=final,
        compute=np.array([compute_of(run.history) for run in runs]),
        is_good=among_best(final, good),
        scale=scale,
        without=without,
    ).with_draws(draws)


def scale_of(run: Run) -> float | None:
    """Read the scale of a run's table."""
    return run.history.context.mqe_of_mean


def last_of(history: History | None) -> tuple[float | None, ...]:
    """Last values of a history; None where undefined, or nothing was seen yet."""
    seen = history is not None and len(history) > 0
    return tuple(getattr(history, m)[-1] if seen else None for m in METRICS)


def compute_of(history: History) -> float:
    """Sample updates x neurons x features of the whole run; epochs stand in for updates."""
    context = history.context
    neurons = (context.map_rows or 1.0) * (context.map_cols or 1.0)
    updates = context.total_updates or history.total_epochs or 1.0
    return updates * neurons * (context.n_features or 1.0)
