"""Write a graph as an ONNX file, and accept a file only when it is one that we would write.

A model file comes from anywhere. ONNX can name files to read (external data), nest subgraphs
and blow up shapes, so nothing of it reaches the runtime before it is parsed here, in a few
milliseconds and without the onnx package, and compared with `oracle.model.graph`: same nodes, same
constants, weights of the declared shapes with their numbers inside the file, and nothing else.

Only the part of Protocol Buffers that such a file uses is read; field numbers after onnx.proto
of ONNX 1.12 (operator set 17). An unknown field is refused, not skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from oracle.errors import ArtifactCorrupt, must_be
from oracle.model.graph import OPSET, Graph, Node, Value

#: File format version that goes with the operator set; onnxruntime 1.20 reads both.
IR_VERSION = 8

#: Longer lists of dimensions, attributes or nodes than any network of ours has.
_MAX_ITEMS = 100_000

_VARINT, _BYTES = 0, 2
_DTYPES = {1: "float32", 6: "int32", 7: "int64"}
_ITEMSIZE = {"float32": 4, "int32": 4, "int64": 8}
_ATTRIBUTE_INT, _ATTRIBUTE_STRING, _ATTRIBUTE_INTS = 2, 3, 7  # AttributeProto.AttributeType

Message = dict[int, list[int | memoryview]]


def write_onnx(graph: Graph, weights: Mapping[str, npt.NDArray[np.float32]]) -> bytes:
    """Write a graph with its trained arrays; needs the onnx package, which only training has.

    Raises:
        ValueError: if the arrays are not those that the graph declares.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    shapes = {name: array.shape for name, array in weights.items()}
    if shapes != graph.weights:
        raise ValueError(must_be("weights", f"shaped {graph.weights}", shapes))
    arrays = {**graph.constants, **{k: np.asarray(v, np.float32) for k, v in weights.items()}}
    types = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32}

    def values(named: Mapping[str, Value]) -> list[Any]:
        return [
            helper.make_tensor_value_info(name, types[value.dtype], value.dims)
            for name, value in named.items()
        ]

    def node(of: Node) -> Any:
        attributes: dict[str, Any] = dict(of.attributes)
        return helper.make_node(of.op, of.inputs, of.outputs, **attributes)

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


def check_onnx(data: bytes, expected: Graph, name: str) -> None:
    """Refuse any file but the one that our exporter writes for this network.

    Args:
        data: the file.
        expected: `forward_graph` or `step_graph` of the artifact's network.
        name: how messages call the file.

    Raises:
        ArtifactCorrupt: saying what is not as it must be.
    """
    try:
        _check_model(memoryview(data), expected)
    except _RefusedError as reason:
        raise ArtifactCorrupt(
            f"`{name}` must be the graph that `oracle train` writes, but {reason}. "
            "Train or fetch the artifact again."
        ) from None


class _RefusedError(Exception):
    """Why a file is not ours."""


def _check_model(data: memoryview, expected: Graph) -> None:
    # ModelProto: 1 ir_version, 2 producer_name, 7 graph, 8 opset_import
    model = _message(data, {1, 2, 7, 8})
    opset = _message(_only(model, 8, "operator set"), {1, 2})
    if opset.get(2) != [OPSET] or any(_text(d) for d in opset.get(1, [])):
        raise _RefusedError(f"its operator set is not {OPSET}")
    # GraphProto: 1 node, 2 name, 5 initializer, 11 input, 12 output
    graph = _message(_only(model, 7, "graph"), {1, 2, 5, 11, 12})
    _check_nodes(graph.get(1, []), expected.nodes)
    for field, what, values in ((11, "input", expected.inputs), (12, "output", expected.outputs)):
        found = dict(_value(_view(v)) for v in graph.get(field, []))
        if found != values or len(graph.get(field, [])) != len(values):
            raise _RefusedError(f"its {what}s are not {', '.join(values)} with the declared shapes")
    _check_arrays(graph.get(5, []), expected)


def _check_nodes(found: list[int | memoryview], expected: list[Node]) -> None:
    if len(found) != len(expected):
        raise _RefusedError(f"it has {len(found)} nodes instead of {len(expected)}")
    for i, (raw, node) in enumerate(zip(found, expected, strict=True)):
        if _node(bytes(_view(raw))) != node:
            raise _RefusedError(f"node {i} is not {node.op} as declared")


def _check_arrays(found: list[int | memoryview], expected: Graph) -> None:
    names = {*expected.weights, *expected.constants}
    if len(found) != len(names):
        raise _RefusedError(f"it has {len(found)} arrays instead of {len(names)}")
    for raw in found:
        name, dtype, shape, numbers = _tensor(_view(raw))
        if name not in names:
            raise _RefusedError("it has an unknown or repeated array")
        names.remove(name)
        constant = expected.constants.get(name)
        want = expected.weights[name] if constant is None else constant.shape
        kind = "float32" if constant is None else constant.dtype.name
        if shape != want or dtype != kind:
            raise _RefusedError(f"array {name} is not {kind} {list(want)}")
        if len(numbers) != prod(shape) * _ITEMSIZE[dtype]:
            raise _RefusedError(f"array {name} does not hold its numbers")
        if constant is not None and numbers != np.ascontiguousarray(constant).tobytes():
            raise _RefusedError(f"constant {name} is altered")
        if constant is None and not np.isfinite(np.frombuffer(numbers, np.float32)).all():
            raise _RefusedError(f"array {name} holds numbers that are not finite")


