"""MiniSom under watch: 30 settings on one table, the hopeless ones stopped.

pip install . minisom           # in the clone
python examples/minisom_watch.py
"""

import tempfile
import time

import numpy as np
from minisom import MiniSom

from oracle.hook import Population
from oracle.integrations.minisom import train

rng = np.random.default_rng(0)
data = np.concatenate([rng.normal(c, 0.5, size=(120, 5)) for c in (-2.0, 0.0, 1.5)])

with tempfile.TemporaryDirectory() as folder:
    runs = Population(f"{folder}/runs.db")
    start = time.perf_counter()
    for seed in range(30):
        side = int(rng.integers(4, 13))
        sigma, rate = rng.uniform(0.5, side / 2), 10 ** rng.uniform(-2.5, 0)
        som = MiniSom(side, side, 5, sigma=sigma, learning_rate=rate, random_seed=seed)
        run = train(som, data, 4000, random_order=True, population=runs, dataset="three-clusters")
        mark = "forecast" if run.fitness().censored else "final   "
        print(
            f"{side:2}x{side:<2} rate {rate:.3f}  {mark} {run.fitness().score():.3f}  {run.state}"
        )
    print(f"\n{run.summary()}")
    print(f"{runs.tally('three-clusters')} in {time.perf_counter() - start:.1f} s")
    print(runs.wrong_stops("three-clusters"))
    runs.close()
