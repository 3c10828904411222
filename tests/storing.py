"""A store written to at once: the transactions of its writer, without its thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from oracle.server.storage.store import Store, told
from oracle.server.storage.units_of_work import Unit, answer_all


def write_now(store: Store, work: Callable[[Connection], Any]) -> Any:
    """Run `work` in a transaction of its own, in this thread; gives its result.

    Raises:
        StoreUnavailable: as the writer would.
    """
    try:
        store._prepare()
        with store._writing.begin() as connection:
            unit = Unit(work(connection))
            answer_all([unit], store._answer)
            return unit.result
    except (SQLAlchemyError, OSError) as error:
        store._note(error)
        raise told(error) from error
