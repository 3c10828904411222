"""The networks of a model: their shapes, the order of their weights, the graph that is served.

Each network is a trunk that reads the sequence to its last real step, hidden dense layers, and a
head of quantiles that cannot cross. Several stand side by side in one graph, seeds of one shape
or networks of different ones, and it answers their mean.

Another kind of trunk is a class like `oracle.model.recurrent.Recurrent`, named in `Trunk`, and
its Keras layers in `oracle.training.architectures`; nothing else knows one kind from another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Discriminator, Field, Tag

from oracle.model.attention import Attention
from oracle.model.graph import Graph, Value
from oracle.model.recurrent import Float32, Recurrent, Shape, Units
from oracle.types import HEAD_LEVELS, TARGETS, UNION_TAG, Frozen


def _kind(given: Any) -> str:
    kind = given.get("kind") if isinstance(given, dict) else getattr(given, "kind", None)
    return UNION_TAG + ("attention" if kind == "attention" else "recurrent")


#: What reads the sequence; `kind` tells one from another.
Trunk = Annotated[
    Annotated[Recurrent, Tag(UNION_TAG + "recurrent")]
    | Annotated[Attention, Tag(UNION_TAG + "attention")],
    Discriminator(_kind),
]

#: Layer -> its arrays, as Keras keeps them.
Layers = Mapping[str, Sequence[Float32]]


class Network(Frozen):
    """Shape of one trained network; bounds keep any such network small.

    Attributes:
        trunk: what reads the sequence.
        dense: units of each hidden dense layer, ReLU.
    """

    trunk: Trunk
    dense: tuple[Units, ...] = Field(max_length=8)

    def __str__(self) -> str:
        dense = f", dense {'-'.join(map(str, self.dense))}" if self.dense else ""
        return f"{self.trunk}{dense}"

    def layers(self, n_features: int, n_outputs: int) -> Iterator[tuple[str, tuple[Shape, ...]]]:
        """Name each layer and the shapes of its arrays, in the order of the weights."""
        yield from self.trunk.layers(n_features)
        width = self.trunk.width
        for name, units in (*_numbered(self.dense), ("output", n_outputs)):
            yield name, ((width, units), (units,))
            width = units


class Ensemble(Frozen):
    """Shape of what one artifact serves: networks with the same inputs, whose mean it answers.

    Attributes:
        n_features: input features a step.
        n_targets: values forecast.
        n_levels: quantiles of each target, odd.
        networks: those averaged.
    """

    n_features: Annotated[int, Field(strict=True, ge=1, le=512)]
    n_targets: Annotated[int, Field(strict=True, ge=1, le=16)] = len(TARGETS)
    n_levels: Annotated[int, Field(strict=True, ge=1, le=99)] = len(HEAD_LEVELS)
    networks: tuple[Network, ...] = Field(min_length=1, max_length=32)

    @property
    def attends(self) -> bool:
        """Whether it tells which rows it looked at: all of its networks do."""
        return all(isinstance(network.trunk, Attention) for network in self.networks)

    def layers(self) -> list[dict[str, tuple[Shape, ...]]]:
        """For each network: layer -> shapes of its arrays, in the order of the weights."""
        n_outputs = self.n_targets * self.n_levels
        return [dict(network.layers(self.n_features, n_outputs)) for network in self.networks]


def graph_of(ensemble: Ensemble, weights: Sequence[Layers]) -> Graph:
    """Make the graph: sequence [batch, time, feature] and length [batch] -> quantiles.

    Networks that attend tell "attention" [batch, time], too: what the last real step weighs each.

    Args:
        ensemble: shape of the networks.
        weights: of each network, shaped as `Ensemble.layers` says.
    """
    graph = Graph(
        "oracle",
        {
            "sequence": Value("float32", ("batch", "time", ensemble.n_features)),
            "length": Value("int32", ("batch",)),
        },
        {"quantiles": Value("float32", ("batch", ensemble.n_targets, ensemble.n_levels))},
    )
    answers = []
    for i, (network, layers) in enumerate(zip(ensemble.networks, weights, strict=True)):
        prefix = f"s{i}_"
        x = network.trunk.add_to(graph, prefix, layers)
        for name, _ in _numbered(network.dense):
            x = _affine(graph, f"{prefix}{name}", x, layers[name])
            x = graph.add("Relu", (x,), f"{prefix}{name.replace('dense', 'relu')}")
        x = _affine(graph, f"{prefix}output", x, layers["output"])
        answers.append(_head(graph, ensemble, prefix, x))
    # Mean of one is a copy: the same graph shape for any number of networks.
    graph.add("Mean", tuple(answers), "quantiles")
    if ensemble.attends:
        each = tuple(f"s{i}_attention" for i in range(len(weights)))
        graph.add("Mean", each, "attention")
        graph.outputs["attention"] = Value("float32", ("batch", "time"))
    return graph


def _numbered(dense: tuple[int, ...]) -> list[tuple[str, int]]:
    return [(f"dense_{i}", units) for i, units in enumerate(dense, 1)]


def _affine(graph: Graph, name: str, x: str, arrays: Sequence[Float32]) -> str:
    kernel, bias = (graph.weight(f"{name}_{k}", a) for k, a in zip("Wb", arrays, strict=True))
    return graph.add("Gemm", (x, kernel, bias), f"{name}_z")


def _head(graph: Graph, ensemble: Ensemble, prefix: str, x: str) -> str:
    """[batch, target * level] -> [batch, target, level], non-crossing."""
    shape = graph.integers(0, ensemble.n_targets, ensemble.n_levels)
    raw = graph.add("Reshape", (x, shape), f"{prefix}raw")
    middle = ensemble.n_levels // 2
    where = (graph.integers(middle), graph.integers(middle + 1), graph.integers(2))
    median = graph.add("Slice", (raw, *where), f"{prefix}median")
    graph.constants["outward"] = outward_steps(ensemble.n_levels)
    steps = graph.add("Softplus", (raw,), f"{prefix}steps")
    outward = graph.add("MatMul", (steps, "outward"), f"{prefix}outward")
    return graph.add("Add", (median, outward), f"{prefix}quantiles")


def outward_steps(n_levels: int) -> npt.NDArray[np.float32]:
    """Build the matrix that sums non-negative steps outward from the median.

    `median + steps @ outward_steps(n)` is non-decreasing along its last axis for every
    `steps >= 0`, rounding included: each quantile adds one more step of the same sign to its
    neighbour nearer the median. The median's own row is zero.

    Args:
        n_levels: number of levels, odd, so that the middle one is the median.

    Returns:
        [level, level] of -1, 0 and 1.

    Raises:
        ValueError: if `n_levels` is even or less than 1.

    >>> outward_steps(5).astype(int)
    array([[-1,  0,  0,  0,  0],
           [-1, -1,  0,  0,  0],
           [ 0,  0,  0,  0,  0],
           [ 0,  0,  0,  1,  1],
           [ 0,  0,  0,  0,  1]])
    """
    if n_levels < 1 or n_levels % 2 == 0:
        raise ValueError(f"`n_levels` must be odd and positive, but got {n_levels}.")
    middle = n_levels // 2
    step, level = np.indices((n_levels, n_levels))
    below = (step < middle) & (level <= step)
    above = (step > middle) & (level >= step)
    return above.astype(np.float32) - below.astype(np.float32)
