"""A Keras model that corrects its inputs while it is trained; see `oracle.training.correction`."""

from __future__ import annotations

from typing import Any, Self

import keras
import tensorflow as tf

from oracle.training.correction import Corrector

#: Member of the inputs, int32 [batch, time], that says which point of the data each step is.
POINTS = "points"


@keras.saving.register_keras_serializable(package="oracle")
class Correcting(keras.Model):  # type: ignore[misc]
    """A model whose batches name their points; it answers as the one that it was made of."""

    corrector: Corrector

    @classmethod
    def of(cls, model: keras.Model, corrector: Corrector) -> Self:
        """Wrap a model of `oracle.training.architectures.build`; the weights are shared."""
        made = cls(inputs=model.input, outputs=model.output)
        made.corrector = corrector
        return made

    def train_step(self, data: Any) -> dict[str, Any]:
        """Move the weights, then the points that the batch has seen."""
        corrector = self.corrector
        inputs, target = data
        inputs = dict(inputs)
        points, sequence = inputs.pop(POINTS), inputs["sequence"]
        sequence += tf.ensure_shape(
            tf.numpy_function(corrector.at, [points], tf.float32), sequence.shape
        )
        with tf.GradientTape() as tape:
            tape.watch(sequence)
            answer = self({**inputs, "sequence": sequence}, training=True)
            loss = self.compute_loss(y=target, y_pred=answer)
        *by_weight, by_input = tape.gradient(loss, [*self.trainable_variables, sequence])
        self.optimizer.apply_gradients(zip(by_weight, self.trainable_variables, strict=True))
        tf.numpy_function(corrector.move, [points, by_input], [])
        self.metrics[0].update_state(loss)
        return {"loss": self.metrics[0].result()}


class CorrectFrom(keras.callbacks.Callback):  # type: ignore[misc]
    """Tell the corrector which epoch it is."""

    def __init__(self, corrector: Corrector) -> None:
        super().__init__()
        self.corrector = corrector

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Correct from the epoch on that the correction asks for."""
        self.corrector.start_epoch(epoch)
