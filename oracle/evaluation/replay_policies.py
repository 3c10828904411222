"""The policies that `oracle replay` plays: ours at every setting, the one in force, rivals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from oracle.evaluation.recorded_runs import RecordedRuns
from oracle.evaluation.replay import (
    COLUMNS,
    Ended,
    ReplayCounts,
    Setting,
    StopPolicy,
    Stops,
    by_decide,
    clairvoyant,
    cut_short,
    in_step,
    one_after_another,
    when_converged,
)
from oracle.evaluation.replay_figures import INTERVAL, Estimate, figures, upper_bound
from oracle.types import ParetoPolicy, Policy, PopulationPolicy, Run, ThresholdPolicy

IN_FORCE = "the policy in force"
IN_STEP, ONE_BY_ONE = "oracle, population in step", "oracle, one after another"
BOOSTED = "boosting, one after another"
THRESHOLD, PARETO, CLAIRVOYANT = "oracle, threshold (raw)", "oracle, pareto", "clairvoyant"
CONVERGED, ONE_CONVERGED = "oracle, converged alone", "oracle, both (one after another)"
THRESHOLDS, PARETO_RISKS = (0.5, 1.0, 2.0), (0.01, 0.05)


def policies_of(
    risks: Sequence[float],
    good: float,
    baselines: bool,
    train_dataset: Path | None,
    tables: Sequence[list[Run]],
) -> dict[Setting, StopPolicy]:
    """Give every policy that is played, by its setting.

    Args:
        risks: of ours, on their curves.
        good: share that counts as good.
        baselines: pruners and simple rules, too.
        train_dataset: what the boosting rival is fitted on, less the tables that are replayed.
        tables: the runs that are replayed.
    """
    base = PopulationPolicy(good=good, control=0.0)
    ours = {risk: base.model_copy(update={"risk": risk}) for risk in risks}
    policies: dict[Setting, StopPolicy] = {Setting(CLAIRVOYANT): clairvoyant}
    policies |= {Setting(IN_STEP, risk): in_step(policy) for risk, policy in ours.items()}
    policies |= {Setting(ONE_BY_ONE, risk): one_after_another(p) for risk, p in ours.items()}
    for value in THRESHOLDS:
        policy = Policy(threshold=value, caution=min(0.5, value), control=0.0)
        policies[Setting(THRESHOLD, value)] = by_decide(policy)
    for risk in PARETO_RISKS:
        policy = Policy(name="pareto", risk=risk, control=0.0)
        policies[Setting(PARETO, risk)] = by_decide(policy)
    if not baselines:
        return policies
    import optuna

    from oracle.evaluation.rivals import BoostingDraws, rivals

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    policies |= rivals()
    if train_dataset is not None:
        from oracle.evaluation.baselines import Boosting
        from oracle.history.dataset import read_dataset, usable

        tested = {run.dataset for runs in tables for run in runs}
        train = [r for r in usable(read_dataset(train_dataset))[0] if r.dataset not in tested]
        boosted = BoostingDraws(Boosting().fit(train))
        policies |= {
            Setting(BOOSTED, risk): boosted(one_after_another(p)) for risk, p in ours.items()
        }
    return policies


def converging(epsilons: Sequence[float], risk: float, good: float) -> dict[Setting, StopPolicy]:
    """End runs that have converged: for no other reason, and beside the default risk."""
    policies: dict[Setting, StopPolicy] = {}
    for epsilon in epsilons:
        policy = PopulationPolicy(good=good, control=0.0, converged=epsilon, converged_risk=risk)
        policies[Setting(CONVERGED, epsilon)] = when_converged(policy)
        policies[Setting(ONE_CONVERGED, epsilon)] = one_after_another(policy)
    return policies


class Replayed(NamedTuple):
    """A run under the policy in force.

    Attributes:
        score: its quality score at the end; rank: its place by it, 1 = best, among `of` runs.
        good: it is among the best.
        stopped_at: share of its budget, None = it ran to its end.
    """

    run_id: str
    table: str
    score: float
    rank: int
    of: int
    good: bool
    stopped_at: float | None


class InForce:
    """The policy in force as a rule to replay, that keeps what it did with every run.

    Runs are trained one after another; nothing is held back as a control, and nothing learned.

    Args:
        policy: whose decisions are asked for.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy.model_copy(update={"control": 0.0})
        alone = isinstance(self.policy, PopulationPolicy) and not self.policy.says_gain
        self._rule = one_after_another(self.policy) if alone else by_decide(self.policy)  # type: ignore[arg-type]
        self.runs: list[Replayed] = []

    def __call__(self, population: RecordedRuns) -> Stops | Ended:
        """Stop the runs of a population, and keep where."""
        ended = self._rule(population)
        stops = cut_short(ended, population.n_checks)
        ranks = np.argsort(np.argsort(population.final, kind="stable"), kind="stable") + 1
        for i, run in enumerate(population.runs):
            cut = int(stops[i]) < population.n_checks
            self.runs.append(
                Replayed(
                    run.run_id, population.table, float(population.final[i]), int(ranks[i]),
                    population.n_runs, bool(population.is_good[i]),
                    population.checks[int(stops[i])] if cut else None,
                )
            )  # fmt: skip
        return ended

    def __str__(self) -> str:
        policy, more = self.policy, ""
        if isinstance(policy, PopulationPolicy | ParetoPolicy):
            gains = isinstance(policy, PopulationPolicy) and policy.says_gain
            more = f"{', goal gain' if gains else ''}, risk {policy.risk:.4g}"
        elif isinstance(policy, ThresholdPolicy):
            more = f" {policy.threshold:.4g}"
        return f"{policy.name}{more}"

    def told(self, replayed: ReplayCounts, shuffles: int = 1) -> dict[str, Any]:
        """Tell what it saved and lost, in all and by table, ready for JSON."""
        (row,) = replayed.rows_of(IN_FORCE)
        counts = replayed.counts[row]
        total = counts.sum(axis=0) / shuffles
        lost, good = (float(total[COLUMNS.index(name)]) for name in ("lost", "good"))
        found = figures(counts, replayed.tables)
        if found["lost"].high is None:
            found["lost"] = _exact(lost, good)
        names = np.asarray(replayed.tables)
        return {
            "policy": self.policy.model_dump(mode="json"),
            "says": str(self),
            "good_runs": round(good),
            "lost_runs": round(lost),
            **{name: estimate._asdict() for name, estimate in found.items()},
            "by_table": {
                table: {
                    "runs": round(of[COLUMNS.index("runs")]),
                    "good_runs": round(of[COLUMNS.index("good")]),
                    "lost_runs": round(of[COLUMNS.index("lost")]),
                    "saved": float(of[COLUMNS.index("saved")] / of[COLUMNS.index("runs")]),
                }
                for table in sorted(set(replayed.tables))
                for of in [counts[names == table].sum(axis=0) / shuffles]
            },
            "runs": [run._asdict() for run in self.runs[: round(total[COLUMNS.index("runs")])]],
        }


def _exact(lost: float, good: float) -> Estimate:
    """Bound a share lost by the binomial, which takes good runs as independent."""
    level = (1 + INTERVAL) / 2
    low = 1.0 - upper_bound(good - lost, good, level) if lost else 0.0
    return Estimate(lost / max(good, 1e-300), low, upper_bound(lost, good, level))
