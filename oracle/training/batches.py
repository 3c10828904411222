"""Training batches: settings of one training, scaling of its inputs, windows drawn by epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from oracle.history.features import FEATURES, Float32
from oracle.history.targets import OUTPUTS
from oracle.model.manifest import Scaling
from oracle.training.correcting import POINTS
from oracle.training.correction import Correction, Corrector, Kind
from oracle.training.windows import Windows
from oracle.types import METRICS

#: Steps an epoch at least: few runs are seen several times, through other windows.
MIN_STEPS = 16
#: What the checkpoints measured, which alone is corrected; the plan is no measurement.
MEASURED = tuple(
    i for i, name in enumerate(FEATURES) if name.startswith(METRICS) and "_known" not in name
)


@dataclass(frozen=True)
class Settings:
    """How one network is trained.

    Attributes:
        architecture: a key of ARCHITECTURES.
        epochs: at most; every run is seen at least once an epoch, through a new window.
        batch_size: runs a batch.
        learning_rate: of Adam at the start.
        decay: "plateau" halves the rate when validation stalls; "cosine" plans it to 0.
        dropout: factor on the architecture's dropout rates (1 = as it stands).
        hide: factor on the rates at which inputs are hidden in training.
        seed: of weights, order and windows.
        correct: how what the checkpoints measured is corrected late in the training, None = not.
    """

    architecture: str = "standard"
    epochs: int = 100
    batch_size: int = 256
    learning_rate: float = 2e-3
    decay: Literal["plateau", "cosine"] = "plateau"
    dropout: float = 1.0
    hide: float = 1.0
    seed: int = 0
    correct: Kind | None = None


def fit_scaling(windows: Windows, rng: np.random.Generator) -> Scaling:
    """Mean and spread of every feature over real steps of random windows."""
    rows = rng.choice(len(windows), min(len(windows), 4000), replace=False)
    batch = windows.batch(rows, 20, rng)
    real = batch.sequence[np.arange(batch.sequence.shape[1]) < batch.length[:, None]]
    std = np.maximum(real.std(axis=0), 0.05)
    return Scaling(mean=tuple(real.mean(axis=0).tolist()), std=tuple(std.tolist()))


def corrector_of(windows: Windows, settings: Settings) -> Corrector | None:
    """What corrects the checkpoints of a training, if its settings ask for it."""
    if settings.correct is None:
        return None
    correction = Correction(settings.correct)
    return Corrector(windows.movable(), len(FEATURES), correction, settings.epochs, MEASURED)


class TrainingBatches:
    """Batches of fresh windows; the same seed and epoch give the same batches."""

    def __init__(
        self, windows: Windows, scaling: Scaling, settings: Settings, per_step: bool
    ) -> None:
        self.windows, self.scaling, self.settings = windows, scaling, settings
        self.per_step = per_step
        self.epoch = 0
        self._plan()

    def _plan(self) -> None:
        rng = np.random.default_rng((self.settings.seed, self.epoch))
        runs = len(self.windows)
        rounds = -(-len(self) * self.settings.batch_size // runs)
        self._order = np.concatenate([rng.permutation(runs) for _ in range(rounds)])
        self._lengths = self.windows.draw_lengths(len(self), rng)

    def start_epoch(self, epoch: int) -> None:
        """Draw the order and lengths of `epoch`."""
        self.epoch = epoch
        self._plan()

    def __len__(self) -> int:
        return max(MIN_STEPS, len(self.windows) // self.settings.batch_size)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Float32]]:
        for i in range(len(self)):
            yield self[i]

    def dataset(self) -> tf.data.Dataset:
        """The batches as TensorFlow reads them; made while the step before is computed."""
        time = (None,) if self.per_step else ()
        inputs = {
            "sequence": tf.TensorSpec((None, None, len(FEATURES)), tf.float32),
            "length": tf.TensorSpec((None,), tf.int32),
        }
        if self.settings.correct is not None:
            inputs[POINTS] = tf.TensorSpec((None, None), tf.int32)
        signature = (
            inputs,
            tf.TensorSpec((None, *time, OUTPUTS, 2), tf.float32),
        )
        made = tf.data.Dataset.from_generator(self.__iter__, output_signature=signature)
        return made.apply(tf.data.experimental.assert_cardinality(len(self))).prefetch(2)

    def __getitem__(self, i: int) -> tuple[dict[str, Any], Float32]:
        rng = np.random.default_rng((self.settings.seed, self.epoch, i))
        size = self.settings.batch_size
        rows = self._order[i * size : (i + 1) * size]
        batch = self.windows.batch(rows, int(self._lengths[i]), rng)
        y = np.stack([batch.target, batch.weight], axis=-1)
        length = batch.length
        if not self.per_step:  # one random prefix of each run
            length = rng.integers(1, length + 1).astype(np.int32)
            row = np.arange(len(length))
            steps = batch.length[:, None]  # the loss of one step stands for those of all
            y = y[row, length - 1]
            y[..., 1] *= steps
        inputs = {"sequence": self.scaling.apply(batch.sequence), "length": length}
        if self.settings.correct is not None:
            inputs[POINTS] = batch.points.astype(np.int32)
        return inputs, y
