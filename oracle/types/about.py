"""What people say of a run besides its course: settings, tags, notes and the name they gave it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Annotated, Any

from pydantic import Field

from oracle.types.fields import Frozen
from oracle.types.problems import OneRule
from oracle.types.run_names import Named, clean

MAX_SETTINGS, MAX_TAGS, MAX_NOTES = 200, 50, 10_000
_LONGEST = 200

# PostgreSQL refuses NUL, and the others are nobody's words; lines may end.
_PLAIN = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
Text = Annotated[str, Field(max_length=_LONGEST, pattern=_PLAIN)]
#: A name or nothing, and a name.
Line = Annotated[Named, Field(max_length=_LONGEST)]
Word = Annotated[Named, Field(min_length=1, max_length=_LONGEST)]
#: A free setting; strict, so that 1 stays a number and true a truth.
Setting = Annotated[
    Annotated[bool, Field(strict=True)]
    | Annotated[int, Field(strict=True, ge=-(2**53), le=2**53)]
    | Annotated[float, Field(strict=True, allow_inf_nan=False)]
    | Text
    | None,
    OneRule(
        f"a finite number, a text of at most {_LONGEST} characters (none of them a control "
        "character), true, false or null"
    ),
]


class About(Frozen):
    """What is said of a run; nothing is decided by it.

    Attributes:
        name: as it was given, where that is no run_id.
        config: free settings, e.g. {"sigma": 2.0, "library": "minisom"}.
        tags: words to find it by.
        notes: free text.
    """

    name: Word | None = None
    config: Annotated[dict[Word, Setting], Field(max_length=MAX_SETTINGS)] | None = None
    tags: Annotated[tuple[Word, ...], Field(max_length=MAX_TAGS)] | None = None
    notes: Annotated[str, Field(max_length=MAX_NOTES, pattern=_PLAIN)] | None = None


def about(
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    tags: Iterable[Any] | str | None = None,
    notes: object = None,
) -> About:
    """Make it of what a program has at hand: nested settings, NumPy's numbers, any object.

    Whatever is no setting is taken as its text, and what is too long is cut.

    >>> about(config={"som": {"size": (4, 5), "sigma": 2.0}}).config
    {'som.size': '(4, 5)', 'som.sigma': 2.0}
    """
    words = [tags] if isinstance(tags, str) else tags or ()
    settings = list(_flat(config or {}).items())[:MAX_SETTINGS]
    return About(
        name=_word(name or "") or None,
        config=dict(settings) or None,
        tags=tuple(text for word in words if (text := _word(word)))[:MAX_TAGS] or None,
        notes=_cut(notes, MAX_NOTES) if notes is not None else None,
    )


def _flat(config: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = _word(f"{within}{key}")
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{name}.")
        elif name:
            flat[name] = _setting(value)
    return flat


def _setting(value: Any) -> bool | int | float | str | None:
    if hasattr(value, "item") and getattr(value, "size", 0) == 1:
        value = value.item()  # NumPy's scalars
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= 2**53:
        return int(value)
    if isinstance(value, float) and isfinite(value):
        return float(value)
    return _cut(value, _LONGEST)


def _word(value: object) -> str:
    return clean(_cut(value, _LONGEST))


def _cut(value: object, longest: int) -> str:
    """Give a text that every store takes: no control character but line ends, no lone surrogate."""
    text = str(value).encode("utf-8", "replace").decode()
    return "".join(c for c in text if (c >= " " and c != "\x7f") or c in "\n\t")[:longest]
