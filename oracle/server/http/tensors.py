"""Tensors of KServe's protocol V2, read and written: row-major, as JSON or binary after it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import chain
from math import prod
from typing import Annotated, Any, NamedTuple

from pydantic import Field, JsonValue

from oracle.server.http.answers import Invalid
from oracle.types.described import Described

#: Numbers by datatype: their format, and bytes of each.
_NUMBERS = {"FP64": ("d", 8), "FP32": ("f", 4), "INT64": ("q", 8), "INT32": ("i", 4)}

Length = Annotated[int, Field(strict=True, ge=0, le=2**31)]
TensorName = Annotated[str, Field(max_length=200)]


class InputTensor(Described):
    """One tensor of a request; `data` in row-major order, absent where it follows in binary.

    Attributes:
        name: of the tensor, one of the model's inputs.
        shape: its sizes; a batch of histories is the first dimension.
        datatype: FP64 or FP32, INT64 or INT32, or BYTES, as the model's metadata says.
        parameters: `binary_data_size`: bytes of it that follow the JSON.
        data: its values, row-major; those of two dimensions may be lists of rows.
    """

    name: TensorName
    shape: Annotated[tuple[Length, ...], Field(max_length=8)]
    datatype: TensorName
    parameters: dict[str, JsonValue] = Field(default={})
    data: list[JsonValue] | None = None


class Values(NamedTuple):
    """The values of a tensor, row-major, and its shape."""

    shape: tuple[int, ...]
    data: list[Any]


def check(
    tensor: InputTensor, datatypes: Sequence[str], dimensions: int, longest: int, most: int
) -> None:
    """Hold a tensor to its datatype and shape.

    Args:
        tensor: of a request.
        datatypes: that it may have.
        dimensions: that it may have, from one on.
        longest: its last one where there are two, or its only one.
        most: its first one where there are two, or where it has one a history.

    Raises:
        Invalid: naming it and its rule.
    """
    name, shape = tensor.name, tensor.shape
    if tensor.datatype not in datatypes:
        raise Invalid(f"`{name}` must have the datatype {' or '.join(datatypes)}.", name)
    if not 1 <= len(shape) <= dimensions:
        rule = "one dimension" if dimensions == 1 else "one dimension, or two for a batch"
        raise Invalid(f"`{name}` must have a shape of {rule}.", name)
    if dimensions == 2 and shape[-1] > longest:
        raise Invalid(f"`{name}` must have at most {longest} values a history.", name)
    if (len(shape) == 2 or dimensions == 1) and not 1 <= shape[0] <= most:
        raise Invalid(f"`{name}` must be of 1 to {most} histories.", name)


def values_of(tensor: InputTensor, rest: memoryview) -> tuple[Values, memoryview]:
    """Give a tensor's values, and what is left of the binary ones.

    Raises:
        Invalid: there are more or fewer than its shape says, or they are both here and there.
    """
    name, n = tensor.name, prod(tensor.shape)
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        data = list(_flat(tensor)) if tensor.data is not None else []
        if tensor.data is None or len(data) != n:
            raise Invalid(f"`{name}` must have as many values in data as its shape says.", name)
        return Values(tensor.shape, data), rest
    if tensor.data is not None:
        raise Invalid(f"`{name}` must come in data or in binary, not both.", name)
    if type(size) is not int or not 0 <= size <= len(rest):
        raise Invalid(f"`{name}` must have a binary_data_size that the body holds.", name)
    piece, rest = bytes(rest[:size]), rest[size:]
    if tensor.datatype == "BYTES":
        return Values(tensor.shape, _texts(name, piece, n)), rest
    letter, width = _NUMBERS[tensor.datatype]
    if size != width * n:
        raise Invalid(f"`{name}` must have {width} bytes of binary a value of its shape.", name)
    return Values(tensor.shape, list(struct.unpack(f"<{n}{letter}", piece))), rest


def _flat(tensor: InputTensor) -> Iterator[Any]:
    """A tensor of two dimensions may come as rows."""
    data = tensor.data or []
    rows = [row for row in data if isinstance(row, list)]
    if len(tensor.shape) != 2 or len(rows) != len(data):
        return iter(data)
    if any(len(row) != tensor.shape[1] for row in rows):
        name, rule = tensor.name, f"rows of {tensor.shape[1]} values, as its shape says"
        raise Invalid(f"`{name}` must have {rule}.", name)
    return chain.from_iterable(rows)


def _texts(name: str, piece: bytes, n: int) -> list[str]:
    """Read texts, the length of each in four bytes before it."""
    texts, at = [], 0
    for _ in range(n):
        end = at + 4 + int.from_bytes(piece[at : at + 4], "little")
        if at + 4 > len(piece) or end > len(piece):
            break
        texts.append(piece[at + 4 : end].decode(errors="replace"))
        at = end
    if len(texts) != n or at != len(piece):
        what = "one text, its" if n == 1 else f"{n} texts, the"
        rule = f"{what} length{' of each' if n > 1 else ''} in four bytes before it"
        raise Invalid(f"`{name}` must be {rule}.", name)
    return texts


def binary(data: Sequence[float | str]) -> bytes:
    """Write values as FP64, texts with their length before them."""
    pieces = []
    for value in data:
        if isinstance(value, str):
            raw = value.encode()
            pieces.append(struct.pack("<I", len(raw)) + raw)
        else:
            pieces.append(struct.pack("<d", value))
    return b"".join(pieces)
