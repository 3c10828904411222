"""A database that misbehaves: read-only, locked, gone, replaced, damaged."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url, text
from storing import append, at_first_version, count, names, note, write_now

from oracle.errors import StoreUnavailable
from oracle.server.runs import listing
from oracle.server.storage.failures import Failures
from oracle.server.storage.schema import metadata
from oracle.server.storage.store import Store

#: A user without rights, on every Unix.
NOBODY = 65534


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


def test_a_damaged_database_is_told(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"not a database" * 1000)
    store = Store(f"sqlite:///{file}")
    with pytest.raises(StoreUnavailable, match="damaged"):
        store.migrate()
    store.close()
    assert file.read_bytes() == b"not a database" * 1000


def test_a_disk_without_space_is_not_ready_for_one_page_more(
    file_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a trial writes fits into the log that is there, and the next append does not."""
    file_store.start()
    asyncio.run(file_store.write(note))
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=4_096))
    asyncio.run(file_store.check_writing())  # nothing has failed
    file_store._write_failed = True
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="has no space left"):
            asyncio.run(file_store.check_writing())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1 << 20))
    asyncio.run(file_store.check_writing())
    assert not file_store._write_failed


def test_why_it_fails_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no folder")
    store = Store(f"sqlite:///{tmp_path / 'file' / 'oracle.db'}", timeout_s=2)
    with caplog.at_level("WARNING", logger="oracle.store"):
        for _ in range(3):
            with pytest.raises(
                StoreUnavailable, match=r"as it is set up.*the service's log says why"
            ):
                store.read_now(count)
    (said,) = caplog.records
    assert "NotADirectoryError" in said.cause or "FileExistsError" in said.cause
    store.close()


def test_no_password_is_logged() -> None:
    failures = Failures(make_url("postgresql://me:s3cret@host/db"))
    told = failures.cause_of(OSError("cannot reach postgresql://me:s3cret@host/db\nat all"))
    assert told == "OSError: cannot reach postgresql://me:***@host/db at all"
