"""Keras callbacks of the trainer: validation by prefix, checkpoints, patience, resuming."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from oracle.training.correcting import CorrectFrom
from oracle.training.decay import cosine_rate

if TYPE_CHECKING:
    from oracle.training.batches import Settings, TrainingBatches
    from oracle.training.correction import Corrector

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


class Backup(keras.callbacks.Callback):  # type: ignore[misc]
    """Keep after every epoch what a killed training needs to go on as if nothing had happened.

    Keras' BackupAndRestore writes over its only file, which a kill tears, and forgets the best
    values, patience and curves of other callbacks. Here weights and optimizer get a new file each
    epoch; what counts is the one that the state names, and the state is renamed into place.
    Stands last in the list.

    Args:
        folder: for the state and the weights.
        others: callback -> names of the attributes to keep.
        corrector: of the inputs, where they are corrected.
    """

    def __init__(
        self,
        folder: Path,
        others: dict[keras.callbacks.Callback, tuple[str, ...]],
        corrector: Corrector | None = None,
    ) -> None:
        super().__init__()
        self.path, self.others, self.corrector = folder / "state.json", others, corrector
        self.curve: list[dict[str, float]] = []

    def restore(self, model: keras.Model) -> int:
        """Put weights and optimizer of a compiled model back; gives the epochs that are done."""
        state = self._state()
        if state is None:
            return 0
        model.optimizer.build(model.trainable_variables)
        model.load_weights(self.path.with_name(state["weights"]))
        if self.corrector is not None:
            self.corrector.restore(self._offsets(len(state["curve"])))
        return len(state["curve"])

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Put the other callbacks' values back; it runs after their own reset."""
        state = self._state()
        if state is None:
            return
        self.curve = state["curve"]
        for callback, kept in zip(self.others, state["callbacks"], strict=True):
            for name, value in kept.items():
                setattr(callback, name, value)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the weights, then the state that names them, then forget the weights before."""
        self.curve = [*self.curve, {k: float(v) for k, v in (logs or {}).items()}]
        weights = self.path.with_name(f"epoch-{epoch + 1}.weights.h5")
        self.model.save_weights(weights, overwrite=True)
        offsets = self._offsets(epoch + 1)
        if self.corrector is not None:
            self.corrector.save(offsets)
        state = {
            "weights": weights.name,
            "curve": self.curve,
            "callbacks": [
                {name: getattr(callback, name) for name in names}
                for callback, names in self.others.items()
            ],
        }
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(state, default=float))
        temporary.replace(self.path)
        for old in self.path.parent.glob("epoch-*"):
            if old not in (weights, offsets):
                old.unlink()

    def _offsets(self, epochs: int) -> Path:
        return self.path.with_name(f"epoch-{epochs}.offsets.npz")

    def _state(self) -> dict[str, Any] | None:
        return json.loads(self.path.read_text()) if self.path.exists() else None


def cosine(learning_rate: float, epochs: int) -> keras.callbacks.Callback:
    """Let the rate fall as `cosine_rate` has it."""
    return keras.callbacks.LearningRateScheduler(
        lambda epoch, _: cosine_rate(learning_rate, epoch, epochs)
    )


def callbacks(
    score: Callable[[keras.Model], float],
    batches: TrainingBatches,
    settings: Settings,
    best: Path,
    logs: Path,
    backup: Path,
    corrector: Corrector | None = None,
) -> tuple[list[keras.callbacks.Callback], Backup]:
    """Assemble the trainer's callbacks in the order they must stand in.

    Args:
        score: validation loss of the model.
        batches: told of each epoch.
        settings: decay, epochs and learning rate are read.
        best: file of the best model so far.
        logs: TensorBoard folder.
        backup: folder that a resumed training reads.
        corrector: of the inputs, where they are corrected.
    """
    checkpoint = keras.callbacks.ModelCheckpoint(best, monitor="val_loss", save_best_only=True)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=STOP_PATIENCE, verbose=0)
    kept: dict[keras.callbacks.Callback, tuple[str, ...]] = {
        checkpoint: ("best",),
        stop: ("best", "wait", "best_epoch"),
    }
    if settings.decay == "cosine":
        pace: keras.callbacks.Callback = cosine(settings.learning_rate, settings.epochs)
    else:
        pace = keras.callbacks.ReduceLROnPlateau(
            "val_loss", factor=0.5, patience=REDUCE_PATIENCE, min_lr=1e-5
        )
        kept[pace] = ("best", "wait", "cooldown_counter")
    backup.mkdir(parents=True, exist_ok=True)
    state = Backup(backup, kept, corrector)
    return [
        Validate(score),
        StartEpoch(batches),
        *([] if corrector is None else [CorrectFrom(corrector)]),
        checkpoint,
        pace,
        stop,
        keras.callbacks.TensorBoard(logs, write_graph=False),
        state,
    ], state
