"""A computation as data: what `oracle.model.onnx_file` writes for ONNX Runtime to run.

Nothing here knows what a network is; `oracle.model.network` says which nodes one has.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

#: Operators as of this ONNX operator set; pinned so that a graph means the same for ever.
OPSET = 17


@dataclass(frozen=True)
class Node:
    """One operator; `attributes` are integers, lists of integers or text."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[tuple[str, int | str | tuple[int, ...]], ...] = ()


@dataclass(frozen=True)
class Value:
    """An input or output of the graph; a text dimension is free."""

    dtype: str
    dims: tuple[int | str, ...]


@dataclass
class Graph:
    """Nodes in the order they run, and what they need.

    Attributes:
        name: of the graph.
        inputs, outputs: name -> type and shape.
        nodes: in order.
        constants: name -> array that is the same for every network of this shape.
        weights: name -> trained float32 array, laid out as the operators want it.
    """

    name: str
    inputs: dict[str, Value]
    outputs: dict[str, Value]
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    weights: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    _made: set[str] = field(default_factory=set)

    def add(
        self,
        op: str,
        inputs: tuple[str, ...],
        *outputs: str,
        **attributes: int | str | tuple[int, ...],
    ) -> str:
        """Append a node and return its last output's name; what is there already is shared."""
        if outputs[-1] not in self._made:
            self._made.add(outputs[-1])
            self.nodes.append(Node(op, inputs, outputs, tuple(sorted(attributes.items()))))
        return outputs[-1]

    def weight(self, name: str, array: npt.NDArray[np.float32]) -> str:
        """Enter a trained array."""
        self.weights[name] = array
        return name

    def integers(self, *values: int) -> str:
        """Enter a constant list of integers, such as a shape or axes."""
        name = "int_" + "_".join(str(v).replace("-", "m") for v in values)
        self.constants[name] = np.array(values, np.int64)
        return name
