"""Replay decisions over recorded populations: what each policy saves and what it loses.

A policy is a function of a recorded population to the check each run stops at; variants need
no more than that:

    def keep_all(population: Recorded) -> Stops:
        return np.full(population.n_runs, population.n_checks)

    table = record(runs, Oracle.load())
    tallies = replay(populations(table, 45), {Setting("keep all"): keep_all})

Epochs are counted as the share of each run's own budget, since libraries count differently;
compute weighs a run by sample updates x neurons x features. A stop costs the nominal progress
of its check. Good are the truly best `good` of a population by the quality score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from oracle.decision.policy import decide, outcome_of
from oracle.decision.ranking import p_good, p_good_jointly
from oracle.evaluation.recorded import Array, Recorded, scale_of
from oracle.history.quality_score import common_scale
from oracle.types import Outcome, Policy, PopulationPolicy, Reference, Run

#: [run] index of the check a run was stopped at; the number of checks = never.
Stops = npt.NDArray[np.int64]
StopPolicy = Callable[[Recorded], Stops]

# -- our policies -----------------------------------------------------------------------------


def one_after_another(policy: PopulationPolicy) -> StopPolicy:
    """Runs are trained in their order; each is judged against those before it.

    The arithmetic of `decide` with the `population` rule on arrays (a test holds them equal).
    """

    def stops(population: Recorded) -> Stops:
        judge = population.may_judge(policy)
        result = np.full(population.n_runs, population.n_checks)
        risks = population.risks(policy)
        values, spreads = np.empty(population.n_runs), np.zeros(population.n_runs)
        for i in range(population.n_runs):
            values[i] = population.final[i]
            below = 0
            for c in range(population.n_checks):
                if not judge[c, i] or i < policy.startup_runs:
                    below = 0
                    continue
                p = p_good(
                    population.draws[c, i],
                    values[:i],
                    spreads[:i],
                    population.n_runs,
                    policy.good,
                )
                best = population.medians[c, i] < values[:i].min()
                below = below + 1 if p < risks[c, i] else 0
                if below >= policy.patience and not best:
                    result[i], values[i] = c, population.medians[c, i]
                    spreads[i] = population.spreads[c, i]
                    break
        return result

    return stops


def in_step(policy: PopulationPolicy) -> StopPolicy:
    """The whole population is trained in step and judged jointly at every check.

    The arithmetic of `decide_population` on arrays (a test holds them equal).
    """

    def stops(population: Recorded) -> Stops:
        judge = population.may_judge(policy)
        result = np.full(population.n_runs, population.n_checks)
        risks = population.risks(policy)
        below = np.zeros(population.n_runs, dtype=np.int64)
        stopped_at = np.zeros(population.n_runs, dtype=np.int64)
        everybody = np.arange(population.n_runs)
        for c in range(population.n_checks):
            live = (result == population.n_checks) & np.isfinite(population.medians[c])
            out = result < population.n_checks
            if not live.any() or live.sum() + out.sum() <= policy.startup_runs:
                continue
            p = p_good_jointly(
                population.draws[c, live],
                population.medians[stopped_at[out], everybody[out]],
                population.spreads[stopped_at[out], everybody[out]],
                population.n_runs,
                policy.good,
            )
            rows = everybody[live]
            bar = population.medians[c, live].min()
            wanted = np.zeros(population.n_runs, dtype=bool)
            wanted[rows] = (p < risks[c, rows]) & judge[c, rows]
            below = np.where(wanted, below + 1, 0)
            stop = wanted & (below >= policy.patience) & (population.medians[c] > bar)
            result[stop], stopped_at[stop] = c, c
        return result

    return stops


def by_decide(policy: Policy) -> StopPolicy:
    """Runs one after another, each decision by `decide` itself: for every policy there is."""
    policy = policy.model_copy(update={"control": 0.0})

    def stops(population: Recorded) -> Stops:
        result = np.full(population.n_runs, population.n_checks)
        outcomes: list[Outcome] = []
        scale = common_scale(scale_of(run) for run in population.runs)
        for i, run in enumerate(population.runs):
            reference = Reference(
                outcomes=tuple(outcomes), mqe_of_mean=scale, population_size=population.n_runs
            )
            below, outcome = 0, outcome_of_run(run)
            for c in range(population.n_checks):
                history, forecast = population.prefixes[c][i], population.forecasts[c][i]
                if history is None:
                    continue
                decision = decide(history, forecast, reference, policy, previous=below)
                below = decision.below_risk
                if decision.stop and forecast is not None:
                    result[i] = c
                    outcome = outcome_of(history, forecast, policy, mqe_of_mean=scale)
                    break
            outcomes.append(outcome)
        return result

    return stops


def outcome_of_run(run: Run) -> Outcome:
    """Stand for a finished run by its values."""
    return Outcome(
        run_id=run.run_id,
        final_mqe=run.final_mqe,
        final_topographic_error=run.final_topographic_error,
        final_dead_neuron_ratio=run.final_dead_neuron_ratio,
    )


def clairvoyant(population: Recorded) -> Stops:
    """Stop every run that is not good at the first check: the bound of all policies."""
    return np.where(population.is_good, population.n_checks, 0)


# -- tallies ----------------------------------------------------------------------------------

#: What is summed over populations; ratios of sums are the figures.
COLUMNS = (
    "runs",
    "saved",  # budgets saved
    "compute",
    "compute_saved",
    "bad",  # runs that are not good
    "bad_saved",
    "good",
    "lost",  # good runs stopped
    "regret",  # best kept minus best of all, quality score
    "populations",
)


def tally(population: Recorded, stops: Stops) -> Array:
    """Count one population under one policy, in COLUMNS."""
    spent = np.array([*population.checks, 1.0])[stops]
    saved = 1.0 - spent
    kept = stops == population.n_checks
    good = population.is_good
    # With nothing kept the user still holds the map with the best stopped value.
    best_kept = population.final[kept].min() if kept.any() else population.final.max()
    return np.array(
        [
            population.n_runs,
            saved.sum(),
            population.compute.sum(),
            (saved * population.compute).sum(),
            (~good).sum(),
            saved[~good].sum(),
            good.sum(),
            (good & ~kept).sum(),
            best_kept - population.final.min(),
            1.0,
        ]
    )


class Setting(NamedTuple):
    """One policy at one setting; the settings of a policy make its curve.

    Attributes:
        policy: its name.
        value: what is varied, or the setting's number where several things are.
        label: names and values of these several things.
    """

    policy: str
    value: float = 0.0
    label: str = ""


@dataclass(frozen=True)
class Tallies:
    """Counts of many populations under many policies.

    Attributes:
        settings: one a row of `counts`.
        tables: [population] table of each.
        counts: [setting, population, column].
    """

    settings: list[Setting]
    tables: list[str]
    counts: Array

    def where(self, tables: set[str]) -> Tallies:
        """Only the populations of these tables."""
        keep = [i for i, table in enumerate(self.tables) if table in tables]
        return Tallies(self.settings, [self.tables[i] for i in keep], self.counts[:, keep])

    def rows_of(self, policy: str) -> list[int]:
        """Rows of one policy's settings."""
        return [i for i, setting in enumerate(self.settings) if setting.policy == policy]

    @property
    def policies(self) -> list[str]:
        """Names of the policies, in order."""
        return list(dict.fromkeys(setting.policy for setting in self.settings))


def replay(populations: Iterable[Recorded], policies: Mapping[Setting, StopPolicy]) -> Tallies:
    """Replay every policy over every population; both may be generated on the way."""
    tables, counts = [], []
    for population in populations:
        tables.append(population.table)
        counts.append([tally(population, policy(population)) for policy in policies.values()])
    return Tallies(list(policies), tables, np.array(counts).swapaxes(0, 1))
