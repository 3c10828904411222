"""Names as people and other tools give them: their characters, and each one's run_id or label."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Annotated
from unicodedata import bidirectional, category, combining

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from oracle.types.fields import MAX_NAME, RUN_ID_PATTERN, one_form

_LONGEST = 64
_DIGEST_CHARS = 8
_JOINERS = "\u200c\u200d"
_EMOJI_STYLE = "\ufe0f"
#: What follows "must be" of a name with a character that no name has.
RULE_OF_NAMES = (
    "of visible characters and plain spaces alone, without any that ends a line, turns the "
    "direction of text or cannot be seen (a joiner may stand where it joins)"
)


def is_name(text: str) -> bool:
    r"""Tell whether a name has only characters that a name may have.

    A control of direction makes `exe.png` of `gnp.exe`, and with a character that nobody sees two
    names look alike. Joiners shape emoji and several scripts, so they may stand where they do.

    >>> is_name("wine 2"), is_name("\u202egnp.exe"), is_name("\U0001f469\u200d\U0001f52c")
    (True, False, True)
    """
    return text.isprintable() if text.isascii() else all(_fitting(text))


def clean(text: str) -> str:
    """Give a text as a name may be: blanks for other blanks and line ends, nothing for what hides.

    >>> clean("wine" + chr(10) + "2" + chr(0x202E))
    'wine 2'
    """
    if is_name(text):
        return text
    fits = zip(text, _fitting(text), strict=True)
    return "".join(c if fit else "" if category(c) == "Cf" else " " for c, fit in fits)


def _fitting(text: str) -> Iterator[bool]:
    around = f" {text} "
    for i, c in enumerate(text):
        yield _is_seen(c) or (c in _JOINERS and _joins(around[i], around[i + 2]))


def _is_seen(c: str) -> bool:
    kind = category(c)
    # Unassigned ones are the emoji of next year.
    return c == " " or kind[0] not in "CZ" or kind in ("Cn", "Co")


def _joins(before: str, after: str) -> bool:
    """Tell whether a joiner has something to shape: two emoji, Arabic letters, an Indic virama."""
    return (
        ((_is_sign(before) or before == _EMOJI_STYLE) and _is_sign(after))
        or (bidirectional(before) in ("AL", "NSM") and bidirectional(after) == "AL")
        or combining(before) == 9
        or combining(after) == 9
    )


def _is_sign(c: str) -> bool:
    return category(c)[0] == "S" and not c.isascii()


def _checked(name: str) -> str:
    if not is_name(name):
        raise PydanticCustomError("rule", RULE_OF_NAMES)
    return name


#: A text that is shown as a name, of characters that a name may have.
Named = Annotated[str, AfterValidator(_checked)]


def label_of(name: object) -> str | None:
    """Give the text that a table or a population is called by: a name, and no longer than kept.

    >>> label_of(17), label_of("wine" + chr(10) + "2"), label_of("")
    ('17', 'wine 2', None)
    """
    text: str = one_form(clean(str(name)))
    if len(text) > MAX_NAME:
        text = f"{text[: MAX_NAME - _DIGEST_CHARS - 1]}-{_digest(text)}"
    return text or None


def run_id_of(name: object) -> str:
    """Give the run_id of a name: itself where it can be one, else cleaned and told apart.

    Hydra's `lr=0.1,sigma=2.0` and Ray's eighty characters become what addresses and files can
    hold; a digest of the name keeps two of them apart that are cleaned to the same.

    >>> run_id_of("r-17"), run_id_of(17), run_id_of("run 17 (copy)")
    ('r-17', '17', 'run-17-copy-e55c2edc')
    """
    text = str(name)
    if re.match(RUN_ID_PATTERN, text) and text.strip(".") and not text.endswith("\n"):
        return text
    digest = _digest(text)
    clean = re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")
    return f"{clean[: _LONGEST - _DIGEST_CHARS - 1].rstrip('-.') or 'run'}-{digest}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]
