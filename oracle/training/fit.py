"""Fit one network on recorded runs, with callbacks, resumable after a kill."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from oracle.forecast.quantiles import pinball
from oracle.history.columns import Array, columns_of, until
from oracle.history.features import FEATURES, Float32, encode_columns
from oracle.history.targets import OUTPUTS, anchors, encode_outcomes, finals_of
from oracle.model.manifest import Scaling
from oracle.model.network import Network
from oracle.training.architectures import Architecture, architecture, build
from oracle.training.batches import Settings, TrainingBatches, corrector_of, fit_scaling
from oracle.training.callbacks import callbacks
from oracle.training.correcting import Correcting
from oracle.training.losses import WeighedPinball
from oracle.training.windows import Windows, target_weights
from oracle.types import HEAD_LEVELS, TARGETS, Run

logger = logging.getLogger("oracle")

#: The learning curve, beside TensorBoard's files.
CURVE = "curve.json"
#: Where validation cuts its runs.
VALIDATION_SHARES = (0.0, 0.1, 0.3, 0.6)


@dataclass(frozen=True)
class Fitted:
    """What `fit` gives.

    Attributes:
        model: answers at the last step: {"sequence", "length"} -> [batch, OUTPUTS, level].
        network: its shape.
        scaling: of its input.
        settings: that it was trained with.
        best, final: the files written.
        history: learning curve, by epoch.
    """

    model: keras.Model
    network: Network
    scaling: Scaling
    settings: Settings
    best: Path
    final: Path
    history: list[dict[str, float]]


@dataclass(frozen=True)
class Prefixes:
    """Prefixes of whole runs at fixed shares of their budget, as a user would post them.

    Attributes:
        run: [example] index of the run.
        progress: [example] share of the budget at the cut.
        sequence, length: scaled input.
        values, floor: anchors at the cut, [example, 3] and [example].
        outcome: [example, 3] change that came, NaN where undefined.
        weight: [example, 3] of the loss.
    """

    run: npt.NDArray[np.int64]
    progress: Array
    sequence: Float32
    length: npt.NDArray[np.int32]
    values: Array
    floor: Array
    outcome: Array
    weight: Array


def prefixes_of(runs: Sequence[Run], shares: Sequence[float], scaling: Scaling) -> Prefixes:
    """Cut every run at each of `shares` of its budget, with all its inputs, as it is served.

    Share 0 is the plan alone.
    """
    whole, finals = columns_of([run.history for run in runs]), finals_of(runs)
    parts = []
    for share in shares:
        cut = until(whole, share)
        rows = np.arange(len(runs))
        # Not before the first checkpoint, and not where nothing is left to forecast.
        use = rows[(cut.length < whole.length) & ((cut.length > 1) | (share == 0))]
        cut = cut.take(use)
        last = np.arange(len(use)), cut.length - 1
        values, floor = anchors(cut)
        values, floor = values[last], floor[last]
        outcome = encode_outcomes(finals[use], values, floor)
        weight = np.where(np.isfinite(outcome), target_weights(cut, values), 0.0)
        sequence = scaling.apply(encode_columns(cut))
        parts.append(
            (use, np.full(len(use), share), sequence, cut.length, values, floor, outcome, weight)
        )
    run, progress, sequences, length, values, floor, outcome, weight = zip(*parts, strict=True)
    longest = max(s.shape[1] for s in sequences)
    padded = [np.pad(s, ((0, 0), (0, longest - s.shape[1]), (0, 0))) for s in sequences]
    return Prefixes(
        np.concatenate(run),
        np.concatenate(progress),
        np.concatenate(padded),
        np.concatenate(length).astype(np.int32),
        np.concatenate(values),
        np.concatenate(floor),
        np.concatenate(outcome),
        np.concatenate(weight),
    )


def predict(model: keras.Model, prefixes: Prefixes, batch_size: int = 512) -> Array:
    """Quantiles of the end in change space, [example, 3, level], of the last-step model."""
    inputs = {"sequence": prefixes.sequence, "length": prefixes.length}
    answers = model.predict(inputs, batch_size=batch_size, verbose=0)
    return np.asarray(answers[:, : len(TARGETS)], np.float64)


def fit(
    train: Sequence[Run],
    validation: Sequence[Run],
    settings: Settings,
    folder: Path,
    name: str,
    *,
    spec: Architecture | None = None,
    resume: bool = False,
    start_from: keras.Model | None = None,
    scaling: Scaling | None = None,
    verbose: int = 1,
) -> Fitted:
    """Train one network.

    Writes NAME_best.keras, NAME_final.keras, logs/NAME (TensorBoard) and, until it is done, what
    a resumed call needs, into `folder`.

    Args:
        train: usable runs, see `oracle.history.dataset.usable`.
        validation: usable runs of other tables where there are enough.
        settings: see `Settings`.
        folder: created where missing.
        name: stem of the files.
        spec: None = the architecture that the settings name.
        resume: go on where an interrupted call of the same name stopped.
        start_from: network to begin with (fine-tuning), together with its `scaling`.
        scaling: None learns it from `train`.
        verbose: Keras' progress bar, 0 = silent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(settings.seed)
    windows = Windows(train, hide=settings.hide)
    if scaling is None:
        scaling = fit_scaling(windows, np.random.default_rng(settings.seed))
    spec = spec or architecture(settings.architecture)
    per_step = spec.network.trunk.causal
    make = partial(build, spec, len(FEATURES), OUTPUTS, dropout=settings.dropout)
    server = make()
    best, final = folder / f"{name}_best.keras", folder / f"{name}_final.keras"
    logs, backup = folder / "logs" / name, folder / f".{name}_backup"
    if not resume:
        shutil.rmtree(backup, ignore_errors=True)
        final.unlink(missing_ok=True)
    if not final.exists():  # a resumed call may find this network done
        model = make(per_step=per_step)
        if start_from is not None:
            model.set_weights(start_from.get_weights())
        corrector = corrector_of(windows, settings)
        if corrector is not None:
            model = Correcting.of(model, corrector)
        model.compile(
            optimizer=keras.optimizers.Adam(settings.learning_rate, epsilon=1e-9, clipnorm=1.0),
            loss=WeighedPinball(HEAD_LEVELS),
            jit_compile=False,  # XLA is six times slower for LSTMs on CPUs
        )
        batches = TrainingBatches(windows, scaling, settings, per_step)
        held_out = prefixes_of(validation, VALIDATION_SHARES, scaling)

        def score(trained: keras.Model) -> float:
            server.set_weights(trained.get_weights())
            return validation_loss(predict(server, held_out), held_out)

        steps, state = callbacks(score, batches, settings, best, logs, backup, corrector)
        model.fit(
            batches.dataset(),
            shuffle=False,
            initial_epoch=state.restore(model),
            epochs=settings.epochs,
            verbose=verbose,
            callbacks=steps,
        )
        if corrector is not None and corrector.stopped is not None:
            logger.warning("%s", corrector.stopped)
        (logs / CURVE).write_text(json.dumps(state.curve))
        # A kill leaves no torn file under the name that says the training is done.
        model.save(backup / final.name)
        (backup / final.name).replace(final)
        shutil.rmtree(backup)
    curve = json.loads((logs / CURVE).read_text())
    server.set_weights(keras.saving.load_model(best, compile=False).get_weights())
    return Fitted(server, spec.network, scaling, settings, best, final, curve)


def validation_loss(quantiles: Array, held_out: Prefixes) -> float:
    """Mean pinball loss of held-out prefixes, weighed as in training."""
    loss = pinball(held_out.outcome, quantiles, HEAD_LEVELS).mean(axis=-1)
    return float(np.nansum(loss * held_out.weight) / len(loss))
