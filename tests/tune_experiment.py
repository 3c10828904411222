"""An experiment of Ray Tune, begun or restored: run as a script by test_ray_tune.py."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from made_up import StandIn
from ray import tune

from oracle.integrations.ray_tune import OracleStopper
from oracle.types import Forecast, History

EPOCHS, TRIALS = 20, 6


class Recorder(StandIn):
    """A model that writes down what it is shown."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def forecast(self, history: History) -> Forecast:
        with self.file.open("a") as file:
            file.write(f"{history.run_id} {history.epochs[0]:g} {history.epochs[-1]:g}\n")
        return super().forecast(history)


def train(config: dict[str, Any]) -> None:
    """Go on from the checkpoint that is there; the last trials wait for their interruption."""
    begin, saved = 0, tune.get_checkpoint()
    if saved is not None:
        with saved.as_directory() as folder:
            begin = int((Path(folder) / "epoch").read_text())
    for epoch in range(begin + 1, EPOCHS + 1):
        time.sleep(config["slow_s"])
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "epoch").write_text(str(epoch))
            tune.report(
                {"mqe": 1.0 / epoch, "topographic_error": 0.1, "dead_neuron_ratio": 0.1},
                checkpoint=tune.Checkpoint.from_directory(folder),
            )


if __name__ == "__main__":
    place = Path(sys.argv[1])
    ray.init(address=sys.argv[2], log_to_driver=False, logging_level="ERROR")
    if (place / "som").exists():
        tuner = tune.Tuner.restore(str(place / "som"), train, resume_errored=True)
    else:
        oracle = OracleStopper(
            EPOCHS, objectives=("mqe",), population=place / "runs.db",
            model=Recorder(place / "seen"), check_every=0.0,
        )  # fmt: skip
        tuner = tune.Tuner(
            train,
            param_space={"slow_s": 0.05},
            tune_config=tune.TuneConfig(num_samples=TRIALS, reuse_actors=True),
            run_config=tune.RunConfig(
                name="som", storage_path=str(place), stop=oracle, callbacks=[oracle], verbose=0
            ),
        )
    results = tuner.fit()
    print(len(results), "trials,", len(results.errors or []), "errors")
    ray.shutdown()
