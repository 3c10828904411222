"""The store: migrations, one writer for everybody, and a database that misbehaves."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from made_up import StandIn
from serving import checkpoint
from sqlalchemy import Connection, event, func, select, text
from storing import write_now

from oracle.errors import InvalidHistory, RunConflict, StoreUnavailable
from oracle.server.http.wire import CheckpointsRequest, FinishRequest
from oracle.server.runs import counts, listing
from oracle.server.runs.lifecycle import Runs
from oracle.server.storage.database import MIGRATIONS, parse_url
from oracle.server.storage.schema import VERSION, metadata
from oracle.server.storage.store import READERS, Store
from oracle.types import Policy

#: A user without rights, on every Unix.
NOBODY = 65534


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


def note(connection: Connection, run_id: str = "r") -> None:
    connection.execute(
        text("INSERT INTO events (owner, run_id, body) VALUES ('', :run_id, '')"),
        {"run_id": run_id},
    )


def count(connection: Connection) -> Any:
    return connection.execute(text("SELECT count(*) FROM events")).scalar()


def test_the_migrations_make_the_tables_of_schema(store: Store) -> None:
    store.migrate()
    store.migrate()

    def differences(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    assert store.read_now(differences) == []


def test_the_tables_are_those_of_the_last_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    assert ScriptDirectory.from_config(config).get_heads() == [VERSION]


def test_a_database_of_this_version_is_opened_without_alembic(file: Path) -> None:
    Store(f"sqlite:///{file}").migrate()
    code = f"""
import sys
from oracle.server.storage.store import READERS, Store
Store("sqlite:///{file}").migrate()
assert "alembic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def at_first_version(store: Store) -> None:
    """Make a database as the first version did, with a run in it."""
    at_version(store, "0001")


def at_version(store: Store, version: str) -> None:
    """Make a database as that version did, with a run in it."""
    if store.is_sqlite:
        Path(store.url.database or "").touch()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    with store._writing.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        connection.execute(
            text(
                "INSERT INTO runs (owner, run_id, population, context, state, control, created_at,"
                " updated_at, n_checkpoints, epoch, mqe) VALUES ('', 'old', 'p', '{}', 'running',"
                " false, 1, 1, 1, 10, 0.5)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO checkpoints (run, epoch, mqe, topographic_error, dead_neuron_ratio)"
                " VALUES (1, 10, 0.5, 0.1, 0.2)"
            )
        )


def append(store: Store, run_id: str, epoch: float) -> None:
    runs = Runs(Policy(name="population"))
    piece = CheckpointsRequest.model_validate(checkpoint(epoch, population="p"))
    write_now(store, lambda c: runs.append(c, "", run_id, piece))


def test_a_database_of_the_first_version_goes_on(store: Store) -> None:
    at_first_version(store)
    append(store, "old", 20)
    assert store.read_now(lambda c: listing.detail(c, "", "old")).history.epochs == (10.0, 20.0)


