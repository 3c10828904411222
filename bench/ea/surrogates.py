"""Searches that learn which genomes are good from what they trained: TPE, and a random forest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from sklearn.ensemble import RandomForestRegressor

from bench.ea.libraries import GENES
from bench.ea.search import Search
from bench.ea.stopping import Train
from oracle.search.optuna import ScreenedSampler
from oracle.search.screen import Screen

SPACE = {f"g{i}": FloatDistribution(0.0, 1.0) for i in range(GENES)}
#: Of the forest: runs drawn at random first, trees, and candidates that it chooses from.
FIRST, TREES, CANDIDATES = 12, 50, 1_000
#: How far below its mean a candidate is hoped to end, standard deviations over trees.
HOPE = 1.0
#: Share of the candidates that lie around the best, and how far from it.
NEAR, STEP = 0.5, 0.1


def genome(parameters: dict[str, float]) -> list[float]:
    """Read a genome from Optuna's parameters."""
    return [parameters[name] for name in SPACE]


def tpe(search: Search, train: Train, screen: Screen | None = None) -> None:
    """Optuna's TPE; a stopped run is told with its forecast, as all searches here are.

    Args:
        search: its budget and its record.
        train: a run.
        screen: of several draws for each run, chooses the one to train; None = one is drawn.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler: optuna.samplers.BaseSampler = optuna.samplers.TPESampler(seed=search.seed)
    if screen is not None:
        sampler = ScreenedSampler(SPACE, screen, sampler)
    study = optuna.create_study(sampler=sampler)
    while search.left:
        trial = study.ask(SPACE)
        study.tell(trial, train(genome(trial.params)).score())


def forest(search: Search, train: Train, first: Sequence[Sequence[float]] = ()) -> None:
    """Choose each run by a random forest on those before: its mean less what trees disagree.

    Args:
        search: its budget and its record.
        train: a run.
        first: genomes that are trained first, in place of random ones.
    """
    rng = np.random.default_rng(search.seed)
    known = [list(one) for one in first] or rng.random((FIRST, GENES)).tolist()
    scores: list[float] = []
    for one in known:
        if search.left:
            scores.append(train(one).score())
    while search.left:
        model = RandomForestRegressor(TREES, min_samples_leaf=2, random_state=search.seed)
        values = np.array(scores)
        values[~np.isfinite(values)] = values[np.isfinite(values)].max(initial=10.0)
        model.fit(np.array(known), values)
        drawn = rng.random((CANDIDATES, GENES))
        near = drawn[: int(NEAR * CANDIDATES)]
        best = np.array(known)[int(values.argmin())]
        near[:] = np.clip(best + STEP * rng.standard_normal(near.shape), 0.0, 1.0)
        trees = np.array([tree.predict(drawn) for tree in model.estimators_])
        chosen = drawn[int((trees.mean(axis=0) - HOPE * trees.std(axis=0)).argmin())].tolist()
        known.append(chosen)
        scores.append(train(chosen).score())
