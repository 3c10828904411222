"""Bodies of KServe's Open Inference Protocol V2 over REST: tensors, as JSON or binary after it.

The protocol's text: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol;
binary tensors are Triton's extension `binary_tensor_data`, which its clients use by default.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, ValidationError
from pydantic_core import from_json

from oracle.server.http.answers import Invalid, invalid, parse
from oracle.types import CHECKPOINT, LEVELS, MAX_CHECKPOINTS, NULLABLE, TARGETS, Frozen, History
from oracle.types.described import Described

Datatype = Literal["FP64", "BYTES"]
#: Header that tells where the JSON of a body ends and its binary tensors begin, bytes.
JSON_LENGTH = "inference-header-content-length"
#: What a client of the protocol sends a body as; Triton's names no type, or its own for binary.
BODY_TYPES = ("application/json", "application/octet-stream", "")
EXTENSIONS = ("binary_tensor_data",)
#: Parts of a history that are one value each.
ALONE = ("total_epochs", "context")


class TensorMetadata(Frozen):
    """One tensor: -1 in its shape is any length.

    Attributes:
        name: of the tensor.
        datatype: FP64, or BYTES for texts.
        shape: its sizes.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]


#: A history as tensors: its columns, its budget, and its context as JSON.
INPUTS = (
    *(TensorMetadata(name=name, datatype="FP64", shape=(-1,)) for name in CHECKPOINT),
    TensorMetadata(name="total_epochs", datatype="FP64", shape=(1,)),
    TensorMetadata(name="context", datatype="BYTES", shape=(1,)),
)
#: The forecast and the decision of the default policy.
OUTPUTS = (
    TensorMetadata(name="levels", datatype="FP64", shape=(len(LEVELS),)),
    *(TensorMetadata(name=name, datatype="FP64", shape=(len(LEVELS),)) for name in TARGETS),
    TensorMetadata(name="support", datatype="FP64", shape=(1,)),
    TensorMetadata(name="action", datatype="BYTES", shape=(1,)),
    TensorMetadata(name="reason", datatype="BYTES", shape=(1,)),
)


class ServerMetadata(Frozen):
    """Who answers.

    Attributes:
        name: of the service.
        version: of the service.
        extensions: of the protocol that it knows.
    """

    name: str
    version: str
    extensions: tuple[str, ...] = EXTENSIONS


class ServerLive(Frozen):
    """The process is alive.

    Attributes:
        live: true, whenever it answers.
    """

    live: bool


class ServerReady(Frozen):
    """A model is loaded and passed its self-test.

    Attributes:
        ready: whether it is so.
    """

    ready: bool


class ModelReady(Frozen):
    """The model of this name is the one in use.

    Attributes:
        name: of the model.
        ready: whether it is so.
    """

    name: str
    ready: bool


class ModelMetadata(Frozen):
    """The model in use, and the tensors that it takes and gives.

    Attributes:
        name: of the model.
        versions: of it that answer.
        platform: what runs it.
        inputs: tensors that a request may hold.
        outputs: tensors that an answer may hold.
    """

    name: str
    versions: tuple[str, ...]
    platform: str = "som-oracle"
    inputs: tuple[TensorMetadata, ...] = INPUTS
    outputs: tuple[TensorMetadata, ...] = OUTPUTS


class InferenceError(Frozen):
    """The shape of the protocol's errors.

    Attributes:
        error: what is wrong and what to do.
    """

    error: str


Length = Annotated[int, Field(strict=True, ge=0, le=2**31)]
TensorName = Annotated[str, Field(max_length=200)]


class InputTensor(Described):
    """One tensor of a request; `data` in row-major order, absent where it follows in binary.

    Attributes:
        name: of the tensor, one of the model's inputs.
        shape: its sizes.
        datatype: FP64 or BYTES, as the model's metadata says.
        parameters: `binary_data_size`: bytes of it that follow the JSON.
        data: its values, row-major.
    """

    name: TensorName
    shape: Annotated[tuple[Length, ...], Field(max_length=8)]
    datatype: TensorName
    parameters: dict[str, JsonValue] = Field(default={})
    data: Annotated[list[JsonValue], Field(max_length=MAX_CHECKPOINTS)] | None = None


