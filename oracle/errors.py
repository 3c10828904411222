"""Everything SOM Oracle raises on purpose.

    OracleError
    ├── InvalidHistory      422   a history, reference or policy that breaks a rule
    ├── InvalidSeries       422   a series, window or setting of the workbench that breaks a rule
    ├── InvalidSearch       422   a question about plans that breaks a rule
    ├── RunConflict         409   a report that contradicts what is stored
    ├── RunNotFound         404   no such run
    ├── NotAuthorized       401   missing or unknown API key
    ├── Overloaded          503   queue full: retry later
    ├── StoreUnavailable    503   the database does not answer
    ├── DatasetError              a dataset file; names file, row and column
    └── ArtifactError             a model folder
        ├── ArtifactNotFound
        ├── ArtifactCorrupt       digest or self-test failed
        └── ArtifactIncompatible  written for another version or feature set

OracleWarning is what the hook says instead of raising: the training it watches goes on.

Messages follow one form: "`<field>` must be <rule>, but got <value>. <What to do>."
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

#: Longest rendering of a received value in a message, characters.
SHOWN_VALUE_CHARS = 80


class Message(str):
    """A message in the one form; `without_value` says the same without what was received.

    The service answers strangers and repeats nothing of what they sent.
    """

    without_value: str
    field: str

    def __new__(cls, field: str, rule: str, got: object, advice: str = "") -> Message:
        """Compose both texts; `got` is shortened to SHOWN_VALUE_CHARS."""
        try:
            shown = repr(got)
        except Exception:  # a caller's own object may do anything
            shown = f"a {type(got).__name__}"
        if len(shown) > SHOWN_VALUE_CHARS:
            shown = shown[: SHOWN_VALUE_CHARS - 1] + "…"
        end = f" {advice}" if advice else ""
        message = super().__new__(cls, f"`{field}` must be {rule}, but got {shown}.{end}")
        message.without_value = f"`{field}` must be {rule}.{end}"
        message.field = field
        return message


def must_be(field: str, rule: str, got: object, advice: str = "") -> Message:
    """Compose the one message form: field, rule, what came (shortened), what to do."""
    return Message(field, rule, got, advice)


class OracleError(Exception):
    """Base of every error raised on purpose; `status` is its HTTP status."""

    status: int = 500


class InvalidHistory(OracleError):
    """A history, reference or policy that breaks a rule of its type."""

    status = 422


class InvalidSeries(OracleError):
    """A series, window or setting of the workbench of sequences that breaks a rule."""

    status = 422


class InvalidSearch(OracleError):
    """A question about plans that nobody has begun, which breaks a rule."""

    status = 422


class RunConflict(OracleError):
    """A report that contradicts what is stored for the run."""

    status = 409


class RunNotFound(OracleError):
    """No run of that name is stored (or it belongs to another key)."""

    status = 404


class NotAuthorized(OracleError):
    """The API key is missing or unknown."""

    status = 401


class Overloaded(OracleError):
    """More work is queued than the service accepts; retry after a moment."""

    status = 503


class StoreUnavailable(OracleError):
    """The run store cannot be read or written now; nothing was half written."""

    status = 503


class DatasetError(OracleError):
    """A dataset file that cannot be used.

    Args:
        message: rule and remedy, in the form of `must_be`.
        file: path as the user gave it.
        row: line number in the file, 1 = header; None where the whole file is meant.
        column: column name, None where the whole row is meant.
    """

    status = 422

    def __init__(
        self, message: str, *, file: str = "", row: int | None = None, column: str | None = None
    ) -> None:
        where = [str(file)] if file else []
        if row is not None:
            where.append(f"row {row}")
        if column is not None:
            where.append(f"column {column}")
        super().__init__(f"{', '.join(where)}: {message}" if where else message)
        self.message, self.file, self.row, self.column = message, file, row, column


class ArtifactError(OracleError):
    """A model folder that cannot be used."""

    status = 503


class ArtifactNotFound(ArtifactError):
    """No artifact at that path or of that name."""


class ArtifactCorrupt(ArtifactError):
    """A file is missing, altered or fails the golden self-test."""


class ArtifactIncompatible(ArtifactError):
    """The artifact was written for another format or feature set."""


class OracleWarning(UserWarning):
    """The hook cannot do its part now; the watched training is not affected."""


def callers_level() -> int:
    """Count the frames from the caller up to the first outside the package, for `warnings.warn`."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        level, frame = level + 1, frame.f_back
    return level


#: A `with` block of ours is entered by way of contextlib.
_NOT_THE_USERS = (str(Path(__file__).parent), contextlib.__file__)
