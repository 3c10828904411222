"""Recorded runs played one after another: every check with the population as it was then."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from reliability import ROOT

from oracle.decision.policy import decide, outcome_of
from oracle.evaluation.recorded_runs import at_checks, by_table, populations, scale_of
from oracle.evaluation.replay import outcome_of_run
from oracle.forecast.forecaster import Oracle
from oracle.history.dataset import read_dataset
from oracle.history.quality_score import common_scale
from oracle.types import Decision, History, Outcome, Policy, Reference

#: `oracle collect run --preset test --seed 0` writes it; git holds a small one for the short form.
RUNS = Path(os.environ.get("RUNS", ROOT / "data/test.csv.gz"))
FEW = ROOT / "tests/data/search.csv.gz"
POPULATION_SIZE = 45
POLICY = Policy(name="population", control=0.0)


class Check(NamedTuple):
    """One look at a run.

    Attributes:
        history: so far.
        reference: the population then.
        decision: of `decide`, by POLICY.
        is_good: whether the run ended among the best of its population.
    """

    history: History
    reference: Reference
    decision: Decision
    is_good: bool


def played(oracle: Oracle, n: int, *, to_the_end: bool = False) -> Iterator[Check]:
    """Play about `n` runs, whole populations; one population comes from the small file.

    Args:
        oracle: that forecasts.
        n: runs.
        to_the_end: look at a run after it was stopped, too.
    """
    count = 0
    for members in by_table(read_dataset(FEW if n <= POPULATION_SIZE else RUNS), POPULATION_SIZE)[
        0
    ]:
        for population in populations(at_checks(members, oracle), POPULATION_SIZE):
            if count >= n:
                return
            count += population.n_runs
            outcomes: list[Outcome] = []
            scale = common_scale(scale_of(run) for run in population.runs)
            for i, run in enumerate(population.runs):
                reference = Reference(
                    outcomes=tuple(outcomes), mqe_of_mean=scale, population_size=population.n_runs
                )
                outcome: Outcome | None = None
                for c in range(population.n_checks):
                    history, forecast = population.prefixes[c][i], population.forecasts[c][i]
                    if history is None or forecast is None:
                        continue
                    decision = decide(history, forecast, reference, POLICY)
                    if outcome is None or to_the_end:
                        yield Check(history, reference, decision, bool(population.is_good[i]))
                    if decision.stop and outcome is None:
                        outcome = outcome_of(history, forecast, POLICY, mqe_of_mean=scale)
                outcomes.append(outcome or outcome_of_run(run))
