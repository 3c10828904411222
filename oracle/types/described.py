"""What each field of a type means: its docstring says it once, and JSON schemas repeat it."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import cache
from inspect import cleandoc
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic_core import CoreSchema

_HEADING = "Attributes:"
#: `epochs: text`, `learning_rate, radius: text`, `final_*: text`, after one step of indentation.
_ENTRY = re.compile(r" {4}(?P<names>[\w*]+(?:, [\w*]+)*): (?P<text>\S.*)")


def split_docstring(text: str) -> tuple[str, dict[str, str]]:
    r"""Part a Google-style docstring into what it says of the whole, and of each attribute.

    Args:
        text: the docstring; a name may be a pattern (`final_*`), and several may share a text.

    Returns:
        The text before `Attributes:`, and names or patterns -> their texts, each in one line.

    >>> split_docstring("A map.\n\nAttributes:\n    rows, cols: its size,\n        neurons.")
    ('A map.', {'rows': 'its size, neurons.', 'cols': 'its size, neurons.'})
    """
    before, _, section = f"{cleandoc(text)}\n".partition(f"\n{_HEADING}\n")
    found: dict[str, str] = {}
    names: tuple[str, ...] = ()
    for line in section.splitlines():
        if line and not line.startswith(" "):
            break  # the next section
        if entry := _ENTRY.fullmatch(line):
            names = tuple(entry["names"].split(", "))
            found.update(dict.fromkeys(names, entry["text"]))
        elif line.strip():
            found.update({name: f"{found[name]} {line.strip()}" for name in names})
    return before.strip(), found


@cache
def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Field -> what the docstring of the type, or of one it is made from, says of it."""
    entries = [
        entry
        for kind in model.__mro__
        if issubclass(kind, BaseModel) and kind.__doc__
        for entry in split_docstring(kind.__doc__)[1].items()
    ]
    return {
        field: next(text for pattern, text in entries if fnmatchcase(field, pattern))
        for field in model.model_fields
        if any(fnmatchcase(field, pattern) for pattern, _ in entries)
    }


class Described(BaseModel):
    """A type whose schema says of each field what its docstring does.

    It is looked up when a schema is asked for, so that importing a type costs nothing more.
    """

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Write the docstring's texts into the schema."""
        schema = handler(core_schema)
        told = handler.resolve_ref_schema(schema)
        if cls.__doc__ and "properties" in told:
            told["description"] = split_docstring(cls.__doc__)[0]
        for field, text in descriptions(cls).items():
            if field in told.get("properties", {}):
                told["properties"][field]["description"] = _sentence(text)
        return schema


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."
