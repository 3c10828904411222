"""Who says when to stop: each gives a function that trains one run of a search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import optuna

from bench.ea.search import Search
from oracle.forecast.forecaster import Oracle
from oracle.history.metrics import measure
from oracle.hook import WatchedRun, policy_for, watch
from oracle.hook.fitness import Fitness

#: Trains the run of a genome, and gives what it reached.
Train = Callable[[Sequence[float]], Fitness]


def unwatched(search: Search) -> Train:
    """Train every run to its end with the library's own train, and measure once."""

    def train(genes: Sequence[float]) -> Fitness:
        som, _ = search.som(genes)
        search.library.train(som, search.data)
        metrics = measure(som.get_weights(), search.data, som.topology)
        scale = search.table.scale
        return search.record(Fitness(*metrics, censored=False, mqe_of_mean=scale), 1.0)

    return train


def by_oracle(search: Search, population: str, settings: Mapping[str, Any]) -> Train:
    """Train under the hook; `settings` are the policy's."""
    bound = partial(
        watch,
        policy=policy_for(search.objectives, **settings),
        population=population,
        model=Oracle.load(),
    )

    def train(genes: Sequence[float]) -> Fitness:
        som, kind = search.som(genes)
        run = search.library.watched(
            som,
            search.data,
            bound,
            initialization=kind,
            run_id=f"r{search.seed}-{len(search.trace.epochs)}",
        )
        return search.record(run.fitness(), _spent(run))

    return train


def _spent(run: WatchedRun) -> float:
    progress = run.decision.progress if run.decision is not None else None
    return 1.0 if progress is None else progress


def by_pruner(search: Search, pruner: optuna.pruners.BasePruner) -> Train:
    """Train with one of Optuna's pruners, asked at the same looks; a pruned run keeps its score."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(pruner=pruner)

    def train(genes: Sequence[float]) -> Fitness:
        som, _ = search.som(genes)
        scale = search.table.scale
        looks = search.library.looks(len(search.data))
        trial = study.ask()
        fitness, share = Fitness(np.inf, None, None, censored=True), 0.0
        for done in search.library.pieces(som, search.data):
            share = looks[done]
            metrics = measure(som.get_weights(), search.data, som.topology)
            fitness = Fitness(*metrics, censored=share < 1.0, mqe_of_mean=scale)
            trial.report(fitness.score(), done)
            if share < 1.0 and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, fitness.score())
        return search.record(fitness, share)

    return train
