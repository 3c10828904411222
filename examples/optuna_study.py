"""Optuna: the oracle as a pruner for one objective, and as the hook for two.

pip install . minisom optuna    # in the clone
python examples/optuna_study.py
"""

import tempfile

import numpy as np
import optuna
from minisom import MiniSom

from oracle import context_of, measure
from oracle.hook import Population
from oracle.integrations import minisom
from oracle.integrations.optuna import OraclePruner, best_trials, report, watched
from oracle.integrations.optuna_finish import finish_promising

optuna.logging.set_verbosity(optuna.logging.WARNING)
rng = np.random.default_rng(0)
data = np.concatenate([rng.normal(c, 0.5, size=(100, 4)) for c in (-2.0, 0.0, 1.5)])
UPDATES = 2500


def som_of(trial):
    """Build the map that the trial asks for."""
    side = trial.suggest_int("side", 4, 12)
    sigma = trial.suggest_float("sigma", 0.4, 4.0)
    rate = trial.suggest_float("rate", 0.003, 1.0, log=True)
    return MiniSom(side, side, 4, sigma=min(sigma, side), learning_rate=rate, random_seed=1)


def one_objective(trial):
    """Train; Optuna asks the pruner, the pruner asks the oracle."""
    som = som_of(trial)
    context = context_of(som, data, num_iteration=UPDATES)
    for done in minisom.steps(som, data, UPDATES, random_order=True):
        if done % (UPDATES // 20) == 0:
            metrics = measure(som.get_weights(), data)
            report(trial, done, **metrics._asdict(), total_epochs=UPDATES, context=context)
            if trial.should_prune():
                raise optuna.TrialPruned
    return metrics.mqe


def two_objectives(trial):
    """Train under the hook: Optuna itself has no pruning here."""
    names = ("mqe", "topographic_error")
    som = som_of(trial)
    context = context_of(som, data, num_iteration=UPDATES)
    with watched(trial, names, total_epochs=UPDATES, context=context, population=runs) as run:
        for done in minisom.steps(som, data, UPDATES, random_order=True):
            if done % (UPDATES // 20) == 0:
                metrics = measure(som.get_weights(), data)
                if run.report(done, **metrics._asdict()).stop:
                    break
    return run.fitness().objectives(names)


sampler = optuna.samplers.RandomSampler(seed=1)
pruner = OraclePruner(objectives=("mqe",), n_trials=40)
study = optuna.create_study(pruner=pruner, sampler=sampler, study_name="one")
study.optimize(one_objective, n_trials=40)
print(f"{len(finish_promising(study, one_objective))} pruned trials were worth finishing")
print(pruner.summary())

with tempfile.TemporaryDirectory() as folder:
    runs = Population(f"{folder}/runs.db")
    study = optuna.create_study(directions=["minimize"] * 2, study_name="two", sampler=sampler)
    study.optimize(two_objectives, n_trials=40)
    # Stopped trials that the front may gain by are trained to their end, the most promising first.
    print(f"{len(finish_promising(study, two_objectives, k=3))} stopped trials are finished")
    for trial in best_trials(study):  # finished ones: no map stands behind a forecast
        print(f"  mqe {trial.values[0]:.3f}, topographic error {trial.values[1]:.3f}")
    print(runs.summary("two"))
    runs.close()
