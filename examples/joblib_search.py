"""joblib: a random search on all cores, whose workers rank their runs in one file.

pip install . minisom joblib    # in the clone
python examples/joblib_search.py
"""

import tempfile

import numpy as np
from joblib import Parallel, delayed
from minisom import MiniSom

from oracle import context_of, measure, watch
from oracle.hook import Population
from oracle.integrations import minisom

UPDATES = 2500


def train(data, number, population):
    """Train one map of the search; every worker opens the population by itself."""
    rng = np.random.default_rng(number)
    settings = {"sigma": rng.uniform(0.4, 4.0), "learning_rate": 10 ** rng.uniform(-2.5, 0.0)}
    som = MiniSom(8, 8, 4, random_seed=1, **settings)
    with watch(
        total_epochs=UPDATES,
        context=context_of(som, data, num_iteration=UPDATES),
        population=population,
        population_size=40,
        run_id=f"run-{number}",
        config=settings,
    ) as run:
        for done in minisom.steps(som, data, UPDATES, random_order=True):
            if done % (UPDATES // 20) == 0:
                metrics = measure(som.get_weights(), data)
                if run.report(done, **metrics._asdict()).stop:
                    break
    return run.fitness()


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    data = np.concatenate([rng.normal(c, 0.5, size=(100, 4)) for c in (-2.0, 0.0, 1.5)])
    with tempfile.TemporaryDirectory() as folder:
        # On several machines: "postgresql://USER@HOST/DATABASE".
        population = f"{folder}/runs.db"
        ended = Parallel(n_jobs=2)(delayed(train)(data, i, population) for i in range(40))
        whole = [fitness for fitness in ended if not fitness.censored]
        print(f"best of {len(whole)} whole maps: mqe {min(one.mqe for one in whole):.3f}")
        runs = Population(population)
        print(runs.summary())
        runs.close()