def test_what_an_earlier_version_stored_is_counted(store: Store) -> None:
    at_version(store, "0002")
    rows = [
        ("p", "running", 10, 100, True),
        ("p", "running", 20, 100, False),
        ("p", "stopped", 30, 100, False),
        ("p", "finished", 100, 100, True),
        ("p", "finished", 50, None, False),
        ("q", "stopped", 5, 50, False),
        (None, "finished", 5, 50, False),
    ]

    def fill(connection: Connection) -> None:
        add = text(
            "INSERT INTO runs (owner, run_id, population, state, epoch, total_epochs, control,"
            " context, created_at, updated_at, n_checkpoints, mqe) VALUES ('ann', :run_id,"
            " :population, :state, :epoch, :total, :control, '{}', 1, :epoch, 1, 0.5)"
        )
        names = ("population", "state", "epoch", "total", "control")
        for i, row in enumerate(rows):
            values = dict(zip(names, row, strict=True))
            connection.execute(add, {"run_id": f"n{i}", **values})

    with store._writing.begin() as connection:
        fill(connection)

    def look(connection: Connection) -> None:
        members = connection.execute(select(metadata.tables["runs"])).all()
        for name in ("p", "q"):
            found = counts.of_population(connection, "ann", name)
            mine = [m for m in members if (m.owner, m.population) == ("ann", name)]
            assert found is not None
            assert found.updated_at == max(m.updated_at for m in mine)
            for counted in counts.COUNTED:
                assert getattr(found, counted) == sum(counts.of_run(m)[counted] for m in mine)

    store.read_now(look)
    append(store, "old", 20)  # whose population was counted too
    assert store.read_now(lambda c: counts.of_population(c, "", "p")).running == 1


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"population": "p"},
        {"population": "p", "state": "running"},
        {"dataset": "d"},
        {"dataset": "d", "state": "running"},
        {"state": "stopped"},
    ],
)
def test_a_page_is_read_from_an_index_in_its_order(file_store: Store, filters: Any) -> None:
    wanted = {"population": None, "dataset": None, "state": None, **filters}
    told: list[str] = []

    def look(connection: Connection) -> None:
        def explain(conn: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
            if statement.startswith("SELECT runs.") and "LIMIT" in statement:
                plan = connection.connection.driver_connection.execute(
                    f"EXPLAIN QUERY PLAN {statement}", values
                )
                told.extend(row[-1] for row in plan)

        event.listen(connection, "before_cursor_execute", explain)
        listing.page(connection, "", limit=10, cursor="99", **wanted)
        event.remove(connection, "before_cursor_execute", explain)

    file_store.read_now(look)
    assert told
    assert all("TEMP B-TREE" not in line for line in told)
    named = {"population": "population", "state": "state", "dataset": "dataset"}
    assert all(f"{named[name]}=?" in told[0] for name in filters)


def test_ids_outgrow_32_bits(store: Store) -> None:
    at_first_version(store)
    store.migrate()
    far = 2**33

    def use_up(connection: Connection) -> None:
        for table in ("runs", "decisions", "outcomes", "events"):
            moves = [f"SELECT setval('{table}_id_seq', {far})"]
            if store.is_sqlite:
                moves = [
                    f"DELETE FROM sqlite_sequence WHERE name = '{table}'",
                    f"INSERT INTO sqlite_sequence (name, seq) VALUES ('{table}', {far})",
                ]
            for move in moves:
                connection.execute(text(move))

    write_now(store, use_up)
    append(store, "new", 10)
    runs = Runs(Policy(name="population"))
    write_now(store, lambda c: runs.finish(c, "", "new", FinishRequest()))
    append(store, "newer", 10)

    def page(connection: Connection) -> Any:
        wanted = {"population": "p", "dataset": None, "state": None}
        return listing.page(connection, "", limit=1, cursor=str(far + 2), **wanted)

    found = store.read_now(page)
    assert [run.run_id for run in found.runs] == ["new"]
    assert found.next_cursor == str(far + 1)
    assert store.read_now(lambda c: listing.replay(c, "", "newer", 10)).inputs.exact
    for table in ("decisions", "outcomes", "events"):
        last = select(func.max(metadata.tables[table].c.id))
        assert store.read_now(lambda c, last=last: c.scalar(last)) > far


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


def test_a_database_of_a_later_version_is_left_alone(store: Store) -> None:
    store.migrate()
    write_now(store, lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(StoreUnavailable, match="later version"):
        store.migrate()


def test_processes_that_start_together_migrate_once(file: Path) -> None:
    code = f"from oracle.server.storage.store import Store; Store('sqlite:///{file}').migrate()"
    ones = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [one.wait(60) for one in ones] == [0, 0, 0]


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
                    store.write(note) if name == "plain" else store.write(self.unit(name), name)
                )
                for name in names
            ]
            await asyncio.sleep(0)
            store.start()
            return await asyncio.gather(*waiting, return_exceptions=True)

        return [f"{done!r}" for done in asyncio.run(work())]


def names(connection: Connection) -> list[str]:
    return [name for (name,) in connection.execute(text("SELECT run_id FROM events ORDER BY id"))]


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


