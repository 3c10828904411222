"""The architectures as Keras functional models.

A batch holds histories of different lengths, padded on the right. Nothing needs a mask:

- a forward layer has not seen the padding when it reaches the last real step, whose output is
  gathered by `length`;
- a backward layer reads each row reversed by its own length, so it begins at the last real step
  and meets the padding after all real ones. (A plain reversal would begin in the padding.)

What is served computes exactly this; see `oracle.model.recurrent`. Layers have the names that
`oracle.model.network` declares, by which their weights are read and written.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import keras
from keras import ops

from oracle.errors import must_be
from oracle.model.attention import EPSILON, FAR, WIDER, Attention
from oracle.model.network import Network
from oracle.model.recurrent import Recurrent
from oracle.training.losses import QuantileHead
from oracle.types import HEAD_LEVELS, TARGETS


@dataclass(frozen=True)
class Architecture:
    """A network, and the dropout that it is trained with.

    Attributes:
        network: its shape.
        trunk_dropout: rate after each layer of the trunk; those left out have none.
        dense_dropout: rate after each hidden dense layer; those left out have none.
    """

    network: Network
    trunk_dropout: tuple[float, ...] = ()
    dense_dropout: tuple[float, ...] = ()


#: name -> architecture. The first three are the published ones; `wide` is for large datasets;
#: `rnn`, `gru` and `lstm` differ in nothing but their cell, so that cells can be compared;
#: `attention` tells which checkpoints it looked at.
ARCHITECTURES: dict[str, Architecture] = {
    "standard": Architecture(
        Network(trunk=Recurrent(units=(128, 64, 32)), dense=(32, 16)), (0.3, 0.3, 0.2), (0.2, 0.0)
    ),
    "bidirectional": Architecture(
        Network(trunk=Recurrent(units=(64, 32), bidirectional=True), dense=(32,)),
        (0.3, 0.2),
        (0.2,),
    ),
    "lite": Architecture(Network(trunk=Recurrent(units=(64, 32)), dense=(16,)), (0.2, 0.0), (0.0,)),
    "wide": Architecture(
        Network(trunk=Recurrent(units=(128, 64)), dense=(128, 64)), (0.2, 0.2), (0.0, 0.0)
    ),
    "rnn": Architecture(Network(trunk=Recurrent(kind="rnn", units=(64,)), dense=(32,))),
    "gru": Architecture(Network(trunk=Recurrent(kind="gru", units=(64,)), dense=(32,))),
    "lstm": Architecture(Network(trunk=Recurrent(kind="lstm", units=(64,)), dense=(32,))),
    "attention": Architecture(
        Network(trunk=Attention(kind="attention", units=64), dense=(64,)), (0.1, 0.1), (0.0,)
    ),
}

#: Keras' layer of each kind of recurrent trunk.
_CELLS = {
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
    "rnn": keras.layers.SimpleRNN,
}


def architecture(name: str) -> Architecture:
    """Give one of `ARCHITECTURES`.

    Raises:
        ValueError: if there is none of that name.
    """
    if name not in ARCHITECTURES:
        raise ValueError(must_be("architecture", f"one of {', '.join(ARCHITECTURES)}", name))
    return ARCHITECTURES[name]


def build(
    spec: Architecture,
    n_features: int,
    n_targets: int = len(TARGETS),
    n_levels: int = len(HEAD_LEVELS),
    *,
    dropout: float = 1.0,
    per_step: bool = False,
) -> keras.Model:
    """Build one network.

    Inputs are `sequence` float32 [batch, time, feature], padded on the right with any finite
    value, and `length` int32 [batch], the number of real steps, at least 1.

    Args:
        spec: layers and dropout.
        n_features: input features a step.
        n_targets: values forecast.
        n_levels: quantiles of each target.
        dropout: factor on the architecture's dropout rates, 0 for none.
        per_step: forecast at every step, so that one pass trains every prefix. The model has
            the same weights, in the same order, as the one that forecasts at the last step.

    Returns:
        A model whose output is [batch, target, level]; `per_step` inserts `time` after `batch`.
        Values at padded steps mean nothing.

    Raises:
        ValueError: if `per_step` is asked of a trunk whose every step has seen the future.
    """
    network = spec.network
    if per_step and not network.trunk.causal:
        raise ValueError(
            must_be("per_step", "False for a trunk that reads backward", True, "Train on prefixes.")
        )
    sequence = keras.Input((None, n_features), name="sequence")
    length = keras.Input((), dtype="int32", name="length")
    rates = tuple(rate * dropout for rate in spec.trunk_dropout)
    if isinstance(network.trunk, Attention):
        x = _attention(network.trunk, sequence, length, rates, per_step)
    else:
        x = _recurrent(network.trunk, sequence, length, rates, per_step)
    dense = zip(network.dense, chain(spec.dense_dropout, repeat(0.0)), strict=False)
    for i, (units, rate) in enumerate(dense, 1):
        x = keras.layers.Dense(units, activation="relu", name=f"dense_{i}")(x)
        x = _dropout(x, rate * dropout, f"dense_dropout_{i}")
    x = keras.layers.Dense(n_targets * n_levels, name="output")(x)
    x = QuantileHead(n_targets, n_levels, name="quantiles")(x)
    return keras.Model({"sequence": sequence, "length": length}, x)


def _attention(
    trunk: Attention, x: Any, length: Any, rates: tuple[float, ...], per_step: bool
) -> Any:
    """[batch, time, in] -> [batch, unit] at the last real step, or [batch, time, unit]."""

    def norm(x: Any, name: str) -> Any:
        return keras.layers.LayerNormalization(epsilon=EPSILON, name=name)(x)

    x = keras.layers.Dense(trunk.units, name="attention_in")(x)
    blocks = zip(range(1, trunk.blocks + 1), chain(rates, repeat(0.0)), strict=False)
    for i, rate in blocks:
        seen = CausalAttention(trunk.heads, name=f"attention_{i}")(norm(x, f"attention_norm_{i}"))
        x = keras.layers.Add(name=f"attended_{i}")([x, seen])
        hidden = norm(x, f"hidden_norm_{i}")
        wide = keras.layers.Dense(WIDER * trunk.units, activation="relu", name=f"hidden_in_{i}")
        hidden = keras.layers.Dense(trunk.units, name=f"hidden_out_{i}")(wide(hidden))
        hidden = _dropout(hidden, rate, f"attention_dropout_{i}")
        x = keras.layers.Add(name=f"block_{i}")([x, hidden])
    x = norm(x, "attention_norm")
    return x if per_step else LastStep(name="last")([x, length])


def _recurrent(
    trunk: Recurrent, x: Any, length: Any, rates: tuple[float, ...], per_step: bool
) -> Any:
    """[batch, time, in] -> [batch, unit] at the last real step, or [batch, time, unit]."""
    layers = zip(trunk.units, chain(rates, repeat(0.0)), strict=False)
    for i, (units, rate) in enumerate(layers, 1):
        last = i == len(trunk.units) and not per_step
        x = _layer(trunk, x, length, units, i, last)
        x = _dropout(x, rate, f"{trunk.kind}_dropout_{i}")
    return x


def _layer(trunk: Recurrent, x: Any, length: Any, units: int, i: int, last: bool) -> Any:
    """[batch, time, in] -> [batch, time, units], or [batch, units] at the last real step."""
    names = trunk.names(i)
    cell = _CELLS[trunk.kind]
    forward = cell(units, return_sequences=True, name=names[0])(x)
    if last:
        forward = LastStep(name=f"last_{i}")([forward, length])
    if not trunk.bidirectional:
        return forward
    flipped = Reverse(name=f"reverse_{i}")([x, length])
    backward = cell(units, return_sequences=True, name=names[1])(flipped)
    # What the backward layer knows in the end is its state after the run's first checkpoint,
    # which stands at its own last real step.
    back = LastStep(name=f"last_backward_{i}") if last else Reverse(name=f"restore_{i}")
    return keras.layers.Concatenate(name=f"both_{i}")([forward, back([backward, length])])


def _dropout(x: Any, rate: float, name: str) -> Any:
    return keras.layers.Dropout(rate, name=name)(x) if rate > 0 else x


@keras.saving.register_keras_serializable(package="oracle")
class CausalAttention(keras.layers.Layer):  # type: ignore[misc]
    """Each row reads itself and those before it: [batch, time, unit] -> the same.

    Args:
        heads: that share the units.
    """

    def __init__(self, heads: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.heads = heads

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the kernels of query, key, value and what is read, and a bias."""
        units = input_shape[-1]
        for part in ("query", "key", "value", "out"):
            setattr(self, part, self.add_weight(shape=(units, units), name=part))
        self.bias = self.add_weight(shape=(units,), initializer="zeros", name="bias")

    def call(self, x: Any) -> Any:
        """Read, by the softmax of the scores of the rows that were seen by then."""
        units = x.shape[-1]
        size, time = units // self.heads, ops.shape(x)[1]

        def split(kernel: Any) -> Any:  # [batch, head, time, size]
            rows = ops.reshape(ops.matmul(x, kernel), (-1, time, self.heads, size))
            return ops.transpose(rows, (0, 2, 1, 3))

        query, key, value = (split(kernel) for kernel in (self.query, self.key, self.value))
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) / size**0.5
        at = ops.arange(time)
        scores = scores + FAR * ops.cast(at[None, :] > at[:, None], scores.dtype)
        # Keras' own softmax warns of the first row, which has nothing but itself to read.
        shares = ops.exp(scores - ops.max(scores, axis=-1, keepdims=True))
        shares = shares / ops.sum(shares, axis=-1, keepdims=True)
        read = ops.transpose(ops.matmul(shares, value), (0, 2, 1, 3))
        return ops.matmul(ops.reshape(read, (-1, time, units)), self.out) + self.bias

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        """The shape of the sequence is kept."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What it takes to make it again."""
        return {**super().get_config(), "heads": self.heads}


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
