"""Stored runs on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from made_up import StandIn
from storing import Bench

from oracle.server.storage.store import Store


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url, answer=StandIn().answer)
    yield store
    store.close()


@pytest.fixture
def bench(store: Store) -> Bench:
    return Bench(store)
