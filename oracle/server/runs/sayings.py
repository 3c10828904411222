"""What people say of a run, as its row keeps it: name, settings, tags, notes."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Row

from oracle.types import About


def columns_of(said: About) -> dict[str, str | None]:
    """Give what is told, as columns of a run."""
    told = {name: getattr(said, name) for name in said.model_fields_set & About.model_fields.keys()}
    return {
        name: value if value is None or isinstance(value, str) else json.dumps(value)
        for name, value in told.items()
    }


def changed(row: Row[Any], said: About) -> dict[str, str | None]:
    """Give what is told otherwise than a run's row has it."""
    return {name: text for name, text in columns_of(said).items() if text != getattr(row, name)}
