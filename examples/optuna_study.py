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
from oracle.integrations.optuna import OraclePruner, report, watched

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
    return (
        metrics.mqe / (context.mqe_of_mean or 1.0)
        + (metrics.topographic_error or 0.0)
        + 0.5 * metrics.dead_neuron_ratio
    )


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
study = optuna.create_study(pruner=OraclePruner(n_trials=40), sampler=sampler)
study.optimize(one_objective, n_trials=40)
pruned = [t for t in study.trials if t.state is optuna.trial.TrialState.PRUNED]
saved = sum(1 - (t.last_step or 0) / UPDATES for t in pruned) / len(study.trials)
print(f"one objective: best {study.best_value:.3f}, {len(pruned)} of 40 pruned, {saved:.0%} saved")

with tempfile.TemporaryDirectory() as folder:
    runs = Population(f"{folder}/runs.db")
    study = optuna.create_study(directions=["minimize"] * 2, study_name="two", sampler=sampler)
    study.optimize(two_objectives, n_trials=40)
    front = [t.values for t in study.best_trials if not t.user_attrs["censored"]]
    print(f"two objectives: {len(front)} finished trials on the front; {runs.tally('two')}")
    runs.close()
