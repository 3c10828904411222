"""Trained Keras models -> the ONNX files that are served.

Our own code writes the graph, onto ONNX's LSTM operator with sequence lengths: Keras' export of
a masked LSTM becomes a Loop over the steps, an order of magnitude slower. What the graph is
stands in `oracle.model.graph`; here its weights are read from Keras and laid out as ONNX wants:

- Keras keeps an LSTM's kernels as [in, 4 * units] with gates i, f, c, o;
  ONNX's operator wants [4 * units, in] with gates i, o, f, c, and its bias twice (input and
  recurrent part), of which Keras has the sum;
- the one-step graph multiplies [x, h] with both kernels on top of each other, gates i, f, o, c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from oracle.errors import must_be
from oracle.model.graph import Network, forward_graph, step_graph
from oracle.model.manifest import Golden
from oracle.model.onnx_file import write_onnx
from oracle.training.losses import QuantileHead

Float32 = npt.NDArray[np.float32]
Weights = dict[str, Float32]


def network_of(models: Sequence[keras.Model]) -> Network:
    """Read the shape of trained models: same architecture, different seeds.

    Raises:
        ValueError: if there are none, they differ in shape, or they have no quantile head.
    """
    if not models:
        raise ValueError(must_be("models", "one trained model at least", len(models)))
    shapes = [_network_of(model) for model in models]
    for shape in shapes[1:]:
        if shape != shapes[0]:
            raise ValueError(must_be("models", f"all of the shape {shapes[0]!r}", shape))
    return shapes[0].model_copy(update={"n_seeds": len(models)})


def export_forward(models: Sequence[keras.Model]) -> bytes:
    """Write the graph that forecasts from whole sequences, the mean over `models`."""
    network = network_of(models)
    return write_onnx(forward_graph(network), _collect(models, network, _operator_weights))


def export_step(models: Sequence[keras.Model]) -> bytes | None:
    """Write the graph that takes one checkpoint at a time; None for a bidirectional trunk."""
    network = network_of(models)
    if network.bidirectional:
        return None
    return write_onnx(step_graph(network), _collect(models, network, _cell_weights))


def forecast(models: Sequence[keras.Model], sequence: Float32, length: npt.ArrayLike) -> Float32:
    """Answer by Keras itself, the mean over `models`: what the exported graphs must agree with.

    Args:
        sequence: [batch, time, feature], scaled, padded on the right.
        length: [batch] real steps.

    Returns:
        [batch, target, level].
    """
    inputs = {"sequence": sequence, "length": np.asarray(length, np.int32)}
    answers = [np.asarray(model(inputs, training=False)) for model in models]
    if answers[0].ndim == 4:  # [batch, time, target, level]: trained at every step
        index = np.arange(len(sequence)), np.asarray(length) - 1
        answers = [answer[index] for answer in answers]
    return np.asarray(np.mean(answers, axis=0), np.float32)


def golden(models: Sequence[keras.Model], sequences: Sequence[Float32]) -> Golden:
    """Record Keras' answers to a few sequences [time, feature], for the artifact's self-test."""
    answers = [forecast(models, rows[None], [len(rows)])[0] for rows in sequences]
    return Golden.model_validate(
        {
            "sequence": [np.asarray(rows, np.float32).tolist() for rows in sequences],
            "quantiles": [answer.tolist() for answer in answers],
        }
    )


def _network_of(model: keras.Model) -> Network:
    names = {layer.name: layer for layer in model.layers}
    head = names.get("quantiles")
    if not isinstance(head, QuantileHead):
        raise ValueError(
            must_be("models", "built with n_levels", model.name, "Only quantiles are served.")
        )
    return Network(
        n_features=model.get_layer("sequence").output.shape[-1],
        n_targets=head.n_targets,
        n_levels=head.n_levels,
        recurrent=tuple(layer.units for layer in _numbered(names, "lstm")),
        bidirectional="lstm_backward_1" in names,
        dense=tuple(layer.units for layer in _numbered(names, "dense")),
        skip="skip" in names,
    )


def _numbered(names: dict[str, Any], kind: str) -> list[Any]:
    """Layers `kind`_1, `kind`_2, ... as `architectures.build` names them."""
    found: list[Any] = []
    while (layer := names.get(f"{kind}_{len(found) + 1}")) is not None:
        found.append(layer)
    return found


def _collect(models: Sequence[keras.Model], network: Network, lstm_weights: Any) -> Weights:
    weights: Weights = {}
    for seed, model in enumerate(models):
        for i in range(1, len(network.recurrent) + 1):
            weights |= lstm_weights(model, f"s{seed}_", i, network.bidirectional)
        dense = [f"dense_{i}" for i in range(1, len(network.dense) + 1)]
        for name in (*dense, "output"):
            kernel, bias = model.get_layer(name).get_weights()
            weights |= {f"s{seed}_{name}_W": kernel, f"s{seed}_{name}_b": bias}
    return weights


def _operator_weights(model: keras.Model, prefix: str, i: int, bidirectional: bool) -> Weights:
    """W, R and B of ONNX's LSTM operator, directions stacked."""
    directions = ("lstm", "lstm_backward") if bidirectional else ("lstm",)
    layers = [model.get_layer(f"{direction}_{i}").get_weights() for direction in directions]
    kernels, recurrents, biases = zip(*layers, strict=True)
    return {
        f"{prefix}lstm_{i}_W": np.stack([_gates(k, "iofc").T for k in kernels]),
        f"{prefix}lstm_{i}_R": np.stack([_gates(r, "iofc").T for r in recurrents]),
        f"{prefix}lstm_{i}_B": np.stack(
            [np.concatenate([_gates(b, "iofc"), np.zeros_like(b)]) for b in biases]
        ),
    }


def _cell_weights(model: keras.Model, prefix: str, i: int, _: bool) -> Weights:
    """Kernel and bias of one cell of the one-step graph."""
    kernel, recurrent, bias = model.get_layer(f"lstm_{i}").get_weights()
    return {
        f"{prefix}lstm_{i}_K": _gates(np.concatenate([kernel, recurrent]), "ifoc"),
        f"{prefix}lstm_{i}_b": _gates(bias, "ifoc"),
    }


def _gates(array: Float32, order: str) -> Float32:
    """Bring the gates on the last axis from Keras' order i, f, c, o into another one."""
    parts = dict(zip("ifco", np.split(array, 4, axis=-1), strict=True))
    return np.concatenate([parts[gate] for gate in order], axis=-1)
