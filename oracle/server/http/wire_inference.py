"""Bodies of KServe's Open Inference Protocol V2 over REST: tensors, as JSON or binary after it.

The protocol's text: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol;
binary tensors are Triton's extension `binary_tensor_data`, which its clients use by default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, JsonValue, ValidationError
from pydantic_core import from_json

from oracle.errors import InvalidHistory
from oracle.server.http.answers import Invalid, field_of, invalid, message_of, parse
from oracle.server.http.tensors import InputTensor, TensorName, Values, binary, check, values_of
from oracle.types import CHECKPOINT, LEVELS, MAX_CHECKPOINTS, NULLABLE, TARGETS, Frozen, History
from oracle.types.described import Described

Datatype = Literal["FP64", "INT64", "BYTES"]
#: Header that tells where the JSON of a body ends and its binary tensors begin, bytes.
JSON_LENGTH = "inference-header-content-length"
#: What a client of the protocol sends a body as; Triton's names no type, or its own for binary.
BODY_TYPES = ("application/json", "application/octet-stream", "")
EXTENSIONS = ("binary_tensor_data",)
#: Parts of a history that are one value each.
ALONE = ("total_epochs", "context")
#: In a batch, how many checkpoints of each history are real.
LENGTHS = "lengths"
#: What is taken beside a tensor's own datatype.
DATATYPES = {"FP64": ("FP64", "FP32"), "INT64": ("INT64", "INT32")}


class TensorMetadata(Frozen):
    """One tensor: -1 in its shape is any length.

    Attributes:
        name: of the tensor.
        datatype: FP64, INT64, or BYTES for texts.
        shape: its sizes for one history; a batch is a dimension before them.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]


