"""Recurrent layers, one upon the other: their arrays as Keras keeps them, their nodes in ONNX.

ONNX's recurrent operators, given sequence_lens, take their last output, and begin their backward
pass, at the last real step: padding changes nothing (`oracle.training.architectures` has Keras'
side). They want other layouts than Keras keeps:

- Keras keeps a layer's kernels as [in, gates * units]; ONNX wants [gates * units, in], directions
  stacked, and gates in another order;
- ONNX wants two biases, of the input and of the recurrent part, where Keras has their sum (but for
  the GRU, whose reset gate acts between them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from oracle.model.graph import Graph
from oracle.types import Frozen

Float32 = npt.NDArray[np.float32]
Shape = tuple[int, ...]

Units = Annotated[int, Field(strict=True, ge=1, le=1024)]


@dataclass(frozen=True)
class _Cell:
    """One kind of recurrent layer: ONNX's operator, and the gates in Keras' and in ONNX' order.

    Attributes:
        op: operator.
        gates, onnx_gates: one letter a gate.
        biases: 2 where Keras keeps those of the input and of the recurrent part apart.
        attributes: of the operator, that make it compute what Keras does.
    """

    op: str
    gates: str
    onnx_gates: str
    biases: int = 1
    attributes: tuple[tuple[str, int], ...] = ()

    def shapes(self, width: int, units: int) -> tuple[Shape, ...]:
        """Kernel, recurrent kernel and bias as Keras keeps them."""
        gates = len(self.gates) * units
        return (width, gates), (units, gates), (gates,) if self.biases == 1 else (2, gates)

    def onnx_bias(self, bias: Float32) -> Float32:
        """Keras' bias -> those of the input and of the recurrent part in one row."""
        bias = self.reordered(bias)
        return bias.ravel() if self.biases == 2 else np.append(bias, np.zeros_like(bias))

    def reordered(self, array: Float32) -> Float32:
        """Bring the gates on the last axis from Keras' order into ONNX'."""
        parts = dict(zip(self.gates, np.split(array, len(self.gates), axis=-1), strict=True))
        return np.concatenate([parts[gate] for gate in self.onnx_gates], axis=-1)


#: A further cell is a row here and in `oracle.training.architectures`.
_CELLS = {
    "lstm": _Cell("LSTM", "ifco", "iofc"),
    "gru": _Cell("GRU", "zrh", "zrh", biases=2, attributes=(("linear_before_reset", 1),)),
    "rnn": _Cell("RNN", "h", "h"),
}


class Recurrent(Frozen):
    """Recurrent layers that read a sequence to its last real step.

    Attributes:
        kind: of the cells.
        units: of each layer (of each direction, where bidirectional).
        bidirectional: whether every layer also reads backward.
    """

    kind: Literal["lstm", "gru", "rnn"] = "lstm"
    units: tuple[Units, ...] = Field(min_length=1, max_length=8)
    bidirectional: bool = False

    def __str__(self) -> str:
        units = "-".join(map(str, self.units))
        return f"{_CELLS[self.kind].op} {units}" + (" both ways" if self.bidirectional else "")

    @property
    def causal(self) -> bool:
        """Whether each step depends on earlier ones only, so that one pass trains every prefix."""
        return not self.bidirectional

    @property
    def width(self) -> int:
        """Numbers that it hands on."""
        return self.units[-1] * self._directions

    def layers(self, width: int) -> Iterator[tuple[str, tuple[Shape, ...]]]:
        """Name each layer and the shapes of its arrays, in the order of the weights.

        Args:
            width: numbers of each step that it is fed.
        """
        for i, units in enumerate(self.units, 1):
            for name in self.names(i):
                yield name, _CELLS[self.kind].shapes(width, units)
            width = units * self._directions

    def names(self, i: int) -> tuple[str, ...]:
        """What Keras' layers of level `i` are called, forward first."""
        both = (f"{self.kind}_{i}", f"{self.kind}_backward_{i}")
        return both[: self._directions]

    def add_to(self, graph: Graph, prefix: str, weights: Mapping[str, Sequence[Float32]]) -> str:
        """Add the nodes from "sequence" and "length" to [batch, width], the last real step.

        Args:
            graph: that gets them.
            prefix: of their names.
            weights: layer -> its arrays, shaped as `layers` says.
        """
        # [batch, time, feature] -> [time, batch, feature], once for all networks of a graph
        x = graph.add("Transpose", ("sequence",), "steps", perm=(1, 0, 2))
        for i, units in enumerate(self.units, 1):
            x = self._layer(graph, f"{prefix}{self.kind}_{i}", x, units, i == len(self.units),
                            [weights[name] for name in self.names(i)])  # fmt: skip
        return x

    def _layer(
        self,
        graph: Graph,
        name: str,
        x: str,
        units: int,
        last: bool,
        directions: Sequence[Sequence[Float32]],
    ) -> str:
        """[time, batch, in] -> [time, batch, directions * units], or [batch, ...] for the last."""
        cell, n = _CELLS[self.kind], self._directions
        kernels, recurrents, biases = zip(*directions, strict=True)
        inputs = (
            x,
            graph.weight(f"{name}_W", np.stack([cell.reordered(a).T for a in kernels])),
            graph.weight(f"{name}_R", np.stack([cell.reordered(a).T for a in recurrents])),
            graph.weight(f"{name}_B", np.stack([cell.onnx_bias(a) for a in biases])),
            "length",
        )
        # Outputs: Y [time, directions, batch, units]; Y_h [directions, batch, units], the state
        # after the last real step (of each direction's own reading).
        outputs = ("", f"{name}_h") if last else (f"{name}_y",)
        direction = "bidirectional" if self.bidirectional else "forward"
        y = graph.add(
            cell.op,
            inputs,
            *outputs,
            direction=direction,
            hidden_size=units,
            **dict(cell.attributes),
        )
        y = graph.add("Transpose", (y,), f"{name}_t", perm=(1, 0, 2) if last else (0, 2, 1, 3))
        shape = (0, n * units) if last else (0, 0, n * units)  # 0 keeps a size
        return graph.add("Reshape", (y, graph.integers(*shape)), f"{name}_out")

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1
