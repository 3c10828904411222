"""What we write is what the onnx package writes, byte for byte, and what its checker accepts."""

from __future__ import annotations

import hashlib
from itertools import count
from math import prod
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, checker, helper, numpy_helper
from small_model import random_layers

from oracle.model.graph import OPSET, Graph, Node, Value
from oracle.model.network import Ensemble, Network, graph_of
from oracle.model.onnx_file import IR_VERSION, write_onnx
from oracle.model.recurrent import Recurrent

PLAIN = Network(trunk=Recurrent(units=(3,)), dense=())
DEEP = Network(trunk=Recurrent(units=(5, 3)), dense=(4, 2))
BOTH = Network(trunk=Recurrent(units=(150, 3), bidirectional=True), dense=(4,))

ENSEMBLES = {
    "plain": Ensemble(n_features=4, networks=(PLAIN,)),
    "bidirectional": Ensemble(n_features=4, networks=(BOTH,)),
    "seeds": Ensemble(n_features=4, networks=(DEEP, DEEP)),
    "of several shapes": Ensemble(n_features=7, n_levels=3, networks=(DEEP, BOTH, PLAIN)),
}


def by_the_package(graph: Graph) -> bytes:
    """Write a graph by onnx' own helpers."""
    types = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32}

    def values(named: dict[str, Value]) -> list[Any]:
        return [
            helper.make_tensor_value_info(name, types[value.dtype], value.dims)
            for name, value in named.items()
        ]

    def node(of: Node) -> Any:
        attributes: dict[str, Any] = dict(of.attributes)
        return helper.make_node(of.op, of.inputs, of.outputs, **attributes)

    arrays = {**graph.constants, **graph.weights}
    model = helper.make_model(
        helper.make_graph(
            [node(n) for n in graph.nodes],
            graph.name,
            values(graph.inputs),
            values(graph.outputs),
            [numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in arrays.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="som-oracle",
    )
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


@pytest.mark.parametrize("name", ENSEMBLES)
def test_every_byte_is_the_packages(name: str) -> None:
    graph = graph_of(ENSEMBLES[name], random_layers(ENSEMBLES[name]))
    assert write_onnx(graph) == by_the_package(graph)


def test_the_same_network_is_the_same_file_for_ever() -> None:
    """The digest is of the file that a folder of format 1 held: what it computed is computed."""
    ensemble, arrays = ENSEMBLES["seeds"], count()

    def array(shape: tuple[int, ...]) -> Any:
        numbers = np.arange(prod(shape)) % 251 - 125 + next(arrays)
        return (numbers / 64).astype(np.float32).reshape(shape)

    layers = [
        {name: [array(shape) for shape in shapes] for name, shapes in network.items()}
        for network in ensemble.layers()
    ]
    digest = hashlib.sha256(write_onnx(graph_of(ensemble, layers))).hexdigest()
    assert digest == "eb23725052d693efd7240c80708d3ae72d32a607898d9e7ae88a79b82a4e90b7"


def test_text_numbers_and_lists_are_told_apart() -> None:
    graph = Graph("g", {"x": Value("float32", ("batch", 2))}, {"y": Value("float32", (1, "n"))})
    graph.add("Any", ("x", ""), "y", text="über", number=300, none=0, many=(0, 127, 128, 2**40))
    read = onnx.load_from_string(write_onnx(graph)).graph
    (node,) = read.node
    found = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    assert found == {
        "text": "über".encode(),
        "number": 300,
        "none": 0,
        "many": [0, 127, 128, 2**40],
    }
    assert list(node.input) == ["x", ""]


def test_a_negative_number_is_not_written_wrong() -> None:
    graph = Graph("g", {}, {})
    graph.add("Any", (), "y", axis=-1)
    with pytest.raises(ValueError, match="byte"):
        write_onnx(graph)
