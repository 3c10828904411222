"""DEAP: an evolutionary search over MiniSom's settings, one objective.

pip install . minisom deap      # in the clone
python examples/deap_search.py
"""

import random
import tempfile

import numpy as np
from deap import algorithms, base, creator, tools
from minisom import MiniSom

from oracle.hook import Population
from oracle.integrations.deap import OnlyFinished, Watched
from oracle.integrations.minisom import train

rng = np.random.default_rng(0)
data = np.concatenate([rng.normal(c, 0.5, size=(100, 4)) for c in (-2.0, 0.0, 1.5)])
random.seed(1)


def train_one(genes, watch):
    """Train the map that the genes describe."""
    side = 4 + int(8 * genes[0])
    sigma, rate = 0.4 + genes[1] * side / 2, 10 ** (-2.5 + 2.5 * genes[2])
    som = MiniSom(side, side, 4, sigma=sigma, learning_rate=rate, random_seed=1)
    return train(som, data, 2500, random_order=True, watch=watch)


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


def clip(genes):
    """Keep every gene within 0..1."""
    genes[:] = [min(1.0, max(0.0, gene)) for gene in genes]
    return genes


with tempfile.TemporaryDirectory() as folder:
    runs = Population(f"{folder}/runs.db")
    evaluate = Watched(train_one, population=runs, dataset="three-clusters")
    toolbox.register("evaluate", evaluate)
    everyone = tools.HallOfFame(100)
    algorithms.eaMuPlusLambda(
        toolbox.population(12), toolbox, 12, 12, 0.6, 0.4, 4, halloffame=everyone, verbose=False
    )
    population = list(everyone)
    # Nobody holds the map of a stopped run: those that may be the best are trained to their end.
    trained = evaluate.finish_promising(population, k=5)
    best = OnlyFinished(tools.HallOfFame(1))
    best.update(population)
    print(f"{len(trained)} stopped ones were worth training to their end")
    print(f"best quality score {best[0].fitness.values[0]:.3f} with genes {np.round(best[0], 2)}")
    print(runs.tally("three-clusters"))
    runs.close()
