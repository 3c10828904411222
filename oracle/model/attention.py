"""Causal self-attention over the checkpoints: its arrays as Keras keeps them, its nodes in ONNX.

Blocks of attention and a hidden layer, each around a residual, norms first (Vaswani et al. 2017,
doi:10.48550/arXiv.1706.03762; Xiong et al. 2020, doi:10.48550/arXiv.2002.04745). Every row sees
itself and earlier ones only: padding on the right changes nothing, one pass trains every prefix,
and a run can be followed checkpoint by checkpoint. Where a row stands is among its features
(index and progress), so that positions need no code of their own.

What the last row weighs each earlier one by, on average over the heads of the last block, is an
output of the graph: which checkpoints the network looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from oracle.errors import must_be
from oracle.model.graph import Graph
from oracle.model.recurrent import Float32, Shape, Units
from oracle.types import Frozen

#: Added to the scores of later rows: nothing of them is left after the softmax.
FAR = -1e9
#: Added to the variance under a norm, as ONNX has it by default.
EPSILON = 1e-5
#: Units of a block's hidden layer over those of the trunk.
WIDER = 2


class Attention(Frozen):
    """Blocks of causal attention that read a sequence to its last real step.

    Attributes:
        kind: attention.
        units: width of every row.
        heads: that share the units.
        blocks: one upon the other.
    """

    kind: Literal["attention"]
    units: Units
    heads: Annotated[int, Field(strict=True, ge=1, le=16)] = 4
    blocks: Annotated[int, Field(strict=True, ge=1, le=8)] = 2

    @model_validator(mode="after")
    def _heads_share(self) -> Self:
        if self.units % self.heads:
            raise ValueError(must_be("units", f"a multiple of heads ({self.heads})", self.units))
        return self

    def __str__(self) -> str:
        return f"attention {self.units} x {self.blocks}, {self.heads} heads"

    @property
    def causal(self) -> bool:
        """Each step depends on earlier ones only, so that one pass trains every prefix."""
        return True

    @property
    def width(self) -> int:
        """Numbers that it hands on."""
        return self.units

    def layers(self, width: int) -> Iterator[tuple[str, tuple[Shape, ...]]]:
        """Name each layer and the shapes of its arrays, in the order of the weights.

        Args:
            width: numbers of each step that it is fed.
        """
        d, wide = self.units, WIDER * self.units
        yield "attention_in", ((width, d), (d,))
        for i in range(1, self.blocks + 1):
            yield f"attention_norm_{i}", ((d,), (d,))
            yield f"attention_{i}", ((d, d), (d, d), (d, d), (d, d), (d,))
            yield f"hidden_norm_{i}", ((d,), (d,))
            yield f"hidden_in_{i}", ((d, wide), (wide,))
            yield f"hidden_out_{i}", ((wide, d), (d,))
        yield "attention_norm", ((d,), (d,))

    def add_to(self, graph: Graph, prefix: str, weights: Mapping[str, Sequence[Float32]]) -> str:
        """Add the nodes from "sequence" and "length" to [batch, width], the last real step.

        Args:
            graph: that gets them.
            prefix: of their names.
            weights: layer -> its arrays, shaped as `layers` says.
        """
        mask, last = _mask(graph), _last_index(graph)
        x = _dense(graph, prefix, "attention_in", "sequence", weights)
        for i in range(1, self.blocks + 1):
            seen = _norm(graph, prefix, f"attention_norm_{i}", x, weights)
            seen = self._attend(graph, prefix, f"attention_{i}", seen, mask, weights)
            x = graph.add("Add", (x, seen), f"{prefix}attended_{i}")
            hidden = _norm(graph, prefix, f"hidden_norm_{i}", x, weights)
            hidden = _dense(graph, prefix, f"hidden_in_{i}", hidden, weights)
            hidden = graph.add("Relu", (hidden,), f"{prefix}hidden_relu_{i}")
            hidden = _dense(graph, prefix, f"hidden_out_{i}", hidden, weights)
            x = graph.add("Add", (x, hidden), f"{prefix}block_{i}")
        x = _norm(graph, prefix, "attention_norm", x, weights)
        each = f"{prefix}attention_{self.blocks}_weights"
        each = graph.add("ReduceMean", (each,), f"{each}_mean", axes=(1,), keepdims=0)
        graph.add("GatherND", (each, last), f"{prefix}attention", batch_dims=1)
        return graph.add("GatherND", (x, last), f"{prefix}trunk", batch_dims=1)

    def _attend(
        self,
        graph: Graph,
        prefix: str,
        name: str,
        x: str,
        mask: str,
        weights: Mapping[str, Sequence[Float32]],
    ) -> str:
        """[batch, time, unit] -> the same; the weights are left as [batch, head, time, time]."""
        query, key, value, out, bias = weights[name]
        size = self.units // self.heads
        name = prefix + name
        split = graph.integers(0, 0, self.heads, size)  # 0 keeps a size

        def heads(part: str, kernel: Float32, perm: tuple[int, ...]) -> str:
            y = graph.add("MatMul", (x, graph.weight(f"{name}_{part}_W", kernel)), f"{name}_{part}")
            y = graph.add("Reshape", (y, split), f"{name}_{part}_split")
            return graph.add("Transpose", (y,), f"{name}_{part}_heads", perm=perm)

        q = heads("query", (query / np.sqrt(size)).astype(np.float32), (0, 2, 1, 3))
        k = heads("key", key, (0, 2, 3, 1))
        v = heads("value", value, (0, 2, 1, 3))
        scores = graph.add("MatMul", (q, k), f"{name}_scores")
        scores = graph.add("Add", (scores, mask), f"{name}_causal")
        shares = graph.add("Softmax", (scores,), f"{name}_weights")
        y = graph.add("MatMul", (shares, v), f"{name}_read")
        y = graph.add("Transpose", (y,), f"{name}_rows", perm=(0, 2, 1, 3))
        y = graph.add("Reshape", (y, graph.integers(0, 0, self.units)), f"{name}_joined")
        y = graph.add("MatMul", (y, graph.weight(f"{name}_out_W", out)), f"{name}_out")
        return graph.add("Add", (y, graph.weight(f"{name}_out_b", bias)), f"{name}_y")


def _mask(graph: Graph) -> str:
    """[time, time]: 0 for a row and those before it, FAR after it; once for all networks."""
    shape = graph.add("Shape", ("sequence",), "shape")
    where = (graph.integers(1), graph.integers(2), graph.integers(0))
    time = graph.add("Slice", (shape, *where), "time")
    square = graph.add("Concat", (time, time), "square", axis=0)
    graph.constants["far"] = np.full((1, 1), FAR, np.float32)
    everywhere = graph.add("Expand", ("far", square), "far_everywhere")
    graph.constants["one_up"] = np.array(1, np.int64)
    return graph.add("Trilu", (everywhere, "one_up"), "causal", upper=1)


def _last_index(graph: Graph) -> str:
    """[batch, 1] index of the last real step; once for all networks."""
    graph.constants["one"] = np.array([1], np.int32)
    last = graph.add("Sub", ("length", "one"), "last_32")
    last = graph.add("Cast", (last,), "last", to=7)  # int64, as GatherND wants it
    return graph.add("Reshape", (last, graph.integers(-1, 1)), "last_index")


def _dense(
    graph: Graph, prefix: str, name: str, x: str, weights: Mapping[str, Sequence[Float32]]
) -> str:
    kernel, bias = weights[name]
    name = prefix + name
    x = graph.add("MatMul", (x, graph.weight(f"{name}_W", kernel)), f"{name}_xW")
    return graph.add("Add", (x, graph.weight(f"{name}_b", bias)), f"{name}_z")


def _norm(
    graph: Graph, prefix: str, name: str, x: str, weights: Mapping[str, Sequence[Float32]]
) -> str:
    scale, bias = weights[name]
    name = prefix + name
    inputs = (x, graph.weight(f"{name}_W", scale), graph.weight(f"{name}_b", bias))
    return graph.add("LayerNormalization", inputs, f"{name}_y")  # the last axis, EPSILON
