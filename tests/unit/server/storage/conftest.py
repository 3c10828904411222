"""A store on each kind of database, and one on a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from made_up import StandIn

from oracle.server.storage.store import Store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "oracle.db"


@pytest.fixture
def file_store(file: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{file}", timeout_s=2, answer=StandIn().answer)
    yield store
    store.close()


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store on each kind of database."""
    store = Store(database_url, timeout_s=10, answer=StandIn().answer)
    yield store
    store.close()
