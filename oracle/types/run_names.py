"""Names as people and other tools give them, and the run_id or label that stands for each."""

from __future__ import annotations

import hashlib
import re

from oracle.types.fields import MAX_NAME, RUN_ID_PATTERN, one_form

_LONGEST = 64
_DIGEST_CHARS = 8


def label_of(name: object) -> str | None:
    """Give the text that a table or a population is called by: printable, and no longer than kept.

    >>> label_of(17), label_of("wine" + chr(10) + "2"), label_of("")
    ('17', 'wine 2', None)
    """
    text: str = one_form("".join(c if c.isprintable() else " " for c in str(name)))
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
