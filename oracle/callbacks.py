"""Keras callbacks of the trainer: validation by prefix, checkpoints, patience, resuming."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from oracle.trainer import Settings, TrainingBatches

#: Epochs without a better validation loss before training ends, and before the rate is halved.
STOP_PATIENCE = 20
REDUCE_PATIENCE = 10


class Validate(keras.callbacks.Callback):  # type: ignore[misc]
    """Score held-out prefixes after each epoch as `val_loss`.

    It stands first in the list, so that the other callbacks find val_loss in their logs. Keras'
    own validation would need targets at every step; users ask at the last step of a prefix.

    Args:
        score: takes the trained model, gives the loss.
    """

    def __init__(self, score: Callable[[keras.Model], float]) -> None:
        super().__init__()
        self.score = score

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Put val_loss into the logs that later callbacks read."""
        if logs is not None:
            logs["val_loss"] = self.score(self.model)


class StartEpoch(keras.callbacks.Callback):  # type: ignore[misc]
    """Tell the batches which epoch it is, so that a resumed run sees the same windows."""

    def __init__(self, batches: TrainingBatches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Draw this epoch's windows."""
        self.batches.start_epoch(epoch)


class KeepState(keras.callbacks.Callback):  # type: ignore[misc]
    """Keep what BackupAndRestore forgets: best values, patience and curves of other callbacks.

    Stands last in the list; writes after every epoch, reads at the start of a resumed training.

    Args:
        path: JSON file.
        others: callback -> names of the attributes to keep.
    """

    def __init__(self, path: Path, others: dict[keras.callbacks.Callback, tuple[str, ...]]) -> None:
        super().__init__()
        self.path, self.others = path, others
        self.curve: list[dict[str, float]] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Put back what an interrupted training left; it runs after the others' own reset."""
        if not self.path.exists():
            return
        state = json.loads(self.path.read_text())
        self.curve = state["curve"]
        for callback, kept in zip(self.others, state["callbacks"], strict=True):
            for name, value in kept.items():
                setattr(callback, name, value)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the state beside, then rename: a kill leaves the old one or the new one."""
        self.curve = [*self.curve[:epoch], {k: float(v) for k, v in (logs or {}).items()}]
        state = {
            "curve": self.curve,
            "callbacks": [
                {name: getattr(callback, name) for name in names}
                for callback, names in self.others.items()
            ],
        }
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(state, default=float))
        temporary.replace(self.path)


def callbacks(
    score: Callable[[keras.Model], float],
    batches: TrainingBatches,
    settings: Settings,
    best: Path,
    logs: Path,
    backup: Path,
) -> tuple[list[keras.callbacks.Callback], KeepState]:
    """Assemble the trainer's callbacks in the order they must stand in.

    Args:
        score: validation loss of the model.
        batches: told of each epoch.
        settings: decay, epochs and learning rate are read.
        best: file of the best model so far.
        logs: TensorBoard folder.
        backup: folder that a resumed training reads.
    """
    checkpoint = keras.callbacks.ModelCheckpoint(best, monitor="val_loss", save_best_only=True)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=STOP_PATIENCE, verbose=0)
    kept: dict[keras.callbacks.Callback, tuple[str, ...]] = {
        checkpoint: ("best",),
        stop: ("best", "wait", "best_epoch"),
    }
    if settings.decay == "cosine":
        pace: keras.callbacks.Callback = keras.callbacks.LearningRateScheduler(
            lambda epoch, _: (
                settings.learning_rate
                * (0.02 + 0.49 * (1 + math.cos(math.pi * epoch / settings.epochs)))
            )
        )
    else:
        pace = keras.callbacks.ReduceLROnPlateau(
            "val_loss", factor=0.5, patience=REDUCE_PATIENCE, min_lr=1e-5
        )
        kept[pace] = ("best", "wait", "cooldown_counter")
    backup.mkdir(parents=True, exist_ok=True)
    state = KeepState(backup / "callbacks.json", kept)
    return [
        Validate(score),
        StartEpoch(batches),
        checkpoint,
        pace,
        stop,
        keras.callbacks.TensorBoard(logs, write_graph=False),
        keras.callbacks.BackupAndRestore(backup / "model", delete_checkpoint=False),
        state,
    ], state
