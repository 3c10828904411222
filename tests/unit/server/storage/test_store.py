"""The store: one writer for everybody, readers beside it, and the databases it speaks to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, text
from storing import count, names, note, write_now

from oracle.errors import InvalidHistory, RunConflict, StoreUnavailable
from oracle.server.storage.database import parse_url
from oracle.server.storage.store import READERS, Store
from oracle.server.storage.turns import Subject


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite keeps any text
@pytest.mark.postgres
def test_a_value_that_the_database_cannot_keep_is_refused_alone(store: Store) -> None:
    undone: list[bool] = []
    store.on_rollback = lambda: undone.append(True)

    def bad(connection: Connection) -> None:
        note(connection, "a\x00b")

    async def work() -> list[Any]:
        waiting = [asyncio.create_task(store.write(w)) for w in (note, bad, note)]
        await asyncio.sleep(0)
        store.start()
        return await asyncio.gather(*waiting, return_exceptions=True)

    results = asyncio.run(work())
    assert [type(result) for result in results] == [type(None), InvalidHistory, type(None)]
    assert store.read_now(count) == 2
    assert not undone
    with pytest.raises(InvalidHistory, match="keep"):
        store.read_now(lambda c: c.execute(text("SELECT :value"), {"value": "a\x00b"}))


def test_sqlite_is_set_to_keep_what_it_acknowledged(file_store: Store) -> None:
    def pragmas(connection: Connection) -> list[Any]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.execute(text(f"PRAGMA {name}")).scalar() for name in names]

    assert write_now(file_store, pragmas) == ["wal", 2, 1]  # 2 = FULL


def test_waiting_writes_share_a_transaction_and_one_bad_one_fails_alone(store: Store) -> None:
    committed: list[int] = []

    class Meter:
        def committed(self, jobs: int, took_s: float) -> None:
            committed.append(jobs)

        def failed(self) -> None:
            committed.append(-1)

    store._meter = Meter()

    def bad(connection: Connection) -> None:
        note(connection)
        raise RunConflict("no")

    async def work() -> list[Any]:
        waiting = [asyncio.create_task(store.write(note)) for _ in range(5)]
        waiting.insert(2, asyncio.create_task(store.write(bad)))
        await asyncio.sleep(0)
        store.start()
        return await asyncio.gather(*waiting, return_exceptions=True)

    results = asyncio.run(work())
    assert [type(result) for result in results].count(RunConflict) == 1
    assert committed == [6]
    assert store.read_now(count) == 5


class Asker:
    """Units of work that ask, and what was asked together."""

    def __init__(self) -> None:
        self.together: list[list[str]] = []

    def answer(self, questions: Sequence[str]) -> list[str]:
        """Answer, and remember."""
        self.together.append([*questions])
        return [question.upper() for question in questions]

    def unit(self, name: str) -> Callable[[Connection], Generator[str, str, str]]:
        """Note a run, ask by its name, and note what was answered."""

        def work(connection: Connection) -> Generator[str, str, str]:
            note(connection, name)
            if name == "refused":
                raise RunConflict("no")
            answer = yield name
            if name == "late":
                raise RunConflict("no")
            note(connection, answer)
            return answer

        return work

    def write(self, store: Store, *names: str) -> list[Any]:
        """Have units written, and tell what each came to."""
        store._answer = self.answer

        async def work() -> list[Any]:
            waiting = [
                asyncio.create_task(
                    store.write(note)
                    if name == "plain"
                    else store.ask(self.unit(name), Subject("", name))
                )
                for name in names
            ]
            await asyncio.sleep(0)
            store.start()
            return await asyncio.gather(*waiting, return_exceptions=True)

        return [f"{done!r}" for done in asyncio.run(work())]


def test_what_waits_together_is_asked_together(store: Store) -> None:
    asker = Asker()
    assert asker.write(store, "a", "b", "c") == ["'A'", "'B'", "'C'"]
    assert asker.together == [["a", "b", "c"]]
    assert store.read_now(names) == ["a", "b", "c", "A", "B", "C"]


def test_neighbours_about_the_same_thing_are_asked_one_after_the_other(store: Store) -> None:
    asker = Asker()
    asker.write(store, "a", "b", "a", "c")
    assert asker.together == [["a", "b"], ["a", "c"]]
    assert store.read_now(names) == ["a", "b", "A", "B", "a", "c", "A", "C"]


def test_work_that_does_not_ask_parts_those_that_do(store: Store) -> None:
    asker = Asker()
    asker.write(store, "a", "plain", "b")
    assert asker.together == [["a"], ["b"]]
    assert store.read_now(names) == ["a", "A", "r", "b", "B"]


def test_one_that_is_refused_before_its_question_is_undone_alone(store: Store) -> None:
    asker = Asker()
    assert asker.write(store, "a", "refused", "c") == ["'A'", "RunConflict('no')", "'C'"]
    assert asker.together == [["a", "c"]]
    assert store.read_now(names) == ["a", "c", "A", "C"]


def test_one_that_is_refused_after_its_question_is_undone_alone(store: Store) -> None:
    asker = Asker()
    assert asker.write(store, "a", "late", "c") == ["'A'", "RunConflict('no')", "'C'"]
    assert asker.together == [["a", "late", "c"], ["a"], ["late"], ["c"]]
    assert store.read_now(names) == ["a", "A", "c", "C"]


def test_a_write_that_breaks_the_database_fails_alone(store: Store) -> None:
    undone: list[bool] = []
    store.on_rollback = lambda: undone.append(True)

    def broken(connection: Connection) -> None:
        note(connection)
        connection.execute(text("INSERT INTO nowhere VALUES (1)"))

    async def work() -> list[Any]:
        waiting = [asyncio.create_task(store.write(w)) for w in (note, broken, note)]
        await asyncio.sleep(0)
        store.start()
        return await asyncio.gather(*waiting, return_exceptions=True)

    results = asyncio.run(work())
    assert [type(result) for result in results] == [type(None), StoreUnavailable, type(None)]
    assert store.read_now(count) == 2
    assert undone


def test_a_read_that_nobody_waits_for_is_ended(database_url: str) -> None:
    store = Store(database_url, timeout_s=1)
    store.migrate()
    endless = text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    )
    ended = threading.Event()

    def read(connection: Connection) -> None:
        try:
            connection.execute(endless)
        finally:
            ended.set()

    async def work() -> None:
        with pytest.raises(StoreUnavailable):
            await store.read(read)
        await asyncio.to_thread(ended.wait, 60)
        store.timeout_s = 60
        await store.check_reading()

    asyncio.run(work())
    assert ended.is_set()
    store.close()


def test_readiness_waits_for_no_other_reader(file_store: Store) -> None:
    file_store.migrate()
    free = threading.Event()

    async def work() -> None:
        readers = [
            asyncio.create_task(file_store.read(lambda c: free.wait(60)))
            for _ in range(READERS + 2)
        ]
        await file_store.check_reading()
        free.set()
        await asyncio.gather(*readers)

    file_store._readers._timeout_s = 60
    asyncio.run(work())


@pytest.mark.parametrize(
    "url", ["", "x", "sqlite://", "sqlite:///:memory:", "mysql://u:secret@h/d", "oracle://h/d"]
)
def test_other_databases_are_refused_without_showing_the_url(url: str) -> None:
    with pytest.raises(InvalidHistory, match="database_url") as error:
        parse_url(url)
    assert "secret" not in str(error.value)


def test_postgresql_is_spoken_to_with_psycopg() -> None:
    assert parse_url("postgresql://u@h/d").drivername == "postgresql+psycopg"
