"""The LSTM architectures as Keras functional models.

A batch holds histories of different lengths, padded on the right. Nothing needs a mask:

- a forward LSTM has not seen the padding when it reaches the last real step, whose output is
  gathered by `length`;
- a backward LSTM reads each row reversed by its own length, so it begins at the last real step
  and meets the padding after all real ones. (A plain reversal would begin in the padding.)

ONNX's LSTM with `sequence_lens` computes exactly this; see `oracle.training.export`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import ops

from oracle.errors import must_be
from oracle.training.losses import QuantileHead

N_TARGETS = 3


@dataclass(frozen=True)
class Architecture:
    """Layers between the input rows and the output layer.

    Attributes:
        recurrent: units of each LSTM (of each direction, where bidirectional).
        recurrent_dropout: rate of the dropout after each LSTM.
        dense: units of each hidden dense layer, ReLU.
        dense_dropout: rate of the dropout after each hidden dense layer.
        bidirectional: whether every LSTM also reads backward.
    """

    recurrent: tuple[int, ...]
    recurrent_dropout: tuple[float, ...]
    dense: tuple[int, ...]
    dense_dropout: tuple[float, ...]
    bidirectional: bool = False


#: name -> layers. The first three are the published ones; `wide` is for large datasets.
ARCHITECTURES: dict[str, Architecture] = {
    "standard": Architecture((128, 64, 32), (0.3, 0.3, 0.2), (32, 16), (0.2, 0.0)),
    "bidirectional": Architecture((64, 32), (0.3, 0.2), (32,), (0.2,), bidirectional=True),
    "lite": Architecture((64, 32), (0.2, 0.0), (16,), (0.0,)),
    "wide": Architecture((128, 64), (0.2, 0.2), (128, 64), (0.0, 0.0)),
}


def build(
    name: str,
    n_features: int,
    n_targets: int = N_TARGETS,
    n_levels: int | None = None,
    *,
    dropout: float = 1.0,
    per_step: bool = False,
    skip: bool = False,
    dense: tuple[int, ...] | None = None,
) -> keras.Model:
    """Build one architecture.

    Inputs are `sequence` float32 [batch, time, feature], padded on the right with any finite
    value, and `length` int32 [batch], the number of real steps, at least 1.

    Args:
        name: a key of `ARCHITECTURES`.
        n_features: input features a step.
        n_targets: values forecast.
        n_levels: quantiles of each target; None forecasts one value each.
        dropout: factor on the architecture's dropout rates, 0 for none.
        per_step: forecast at every step, so that one pass trains every prefix. The model has
            the same weights, in the same order, as the one that forecasts at the last step.
        skip: also hand the last row of features straight to the dense layers.
        dense: units of the hidden dense layers in place of the architecture's, no dropout.

    Returns:
        A model whose output is [batch, target] or, with `n_levels`, [batch, target, level];
        `per_step` inserts `time` after `batch`. Values at padded steps mean nothing.

    Raises:
        ValueError: if the name is unknown, or `per_step` is asked of a bidirectional trunk,
            whose every step has seen the future.
    """
    if name not in ARCHITECTURES:
        raise ValueError(must_be("architecture", f"one of {', '.join(ARCHITECTURES)}", name))
    spec = ARCHITECTURES[name]
    if dense is not None:
        spec = replace(spec, dense=dense, dense_dropout=(0.0,) * len(dense))
    if per_step and spec.bidirectional:
        raise ValueError(
            must_be("per_step", "False for a bidirectional trunk", True, "Train on prefixes.")
        )
    sequence = keras.Input((None, n_features), name="sequence")
    length = keras.Input((), dtype="int32", name="length")

    x = sequence
    for i, (units, rate) in enumerate(zip(spec.recurrent, spec.recurrent_dropout, strict=True), 1):
        last = i == len(spec.recurrent) and not per_step
        x = _recurrent(x, length, units, i, spec.bidirectional, last)
        x = _dropout(x, rate * dropout, f"lstm_dropout_{i}")
    if skip:
        row = sequence if per_step else LastStep(name="last_row")([sequence, length])
        x = keras.layers.Concatenate(name="skip")([x, row])
    for i, (units, rate) in enumerate(zip(spec.dense, spec.dense_dropout, strict=True), 1):
        x = keras.layers.Dense(units, activation="relu", name=f"dense_{i}")(x)
        x = _dropout(x, rate * dropout, f"dense_dropout_{i}")
    x = keras.layers.Dense(n_targets * (n_levels or 1), name="output")(x)
    if n_levels is not None:
        x = QuantileHead(n_targets, n_levels, name="quantiles")(x)
    return keras.Model({"sequence": sequence, "length": length}, x, name=name)


def _recurrent(x: Any, length: Any, units: int, i: int, bidirectional: bool, last: bool) -> Any:
    """[batch, time, in] -> [batch, time, units], or [batch, units] at the last real step."""
    forward = keras.layers.LSTM(units, return_sequences=True, name=f"lstm_{i}")(x)
    if last:
        forward = LastStep(name=f"last_{i}")([forward, length])
    if not bidirectional:
        return forward
    flipped = Reverse(name=f"reverse_{i}")([x, length])
    backward = keras.layers.LSTM(units, return_sequences=True, name=f"lstm_backward_{i}")(flipped)
    # What the backward LSTM knows in the end is its state after the run's first checkpoint,
    # which stands at its own last real step.
    back = LastStep(name=f"last_backward_{i}") if last else Reverse(name=f"restore_{i}")
    return keras.layers.Concatenate(name=f"both_{i}")([forward, back([backward, length])])


def _dropout(x: Any, rate: float, name: str) -> Any:
    return keras.layers.Dropout(rate, name=name)(x) if rate > 0 else x


@keras.saving.register_keras_serializable(package="oracle")
class LastStep(keras.layers.Layer):  # type: ignore[misc]
    """Gather the last real step: [batch, time, feature], [batch] -> [batch, feature]."""

    def call(self, inputs: list[Any]) -> Any:
        """Take row `length - 1` of each sequence."""
        x, length = inputs
        index = ops.cast(length, "int32")[:, None, None] - 1
        return ops.squeeze(ops.take_along_axis(x, index, axis=1), 1)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> Any:
        """[batch, time, feature] -> [batch, feature]."""
        batch, _, features = input_shape[0]
        return (batch, features)


@keras.saving.register_keras_serializable(package="oracle")
class Reverse(keras.layers.Layer):  # type: ignore[misc]
    """Reverse each row by its own length, padding left in place; its own inverse."""

    def call(self, inputs: list[Any]) -> Any:
        """[batch, time, feature], [batch] -> [batch, time, feature]."""
        x, length = inputs
        time = ops.arange(ops.shape(x)[1])[None, :]  # [1, time]
        length = ops.cast(length, "int32")[:, None]  # [batch, 1]
        index = ops.where(time < length, length - 1 - time, time)  # [batch, time]
        return ops.take_along_axis(x, index[:, :, None], axis=1)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> Any:
        """The shape of the sequence is kept."""
        return input_shape[0]
