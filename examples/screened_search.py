"""DEAP: the oracle chooses what is trained, stops what is bad, and learns of what has ended.

pip install . xpysom deap      # in the clone
python examples/screened_search.py
"""

import random
import tempfile

import numpy as np
from deap import algorithms, base, creator, tools
from xpysom import XPySom

from oracle import Screen, train_map
from oracle.hook import Population, policy_for
from oracle.integrations.deap import OnlyFinished, Watched
from oracle.search import deap

rng = np.random.default_rng(0)
data = np.concatenate([rng.normal(c, 0.5, size=(100, 4)) for c in (-2.0, 0.0, 1.5)])
random.seed(1)
EPOCHS = 60


def settings_of(genes):
    """Read genes as parameters of XPySom: one function for the Screen and for the training."""
    side = 4 + int(8 * genes[0])
    sigma = (0.9 * side) ** genes[1]
    last = min(sigma, 0.3 * (2 / 0.3) ** genes[2])
    return {"x": side, "y": side, "sigma": sigma, "sigmaN": last, "decay_function": "exponential"}


def train_one(genes, watch):
    """Train the map that the genes describe."""
    som = XPySom(input_len=4, random_seed=1, **settings_of(genes))
    som.random_weights_init(data)
    return train_map(som, data, EPOCHS, watch=watch)


def clip(genes):
    """Keep every gene within 0..1."""
    genes[:] = [min(1.0, max(0.0, gene)) for gene in genes]
    return genes


creator.create("Lowest", base.Fitness, weights=(-1.0,))
creator.create("Genes", list, fitness=creator.Lowest)
toolbox = base.Toolbox()
toolbox.register("individual", tools.initRepeat, creator.Genes, random.random, 3)
toolbox.register("population", tools.initRepeat, list, toolbox.individual)
toolbox.register("mate", tools.cxBlend, alpha=0.2)
toolbox.register("mutate", tools.mutGaussian, mu=0, sigma=0.1, indpb=0.5)
toolbox.decorate("mate", lambda f: lambda *a, **k: [clip(g) for g in f(*a, **k)])
toolbox.decorate("mutate", lambda f: lambda *a, **k: tuple(clip(g) for g in f(*a, **k)))
toolbox.register("select", tools.selTournament, tournsize=3)

with tempfile.TemporaryDirectory() as folder:
    runs = Population(f"{folder}/runs.db")
    # XPySom begins at random samples here; the budget of a Screen is sample updates, not epochs.
    chooses = Screen(
        data,
        lambda genes: {**settings_of(genes), "initialization": "sample"},
        library="xpysom",
        budget=EPOCHS * len(data),
        population=runs,
    )
    deap.screened(toolbox, chooses)
    policy = policy_for("score", screened=True)
    evaluate = Watched(
        train_one, parameters=settings_of, population=runs, dataset="three-clusters", policy=policy
    )
    toolbox.register("evaluate", evaluate)
    everyone = tools.HallOfFame(100)
    algorithms.eaMuPlusLambda(
        toolbox.population(8), toolbox, 8, 8, 0.6, 0.4, 4, halloffame=everyone, verbose=False
    )
    print(f"the last choice learned of {chooses.learned} runs that had ended")
    best = OnlyFinished(tools.HallOfFame(1))
    best.update(everyone)
    print(f"best quality score {best[0].fitness.values[0]:.3f} with {settings_of(best[0])}")
    print(runs.tally("three-clusters"))
    runs.close()
