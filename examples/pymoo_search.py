"""pymoo: NSGA-II over MiniSom's settings, two objectives; stopped unless the front would gain.

pip install . minisom pymoo     # in the clone
python examples/pymoo_search.py
"""

import tempfile

import numpy as np
from minisom import MiniSom
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.optimize import minimize

from oracle.hook import Population
from oracle.integrations.minisom import train
from oracle.integrations.pymoo import WatchedProblem, best

rng = np.random.default_rng(0)
data = np.concatenate([rng.normal(c, 0.5, size=(100, 4)) for c in (-2.0, 0.0, 1.5)])


def train_one(x, watch):
    """Train the map that the variables describe."""
    side, sigma, rate = round(x[0]), x[1], 10 ** x[2]
    som = MiniSom(side, side, 4, sigma=min(sigma, side), learning_rate=rate, random_seed=1)
    return train(som, data, 2500, random_order=True, watch=watch)


with tempfile.TemporaryDirectory() as folder:
    runs = Population(f"{folder}/runs.db")
    problem = WatchedProblem(
        train_one,
        objectives=("mqe", "topographic_error"),
        settings={"population": runs, "dataset": "three-clusters"},
        n_var=3,
        xl=np.array([4, 0.4, -2.5]),
        xu=np.array([12, 4.0, 0.0]),
    )
    minimize(problem, NSGA2(pop_size=12), ("n_gen", 5), seed=1)
    # Nobody holds the map of a stopped run: those that the front may gain by are trained to their
    # end, the most promising first.
    trained = problem.finish_promising(k=4)
    print(f"{len(trained)} stopped ones are trained to their end")
    print("front of finished maps: mqe, topographic error")
    for mqe, error in best(problem.evaluated).get("F"):
        print(f"  {mqe:.3f}  {error:.3f}")
    print(runs.tally("three-clusters"))
    runs.close()
