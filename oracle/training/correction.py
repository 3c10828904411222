"""Data correction: inputs move against the gradient of the loss, late in a training.

From an epoch on each point of the data moves by -rate * g(gradient) / sqrt(average + epsilon), the
average a moving one of the squared gradient; noise that the network cannot explain is smoothed
away. The data themselves are never written to: what moved is an offset beside them.

Windows that overlap are views of the same points: what a batch's windows ask of a point is summed,
and the point moves once. So there is one corrected series, never a copy a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from oracle.errors import OracleError, must_be

Float32 = npt.NDArray[np.float32]
Int = npt.NDArray[np.integer]

Kind = Literal["raw", "relu", "sigmoid"]
KINDS: tuple[Kind, ...] = ("raw", "relu", "sigmoid")
#: First epoch of the correction where nobody says, and the most of a short training it waits.
EPOCH_THRESHOLD, MOST_OF_TRAINING = 45, 0.9
EPSILON = 1e-8
#: A point that has moved so far (standard deviations) was not corrected but lost.
FURTHEST = 4.0


@dataclass(frozen=True)
class Correction:
    """How data are corrected.

    Attributes:
        kind: g, what the gradient goes through: raw leaves it, relu keeps what is positive (points
            move down alone), sigmoid weighs it by its own sigmoid (down further than up).
        correction_rate: of a step, in units of the scaled data.
        epoch_threshold: epochs before the first step; None is 45, or nine tenths of a training of
            fewer than 50.
        moving_avg_decay: of the average of squared gradients.
    """

    kind: Kind = "raw"
    correction_rate: float = 0.001
    epoch_threshold: int | None = None
    moving_avg_decay: float = 0.9

    def begins(self, epochs: int) -> int:
        """Epochs that pass before the first step, of `epochs` in all.

        Raises:
            OracleError: if none is left.
        """
        if self.epoch_threshold is None:
            return min(EPOCH_THRESHOLD, int(MOST_OF_TRAINING * epochs))
        if self.epoch_threshold >= epochs:
            rule = f"below the number of epochs ({epochs})"
            raise OracleError(must_be("epoch_threshold", rule, self.epoch_threshold))
        return self.epoch_threshold

    def scaled(self, gradient: Float32) -> Float32:
        """Apply g."""
        if self.kind == "relu":
            return np.maximum(gradient, 0)
        if self.kind == "sigmoid":
            return np.asarray(gradient * (0.5 * np.tanh(0.5 * gradient) + 0.5))
        return gradient


class Corrector:
    """The offsets of all points of one training, and how they move.

    Args:
        movable: [point] bool, which may move.
        width: features of a point.
        correction: how.
        epochs: of the training.
        columns: features that may move, None = all.
        furthest: how far a point may move before the correction is called off, one for all or one
            a column.
    """

    def __init__(
        self,
        movable: npt.NDArray[np.bool_],
        width: int,
        correction: Correction,
        epochs: int,
        columns: Sequence[int] | None = None,
        furthest: npt.ArrayLike = FURTHEST,
    ) -> None:
        self.correction, self.begins = correction, correction.begins(epochs)
        self.movable, self.furthest = movable, np.asarray(furthest, np.float32)
        self.width = width
        self.columns = np.arange(width) if columns is None else np.array(columns)
        #: [point, column] what is added to the data.
        self.offset = np.zeros((len(movable), len(self.columns)), np.float32)
        self.average = np.zeros_like(self.offset)
        self.active = self.begins == 0
        #: Why the correction was called off and every point put back, None while all is well.
        self.stopped: str | None = None

    def start_epoch(self, epoch: int) -> None:
        """Say which epoch begins, from 0."""
        self.active = self.stopped is None and epoch >= self.begins

    def at(self, points: Int) -> Float32:
        """Offsets to add to windows, [window, time] -> [window, time, feature]."""
        offset = np.zeros((*points.shape, self.width), np.float32)
        offset[..., self.columns] = self.offset[points]
        return offset

    def move(self, points: Int, gradient: Float32) -> None:
        """Take one step.

        Args:
            points: [window, time] index of each point.
            gradient: [window, time, feature] of the batch's mean loss.
        """
        if not self.active:
            return
        c = self.correction
        which, row = np.unique(points, return_inverse=True)
        asked = np.zeros((len(which), len(self.columns)), np.float32)
        # Of a window's own loss, so that nothing depends on the size of a batch.
        each = len(gradient) * gradient[..., self.columns].reshape(-1, len(self.columns))
        np.add.at(asked, row.ravel(), each)
        with np.errstate(over="ignore", invalid="ignore"):  # told below
            average = c.moving_avg_decay * self.average[which]
            average += (1 - c.moving_avg_decay) * asked**2
            step = c.correction_rate * c.scaled(asked) / np.sqrt(average + EPSILON)
        moved = self.offset[which] - np.where(self.movable[which][:, None], step, 0)
        if not (np.abs(moved) <= self.furthest).all():  # NaN neither
            self._call_off()
            return
        self.average[which], self.offset[which] = average, moved

    def _call_off(self) -> None:
        self.offset[:] = 0.0
        self.active = False
        self.stopped = (
            f"The correction diverged (correction_rate {self.correction.correction_rate:g}): it "
            "was stopped and the data are as they came. Give a smaller rate."
        )

    def save(self, path: Path) -> None:
        """Write what an interrupted training needs."""
        np.savez(
            path, offset=self.offset, average=self.average, stopped=np.array(self.stopped or "")
        )

    def restore(self, path: Path) -> None:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as kept:
            self.offset, self.average = kept["offset"], kept["average"]
            self.stopped = str(kept["stopped"]) or None
