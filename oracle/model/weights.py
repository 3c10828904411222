"""The trained numbers of a model folder: float32, little-endian, network by network in the order
of `oracle.model.network.Ensemble.layers`, each array as Keras keeps it, and nothing between them.

Numbers are all that a file of them can hold: read with their count and finiteness checked, they
can make a forecast bad, and do nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import prod

import numpy as np

from oracle.errors import ArtifactCorrupt, must_be
from oracle.model.network import Ensemble, Layers
from oracle.model.recurrent import Float32

_DTYPE = np.dtype("<f4")
_ADVICE = "Train or fetch the artifact again."


def pack(ensemble: Ensemble, weights: Sequence[Layers]) -> bytes:
    """Write the arrays of every network.

    Raises:
        ValueError: if layers or shapes are not those that the ensemble declares.
    """
    declared = ensemble.layers()
    found = [{name: tuple(a.shape for a in arrays) for name, arrays in w.items()} for w in weights]
    if found != declared:
        raise ValueError(must_be("weights", f"shaped {declared}", found))
    return b"".join(
        np.asarray(array, _DTYPE).tobytes()
        for names, layers in zip(declared, weights, strict=True)
        for name in names
        for array in layers[name]
    )


def unpack(ensemble: Ensemble, data: bytes, file: str = "weights") -> list[Layers]:
    """Read what `pack` wrote.

    Args:
        ensemble: what the numbers are of.
        data: the file.
        file: how messages call it.

    Raises:
        ArtifactCorrupt: where their count is not the ensemble's, or one is not finite.
    """
    declared = ensemble.layers()
    shapes = chain.from_iterable(chain.from_iterable(layers.values()) for layers in declared)
    size = sum(map(prod, shapes)) * _DTYPE.itemsize  # before any room is made for them
    if len(data) != size:
        rule = f"{size} bytes, as the networks of its manifest need"
        raise ArtifactCorrupt(must_be(file, rule, len(data), _ADVICE))
    numbers = np.frombuffer(data, _DTYPE).astype(np.float32, copy=False)
    if not np.isfinite(numbers).all():
        bad = int(np.flatnonzero(~np.isfinite(numbers))[0])
        rule = "finite numbers"
        raise ArtifactCorrupt(must_be(file, rule, f"{numbers[bad]} at place {bad}", _ADVICE))
    at, read = 0, list[Layers]()
    for layers in declared:
        arrays = dict[str, list[Float32]]()
        for name, shapes_of in layers.items():
            arrays[name] = []
            for shape in shapes_of:
                arrays[name].append(numbers[at : at + prod(shape)].reshape(shape))
                at += prod(shape)
        read.append(arrays)
    return read
