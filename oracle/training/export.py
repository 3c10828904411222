"""Trained Keras models <-> the numbers that a model folder holds.

Layers are found by their names, their arrays are kept as Keras keeps them: an architecture of
another kind needs nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt

from oracle.model.artifact import Artifact
from oracle.model.manifest import Golden
from oracle.model.network import Ensemble
from oracle.model.weights import pack, unpack
from oracle.training.architectures import Architecture, build

Float32 = npt.NDArray[np.float32]


def weights_of(models: Sequence[keras.Model], ensemble: Ensemble) -> bytes:
    """Write the weights of trained models, one for each network of the ensemble.

    Raises:
        ValueError: if a model has no such layers, or arrays of another shape.
    """
    return pack(
        ensemble,
        [
            {name: model.get_layer(name).get_weights() for name in layers}
            for model, layers in zip(models, ensemble.layers(), strict=True)
        ],
    )


def models_of(artifact: Artifact) -> list[keras.Model]:
    """Read an artifact's weights back into Keras models, one for each of its networks."""
    ensemble = artifact.manifest.ensemble
    models = []
    for network, weights in zip(ensemble.networks, unpack(ensemble, artifact.weights), strict=True):
        model = build(
            Architecture(network), ensemble.n_features, ensemble.n_targets, ensemble.n_levels
        )
        for name, arrays in weights.items():
            model.get_layer(name).set_weights(arrays)
        models.append(model)
    return models


def forecast(models: Sequence[keras.Model], sequence: Float32, length: npt.ArrayLike) -> Float32:
    """Answer by Keras itself, the mean over `models`: what is served must agree with it.

    Args:
        models: of one ensemble; those that forecast at every step may be among them.
        sequence: [batch, time, feature], scaled, padded on the right.
        length: [batch] real steps.

    Returns:
        [batch, target, level].
    """
    inputs = {"sequence": sequence, "length": np.asarray(length, np.int32)}
    answers = [np.asarray(model(inputs, training=False)) for model in models]
    last = np.arange(len(sequence)), np.asarray(length) - 1
    answers = [a[last] if a.ndim == 4 else a for a in answers]  # [batch, time, target, level]
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