@lru_cache(maxsize=1024)
def _node(data: bytes) -> Node:
    """Parse one node; a server that is given a new model of the old shape has it at once.

    Else its requests would wait for each other half a dozen milliseconds while nodes are parsed.
    """
    # NodeProto: 1 input, 2 output, 4 op_type, 5 attribute
    node = _message(memoryview(data), {1, 2, 4, 5})
    attributes = sorted(_attribute(_view(a)) for a in node.get(5, []))
    return Node(
        _text(_only(node, 4, "operator")),
        tuple(_text(name) for name in node.get(1, [])),
        tuple(_text(name) for name in node.get(2, [])),
        tuple(attributes),
    )


def _attribute(data: memoryview) -> tuple[str, int | str | tuple[int, ...]]:
    # AttributeProto: 1 name, 3 i, 4 s, 8 ints, 20 type; graphs (6, 11) and tensors (5, 10) never
    attribute = _message(data, {1, 3, 4, 8, 20})
    name, kind = _text(_only(attribute, 1, "name")), _number(attribute, 20)
    if kind == _ATTRIBUTE_INT and not attribute.keys() & {4, 8}:
        return name, _number(attribute, 3)
    if kind == _ATTRIBUTE_STRING and not attribute.keys() & {3, 8}:
        return name, _text(_only(attribute, 4, "text"))
    if kind == _ATTRIBUTE_INTS and not attribute.keys() & {3, 4}:
        return name, _numbers(attribute.get(8, []))
    raise _RefusedError("a node has an attribute of a kind that we never write")


def _tensor(data: memoryview) -> tuple[str, str, tuple[int, ...], memoryview]:
    # TensorProto: 1 dims, 2 data_type, 8 name, 9 raw_data; external_data (13) and
    # data_location (14) are refused like any other field
    tensor = _message(data, {1, 2, 8, 9})
    dtype = _DTYPES.get(_number(tensor, 2))
    if dtype is None:
        raise _RefusedError("it has an array of a type that we never write")
    numbers = _only(tensor, 9, "data")
    return _text(_only(tensor, 8, "name")), dtype, _numbers(tensor.get(1, [])), numbers


def _value(data: memoryview) -> tuple[str, Value]:
    # ValueInfoProto: 1 name, 2 type; TypeProto: 1 tensor_type; Tensor: 1 elem_type, 2 shape
    info = _message(data, {1, 2})
    tensor = _message(_only(_message(_only(info, 2, "type"), {1}), 1, "type"), {1, 2})
    dims: list[int | str] = []
    for raw in _message(_only(tensor, 2, "shape"), {1}).get(1, []):
        # Dimension: 1 dim_value, 2 dim_param
        dim = _message(_view(raw), {1, 2})
        dims.append(_number(dim, 1) if 1 in dim else _text(_only(dim, 2, "dimension")))
    name = _text(_only(info, 1, "name"))
    return name, Value(_DTYPES.get(_number(tensor, 1), "unknown"), tuple(dims))


def _message(data: memoryview, allowed: set[int]) -> Message:
    """Split a message into its fields; only `allowed` ones may occur."""
    fields: Message = {}
    for i, (number, value) in enumerate(_fields(data)):
        if number not in allowed or i >= _MAX_ITEMS:
            raise _RefusedError(f"it has a part that we never write (field {number})")
        fields.setdefault(number, []).append(value)
    return fields


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
        elif kind == _BYTES:
            size, at = _varint(data, at)
            if size > len(data) - at:
                raise _RefusedError("it is cut short")
            yield number, data[at : at + size]
            at += size
        else:
            raise _RefusedError("it is not in the format that we write")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            raise _RefusedError("it is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            # Negative numbers are written as 64-bit two's complement.
            return (value - (1 << 64) if value >> 63 else value), at
    raise _RefusedError("it is not in the format that we write")


def _only(message: Message, number: int, what: str) -> memoryview:
    values = message.get(number, [])
    if len(values) != 1:
        raise _RefusedError(f"it has {len(values)} of what it must have one ({what})")
    return _view(values[0])


def _view(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _RefusedError("it is not in the format that we write")
    return value


def _number(message: Message, number: int) -> int:
    values = message.get(number, [])
    if len(values) != 1 or not isinstance(values[0], int):
        raise _RefusedError("it is not in the format that we write")
    return values[0]


def _numbers(values: list[int | memoryview]) -> tuple[int, ...]:
    """A repeated integer, packed or one by one."""
    numbers: list[int] = []
    for value in values:
        if isinstance(value, int):
            numbers.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            numbers.append(number)
    return tuple(numbers)


def _text(value: int | memoryview) -> str:
    try:
        return str(_view(value), "utf-8")
    except UnicodeDecodeError:
        raise _RefusedError("it is not in the format that we write") from None
