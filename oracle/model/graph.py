"""The served computation as data: every node of the ONNX graph, for any network we train.

`oracle.training.export` writes this description to ONNX; `oracle.model.onnx_file` parses an ONNX
file and accepts it only when it equals this description node for node. So a model file holds
numbers and nothing else: whoever wrote it, it can compute nothing that is not below.

Two graphs exist for a network:

- `forward_graph`: sequence [batch, time, feature] and length [batch] -> quantiles;
- `step_graph`: one row [batch, feature] and a state [batch, n_state] -> quantiles and the next
  state, for unidirectional trunks. It costs the same at every checkpoint.

Several seeds' networks stand side by side in one graph, which answers their mean. Each sees the
padding as `oracle.training.architectures` says: ONNX's LSTM with sequence_lens takes its last
output, and begins its backward pass, at the last real step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from oracle.types import HEAD_LEVELS, Frozen

#: Operators as of this ONNX operator set; pinned so that a file means the same for ever.
OPSET = 17

Units = Annotated[int, Field(strict=True, ge=1, le=1024)]


class Network(Frozen):
    """Shape of the trained networks of one artifact; bounds keep any such file small.

    Attributes:
        n_features: input features a step.
        n_targets: values forecast.
        n_levels: quantiles of each target, odd.
        recurrent: units of each LSTM (of each direction, where bidirectional).
        bidirectional: whether every LSTM also reads backward.
        dense: units of each hidden dense layer.
        skip: whether the dense layers also see the last row of features.
        n_seeds: networks averaged.
    """

    n_features: Annotated[int, Field(strict=True, ge=1, le=512)]
    n_targets: Annotated[int, Field(strict=True, ge=1, le=16)] = 3
    n_levels: Annotated[int, Field(strict=True, ge=1, le=99)] = len(HEAD_LEVELS)
    recurrent: tuple[Units, ...] = Field(min_length=1, max_length=8)
    bidirectional: bool = False
    dense: tuple[Units, ...] = Field(max_length=8)
    skip: bool = False
    n_seeds: Annotated[int, Field(strict=True, ge=1, le=32)] = 1

    @property
    def n_state(self) -> int:
        """Numbers of state a row: hidden and cell of every LSTM of every seed."""
        return 2 * sum(self.recurrent) * self.n_seeds


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
        weights: name -> shape of every trained float32 array.
        constants: name -> array that is the same in every file of this network.
    """

    name: str
    inputs: dict[str, Value]
    outputs: dict[str, Value]
    nodes: list[Node] = field(default_factory=list)
    weights: dict[str, tuple[int, ...]] = field(default_factory=dict)
    constants: dict[str, npt.NDArray[np.generic]] = field(default_factory=dict)

    def add(
        self, op: str, inputs: list[str], output: str, **attributes: int | str | tuple[int, ...]
    ) -> str:
        """Append a node with one output and return the output's name."""
        self.nodes.append(Node(op, tuple(inputs), (output,), tuple(sorted(attributes.items()))))
        return output

    def weight(self, name: str, *shape: int) -> str:
        """Declare a trained array."""
        self.weights[name] = shape
        return name

    def integers(self, *values: int) -> str:
        """Declare a constant list of integers, such as a shape or axes."""
        name = "int_" + "_".join(str(v).replace("-", "m") for v in values)
        self.constants[name] = np.array(values, np.int64)
        return name


def forward_graph(network: Network) -> Graph:
    """Describe the graph that forecasts from whole sequences.

    >>> graph = forward_graph(Network(n_features=3, recurrent=(4,), dense=()))
    >>> [node.op for node in graph.nodes][:3]
    ['Transpose', 'LSTM', 'Transpose']
    """
    batch = "batch"
    graph = Graph(
        "oracle",
        {
            "sequence": Value("float32", (batch, "time", network.n_features)),
            "length": Value("int32", (batch,)),
        },
        _outputs(network),
    )
    # [batch, time, feature] -> [time, batch, feature]
    steps = graph.add("Transpose", ["sequence"], "steps", perm=(1, 0, 2))
    row = _last_row(graph) if network.skip else ""
    answers = []
    for seed in range(network.n_seeds):
        x = steps
        for i, units in enumerate(network.recurrent, 1):
            last = i == len(network.recurrent)
            x = _lstm(graph, network, f"s{seed}_lstm_{i}", x, i, units, last)
        answers.append(_dense_and_head(graph, network, f"s{seed}_", x, row))
    _mean(graph, answers)
    return graph


def step_graph(network: Network) -> Graph:
    """Describe the graph that takes one checkpoint at a time.

    The state is one array, so that a caller copies or keeps it as one: hidden and cell of every
    LSTM, layer after layer, seed after seed.

    Raises:
        ValueError: for a bidirectional network, which has no such graph.
    """
    if network.bidirectional:
        raise ValueError("A bidirectional network reads the whole sequence at every step.")
    state = Value("float32", ("batch", network.n_state))
    graph = Graph(
        "oracle_step",
        {"row": Value("float32", ("batch", network.n_features)), "state": state},
        {**_outputs(network), "next_state": state},
    )
    sizes = [units for _ in range(network.n_seeds) for units in network.recurrent for _ in "hc"]
    parts = tuple(f"state_{i}" for i in range(len(sizes)))
    graph.nodes.append(Node("Split", ("state", graph.integers(*sizes)), parts, (("axis", 1),)))
    before, after, answers = iter(parts), [], []
    for seed in range(network.n_seeds):
        x, width = "row", network.n_features
        for i, units in enumerate(network.recurrent, 1):
            h, c = _cell(graph, f"s{seed}_lstm_{i}", x, width, next(before), next(before), units)
            after += [h, c]
            x, width = h, units
        answers.append(
            _dense_and_head(graph, network, f"s{seed}_", x, "row" if network.skip else "")
        )
    graph.add("Concat", after, "next_state", axis=1)
    _mean(graph, answers)
    return graph


