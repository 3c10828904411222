"""The floor: how far outcomes differ when nothing but the random numbers of a run changes.

    python -m bench.quality.floor            # prints; about a minute
    python -m bench.quality.floor --runs 20  # a short form

Configurations of the `test` preset are trained several times over. A forecaster that knew the
configuration, the table and how maps train, but no seed and no checkpoint, would err by what this
prints: the mean distance of one outcome from the median of its repetitions.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from tqdm import tqdm

from collector.fast_run import fast_run
from collector.presets import draw
from oracle.history.quality_score import scores_of, weights_of
from oracle.history.targets import finals_of
from oracle.types import Run


def outcome(run: Run) -> tuple[float, float, float, float]:
    """Give final mqe / mqe_of_mean, topographic error, dead-neuron ratio, quality score."""
    unit = run.history.context.mqe_of_mean or 1.0
    mqe, topographic, dead = finals_of([run])[0]
    quality = scores_of(finals_of([run]).T, weights_of(unit))[0]
    return float(mqe / unit), float(topographic), float(dead), float(quality)


def floor(runs: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """Train `runs` configurations `repeats` times; the mean error of the others' median."""
    errors = []
    for index in tqdm(range(runs), desc="configurations"):
        outcomes = []
        d = draw(index, seed, "test", np.random.default_rng((seed, index)))
        for repeat in range(repeats):
            rng = np.random.default_rng((seed, index, repeat))
            run = fast_run(d.configuration, d.data, rng, run_id=d.run_id, dataset=d.dataset)
            if run is not None and np.isfinite(outcome(run)).all():
                outcomes.append(outcome(run))
        if len(outcomes) == repeats:  # else it diverges with some seeds
            values = np.array(outcomes)
            medians = [np.median(np.delete(values, i, axis=0), axis=0) for i in range(repeats)]
            errors.append(np.abs(values - medians).mean(axis=0))
    names = ("relative_mqe", "topographic_error", "dead_neuron_ratio", "quality_relative")
    mean = np.mean(errors, axis=0)
    return {"configurations": len(errors), "repeats": repeats} | {
        name: round(float(value), 4) for name, value in zip(names, mean, strict=True)
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=400, help="configurations")
    parser.add_argument("--repeats", type=int, default=8, help="trainings of each")
    options = parser.parse_args()
    print(json.dumps(floor(options.runs, options.repeats)))
