"""Other ways to stop early, replayed on the same populations: pruners and simple rules.

Optuna's pruners are driven through its own ask, report, should_prune and tell, one trial after
the other, with the quality score of the last values and progress in percent as the step.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from itertools import count, product
from typing import TYPE_CHECKING

import numpy as np

from oracle.decision.hypervolume import nondominated
from oracle.evaluation.baselines import Baseline, Boosting, CurveFit
from oracle.evaluation.recorded_runs import Array, RecordedRuns, last_of
from oracle.evaluation.replay import Ended, Setting, StopPolicy, Stops, clairvoyant
from oracle.history.quality_score import n_good, scores_of

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

#: Share of the population that each setting of keep-top-K keeps after the first checkpoint.
KEEP = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
#: A run is dropped when the fitted curve ends worse than this percentile of those before it.
PERCENTILES = (10.0, 25.0, 50.0, 75.0, 90.0)


#: Optuna's Median and Percentile: percentage kept, percent of progress and trials before a stop.
KEPT = (10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 97.0)
WARM_UP_STEPS = (0, 30, 50)
STARTUP_TRIALS = (5, 15)
#: Checks without improvement that Patient waits for, around a strict and a lax Percentile.
PATIENCE = (0, 1, 2)
#: Successive halving: resource of the first rung in percent, and share 1/factor that goes on.
RUNGS = (10, 30, 50)
FACTORS = (2, 3, 4)
#: Checks after which keep-top-K is tried.
N_CHECKS = 5
#: Of OptunaHub's conformal pruner: its risk, the share of the first runs that is good, and how many
#: of these there are at least.
ALPHAS, GOOD_QUANTILES, MIN_CALIBRATION = (0.05, 0.1, 0.2), (0.1, 0.2, 0.4), 10
#: Wilcoxon's p; each costs ten times what the others' settings do.
P_VALUES = (0.1, 0.05, 0.01, 0.001)


def rivals() -> dict[Setting, StopPolicy]:
    """Every rival that needs no training, at its settings, and the clairvoyant bound."""
    policies: dict[Setting, StopPolicy] = {Setting("clairvoyant"): clairvoyant}
    for share in KEEP:
        policies[Setting("keep top K at the first check", share)] = keep_top(share)
    for number, (share, check) in enumerate(product(KEEP, range(N_CHECKS))):
        label = f"share {share:g}, check {check + 1}"
        policies[Setting("keep top K at any check", number, label)] = keep_top(share, check)
    for number, (alpha, good) in enumerate(product(ALPHAS, GOOD_QUANTILES)):
        label = f"alpha {alpha:g}, good {good:g}"
        policies[Setting("OptunaHub Conformal", number, label)] = conformal(alpha, good)
    for percent in KEPT:
        policies[Setting("OptunaHub multi-metric", percent)] = by_pareto_rank(percent)
    for setting, make in _pruners().items():
        policies[setting] = optuna_pruner(make)
    fitted = _Predicted(CurveFit().fit([]))
    for percent in PERCENTILES:
        policies[Setting("curve fit + percentile", percent)] = worse_than(fitted, percent)
    return policies


def _pruners() -> dict[Setting, Callable[[], BasePruner]]:
    """Each pruner over a grid of its own settings."""
    from optuna import pruners as p

    made: dict[Setting, Callable[[], BasePruner]] = {}

    def add(name: str, make: Callable[..., BasePruner], **options: float) -> None:
        number = sum(setting.policy == name for setting in made)
        label = ", ".join(f"{option} {value:g}" for option, value in options.items())
        made[Setting(name, number, label)] = partial(make, **options)

    for trials, steps in product(STARTUP_TRIALS, WARM_UP_STEPS):
        add("Optuna Median", p.MedianPruner, n_startup_trials=trials, n_warmup_steps=steps)
    for kept, steps in product(KEPT, WARM_UP_STEPS[:2]):
        add("Optuna Percentile", p.PercentilePruner, percentile=kept, n_warmup_steps=steps)
    for kept, patience in product((50.0, 90.0), PATIENCE):
        add("Optuna Patient(Percentile)", _patient, percentile=kept, patience=patience)
    for rung, factor in product(RUNGS, FACTORS):
        share = {"min_resource": rung, "reduction_factor": factor}
        add("Optuna SuccessiveHalving", p.SuccessiveHalvingPruner, **share)
        add("Optuna Hyperband", p.HyperbandPruner, max_resource=100, **share)
    for value in P_VALUES:
        add("Optuna Wilcoxon", p.WilcoxonPruner, p_threshold=value, n_startup_steps=1)
    return made


def _patient(percentile: float, patience: int) -> BasePruner:
    from optuna import pruners as p

    return p.PatientPruner(p.PercentilePruner(percentile), patience)


def optuna_pruner(make: Callable[[], BasePruner]) -> StopPolicy:
    """Drive one of Optuna's pruners over a population.

    Args:
        make: builds a fresh pruner, one a population.
    """

    def stops(population: RecordedRuns) -> Stops:
        with warnings.catch_warnings():
            # Experimental pruners, steps that the best trial lacks: not our user's concern.
            warnings.simplefilter("ignore")
            return _driven(make(), population)

    return stops


def _driven(pruner: BasePruner, population: RecordedRuns) -> Stops:
    import optuna

    study = optuna.create_study(
        study_name=f"replay-{population.table}",  # Hyperband draws brackets from the name
        direction="minimize",
        pruner=pruner,
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    result = np.full(population.n_runs, population.n_checks)
    for i in range(population.n_runs):
        trial = study.ask()
        for c, check in enumerate(population.checks):
            value = population.last[c, i]
            if not np.isfinite(value):
                continue
            trial.report(float(value), step=round(100 * check))
            if trial.should_prune():
                result[i] = c
                break
        if result[i] < population.n_checks:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            trial.report(float(population.final[i]), step=100)
            study.tell(trial, float(population.final[i]))
    return result


def keep_top(share: float, check: int = 0) -> StopPolicy:
    """Train all to a check in step, keep the best `share` by their last values."""

    def stops(population: RecordedRuns) -> Stops:
        at = min(check, population.n_checks - 1)
        result = np.full(population.n_runs, at)
        best = np.argsort(population.last[at], kind="stable")
        result[best[: n_good(population.n_runs, share)]] = population.n_checks
        return result

    return stops


def conformal(alpha: float, good: float = 0.2) -> StopPolicy:
    """Stop by OptunaHub's conformal pruner (`surestop`), as its README defines it.

    The first runs go to their end; as few of them as `alpha` allows, for a population is short.
    One is good where its final value is among their best share `good`. The bar lies as far above
    that value as keeps P(a run is good and stopped) at most alpha: by the highest value that each
    good one showed at any check.

    Args:
        alpha: at most 1 / (runs that go to their end + 1) of new runs are good and stopped.
        good: share of the first runs that is good.
    """

    def stops(population: RecordedRuns) -> Stops:
        result = np.full(population.n_runs, population.n_checks)
        n = max(math.ceil(1 / alpha) - 1, MIN_CALIBRATION)
        if n >= population.n_runs:
            return result
        seen = np.where(np.isfinite(population.last), population.last, -np.inf)
        first = population.final[:n]
        tau = np.sort(first)[math.ceil(good * n) - 1]
        scores = np.where(first <= tau, seen[:, :n].max(axis=0) - tau, -np.inf)
        bar = np.sort(scores)[math.ceil((1 - alpha) * (n + 1)) - 1] + tau
        above = seen > bar
        late = np.arange(population.n_runs) >= n
        return np.where(above.any(axis=0) & late, above.argmax(axis=0), population.n_checks)

    return stops


def by_pareto_rank(percent: float) -> StopPolicy:
    """Stop by OptunaHub's multi-metric pruner around Optuna's percentile rule.

    At each check the metrics of a run and of those before it, stopped ones too, are sorted into
    Pareto fronts; a run whose best front so far is beyond a percentile of theirs at this check is
    stopped. Five runs come first.

    Args:
        percent: share of the runs that is kept, percent.
    """

    def stops(population: RecordedRuns) -> Stops:
        values = _last_values(population)
        result = np.full(population.n_runs, population.n_checks)
        for i in range(population.n_runs):
            best = np.inf
            for c in range(population.n_checks):
                reached = np.flatnonzero((result[:i] >= c) & np.isfinite(values[c, :i]).all(axis=1))
                if not np.isfinite(values[c, i]).all():
                    continue
                ranks = _fronts(values[c, [*reached, i]])
                best = min(best, ranks[-1])
                if len(reached) < STARTUP_TRIALS[0] or i < STARTUP_TRIALS[0]:
                    continue
                if best > np.percentile(ranks[:-1], percent):
                    result[i] = c
                    break
        return result

    return stops


def _last_values(population: RecordedRuns) -> Array:
    """[check, run, metric] last values of the metrics that the table has; NaN where not seen."""
    seen = [[last_of(history) for history in row] for row in population.prefixes]
    values: Array = np.array(seen, dtype=np.float64)
    return values[:, :, population.scale > 0]


def _fronts(points: Array) -> Array:
    """[point] in which Pareto front each of points [point, metric] lies, from 0."""
    rank: Array = np.full(len(points), np.inf)
    left = np.arange(len(points))
    for front in count():
        on = nondominated(points[left])
        members = (points[left][:, None] == on[None]).all(axis=2).any(axis=1)
        rank[left[members]] = front
        left = left[~members]
        if not len(left):
            break
    return rank


class _Predicted:
    """[check, run] quality scores that a baseline forecasts; kept for the last population."""

    def __init__(self, baseline: Baseline) -> None:
        self.baseline = baseline
        self._for: RecordedRuns | None = None
        self._scores: Array = np.empty((0, 0))

    def __call__(self, population: RecordedRuns) -> Array:
        if self._for is not population:
            scores: Array = np.full(population.last.shape, np.inf)
            for c, row in enumerate(population.prefixes):
                seen = [(i, h) for i, h in enumerate(row) if h is not None]
                if not seen:
                    continue
                values = self.baseline.predict([h for _, h in seen])
                scores[c, [i for i, _ in seen]] = scores_of(values.T, population.scale)
            self._for, self._scores = population, scores
        return self._scores


def worse_than(predicted: Callable[[RecordedRuns], Array], percent: float) -> StopPolicy:
    """Stop a run whose predicted end is worse than a percentile of the runs before it.

    Stopped runs count by their prediction, finished ones by their end; five runs come first.
    """

    def stops(population: RecordedRuns) -> Stops:
        scores = predicted(population)
        result = np.full(population.n_runs, population.n_checks)
        known = population.final.copy()
        for i in range(5, population.n_runs):
            bar = np.percentile(known[:i], percent)
            worse = np.flatnonzero(np.isfinite(scores[:, i]) & (scores[:, i] > bar))
            if len(worse):
                result[i] = worse[0]
                known[i] = scores[worse[0], i]
        return result

    return stops


class BoostingDraws:
    """The boosting baseline's view of a population: its draws in place of the oracle's."""

    def __init__(self, boosting: Boosting) -> None:
        self._boosting = boosting
        self._for: RecordedRuns | None = None
        self._view: RecordedRuns | None = None

    def __call__(self, policy: StopPolicy) -> StopPolicy:
        """Replay `policy` on the baseline's draws."""

        def stops(population: RecordedRuns) -> Stops | Ended:
            if self._for is not population or self._view is None:
                self._for, self._view = population, self._seen(population)
            return policy(self._view)

        return stops

    def _seen(self, population: RecordedRuns) -> RecordedRuns:
        n_draws = population.draws.shape[2] or 1000
        draws: Array = np.full((*population.last.shape, n_draws), np.inf)
        for c, row in enumerate(population.prefixes):
            seen = [(i, h) for i, h in enumerate(row) if h is not None]
            if not seen:
                continue
            outcomes = self._boosting.draws([h for _, h in seen], n_draws)
            for (i, _), outcome in zip(seen, outcomes, strict=True):
                draws[c, i] = scores_of(outcome.T, population.scale)
        return population.with_draws(draws)
