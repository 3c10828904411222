"""Ray Tune: the oracle stops trials, and an experiment that is restored goes on as it was.

pip install . minisom "ray[tune]"    # in the clone
python examples/ray_tune_search.py
"""

import os
import tempfile

# Read by Ray when it is imported: nothing is reported, and nothing listens but on this machine.
os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0")

import numpy as np
import ray
from minisom import MiniSom
from ray import tune

from oracle import context_of, measure
from oracle.integrations import minisom
from oracle.integrations.ray_tune import OracleStopper

UPDATES, CHECKPOINTS = 2500, 20


def train(config):
    """Train a map, and report to Tune, which asks the oracle."""
    rng = np.random.default_rng(0)
    data = np.concatenate([rng.normal(c, 0.5, size=(100, 4)) for c in (-2.0, 0.0, 1.5)])
    som = MiniSom(8, 8, 4, sigma=config["sigma"], learning_rate=config["rate"], random_seed=1)
    context = context_of(som, data, num_iteration=UPDATES).model_dump()
    for done in minisom.steps(som, data, UPDATES, random_order=True):
        if done % (UPDATES // CHECKPOINTS) == 0:
            metrics = measure(som.get_weights(), data)._asdict()
            tune.report({**metrics, "updates": done, "context": context})


if __name__ == "__main__":
    ray.init(
        "local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
    )
    with tempfile.TemporaryDirectory() as folder:
        oracle = OracleStopper(
            UPDATES, epochs="updates", objectives=("mqe",), population=f"{folder}/runs.db",
            population_size=12, dataset="three-clusters",
        )  # fmt: skip
        rng = np.random.default_rng(1)
        tuner = tune.Tuner(
            train,
            param_space={
                "sigma": tune.sample_from(lambda _: rng.uniform(0.4, 4.0)),
                "rate": tune.sample_from(lambda _: 10 ** rng.uniform(-2.5, 0.0)),
            },
            tune_config=tune.TuneConfig(num_samples=12, reuse_actors=True),
            run_config=tune.RunConfig(
                name="som", storage_path=folder, stop=oracle, callbacks=[oracle], verbose=0
            ),
        )
        results = tuner.fit()
        whole = oracle.finished(results)
        best = min(whole, key=lambda result: result.metrics["mqe"])
        print(f"{len(results) - len(whole)} of {len(results)} trials were stopped")
        print(f"best mqe {best.metrics['mqe']:.3f} with {best.config}")
        print(oracle.summary())
    ray.shutdown()
