"""The numbers of a model folder: right count, finite, in the declared order; nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from small_model import random_layers

from oracle.errors import ArtifactCorrupt
from oracle.model.network import Ensemble, Network
from oracle.model.recurrent import Recurrent
from oracle.model.weights import pack, unpack

SMALL = Network(trunk=Recurrent(units=(3,)), dense=(2,))
BOTH = Network(trunk=Recurrent(units=(2, 3), bidirectional=True), dense=())
ENSEMBLE = Ensemble(n_features=4, networks=(SMALL, BOTH))


def test_the_order_is_declared() -> None:
    first, second = ENSEMBLE.layers()
    assert list(first.items()) == [
        ("lstm_1", ((4, 12), (3, 12), (12,))),
        ("dense_1", ((3, 2), (2,))),
        ("output", ((2, 27), (27,))),
    ]
    assert list(second) == ["lstm_1", "lstm_backward_1", "lstm_2", "lstm_backward_2", "output"]
    assert second["lstm_backward_2"] == ((4, 12), (3, 12), (12,))
    weights = random_layers(ENSEMBLE)
    flat = [a.ravel() for layers in weights for arrays in layers.values() for a in arrays]
    assert pack(ENSEMBLE, weights) == np.concatenate(flat).astype("<f4").tobytes()


def test_read_back() -> None:
    weights = random_layers(ENSEMBLE)
    data = pack(ENSEMBLE, weights)
    read = unpack(ENSEMBLE, data)
    assert pack(ENSEMBLE, read) == data
    for before, after in zip(weights, read, strict=True):
        assert list(before) == list(after)
        for name in before:
            for a, b in zip(before[name], after[name], strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("extra", [-4, -1, 1, 4])
def test_another_length_is_refused(extra: int) -> None:
    data = pack(ENSEMBLE, random_layers(ENSEMBLE))
    other = data[:extra] if extra < 0 else data + bytes(extra)
    with pytest.raises(ArtifactCorrupt, match=f"must be {len(data)} bytes"):
        unpack(ENSEMBLE, other)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 77, -1])
def test_what_is_not_finite_is_refused(value: float, place: int) -> None:
    numbers = np.frombuffer(pack(ENSEMBLE, random_layers(ENSEMBLE)), "<f4").copy()
    numbers[place] = value
    with pytest.raises(ArtifactCorrupt, match=f"at place {place % len(numbers)}"):
        unpack(ENSEMBLE, numbers.tobytes())


def test_the_largest_network_is_refused_before_any_room_is_made_for_it() -> None:
    huge = Network(trunk=Recurrent(units=(1024,) * 8, bidirectional=True), dense=(1024,) * 8)
    with pytest.raises(ArtifactCorrupt, match="bytes"):
        unpack(Ensemble(n_features=512, networks=(huge,) * 32), bytes(4096))


def test_other_layers_or_shapes_are_not_written() -> None:
    weights = random_layers(ENSEMBLE)
    weights[1]["output"][1] = weights[1]["output"][1][:-1]
    with pytest.raises(ValueError, match="weights"):
        pack(ENSEMBLE, weights)
    del weights[1]["output"]
    with pytest.raises(ValueError, match="weights"):
        pack(ENSEMBLE, weights)
    with pytest.raises(ValueError, match="weights"):
        pack(ENSEMBLE, weights[:1])
