"""Replay decisions over recorded populations: what each policy saves and what it loses.

A policy is a function of a recorded population to the check each run stops at; variants need
no more than that:

    def keep_all(population: RecordedRuns) -> Stops:
        return np.full(population.n_runs, population.n_checks)

    table = at_checks(runs, Oracle.load())
    replayed = replay(populations(table, 45), {Setting("keep all"): keep_all})

Epochs are counted as the share of each run's own budget, since libraries count differently;
compute weighs a run by sample updates x neurons x features. A stop costs the nominal progress
of its check. Good are the truly best `good` of a population by the quality score. A run that has
converged is kept as it is at its check, and lost only where waiting would have gained more than it
was said to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from oracle.decision.convergence import present
from oracle.decision.policy import decide, outcome_of
from oracle.decision.ranking import p_good, p_good_jointly
from oracle.evaluation.recorded_runs import Array, RecordedRuns, scale_of
from oracle.forecast.residuals import TEACHERS, Residuals
from oracle.history.quality_score import common_scale
from oracle.types import Decision, Outcome, Policy, PopulationPolicy, Reference, Run

if TYPE_CHECKING:
    from oracle.forecast.forecaster import Oracle

#: [run] index of the check a run was stopped at; the number of checks = never.
Stops = npt.NDArray[np.int64]


class Ended(NamedTuple):
    """Where runs end under a policy that ends those that have converged, too.

    Attributes:
        at: [run] the check, as `Stops`.
        converged: [run] whether it was kept there as it is.
        epsilon: what waiting was to be worth less than, quality score.
    """

    at: Stops
    converged: npt.NDArray[np.bool_]
    epsilon: float


#: ... `Stops` alone where it ends no run as converged.
StopPolicy = Callable[[RecordedRuns], Stops | Ended]

# -- our policies -----------------------------------------------------------------------------


def one_after_another(policy: PopulationPolicy) -> StopPolicy:
    """Runs are trained in their order; each is judged against those before it.

    The arithmetic of `decide` with the `population` rule on arrays (a test holds them equal).
    """

    def stops(population: RecordedRuns) -> Stops | Ended:
        judge, ended = population.may_judge(policy), population.converged(policy)
        result = np.full(population.n_runs, population.n_checks)
        converged = np.zeros(population.n_runs, dtype=bool)
        risks = population.risks(policy)
        values, spreads = np.empty(population.n_runs), np.zeros(population.n_runs)
        for i in range(population.n_runs):
            values[i] = population.final[i]
            below = 0
            for c in range(population.n_checks):
                unlikely = best = False
                if judge[c, i] and i >= policy.startup_runs:
                    p = p_good(
                        population.draws[c, i],
                        values[:i],
                        spreads[:i],
                        population.n_runs,
                        policy.good,
                    )
                    best = bool(population.medians[c, i] < values[:i].min())
                    unlikely = bool(p < risks[c, i])
                below = below + 1 if unlikely or ended[c, i] else 0
                if below < policy.patience:
                    continue
                if unlikely and not best:
                    result[i], values[i] = c, population.medians[c, i]
                    spreads[i] = population.spreads[c, i]
                    break
                if ended[c, i]:
                    result[i], values[i], converged[i] = c, population.last[c, i], True
                    break
        return _ended(result, converged, policy)

    return stops


def when_converged(policy: Policy) -> StopPolicy:
    """Runs end when they have converged, and for no other reason."""

    def stops(population: RecordedRuns) -> Ended:
        ended = population.converged(policy)
        converged = np.asarray(ended.any(axis=0))
        at = np.where(converged, ended.argmax(axis=0), population.n_checks)
        return Ended(at, converged, policy.converged)

    return stops


def in_step(policy: PopulationPolicy) -> StopPolicy:
    """The whole population is trained in step and judged jointly at every check.

    The arithmetic of `decide_population` on arrays (a test holds them equal).
    """

    def stops(population: RecordedRuns) -> Stops | Ended:
        judge, ended = population.may_judge(policy), population.converged(policy)
        result = np.full(population.n_runs, population.n_checks)
        converged = np.zeros(population.n_runs, dtype=bool)
        risks = population.risks(policy)
        below = np.zeros(population.n_runs, dtype=np.int64)
        values, spreads = np.zeros(population.n_runs), np.zeros(population.n_runs)
        everybody = np.arange(population.n_runs)
        for c in range(population.n_checks):
            live = (result == population.n_checks) & np.isfinite(population.medians[c])
            out = result < population.n_checks
            wanted = np.zeros(population.n_runs, dtype=bool)
            bar = np.inf
            if live.any() and live.sum() + out.sum() > policy.startup_runs:
                p = p_good_jointly(
                    population.draws[c, live],
                    values[out],
                    spreads[out],
                    population.n_runs,
                    policy.good,
                )
                rows = everybody[live]
                bar = min(population.medians[c, live].min(), values[out].min(initial=np.inf))
                wanted[rows] = (p < risks[c, rows]) & judge[c, rows]
            may_end = ended[c] & live
            below = np.where(wanted | may_end, below + 1, 0)
            late = below >= policy.patience
            stop = wanted & late & (population.medians[c] > bar)
            end = may_end & late & ~stop
            result[stop | end], converged[end] = c, True
            values[stop], spreads[stop] = population.medians[c, stop], population.spreads[c, stop]
            values[end] = population.last[c, end]
        return _ended(result, converged, policy)

    return stops


def by_decide(
    policy: Policy,
    oracle: Oracle | None = None,
    told: Callable[[int, int, Decision], object] | None = None,
) -> StopPolicy:
    """Runs one after another, each decision by `decide` itself: for every policy there is.

    Args:
        policy: the rule.
        oracle: that made the forecasts and learns of the runs that have ended, as hook and
            service do where the policy lets them; None = it learns nothing.
        told: called with each decision, its run and its check.
    """
    policy = policy.model_copy(update={"control": 0.0})

    def stops(population: RecordedRuns) -> Stops | Ended:
        result = np.full(population.n_runs, population.n_checks)
        converged = np.zeros(population.n_runs, dtype=bool)
        outcomes: list[Outcome] = []
        lessons: list[Residuals] = []
        learner = oracle if policy.learn else None
        scale = common_scale(scale_of(run) for run in population.runs)
        for i, run in enumerate(population.runs):
            reference = Reference(
                outcomes=tuple(outcomes), mqe_of_mean=scale, population_size=population.n_runs
            )
            below, outcome = 0, outcome_of_run(run)
            known, last = Residuals.of(lessons[-TEACHERS:]) if lessons else None, run.history
            for c in range(population.n_checks):
                history, forecast = population.prefixes[c][i], population.forecasts[c][i]
                if history is None:
                    continue
                if learner is not None and known is not None:
                    forecast = learner.forecast(history, known=known)
                decision = decide(history, forecast, reference, policy, previous=below)
                if told is not None:
                    told(i, c, decision)
                below = decision.below_risk
                if decision.stop and forecast is not None:
                    result[i], converged[i], last = c, decision.converged, history
                    outcome = present(history, decision) or outcome_of(
                        history, forecast, policy, mqe_of_mean=scale
                    )
                    break
            outcomes.append(outcome)
            if learner is not None and not converged[i]:
                taught = learner.residuals(last, outcome)
                lessons += [taught] if taught is not None else []
        return _ended(result, converged, policy)

    return stops


def _ended(at: Stops, converged: npt.NDArray[np.bool_], policy: Policy) -> Stops | Ended:
    return Ended(at, converged, policy.converged) if policy.converged else at


def cut_short(ended: Stops | Ended, n_checks: int) -> Stops:
    """[run] the check each run was cut short at; a run that has converged never was."""
    return np.where(ended.converged, n_checks, ended.at) if isinstance(ended, Ended) else ended


def outcome_of_run(run: Run) -> Outcome:
    """Stand for a finished run by its values."""
    return Outcome(
        run_id=run.run_id,
        final_mqe=run.final_mqe,
        final_topographic_error=run.final_topographic_error,
        final_dead_neuron_ratio=run.final_dead_neuron_ratio,
    )


def clairvoyant(population: RecordedRuns) -> Stops:
    """Stop every run that is not good at the first check: the bound of all policies."""
    return np.where(population.is_good, population.n_checks, 0)


# -- replayed ----------------------------------------------------------------------------------

#: What is summed over populations; ratios of sums are the figures.
COLUMNS = (
    "runs",
    "saved",  # budgets saved
    "compute",
    "compute_saved",
    "bad",  # runs that are not good
    "bad_saved",
    "good",
    "lost",  # good runs stopped, or ended as converged although they would have gained more
    "regret",  # best kept minus best of all, quality score
    "populations",
    "converged",  # runs ended as converged
    "gained_more",  # ... that would have gained more than they were said to
    "given_up",  # ... quality score that waiting would have gained them, less what it would cost
    "kept",  # runs trained to their end that were forecast at a tenth of it
    "missed",  # ... that ended outside its 90 % interval, which had support
    "unlike",  # ... whose forecast had too little support to judge them
)


def counts_of(population: RecordedRuns, ended: Stops | Ended) -> Array:
    """Count one population under one policy, in COLUMNS."""
    if not isinstance(ended, Ended):
        ended = Ended(ended, np.zeros(population.n_runs, dtype=bool), 0.0)
    stops, converged, epsilon = ended
    spent = np.array([*population.checks, 1.0])[stops]
    saved = 1.0 - spent
    whole = stops == population.n_checks
    kept = whole | converged
    good = population.is_good
    value = population.final.copy()
    value[converged] = population.last[stops[converged], np.flatnonzero(converged)]
    given_up = value - population.final
    more = converged & (given_up > epsilon)
    early = population.early_forecasts
    # With nothing kept the user still holds the map with the best stopped value.
    best_kept = value[kept].min() if kept.any() else population.final.max()
    return np.array(
        [
            population.n_runs,
            saved.sum(),
            population.compute.sum(),
            (saved * population.compute).sum(),
            (~good).sum(),
            saved[~good].sum(),
            good.sum(),
            (good & (~kept | more)).sum(),
            best_kept - population.final.min(),
            1.0,
            converged.sum(),
            more.sum(),
            given_up.sum(),
            (whole & early.told).sum(),
            (whole & early.missed).sum(),
            (whole & early.unlike).sum(),
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
class ReplayCounts:
    """ReplayCounts of many populations under many policies.

    Attributes:
        settings: one a row of `counts`.
        tables: [population] table of each.
        counts: [setting, population, column].
    """

    settings: list[Setting]
    tables: list[str]
    counts: Array

    def where(self, tables: set[str]) -> ReplayCounts:
        """Only the populations of these tables."""
        keep = [i for i, table in enumerate(self.tables) if table in tables]
        return ReplayCounts(self.settings, [self.tables[i] for i in keep], self.counts[:, keep])

    def rows_of(self, policy: str) -> list[int]:
        """Rows of one policy's settings."""
        return [i for i, setting in enumerate(self.settings) if setting.policy == policy]

    @property
    def policies(self) -> list[str]:
        """Names of the policies, in order."""
        return list(dict.fromkeys(setting.policy for setting in self.settings))


def replay(
    populations: Iterable[RecordedRuns], policies: Mapping[Setting, StopPolicy]
) -> ReplayCounts:
    """Replay every policy over every population; both may be generated on the way."""
    tables, counts = [], []
    for population in populations:
        tables.append(population.table)
        counts.append([counts_of(population, policy(population)) for policy in policies.values()])
    return ReplayCounts(list(policies), tables, np.array(counts).swapaxes(0, 1))