class RequestedOutput(Described):
    """One tensor that the answer shall hold.

    Attributes:
        name: of the tensor, one of the model's outputs.
        parameters: `binary_data`: true puts it after the JSON in binary.
    """

    name: TensorName
    parameters: dict[str, JsonValue] = Field(default={})


class InferenceRequest(Described):
    """One history as tensors. What the protocol has and we do not know is passed over.

    Attributes:
        id: of the request, repeated in the answer.
        parameters: `binary_data_output`: true puts all outputs after the JSON in binary.
        inputs: the tensors of one history.
        outputs: tensors that are wanted; null = all.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = ""
    parameters: dict[str, JsonValue] = Field(default={})
    inputs: Annotated[tuple[InputTensor, ...], Field(max_length=len(INPUTS))]
    outputs: Annotated[tuple[RequestedOutput, ...], Field(max_length=len(OUTPUTS))] | None = None


class OutputTensor(Frozen):
    """One tensor of an answer; without data where it follows in binary.

    Attributes:
        name: of the tensor.
        datatype: FP64, or BYTES for texts.
        shape: its sizes.
        parameters: `binary_data_size`: bytes of it that follow the JSON.
        data: its values, row-major.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    parameters: dict[str, JsonValue] | None = None
    data: tuple[float | str, ...] | None = None


class InferenceAnswer(Frozen):
    """The tensors that were asked for, or all.

    Attributes:
        model_name: the model that answered.
        model_version: of it.
        id: the request's.
        outputs: in the order that was asked for.
    """

    model_name: str
    model_version: str
    id: str | None = None
    outputs: tuple[OutputTensor, ...]


def read_request(raw: bytes, json_length: str | None) -> tuple[InferenceRequest, dict[str, Any]]:
    """Read a body: its JSON, and the fields of a `History` out of its tensors.

    Args:
        raw: the body.
        json_length: the header JSON_LENGTH; None where all of it is JSON.

    Raises:
        Invalid: naming the tensor and its rule.
    """
    head = len(raw)
    if json_length is not None:
        if not (json_length.isascii() and json_length.isdigit() and int(json_length) <= head):
            rule = "the number of bytes of the JSON in the body"
            raise Invalid(f"The header {JSON_LENGTH.title()} must be {rule}.", None)
        head = int(json_length)
    asked = parse(InferenceRequest, raw[:head])
    known = {tensor.name: tensor for tensor in INPUTS}
    fields: dict[str, Any] = {}
    rest = memoryview(raw)[head:]
    for position, tensor in enumerate(asked.inputs):
        where = f"inputs.{position}.name"
        if tensor.name not in known:
            raise Invalid(f"`{where}` must be one of {', '.join(known)}.", where)
        if tensor.name in fields:
            raise Invalid(f"`{tensor.name}` must be given once.", tensor.name)
        _check(tensor, known[tensor.name])
        values, rest = _values(tensor, rest)
        fields[tensor.name] = _field(tensor.name, values)
    if rest:
        raise Invalid("The body must end with its last binary tensor.", None)
    for position, output in enumerate(asked.outputs or ()):
        names = [tensor.name for tensor in OUTPUTS]
        if output.name not in names:
            where = f"outputs.{position}.name"
            raise Invalid(f"`{where}` must be one of {', '.join(names)}.", where)
    return asked, fields


