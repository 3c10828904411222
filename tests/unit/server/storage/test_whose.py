"""Databases of somebody else's: told by name, and left as they are, whoever opens them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, inspect, text
from storing import at_version, note, write_now

from oracle.cli import main
from oracle.errors import DatasetError, StoreUnavailable
from oracle.hook.population import Population
from oracle.server.runs.export import read_store
from oracle.server.storage.database import parse_url
from oracle.server.storage.reading import StoredRuns
from oracle.server.storage.store import Store

STUDY = "CREATE TABLE studies (a); CREATE TABLE trials (a);"
FOREIGN_ALEMBIC = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);"


def population(path: Path) -> None:
    shared = Population(path)
    shared.start("mine", "r")
    shared.close()


def database(script: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with closing(sqlite3.connect(path)) as file:
            file.executescript(script)

    return make


#: Name -> how it is made, what it is called.
STRANGERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "population": (population, "is a population file of the hook"),
    "study": (
        database(f"{STUDY} {FOREIGN_ALEMBIC} INSERT INTO alembic_version VALUES ('v3.2.0.a');"),
        "is an Optuna study",
    ),
    "table": (database("CREATE TABLE a (b);"), "is another program's database (its tables: a)"),
    "view": (database("CREATE VIEW v AS SELECT 1;"), "another program's database (its tables: v)"),
    "wal": (database("PRAGMA journal_mode = WAL; CREATE TABLE a (b);"), "its tables: a"),
    "marked": (database("PRAGMA application_id = 7;"), "is another program's database"),
    "numbered alike": (
        database(f"CREATE TABLE runs (a); {FOREIGN_ALEMBIC} INSERT INTO alembic_version VALUES "
                 "('0006');"),
        "is another program's database (its tables: alembic_version, runs)",
    ),
    "other column": (database("CREATE TABLE alembic_version (v);"), "tables: alembic_version)"),
}  # fmt: skip
#: What no service was begun on either, but may be: nothing of anybody's is lost.
NOTHING: dict[str, tuple[Callable[[Path], None], str]] = {
    "text": (lambda path: path.write_text("no database at all " * 99) and None, "is no database"),
    "empty": (lambda path: path.touch(), "is an empty file"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
}


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as done:
        main([*map(str, args)])
    return int(done.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize("kind", [*STRANGERS, *NOTHING])
def test_what_is_no_store_is_refused_by_name_and_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    make, what = {**STRANGERS, **NOTHING}[kind]
    file, out = tmp_path / "in" / "x.db", tmp_path / "x.csv"
    file.parent.mkdir()
    make(file)
    before = contents(file.parent)
    for store in (file, f"sqlite:///{file}"):
        for command in (["collect", "ingest", "--out", out], ["train", "--out", tmp_path / "m"]):
            code, said = run(capsys, *command, "--store", store)
            assert (code, what in said) == (2, True), said
            assert len(said.strip().splitlines()) == 1
            assert contents(file.parent) == before
    assert ("oracle runs" in said) == (kind == "population")
    assert not out.exists()


@pytest.mark.parametrize("kind", STRANGERS)
def test_no_service_begins_on_a_strangers_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    make, what = STRANGERS[kind]
    file = tmp_path / "oracle.db"
    make(file)
    before = contents(tmp_path)
    code, said = run(capsys, "serve", "--data-dir", tmp_path, "--port", 0)
    assert (code, what in said, "ORACLE_DATA_DIR" in said) == (2, True, True), said
    store = Store(f"sqlite:///{file}")
    with pytest.raises(StoreUnavailable, match="left as it is"):
        write_now(store, note)
    with pytest.raises(StoreUnavailable, match="left as it is"):
        store.read_now(lambda c: None)
    store.close()
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kind", ["study", "table", "view"])
def test_a_report_names_what_it_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    make, what = STRANGERS[kind]
    make(tmp_path / "oracle.db")
    before = contents(tmp_path)
    for source in (tmp_path, tmp_path / "oracle.db"):
        code, said = run(capsys, "report", "s", "--from", source)
        assert (code, what.removeprefix("is ") in said) == (2, True), said
        assert "later version" not in said
    assert contents(tmp_path) == before


def tables(url: str) -> dict[str, Any]:
    engine = create_engine(parse_url(url))
    with engine.connect() as connection:
        names = inspect(connection).get_table_names()
        found = {n: connection.execute(text(f"SELECT * FROM {n}")).all() for n in names}
    engine.dispose()
    return found


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.postgres
@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("CREATE TABLE a (b int)", "is another program's database (its tables: a)"),
        (FOREIGN_ALEMBIC, "its tables: alembic_version"),
        ("CREATE TABLE alembic_version (v int)", "its tables: alembic_version"),
        (f"{FOREIGN_ALEMBIC} INSERT INTO alembic_version VALUES ('a1b2c3d4e5f6')", "another"),
        (f"{FOREIGN_ALEMBIC} INSERT INTO alembic_version VALUES ('0001')", "another program's"),
        (
            f"{STUDY.replace('(a)', '(a int)')} {FOREIGN_ALEMBIC}"
            " INSERT INTO alembic_version VALUES ('v3.2.0.a')",
            "is an Optuna study",
        ),
    ],
)
def test_a_strangers_postgresql_is_left_as_it_is(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    script: str,
    what: str,
) -> None:
    engine = create_engine(parse_url(database_url))
    with engine.begin() as connection:
        connection.execute(text(script))
    engine.dispose()
    before = tables(database_url)
    store = Store(database_url)
    with pytest.raises(StoreUnavailable, match="left as it is"):
        write_now(store, note)
    store.close()
    with pytest.raises(DatasetError) as error:
        list(read_store(database_url))
    assert what in str(error.value)
    monkeypatch.setenv("ORACLE_DATABASE_URL", database_url)
    code, said = run(capsys, "serve", "--port", 0)
    assert (code, what in said, "postgresql://" in said) == (2, True, False), said
    assert tables(database_url) == before


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.postgres
def test_an_empty_postgresql_is_no_store_until_a_service_began(database_url: str) -> None:
    with pytest.raises(DatasetError, match="empty database"):
        StoredRuns(database_url)
    assert tables(database_url) == {}
    store = Store(database_url)
    store.migrate()
    store.close()
    assert list(read_store(database_url)) == []


@pytest.mark.parametrize(
    ("version", "said"), [("0002", "earlier version.*oracle serve"), ("9999", "later version")]
)
def test_who_reads_changes_no_version(store: Store, version: str, said: str) -> None:
    if version == "9999":
        write_now(
            store, lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        )
    else:
        at_version(store, version)
    url = store.url.render_as_string(hide_password=False)
    store.close()
    before = tables(url)
    with pytest.raises(DatasetError, match=said):
        list(read_store(url))
    assert tables(url) == before


def test_who_reads_cannot_write(store: Store) -> None:
    write_now(store, note)
    url = store.url.render_as_string(hide_password=False)

    def count(connection: Connection) -> Any:
        return connection.execute(text("SELECT count(*) FROM events")).scalar()

    with StoredRuns(url) as reading:
        with pytest.raises(StoreUnavailable, match="read-only"):
            reading.read_now(note)
        write_now(store, note)  # while it is open
        assert reading.read_now(count) == 2
