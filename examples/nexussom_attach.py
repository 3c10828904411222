"""NexusSOM: how to attach the hook; here with checkpoints that NexusSOM recorded.

NexusSOM is not on the package index. In its evolutionary search the oracle takes the place of
the built-in LSTM. At the head of ea.py, for the search forks new workers in every generation, and
each of them would import and load it again:

    from oracle import Oracle
    from oracle.integrations.nexussom import early_stop

    ORACLE = Oracle.load()

In `evaluate_individual`, where `som` and `data` are at hand:

    stop = None
    if "ds_censored" not in fixed_params:                    # `finish`, below, trains to the end
        stop = early_stop(som, data, ignore_mask=ignore_mask, run_id=uid, model=ORACLE,
                          population=os.path.join(working_dir, "runs.db"))
    training_results = som.train(data, ignore_mask=ignore_mask, lstm_early_stop_fn=stop)
    fitness = stop.run.finish() if stop else None
    censored = fitness is not None and fitness.censored
    training_results["ds_censored"] = censored               # into results.csv and pareto_front.csv
    if censored:
        training_results["best_mqe"] = fitness.mqe           # the forecast, not the truncated value

and, below `training_results['distance_map_max'] = distance_map_max`:

    if censored:
        topographic_error = fitness.topographic_error
        dead_ratio = training_results["dead_neuron_ratio"] = fitness.dead_neuron_ratio
        # Nobody forecasts it, and an unfinished map's is better than it will be.
        topo_corr = training_results["topological_correlation"] = 0.0
        # Its constraint is on the finished map: the largest error falls as the mean one does.
        distance_map_max *= fitness.mqe / training_results["history"]["mqe"][-1][1]
        training_results["distance_map_max"] = distance_map_max

NexusSOM's writers have fixed columns, but carry over whatever begins with `ds_`. Its third
objective, the topological correlation, is no forecast, so a stopped run claims none (0, the worst).
A last step belongs to the search, after it: the stopped members of the final front are trained to
their end, without the hook.

    from oracle.integrations.nexussom_front import finish

    whole = {**fixed_params, "ds_censored": False}

    def evaluate(genes):
        return evaluate_individual(genes, 0, 0, whole, data, ignore_mask, working_dir)

    for member in finish(working_dir, evaluate):
        print(member)                 # ranked by, came to, still on the front

The file runs.db is shared by all worker processes. The policy is `population`: among NexusSOM's
objectives is the topological correlation, which the oracle does not forecast, so `pareto` would
always abstain. The score is the predicted quality score: lower is better.

    pip install .                   # in the clone
    python examples/nexussom_attach.py [training_checkpoints.json]
"""

import json
import sys
from pathlib import Path

import numpy as np

from oracle.integrations.nexussom import early_stop
from oracle.types import Policy

FIXTURE = "tests/data/nexussom/seed_42/individuals/8449f8cd9c4bf64e5ac794d25a09c492"
recorded = Path(__file__).parents[1] / FIXTURE / "csv" / "training_checkpoints.json"
checkpoints = json.loads(Path(sys.argv[1] if len(sys.argv) > 1 else recorded).read_text())
# The run's line in results.csv, and what NexusSOM's search fixes.
parameters = {
    "map_size": [8, 8], "map_type": "hex", "num_batches": 5, "epoch_multiplier": 4.22,
    "growth_g": 38, "start_learning_rate": 0.8396, "end_learning_rate": 0.2498,
    "lr_decay_type": "exp-drop", "start_radius_init_ratio": 0.6235, "end_radius": 1.0,
    "radius_decay_type": "exp-drop", "start_batch_percent": 1.15, "end_batch_percent": 2.71,
    "batch_growth_type": "exp-growth",
}  # fmt: skip
data = np.random.default_rng(0).random((150, 5))  # the table is only needed for its size here

# Alone, without a population: a bar that this run, which ends near 0.24, does not reach.
stop = early_stop(parameters, data, policy=Policy(threshold=0.2, caution=0.1, control=0))
for n in range(max(2, len(checkpoints) // 5), len(checkpoints) + 1):  # as KohonenSOM.train calls
    should_stop, score = stop(checkpoints[:n])
    if n % 10 == 0 or should_stop:
        shown = "none" if score is None else f"{score:.3f}"
        print(f"{checkpoints[n - 1]['progress']:4.0%}: predicted quality score {shown}")
    if should_stop:
        print(f"stopped: {1 - checkpoints[n - 1]['progress']:.0%} of the iterations saved")
        break
fitness = stop.run.finish()
print(f"mqe {fitness.mqe:.4f}, {'forecast of a stopped run' if fitness.censored else 'final'}")
print(stop.run.summary())