def _check(tensor: InputTensor, known: TensorMetadata) -> None:
    """Hold a tensor to its datatype and shape."""
    name = tensor.name
    if tensor.datatype != known.datatype:
        raise Invalid(f"`{name}` must have the datatype {known.datatype}.", name)
    if len(tensor.shape) != 1:
        raise Invalid(f"`{name}` must have a shape of one dimension.", name)
    if known.shape != (-1,) and tensor.shape != known.shape:
        raise Invalid(f"`{name}` must have the shape {list(known.shape)}.", name)
    if tensor.shape[0] > MAX_CHECKPOINTS:
        raise Invalid(f"`{name}` must have at most {MAX_CHECKPOINTS} values.", name)


def _values(tensor: InputTensor, rest: memoryview) -> tuple[list[Any], memoryview]:
    """Give a tensor's values, and what is left of the binary ones."""
    name, n = tensor.name, tensor.shape[0]
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        if tensor.data is None or len(tensor.data) != n:
            raise Invalid(f"`{name}` must have as many values in data as its shape says.", name)
        return tensor.data, rest
    if tensor.data is not None:
        raise Invalid(f"`{name}` must come in data or in binary, not both.", name)
    if type(size) is not int or not 0 <= size <= len(rest):
        raise Invalid(f"`{name}` must have a binary_data_size that the body holds.", name)
    piece, rest = bytes(rest[:size]), rest[size:]
    if tensor.datatype == "BYTES":
        if size < 4 or int.from_bytes(piece[:4], "little") != size - 4:
            raise Invalid(f"`{name}` must be one text, its length in four bytes before it.", name)
        return [piece[4:].decode(errors="replace")], rest
    if size != 8 * n:
        raise Invalid(f"`{name}` must have 8 bytes of binary a value of its shape.", name)
    return list(struct.unpack(f"<{n}d", piece)), rest


def _field(name: str, values: list[Any]) -> Any:
    """Turn a tensor's values into a field of a `History`: NaN is unknown there."""
    if name == "context":
        if not isinstance(values[0], str):
            raise Invalid("`context` must be a text of JSON.", name)
        try:
            return from_json(values[0])
        except ValueError:
            raise Invalid("`context` must be a text of JSON.", name) from None
    if name in NULLABLE:
        values = [None if _is_nan(value) else value for value in values]
    return values[0] if name in ALONE else values


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def history_of(fields: dict[str, Any]) -> History:
    """Make the history that a request's tensors tell.

    Raises:
        Invalid: naming the column and its rule.
    """
    try:
        return History.model_validate(fields)
    except ValidationError as error:
        raise invalid(error, History) from None


def write_answer(
    asked: InferenceRequest,
    model: tuple[str, str],
    values: Mapping[str, Sequence[float] | Sequence[str]],
) -> tuple[bytes, int | None]:
    """Write an answer: the tensors asked for, in binary where binary was asked for.

    Args:
        asked: the request.
        model: name and version of the model that answered.
        values: of every one of OUTPUTS.

    Returns:
        The body, and how many of its bytes are JSON; None where all are.
    """
    known = {tensor.name: tensor for tensor in OUTPUTS}
    wanted = asked.outputs or tuple(RequestedOutput(name=name) for name in known)
    default = asked.parameters.get("binary_data_output") is True
    tensors, tail = [], []
    for output in wanted:
        metadata, data = known[output.name], values[output.name]
        told: dict[str, Any] = metadata.model_dump()
        if output.parameters.get("binary_data", default) is True:
            piece = _binary(data)
            tail.append(piece)
            tensors.append(OutputTensor(**told, parameters={"binary_data_size": len(piece)}))
        else:
            tensors.append(OutputTensor(**told, data=tuple(data)))
    answer = InferenceAnswer(
        model_name=model[0], model_version=model[1], id=asked.id or None, outputs=tuple(tensors)
    )
    text = answer.model_dump_json(exclude_none=True).encode()
    return text + b"".join(tail), len(text) if tail else None


def _binary(data: Sequence[float | str]) -> bytes:
    pieces = []
    for value in data:
        if isinstance(value, str):
            raw = value.encode()
            pieces.append(struct.pack("<I", len(raw)) + raw)
        else:
            pieces.append(struct.pack("<d", value))
    return b"".join(pieces)
