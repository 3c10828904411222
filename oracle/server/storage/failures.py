"""Why the store fails, for whoever keeps the service: logged once, until it works again."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from oracle.server.storage.database import explain

log = logging.getLogger("oracle.store")

#: Longest cause that is logged, characters.
_LONGEST = 500


class Failures:
    """What went wrong last.

    Args:
        url: of the database, whose password is never told.
    """

    def __init__(self, url: URL) -> None:
        self._password = url.password
        self._last: str | None = None

    def tell(self, error: BaseException) -> None:
        """Log what the database, or the system, said, unless it is what was logged before."""
        cause = self.cause_of(error)
        if cause != self._last:
            self._last = cause
            said = explain(error) if isinstance(error, Exception) else str(error)
            log.warning("store", extra={"problem": said, "cause": cause})

    def over(self) -> None:
        """Take it that the store works."""
        self._last = None

    def cause_of(self, error: BaseException) -> str:
        """Give the innermost sentence, in one line, without the password."""
        *_, innermost = _chain(error)
        text = " ".join(f"{type(innermost).__name__}: {innermost}".split())[:_LONGEST]
        return text.replace(str(self._password), "***") if self._password else text


def _chain(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.orig if isinstance(found, DBAPIError) else found.__cause__
