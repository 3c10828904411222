"""From recorded runs to a served artifact: split, fit, calibrate, export, judge.

`oracle train` is a thin shell around `train_oracle`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np

from oracle.artifact import Artifact, write_artifact
from oracle.calibration import Calibration, fit_calibration
from oracle.dataset import read_dataset, split_runs, usable
from oracle.errors import DatasetError, must_be
from oracle.export import export_forward, export_step, forecast, golden, network_of
from oracle.features import FEATURES, FEATURES_VERSION, Array, Float32, encode
from oracle.manifest import Manifest
from oracle.manifest import Scaling as ScalingNumbers
from oracle.support import fit_support
from oracle.trainer import Fitted, Scaling
from oracle.types import Run
from oracle.windows import LENGTHS, Windows

#: Version of the artifacts that this recipe writes.
VERSION = "1.0.0"
#: Checkpoints of the self-test's inputs.
GOLDEN_LENGTHS = (1, 2, 3, 5, 8, 13, 21, 34)
#: Windows drawn of each calibration run: with all inputs, and with inputs hidden.
CALIBRATION_WINDOWS = 16
CALIBRATION_HIDDEN = 8


@dataclass(frozen=True)
class Data:
    """Runs by use.

    Attributes:
        train: what the network is fitted to.
        calibrate: stops the training early and calibrates it; other tables where there are enough.
        test: nothing is fitted to these.
        by: "table" where whole tables were held out, else "run".
        excluded: why runs were left out -> how many.
        files: path -> runs read.
    """

    train: list[Run]
    calibrate: list[Run]
    test: list[Run]
    by: str
    excluded: dict[str, int]
    files: dict[str, int]


def gather(
    datasets: Sequence[Path], seed: int, *, calibrate: Path | None = None, test: Path | None = None
) -> Data:
    """Read datasets and split them, or take the parts from files of their own.

    Raises:
        DatasetError: a file cannot be read, or too few usable runs are left.
    """
    files: dict[str, int] = {}

    def read(path: Path) -> list[Run]:
        runs = read_dataset(path)
        files[path.name] = len(runs)
        return runs

    runs = [run for path in datasets for run in read(path)]
    if calibrate is None or test is None:
        split = split_runs(runs, seed)
        return Data(split.train, split.calibrate, split.test, split.by, split.excluded, files)
    train, excluded = usable(runs)
    held_out, _ = usable(read(calibrate))
    unseen, _ = usable(read(test))
    shared = {r.dataset for r in train} & {r.dataset for r in [*held_out, *unseen]}
    if shared:
        raise DatasetError(
            must_be(
                "calibrate and test",
                "of tables that --dataset does not have",
                sorted(shared)[:5],
                "Move these tables' runs to one file.",
            )
        )
    return Data(train, held_out, unseen, "table", excluded, files)


def calibrate_network(
    models: Sequence[keras.Model], scaling: Scaling, runs: Sequence[Run], seed: int = 0
) -> Calibration:
    """Learn the conformal offsets and the copula on runs that trained nothing.

    Args:
        models: seeds of one network; their mean is calibrated, as it is served.
        scaling: of their input.
        runs: of tables held out from training where there are enough.
        seed: of the windows.
    """
    rng = np.random.default_rng(seed)
    quantiles: list[Array] = []
    outcomes: list[Array] = []
    progress: list[Array] = []
    known: list[Any] = []
    for repeat in range(CALIBRATION_WINDOWS + CALIBRATION_HIDDEN):
        windows = Windows(runs, hide=0.0 if repeat < CALIBRATION_WINDOWS else 1.0)
        if repeat >= CALIBRATION_WINDOWS:
            windows.columns.total_epochs[rng.random(len(windows)) < 0.5] = np.nan
        rows = np.arange(len(windows))
        batch = windows.batch(rows, int(rng.choice(LENGTHS)), rng)
        # Cut evenly in progress, not in checkpoints: users' checks are.
        cut = rng.uniform(0.0, 0.95, len(rows))[:, None]
        length = np.maximum(1, np.sum(batch.progress <= cut, axis=1)).astype(np.int32)
        last = length - 1
        answers = forecast(models, scaling.apply(batch.sequence), length)
        weight, target = batch.weight[rows, last], batch.target[rows, last]
        quantiles.append(answers.astype(np.float64))
        outcomes.append(np.where(weight > 0, target, np.nan))
        progress.append(batch.progress[rows, last])
        known.append(batch.told[rows])
    return fit_calibration(
        np.concatenate(quantiles),
        np.concatenate(outcomes),
        np.concatenate(progress),
        np.concatenate(known),
        seed,
    )


def publish(
    fitted: Sequence[Fitted],
    data: Data,
    folder: Path,
    *,
    name: str,
    facts: dict[str, Any],
    card: str,
    replace: bool = False,
) -> Artifact:
    """Calibrate trained networks and write the artifact that is served.

    Args:
        fitted: seeds of one architecture, trained with one scaling; their mean is served.
        data: `calibrate` runs set the conformal offsets, the copula and the support score.
        folder: of the artifact.
        name: in the manifest.
        facts: the manifest's `training`.
        card: text for people.
        replace: whether an existing folder gives way.
    """
    models, scaling = [f.model for f in fitted], fitted[0].scaling
    calibration = calibrate_network(models, scaling, data.calibrate)
    manifest = Manifest(
        name=name,
        version=VERSION,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        architecture=fitted[0].settings.architecture,
        network=network_of(models),
        features_version=FEATURES_VERSION,
        features=FEATURES,
        scaling=ScalingNumbers(mean=tuple(scaling.mean.tolist()), std=tuple(scaling.std.tolist())),
        training=facts,
    )
    return write_artifact(
        folder,
        manifest,
        forward=export_forward(models),
        step=export_step(models),
        calibration={
            "calibration": calibration.to_json(),
            "support": fit_support(data.train, data.calibrate),
        },
        golden=golden(models, _golden_sequences(data.calibrate, scaling)),
        card=card,
        replace=replace,
    )


def _golden_sequences(runs: Sequence[Run], scaling: Scaling) -> list[Float32]:
    """A few real inputs of different lengths, for the artifact's self-test."""
    chosen = runs[:: max(1, len(runs) // len(GOLDEN_LENGTHS))]
    return [
        scaling.apply(encode(run.history.prefix(min(n, len(run.history)))))
        for n, run in zip(GOLDEN_LENGTHS, chosen, strict=False)
    ]
