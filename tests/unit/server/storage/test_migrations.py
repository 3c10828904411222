"""The tables: made, brought up from every earlier version, and what they hold then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, func, select, text
from storing import append, at_first_version, at_version, write_now

from oracle.errors import StoreUnavailable
from oracle.server.http.wire import FinishRequest
from oracle.server.runs import counts, listing
from oracle.server.runs.lifecycle import Runs
from oracle.server.storage.database import MIGRATIONS
from oracle.server.storage.schema import VERSION, metadata
from oracle.server.storage.store import Store
from oracle.types import Policy


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


def test_a_database_of_a_later_version_is_left_alone(store: Store) -> None:
    store.migrate()
    write_now(store, lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(StoreUnavailable, match="later version"):
        store.migrate()


def test_processes_that_start_together_migrate_once(file: Path) -> None:
    code = f"from oracle.server.storage.store import Store; Store('sqlite:///{file}').migrate()"
    ones = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [one.wait(60) for one in ones] == [0, 0, 0]
