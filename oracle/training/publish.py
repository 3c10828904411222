"""From trained networks to the artifact that is served: calibrate, export, self-test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from oracle.forecast import knowledge, self_test
from oracle.forecast.calibration import Calibration, fit_calibration
from oracle.forecast.forecaster import TOGETHER, Oracle
from oracle.forecast.score_calibration import QualityCalibration, fit_quality
from oracle.history.columns import Array
from oracle.history.features import FEATURES, FEATURES_VERSION, Float32, encode
from oracle.history.targets import OUTPUT_NAMES, OUTPUTS, change_bounds, decode
from oracle.model.artifact import Artifact, write_artifact
from oracle.model.manifest import Manifest, Scaling
from oracle.model.network import Ensemble
from oracle.training.export import forecast, golden, weights_of
from oracle.training.fit import Fitted
from oracle.training.hidden import HIDDEN_OFTEN
from oracle.training.support_fit import fit_support
from oracle.training.windows import LENGTHS, Windows
from oracle.types import METRICS, TARGETS, History, ModelInfo, Run

#: Version of the artifacts written here.
VERSION = "1.0.0"
#: Checkpoints of the self-test's inputs.
GOLDEN_LENGTHS = (1, 2, 3, 5, 8, 13, 21, 34)
#: Windows drawn of each calibration run: with all inputs, and with inputs hidden.
CALIBRATION_WINDOWS = 14
CALIBRATION_HIDDEN = 18
#: Fewer calibration runs than this cannot replace a fine-tuned oracle's own calibration.
MIN_CALIBRATION_RUNS = 100


def calibrate_network(
    models: Sequence[keras.Model], scaling: Scaling, runs: Sequence[Run], seed: int = 0
) -> tuple[Calibration, QualityCalibration]:
    """Learn offsets and copula, then the quality score's own, on runs that trained nothing.

    Args:
        models: seeds of one network; their mean is calibrated, as it is served.
        scaling: of their input.
        runs: of tables held out from training where there are enough.
        seed: of the windows.
    """
    rng = np.random.default_rng(seed)
    sources = sorted({run.source for run in runs})
    ways = np.array([sources.index(run.source) for run in runs])
    parts = defaultdict[str, list[npt.NDArray[Any]]](list)
    for repeat in range(CALIBRATION_WINDOWS + CALIBRATION_HIDDEN):
        windows = Windows(runs, hide=0.0 if repeat < CALIBRATION_WINDOWS else HIDDEN_OFTEN)
        rows = np.arange(len(windows))
        batch = windows.batch(rows, int(rng.choice(LENGTHS)), rng)
        # Cut evenly in progress, not in checkpoints: users' checks are. A tenth is the plan.
        cut = rng.uniform(0.0, 0.95, len(rows))[:, None]
        length = np.maximum(2, np.sum(batch.progress <= cut, axis=1)).astype(np.int32)
        length[rng.random(len(rows)) < 0.1] = 1
        at = rows, length - 1
        answers = forecast(models, scaling.apply(batch.sequence), length)
        told = [p if t else None for p, t in zip(batch.progress[at], batch.told, strict=True)]
        parts["quantiles"].append(answers.astype(np.float64))
        parts["outcomes"].append(np.where(batch.weight[at] > 0, batch.target[at], np.nan))
        parts["knowledge"].append(knowledge.weights_of(batch.sequence[at], told))
        parts["early"].append(batch.told & (batch.progress[at] < 0.75))
        parts["values"].append(batch.values[at])
        parts["floor"].append(batch.floor[at])
        parts["unit"].append(batch.unit)
        parts["final"].append(windows.finals)
        parts["ways"].append(ways)
    seen = {name: np.concatenate(columns) for name, columns in parts.items()}
    calibration = fit_calibration(
        seen["quantiles"],
        seen["outcomes"],
        seen["knowledge"],
        seen["early"],
        change_bounds(seen["values"]),
        seen["ways"],
        seed,
    )
    # Without its scale a plan alone has no mqe to forecast.
    whole = np.isfinite(seen["final"]).all(axis=1) & np.isfinite(seen["values"]).all(axis=1)
    seen = {name: column[whole] for name, column in seen.items()}

    def joint() -> Iterator[tuple[Array, Array, Array]]:
        for at in range(0, len(seen["unit"]), TOGETHER):
            part = slice(at, at + TOGETHER)
            knots = calibration.knots(seen["quantiles"][part], seen["knowledge"][part])
            values, floor = seen["values"][part].T[..., None], seen["floor"][part, None]
            draws = decode(calibration.draws(knots[: len(TARGETS)]), values, floor)
            yield draws, seen["final"][part].T, seen["unit"][part]

    return calibration, fit_quality(joint(), seen["knowledge"], seen["ways"])


def draft(
    fitted: Sequence[Fitted],
    train: Sequence[Run],
    calibrate: Sequence[Run],
    name: str,
    parent: Artifact | None = None,
) -> Artifact:
    """Calibrate and export trained networks, in memory: it forecasts, but is nowhere written.

    Args:
        fitted: seeds of one architecture, trained with one scaling; their mean is served.
        train: what they were trained on, for the support score.
        calibrate: runs that trained nothing: they set offsets, copula and support.
        name: of the artifact.
        parent: fine-tuned from; its support score is kept, and its calibration where there are
            fewer than MIN_CALIBRATION_RUNS.
    """
    models, scaling = [f.model for f in fitted], fitted[0].scaling
    numbers = dict(parent.calibration) if parent is not None else {}
    if parent is None or len(calibrate) >= MIN_CALIBRATION_RUNS:
        parts, joint = calibrate_network(models, scaling, calibrate)
        numbers |= {"calibration": parts.to_json(), "quality": joint.to_json()}
    if parent is None:
        numbers["support"] = fit_support(train, calibrate)
    networks = tuple(one.network for one in fitted)
    ensemble = Ensemble(n_features=len(FEATURES), n_targets=OUTPUTS, networks=networks)
    manifest = Manifest(
        name=name,
        version=VERSION,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        architecture=fitted[0].settings.architecture,
        ensemble=ensemble,
        features_version=FEATURES_VERSION,
        features=FEATURES,
        targets=OUTPUT_NAMES,
        scaling=scaling,
    )
    made = Artifact(
        path=Path(name),
        manifest=manifest,
        info=ModelInfo(name=name, version=VERSION, sha256=""),
        weights=weights_of(models, ensemble),
        calibration=numbers,
        golden=golden(models, _golden_sequences(calibrate, scaling)),
        card="",
    )
    forecasts = self_test.record(Oracle(made).forecast_many, golden_histories(calibrate))
    return replace(made, golden=made.golden.model_copy(update={"forecasts": forecasts}))


def publish(artifact: Artifact, folder: Path, facts: dict[str, Any], card: str) -> Artifact:
    """Write a draft with what was found about it; an artifact of that name gives way."""
    return write_artifact(
        folder,
        artifact.manifest.model_copy(update={"training": facts}),
        weights=artifact.weights,
        calibration=artifact.calibration,
        golden=artifact.golden,
        card=card,
        replace=True,
    )


def _golden_sequences(runs: Sequence[Run], scaling: Scaling) -> list[Float32]:
    """A few real inputs of different lengths, for the artifact's self-test."""
    chosen = runs[:: max(1, len(runs) // len(GOLDEN_LENGTHS))]
    return [
        scaling.apply(encode(run.history.prefix(min(n, len(run.history)))))
        for n, run in zip(GOLDEN_LENGTHS, chosen, strict=False)
    ]


def golden_histories(runs: Sequence[Run]) -> list[History]:
    """Two prefixes for the artifact's self-test: with all that is known, and the metrics alone."""
    first, last = runs[0].history, runs[-1].history
    middle = first.prefix(max(1, len(first) // 2))
    bare = last.prefix(max(1, len(last) // 2)).model_dump(include={"epochs", *METRICS})
    return [middle, History.model_validate(bare)]