#: A history as tensors: its columns, its budget, and its context as JSON.
INPUTS = (
    *(TensorMetadata(name=name, datatype="FP64", shape=(-1,)) for name in CHECKPOINT),
    TensorMetadata(name="total_epochs", datatype="FP64", shape=(1,)),
    TensorMetadata(name="context", datatype="BYTES", shape=(1,)),
    TensorMetadata(name=LENGTHS, datatype="INT64", shape=(-1,)),
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


class RequestedOutput(Described):
    """One tensor that the answer shall hold.

    Attributes:
        name: of the tensor, one of the model's outputs.
        parameters: `binary_data`: true puts it after the JSON in binary.
    """

    name: TensorName
    parameters: dict[str, JsonValue] = Field(default={})


class InferenceRequest(Described):
    """One history as tensors, or a batch. What the protocol has and we do not know is passed over.

    Attributes:
        id: of the request, repeated in the answer.
        parameters: `binary_data_output`: true puts all outputs after the JSON in binary.
        inputs: the tensors of one history, or of a batch of them.
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


class Told(NamedTuple):
    """What the tensors of a request tell.

    Attributes:
        fields: of a `History` each.
        together: whether they are a batch: answers have its dimension, too.
    """

    fields: list[dict[str, Any]]
    together: bool


def read_request(
    raw: bytes, json_length: str | None, most: int = 1
) -> tuple[InferenceRequest, Told]:
    """Read a body: its JSON, and the fields of each `History` out of its tensors.

    Args:
        raw: the body.
        json_length: the header JSON_LENGTH; None where all of it is JSON.
        most: histories of one request.

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
    tensors: dict[str, Values] = {}
    rest = memoryview(raw)[head:]
    for position, tensor in enumerate(asked.inputs):
        where = f"inputs.{position}.name"
        if tensor.name not in known:
            raise Invalid(f"`{where}` must be one of {', '.join(known)}.", where)
        if tensor.name in tensors:
            raise Invalid(f"`{tensor.name}` must be given once.", tensor.name)
        allowed = DATATYPES.get(known[tensor.name].datatype, (known[tensor.name].datatype,))
        check(tensor, allowed, 2 if tensor.name in CHECKPOINT else 1, MAX_CHECKPOINTS, most)
        tensors[tensor.name], rest = values_of(tensor, rest)
    if rest:
        raise Invalid("The body must end with its last binary tensor.", None)
    for position, output in enumerate(asked.outputs or ()):
        names = [tensor.name for tensor in OUTPUTS]
        if output.name not in names:
            where = f"outputs.{position}.name"
            raise Invalid(f"`{where}` must be one of {', '.join(names)}.", where)
    return asked, _told(tensors)


def _told(tensors: dict[str, Values]) -> Told:
    """Part the tensors of a batch into the fields of its histories."""
    columns = {name: tensors[name] for name in CHECKPOINT if name in tensors}
    alone = {name: tensors[name] for name in (*ALONE, LENGTHS) if name in tensors}
    first = next(iter(columns.items()), None)
    if first is None or len(first[1].shape) == 1:
        size = max((len(tensor.data) for tensor in alone.values()), default=1)
        if columns or LENGTHS in alone:  # one history
            size = 1
    else:
        size = first[1].shape[0]
    together = size > 1 or (first is not None and len(first[1].shape) == 2)
    for name, tensor in columns.items():
        if first is not None and len(tensor.shape) != len(first[1].shape):
            rule = f"as many dimensions as {first[0]} ({len(first[1].shape)})"
            raise Invalid(f"`{name}` must have {rule}.", name)
        if together and first is not None and tensor.shape != first[1].shape:
            raise Invalid(f"`{name}` must have the shape of {first[0]}.", name)
    for name, tensor in alone.items():
        if tensor.shape not in ((size,), (1,)) or (name == LENGTHS and tensor.shape != (size,)):
            rule = f"[{size}]" + ("" if name == LENGTHS or size == 1 else " or [1]")
            raise Invalid(f"`{name}` must have the shape {rule}.", name)
    lengths = _lengths(alone.pop(LENGTHS, None), first, size)
    fields: list[dict[str, Any]] = [{} for _ in range(size)]
    for name, (shape, data) in columns.items():
        width = shape[-1]
        values = [None if _is_nan(v) else v for v in data] if name in NULLABLE else data
        for i, field in enumerate(fields):
            field[name] = values[i * width : i * width + lengths[i]] if lengths else values
    for name, (_, data) in alone.items():
        read = [_context(text) for text in data] if name == "context" else data
        for i, field in enumerate(fields):
            field[name] = read[i if len(read) > 1 else 0]
    return Told(fields, together)


def _lengths(tensor: Values | None, first: tuple[str, Values] | None, size: int) -> list[int]:
    """How many checkpoints of each row are real; none where all of one history's are."""
    if first is None or len(first[1].shape) == 1:
        if tensor is not None:
            raise Invalid(f"`{LENGTHS}` must be left out without a batch of columns.", LENGTHS)
        return []
    most = first[1].shape[1]
    if tensor is None:
        return [most] * size
    for length in tensor.data:
        if type(length) is not int or not 0 <= length <= most:
            raise Invalid(f"`{LENGTHS}` must be whole numbers within 0..{most}.", LENGTHS)
    return tensor.data


def _context(text: Any) -> Any:
    if not isinstance(text, str):
        raise Invalid("`context` must be a text of JSON.", "context")
    try:
        return from_json(text)
    except ValueError:
        raise Invalid("`context` must be a text of JSON.", "context") from None


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def histories_of(told: Told) -> list[History]:
    """Make the histories that a request's tensors tell.

    Raises:
        Invalid: naming the column and its rule; in a batch the history, too, counted from 0.
    """
    return [_history(fields, i if told.together else None) for i, fields in enumerate(told.fields)]


def _history(fields: dict[str, Any], place: int | None) -> History:
    try:
        history = History.model_validate(fields)
        history.check_forecastable()
        return history
    except ValidationError as error:
        found = invalid(error, History)
    except InvalidHistory as error:
        found = Invalid(message_of(error), field_of(error))
    raise found if place is None else Invalid(f"History {place}: {found}", found.field)


def write_answer(
    asked: InferenceRequest,
    model: tuple[str, str],
    rows: Sequence[Mapping[str, Sequence[float] | Sequence[str]]],
    *,
    together: bool,
) -> tuple[bytes, int | None]:
    """Write an answer: the tensors asked for, in binary where binary was asked for.

    Args:
        asked: the request.
        model: name and version of the model that answered.
        rows: of each history, every one of OUTPUTS.
        together: whether the histories are a batch, which is the first dimension then.

    Returns:
        The body, and how many of its bytes are JSON; None where all are.
    """
    known = {tensor.name: tensor for tensor in OUTPUTS}
    wanted = asked.outputs or tuple(RequestedOutput(name=name) for name in known)
    default = asked.parameters.get("binary_data_output") is True
    tensors, tail = [], []
    for output in wanted:
        name, shape = output.name, known[output.name].shape
        told: dict[str, Any] = {"name": name, "datatype": known[name].datatype}
        data: Sequence[Any] = rows[0][name]
        if together and name != "levels":
            data = [value for row in rows for value in row[name]]
            shape = (len(rows),) if shape == (1,) else (len(rows), *shape)
        told["shape"] = shape
        if output.parameters.get("binary_data", default) is True:
            piece = binary(data)
            tail.append(piece)
            tensors.append(OutputTensor(**told, parameters={"binary_data_size": len(piece)}))
        else:
            tensors.append(OutputTensor(**told, data=tuple(data)))
    answer = InferenceAnswer(
        model_name=model[0], model_version=model[1], id=asked.id or None, outputs=tuple(tensors)
    )
    text = answer.model_dump_json(exclude_none=True).encode()
    return text + b"".join(tail), len(text) if tail else None
