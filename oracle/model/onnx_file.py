"""Write a graph as an ONNX file, without the onnx package: the plain install serves.

Only the part of Protocol Buffers that a graph of ours needs; field numbers after onnx.proto of
ONNX 1.12, fields in ascending order. A test holds every byte to what the onnx package writes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from oracle.model.graph import OPSET, Graph, Node, Value

#: File format version that goes with the operator set; onnxruntime 1.20 reads both.
IR_VERSION = 8

_DTYPES = {"float32": 1, "int32": 6, "int64": 7}  # TensorProto.DataType
_INT, _STRING, _INTS = 2, 3, 7  # AttributeProto.AttributeType


#: A message in parts, put together once in the end: arrays may be large.
Parts = list[bytes]


def write_onnx(graph: Graph) -> bytes:
    """Write a graph with its arrays as a model file."""
    arrays = {**graph.constants, **graph.weights}
    body = _message(  # GraphProto: 1 node, 2 name, 5 initializer, 11 input, 12 output
        (1, map(_node, graph.nodes)),
        (2, [graph.name]),
        (5, (_tensor(name, array) for name, array in arrays.items())),
        (11, (_value(name, value) for name, value in graph.inputs.items())),
        (12, (_value(name, value) for name, value in graph.outputs.items())),
    )
    opset = _message((1, [""]), (2, [OPSET]))
    # ModelProto: 1 ir_version, 2 producer_name, 7 graph, 8 opset_import
    model = _message((1, [IR_VERSION]), (2, ["som-oracle"]), (7, [body]), (8, [opset]))
    return b"".join(model)


def _node(node: Node) -> Parts:
    # NodeProto: 1 input, 2 output, 4 op_type, 5 attribute
    attributes = (_attribute(name, value) for name, value in node.attributes)
    return _message((1, node.inputs), (2, node.outputs), (4, [node.op]), (5, attributes))


def _attribute(name: str, value: int | str | tuple[int, ...]) -> Parts:
    # AttributeProto: 1 name, 3 i, 4 s, 8 ints, 20 type
    if isinstance(value, int):
        return _message((1, [name]), (3, [value]), (20, [_INT]))
    if isinstance(value, str):
        return _message((1, [name]), (4, [value]), (20, [_STRING]))
    return _message((1, [name]), (8, value), (20, [_INTS]))


def _tensor(name: str, array: npt.NDArray[np.generic]) -> Parts:
    # TensorProto: 1 dims, 2 data_type, 8 name, 9 raw_data, little-endian
    raw = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return _message((1, array.shape), (2, [_DTYPES[array.dtype.name]]), (8, [name]), (9, [raw]))


def _value(name: str, value: Value) -> Parts:
    # ValueInfoProto: 1 name, 2 type; TypeProto: 1 tensor_type; Tensor: 1 elem_type, 2 shape;
    # TensorShapeProto: 1 dim; Dimension: 1 dim_value, 2 dim_param
    dims = (_message((1 if isinstance(dim, int) else 2, [dim])) for dim in value.dims)
    tensor = _message((1, [_DTYPES[value.dtype]]), (2, [_message((1, dims))]))
    return _message((1, [name]), (2, [_message((1, [tensor]))]))


def _message(*fields: tuple[int, Iterable[int | str | bytes | Parts]]) -> Parts:
    """Write each field's number and its values, in order."""
    return [part for number, values in fields for value in values for part in _field(number, value)]


def _field(number: int, value: int | str | bytes | Parts) -> Parts:
    if isinstance(value, int):
        return [_varint(number << 3) + _varint(value)]
    if isinstance(value, str):
        value = value.encode()
    parts = [value] if isinstance(value, bytes) else value
    return [_varint(number << 3 | 2) + _varint(sum(map(len, parts))), *parts]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))
