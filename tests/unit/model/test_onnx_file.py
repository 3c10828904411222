"""Only the graphs that we write are accepted; whatever else a file does, it is refused unread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from oracle.errors import ArtifactCorrupt
from oracle.model.graph import Graph, Network, forward_graph, step_graph
from oracle.model.onnx_file import check_onnx, write_onnx

NETWORKS = {
    "plain": Network(n_features=4, recurrent=(3,), dense=()),
    "deep": Network(n_features=4, recurrent=(5, 3), dense=(4, 2), n_seeds=2),
    "skip": Network(n_features=4, recurrent=(3,), dense=(4,), skip=True),
    "bidirectional": Network(n_features=4, recurrent=(5, 3), dense=(4,), bidirectional=True),
}


def fill(graph: Graph) -> bytes:
    rng = np.random.default_rng(0)
    return write_onnx(
        graph,
        {n: rng.normal(size=s).astype(np.float32) for n, s in graph.weights.items()},
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_written_is_accepted(name: str) -> None:
    network = NETWORKS[name]
    check_onnx(fill(forward_graph(network)), forward_graph(network), "oracle.onnx")
    if not network.bidirectional:
        check_onnx(fill(step_graph(network)), step_graph(network), "step.onnx")


@pytest.mark.parametrize("name", NETWORKS)
def test_another_network_is_refused(name: str) -> None:
    data = fill(forward_graph(NETWORKS[name]))
    for other in NETWORKS.values():
        if other is not NETWORKS[name]:
            with pytest.raises(ArtifactCorrupt, match=r"oracle\.onnx"):
                check_onnx(data, forward_graph(other), "oracle.onnx")


def test_a_bidirectional_network_has_no_single_steps() -> None:
    with pytest.raises(ValueError, match="whole sequence"):
        step_graph(NETWORKS["bidirectional"])


def test_arrays_of_another_shape_are_not_written() -> None:
    graph = forward_graph(NETWORKS["plain"])
    arrays = {n: np.zeros((*s, 1), np.float32) for n, s in graph.weights.items()}
    with pytest.raises(ValueError, match="weights"):
        write_onnx(graph, arrays)


def external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def external_beside_data(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="../../secret")


def subgraph(model: onnx.ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("body", body))


def loop_node(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Loop"


def custom_domain(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.evil"


def second_domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.evil", 1))


def other_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 999


def local_function(model: onnx.ModelProto) -> None:
    model.functions.append(
        helper.make_function("com.evil", "F", ["x"], ["x"], [], [helper.make_opsetid("", 17)])
    )


def metadata(model: onnx.ModelProto) -> None:
    model.metadata_props.add(key="x", value="y" * 10)


def extra_node(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Identity", ["quantiles"], ["more"]))


def shape_bomb(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    del tensor.dims[:]
    tensor.dims.extend([1 << 30, 1 << 30])


def negative_dimension(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] = -1


def data_cut(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-1]


def data_too_long(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].raw_data += b"\0\0\0\0"


def float_data(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].float_data.append(1.0)


def not_a_number(model: onnx.ModelProto) -> None:
    tensor = next(t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT)
    array = numpy_helper.to_array(tensor).copy()
    array.flat[0] = np.nan
    tensor.raw_data = array.tobytes()


def altered_constant(model: onnx.ModelProto) -> None:
    tensor = next(t for t in model.graph.initializer if t.name.startswith("int_"))
    tensor.raw_data = (numpy_helper.to_array(tensor) + 1_000_000).tobytes()


def text_tensor(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_type = TensorProto.STRING


def repeated_array(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].CopyFrom(model.graph.initializer[0])


def missing_array(model: onnx.ModelProto) -> None:
    del model.graph.initializer[0]


def renamed_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "something"


def other_input_type(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def sparse_array(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add()


def larger_hidden_size(model: onnx.ModelProto) -> None:
    lstm = next(n for n in model.graph.node if n.op_type == "LSTM")
    next(a for a in lstm.attribute if a.name == "hidden_size").i = 1 << 40


def text_for_number(model: onnx.ModelProto) -> None:
    lstm = next(n for n in model.graph.node if n.op_type == "LSTM")
    attribute = next(a for a in lstm.attribute if a.name == "hidden_size")
    attribute.s = b"3"


def activations(model: onnx.ModelProto) -> None:
    lstm = next(n for n in model.graph.node if n.op_type == "LSTM")
    lstm.attribute.append(helper.make_attribute("activations", ["Relu", "Relu", "Relu"]))


ATTACKS: list[Callable[[onnx.ModelProto], Any]] = [
    external,
    external_beside_data,
    subgraph,
    loop_node,
    custom_domain,
    second_domain,
    other_opset,
    local_function,
    metadata,
    extra_node,
    shape_bomb,
    negative_dimension,
    data_cut,
    data_too_long,
    float_data,
    not_a_number,
    altered_constant,
    text_tensor,
    repeated_array,
    missing_array,
    renamed_output,
    other_input_type,
    sparse_array,
    larger_hidden_size,
    text_for_number,
    activations,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_any_other_file_is_refused(attack: Callable[[onnx.ModelProto], Any]) -> None:
    network = NETWORKS["skip"]
    model = onnx.load_from_string(fill(forward_graph(network)))
    attack(model)
    with pytest.raises(ArtifactCorrupt, match=r"`oracle\.onnx` must be the graph"):
        check_onnx(model.SerializeToString(), forward_graph(network), "oracle.onnx")


def test_random_bytes_and_cuts_are_refused() -> None:
    network = NETWORKS["skip"]
    graph = forward_graph(network)
    data = fill(graph)
    rng = np.random.default_rng(0)
    damaged = [data[:n] for n in rng.integers(0, len(data), 200)]
    damaged += [rng.bytes(int(n)) for n in rng.integers(0, 400, 200)]
    damaged += [b"", b"\xff" * 100, b"\x80" * 100, b"PK\x03\x04", b"\x80\x04K\x01."]
    for bad in damaged:
        with pytest.raises(ArtifactCorrupt):
            check_onnx(bad, graph, "oracle.onnx")