def _outputs(network: Network) -> dict[str, Value]:
    dims = ("batch", network.n_targets, network.n_levels)
    return {"quantiles": Value("float32", dims)}


def _last_row(graph: Graph) -> str:
    """[batch, time, feature], [batch] -> [batch, feature] at the last real step."""
    graph.constants["one"] = np.array([1], np.int32)
    last = graph.add("Sub", ["length", "one"], "last_step")
    # GatherND wants int64 indices [batch, 1].
    last = graph.add("Cast", [last], "last_step_wide", to=7)
    index = graph.add("Unsqueeze", [last, graph.integers(-1)], "last_index")
    return graph.add("GatherND", ["sequence", index], "last_row", batch_dims=1)


def _lstm(graph: Graph, network: Network, name: str, x: str, i: int, units: int, last: bool) -> str:
    """[time, batch, in] -> [time, batch, directions * units], or [batch, ...] for the last."""
    directions = 2 if network.bidirectional else 1
    width = network.n_features if i == 1 else directions * network.recurrent[i - 2]
    inputs = (
        x,
        graph.weight(f"{name}_W", directions, 4 * units, width),
        graph.weight(f"{name}_R", directions, 4 * units, units),
        graph.weight(f"{name}_B", directions, 8 * units),
        "length",
    )
    # Outputs: Y [time, directions, batch, units]; Y_h [directions, batch, units], the state
    # after the last real step (of each direction's own reading).
    output = f"{name}_h" if last else f"{name}_y"
    direction = "bidirectional" if network.bidirectional else "forward"
    graph.nodes.append(
        Node(
            "LSTM",
            inputs,
            ("", output) if last else (output,),
            (("direction", direction), ("hidden_size", units)),
        )
    )
    perm = (1, 0, 2) if last else (0, 2, 1, 3)
    x = graph.add("Transpose", [output], f"{name}_t", perm=perm)
    shape = (0, directions * units) if last else (0, 0, directions * units)  # 0 keeps a size
    return graph.add("Reshape", [x, graph.integers(*shape)], f"{name}_out")


def _cell(
    graph: Graph, name: str, x: str, width: int, h: str, c: str, units: int
) -> tuple[str, str]:
    """One step of one LSTM: [batch, width] and its state -> its next state (h, c)."""
    both = graph.add("Concat", [x, h], f"{name}_xh", axis=1)
    gates = graph.add(
        "Gemm",
        [
            both,
            graph.weight(f"{name}_K", width + units, 4 * units),
            graph.weight(f"{name}_b", 4 * units),
        ],
        f"{name}_z",
    )
    # The three gates stand together so that one Sigmoid serves them.
    split = graph.integers(3 * units, units)
    graph.nodes.append(Node("Split", (gates, split), (f"{name}_ifo", f"{name}_g"), (("axis", 1),)))
    opened = graph.add("Sigmoid", [f"{name}_ifo"], f"{name}_open")
    split = graph.integers(units, units, units)
    i, f, o = (f"{name}_{gate}" for gate in "ifo")
    graph.nodes.append(Node("Split", (opened, split), (i, f, o), (("axis", 1),)))
    fresh = graph.add("Mul", [i, graph.add("Tanh", [f"{name}_g"], f"{name}_new")], f"{name}_in")
    kept = graph.add("Mul", [f, c], f"{name}_kept")
    c = graph.add("Add", [kept, fresh], f"{name}_c_next")
    h = graph.add("Mul", [o, graph.add("Tanh", [c], f"{name}_tanh")], f"{name}_h_next")
    return h, c


def _dense_and_head(graph: Graph, network: Network, prefix: str, x: str, row: str) -> str:
    """[batch, width] -> [batch, target, level], non-crossing."""
    width = network.recurrent[-1] * (2 if network.bidirectional else 1)
    if row:
        x = graph.add("Concat", [x, row], f"{prefix}skip", axis=1)
        width += network.n_features
    for i, units in enumerate(network.dense, 1):
        x = _gemm(graph, f"{prefix}dense_{i}", x, width, units)
        x = graph.add("Relu", [x], f"{prefix}relu_{i}")
        width = units
    x = _gemm(graph, f"{prefix}output", x, width, network.n_targets * network.n_levels)
    shape = graph.integers(0, network.n_targets, network.n_levels)
    raw = graph.add("Reshape", [x, shape], f"{prefix}raw")
    middle = network.n_levels // 2
    where = [graph.integers(middle), graph.integers(middle + 1), graph.integers(2)]
    median = graph.add("Slice", [raw, *where], f"{prefix}median")
    graph.constants["outward"] = outward_steps(network.n_levels)
    steps = graph.add("Softplus", [raw], f"{prefix}steps")
    outward = graph.add("MatMul", [steps, "outward"], f"{prefix}outward")
    return graph.add("Add", [median, outward], f"{prefix}quantiles")


def _gemm(graph: Graph, name: str, x: str, width: int, units: int) -> str:
    kernel, bias = graph.weight(f"{name}_W", width, units), graph.weight(f"{name}_b", units)
    return graph.add("Gemm", [x, kernel, bias], f"{name}_z")


def _mean(graph: Graph, answers: list[str]) -> None:
    # Mean of one is a copy: the same graph shape for any number of seeds.
    graph.add("Mean", answers, "quantiles")


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
