"""Gates, cell and hidden states of a network over the steps of one sequence.

They are computed anew in NumPy from the network's weights, so that a served oracle, which has no
Keras, shows them as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from oracle.errors import InvalidSeries, must_be
from oracle.model.network import Layers, Network
from oracle.model.recurrent import Recurrent as Trunk
from oracle.sequences.cells import Floats, GruTrace, LstmTrace, RnnTrace, gru, lstm, rnn
from oracle.sequences.numpy_lstm import NumpyLstm

Cell = Literal["lstm", "gru", "rnn"]


class Weights(NamedTuple):
    """Of one direction of one recurrent layer, as `oracle.sequences.cells` wants them."""

    kernel: Floats
    recurrent: Floats
    bias: Floats


@dataclass(frozen=True)
class Recurrent:
    """One recurrent layer; `backward` reads the sequence from its end."""

    cell: Cell
    forward: Weights
    backward: Weights | None = None


class LayerStates(NamedTuple):
    """What one layer did.

    Attributes:
        name: e.g. "lstm 1" or "lstm 1, backward".
        parts: gate or state -> [time, unit]; what is called a gate lies between shut (0) and open
            (1), `candidate`, `cell` and `hidden` have a sign.
    """

    name: str
    parts: dict[str, Floats]


_GATES = ("input", "forget", "output", "update", "reset")
_RUN: dict[Cell, Callable[..., LstmTrace | GruTrace | RnnTrace]] = {
    "lstm": lstm,
    "gru": gru,
    "rnn": rnn,
}


def layers_of(model: NumpyLstm) -> list[Recurrent]:
    """The one layer of a NumPy LSTM."""
    p = model.parameters
    return [Recurrent("lstm", Weights(p["kernel"], p["recurrent"], p["bias"]))]


def layers_in(network: Network, weights: Layers) -> list[Recurrent]:
    """The recurrent layers of a network of the registry.

    Args:
        network: its shape.
        weights: layer -> its arrays, as Keras keeps them.

    Raises:
        InvalidSeries: its trunk has no recurrent layers, so no states either.
    """
    trunk = network.trunk
    if not isinstance(trunk, Trunk):
        raise InvalidSeries(must_be("states", "asked of recurrent layers", str(trunk)))
    found = []
    for i in range(1, len(trunk.units) + 1):
        forward, *backward = (Weights(*weights[name]) for name in trunk.names(i))
        found.append(Recurrent(trunk.kind, forward, *backward))
    return found


def states_of(layers: Sequence[Recurrent], sequence: Floats) -> list[LayerStates]:
    """Run a stack of layers over one sequence [time, feature]; dropout plays no part.

    Each layer reads the hidden states of the one before, of both directions where there are two.
    """
    found = []
    x = np.asarray(sequence, layers[0].forward.kernel.dtype)
    for number, layer in enumerate(layers, 1):
        name = f"{layer.cell} {number}"
        forward = _parts(layer.cell, layer.forward, x)
        found.append(LayerStates(name, forward))
        after = forward["hidden"]
        if layer.backward is not None:
            # Its steps are told in the order of the sequence, though it read them from the end.
            backward = {
                part: values[::-1]
                for part, values in _parts(layer.cell, layer.backward, x[::-1]).items()
            }
            found.append(LayerStates(f"{name}, backward", backward))
            after = np.concatenate([after, backward["hidden"]], axis=1)
        x = after
    return found


def _parts(cell: Cell, weights: Weights, x: Floats) -> dict[str, Floats]:
    trace: LstmTrace | GruTrace | RnnTrace = _RUN[cell](x[None], *weights)
    return {
        f"{part} gate" if part in _GATES else part: values[:, 0]
        for part, values in trace._asdict().items()
        if part != "squashed"
    }