@contextmanager
def as_owner_of(*paths: Path) -> Iterator[None]:
    """Root may write to what is read-only: be somebody else who owns these."""
    if os.geteuid() != 0:
        yield
        return
    for path in paths:
        os.chown(path, NOBODY, -1)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that anybody can reach, unlike tmp_path."""
    folder = Path(tempfile.mkdtemp(prefix="oracle-store-"))
    yield folder
    shutil.rmtree(folder)


def test_a_database_that_was_read_only_is_written_once_it_is_not(
    open_folder: Path, file_store: Store, file: Path
) -> None:
    file_store.migrate()
    write_now(file_store, note)
    left = Store(f"sqlite:///{open_folder / file.name}", timeout_s=2)
    left.migrate()  # somebody else may not read the migrations of this checkout
    left.close()
    # As a process leaves it that is killed: with its journal.
    files = [Path(shutil.copy(one, open_folder)) for one in file.parent.iterdir()]
    assert len(files) == 3
    left.start()
    try:
        with as_owner_of(open_folder, *files):
            for one in files:
                one.chmod(0o444)
            open_folder.chmod(0o555)
            with pytest.raises(StoreUnavailable, match="read-only"):
                asyncio.run(left.write(note))
            with pytest.raises(StoreUnavailable, match="read-only"):
                asyncio.run(left.check_writing())
            assert left.read_now(count) == 1
            open_folder.chmod(0o755)
            for one in files:
                one.chmod(0o644)
            asyncio.run(left.check_writing())
            asyncio.run(left.write(note))
            assert left.read_now(count) == 2
    finally:
        left.close()


def test_a_locked_database_is_told_and_waited_for(file_store: Store, file: Path) -> None:
    file_store.timeout_s = 0.3
    file_store.migrate()
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")

        async def work() -> None:
            file_store.start()
            await file_store.write(note)

        with pytest.raises(StoreUnavailable):
            asyncio.run(work())
        other.execute("ROLLBACK")
    other.close()


def test_a_database_that_goes_and_comes_back(file_store: Store, file: Path) -> None:
    write_now(file_store, note)
    for name in ("oracle.db", "oracle.db-wal", "oracle.db-shm"):
        if (file.parent / name).exists():
            (file.parent / name).rename(file.parent / f"away-{name}")
    with pytest.raises(StoreUnavailable):
        write_now(file_store, note)
    with pytest.raises(StoreUnavailable):
        file_store.read_now(count)
    assert not file.exists()
    for away in list(file.parent.glob("away-*")):
        away.rename(file.parent / away.name.removeprefix("away-"))
    write_now(file_store, note)
    assert file_store.read_now(count) == 2


def remove(file: Path) -> None:
    """Remove a database with its log."""
    for one in file.parent.glob(f"{file.name}*"):
        one.unlink()


def test_an_empty_database_in_its_place_is_made_one_of_ours(file_store: Store, file: Path) -> None:
    undone: list[bool] = []
    file_store.on_rollback = lambda: undone.append(True)
    append(file_store, "old", 10)
    remove(file)
    file.touch()
    assert file_store.read_now(count) == 0
    assert undone  # what is remembered of the other is forgotten
    assert file_store.generation == 1
    append(file_store, "new", 10)
    assert file_store.read_now(names) == ["new"]


def test_an_older_database_in_its_place_is_brought_up_to_date(
    file_store: Store, file: Path, tmp_path: Path
) -> None:
    older = Store(f"sqlite:///{tmp_path / 'older.db'}")
    at_first_version(older)
    older.close()
    append(file_store, "r", 10)
    remove(file)
    shutil.copy(tmp_path / "older.db", file)
    append(file_store, "old", 20)
    found = file_store.read_now(lambda c: listing.detail(c, "", "old"))
    assert found.history.epochs == (10.0, 20.0)


def test_a_later_database_in_its_place_is_left_alone(
    file_store: Store, file: Path, tmp_path: Path
) -> None:
    later = Store(f"sqlite:///{tmp_path / 'later.db'}")
    write_now(later, lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    later.close()
    append(file_store, "r", 10)
    remove(file)
    shutil.copy(tmp_path / "later.db", file)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="later version"):
            append(file_store, "r", 20)


def test_tables_that_were_dropped_are_made_anew(store: Store) -> None:
    append(store, "old", 10)

    def drop(connection: Connection) -> None:
        for name in ("alembic_version", *[t.name for t in metadata.sorted_tables[::-1]]):
            connection.execute(text(f"DROP TABLE {name}"))

    write_now(store, drop)
    with pytest.raises(StoreUnavailable):
        append(store, "new", 10)
    append(store, "new", 10)
    assert store.read_now(names) == ["new"]
    assert store.generation == 1


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
def test_what_is_acknowledged_is_kept_although_its_log_is_removed(
    file_store: Store, file: Path, replaced: bool
) -> None:
    log = file.with_name(f"{file.name}-wal")
    file_store.start()

    def write(run_id: str) -> None:
        asyncio.run(file_store.write(lambda connection: note(connection, run_id)))

    write("before")
    assert file_store.read_now(count) == 1  # readers have it open, too
    log.unlink()
    if replaced:
        log.touch()
    write("after")
    # As somebody finds it who comes after a kill -9 of this process.
    found = file.with_name("found.db")
    shutil.copy(file, found)
    with sqlite3.connect(found) as other:
        found_ones = other.execute("SELECT run_id FROM events ORDER BY id").fetchall()
        assert [name for (name,) in found_ones] == ["before", "after"]
        assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    other.close()
    write("later")
    assert file_store.read_now(names) == ["before", "after", "later"]
    assert log.exists()


def test_a_file_that_goes_while_it_is_written_is_not_acknowledged(
    file_store: Store, file: Path
) -> None:
    write_now(file_store, note)
    file_store.start()

    def write(connection: Connection) -> None:
        note(connection)
        remove(file)

    with pytest.raises(StoreUnavailable, match="gone"):
        asyncio.run(file_store.write(write))
    assert not file.exists()


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


def test_a_damaged_database_is_told(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"not a database" * 1000)
    store = Store(f"sqlite:///{file}")
    with pytest.raises(StoreUnavailable, match="damaged"):
        store.migrate()
    store.close()
    assert file.read_bytes() == b"not a database" * 1000


@pytest.mark.parametrize(
    "url", ["", "x", "sqlite://", "sqlite:///:memory:", "mysql://u:secret@h/d", "oracle://h/d"]
)
def test_other_databases_are_refused_without_showing_the_url(url: str) -> None:
    with pytest.raises(InvalidHistory, match="database_url") as error:
        parse_url(url)
    assert "secret" not in str(error.value)


def test_postgresql_is_spoken_to_with_psycopg() -> None:
    assert parse_url("postgresql://u@h/d").drivername == "postgresql+psycopg"
