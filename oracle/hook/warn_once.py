"""What went wrong under a watched run: one warning a kind, then a counter; never an exception."""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import suppress

from oracle.errors import SHOWN_VALUE_CHARS, OracleError, OracleWarning, callers_level


class Problems:
    """Count problems by kind and warn of the first of each.

    Args:
        among: problems that these are counted among, of all that one object is used for; each of
            its uses warns by itself.

    Attributes:
        counts: how often each kind came.
        messages: the first message of each kind.
    """

    def __init__(self, among: Problems | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.messages: dict[str, str] = {}
        self._among = among

    def note(self, kind: str, message: str) -> None:
        """Count a problem; warn where it is the first of its kind."""
        if self._among is not None:
            self._among.counts[kind] += 1
            self._among.messages.setdefault(kind, message)
        self.counts[kind] += 1
        if self.counts[kind] > 1:
            return
        self.messages[kind] = message
        # Warnings may be errors, or shown by a function of the caller's own that fails: the
        # training goes on all the same, and the message is kept.
        with suppress(Exception):
            warnings.warn(
                f"SOM Oracle: {message} The training goes on. Said once; run.summary() counts it.",
                OracleWarning,
                stacklevel=callers_level(),
            )

    def note_error(self, kind: str, doing: str, error: Exception) -> None:
        """Count an exception met while `doing` something."""
        try:
            own = isinstance(error, OracleError)
            text = str(error) if own else f"{type(error).__name__}: {error}"
        except Exception:  # of its own making
            text = type(error).__name__
        text = text if len(text) <= 4 * SHOWN_VALUE_CHARS else text[: 4 * SHOWN_VALUE_CHARS] + "…"
        self.note(kind, f"could not {doing}: {text.rstrip('.')}.")

    def __str__(self) -> str:
        return ", ".join(f"{kind} {n}" for kind, n in self.counts.most_common())
