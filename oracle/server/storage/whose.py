"""Whose a database is, by what stands in it: a store of the service, empty, or somebody else's."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from oracle.errors import StoreUnavailable
from oracle.types.fields import POPULATION_FILE

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: What every version of the store has, and how it numbers its versions.
_OURS = frozenset(("runs", "checkpoints", "decisions", "outcomes", "events"))
_VERSION = re.compile(r"\d{4}")
#: Databases that people have beside ours -> tables by which they are known.
_OTHERS = {
    "an Optuna study": {"studies", "trials"},
    "an MLflow database": {"experiments", "runs", "metrics"},
}
_SHOWN = 3

_SQLITE_TABLES = (
    "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite!_%'"
    " ESCAPE '!'"
)
_HAS_VERSION = "SELECT count(*) FROM pragma_table_info('alembic_version') WHERE name='version_num'"
#: What an extension brings (PostGIS: spatial_ref_sys) is nobody's data.
_POSTGRESQL_TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace
AND relkind IN ('r', 'p', 'f', 'v', 'm') AND NOT EXISTS (
    SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
    AND deptype = 'e')
"""
#: By way of JSON: a column that is not there is no error, which would end the transaction.
_POSTGRESQL_VERSION = "SELECT to_jsonb(a) ->> 'version_num' FROM alembic_version a LIMIT 1"


class Whose(NamedTuple):
    """What is known of a database.

    Attributes:
        kind: the service's store of any version, a population file of the hook, one without
            anything in it, another, or none at all.
        what: the same in words, to go after "is".
        version: of a store; see `schema.VERSION`.
    """

    kind: Literal["store", "population", "empty", "other", "none"]
    what: str
    version: str | None = None


def in_file(path: Path) -> Whose:
    """Look into a file and leave it as it is.

    Raises:
        sqlite3.Error: it is damaged or held by another program.
    """
    if path.is_dir():
        return Whose("none", "a folder")
    # mode=ro would leave the empty files of a log beside it.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as file:
        try:
            file.execute("PRAGMA query_only = ON")
            return in_sqlite(file)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            return Whose("none", "no database")


def in_sqlite(file: sqlite3.Connection) -> Whose:
    """Look into a SQLite database."""
    (mark,) = file.execute("PRAGMA application_id").fetchone()
    if mark == POPULATION_FILE:
        return Whose("population", "a population file of the hook")
    tables = {name for (name,) in file.execute(_SQLITE_TABLES)}
    if not tables and not mark:
        return Whose("empty", "an empty file")
    version = None
    if file.execute(_HAS_VERSION).fetchone()[0]:
        version = file.execute("SELECT version_num FROM alembic_version").fetchone()
    return _of(tables, str(version[0]) if version else None)


def in_database(connection: Connection) -> Whose:
    """Look into the database of a connection; of PostgreSQL's, into the schema in use."""
    driven = connection.connection.driver_connection
    if isinstance(driven, sqlite3.Connection):
        return in_sqlite(driven)
    tables = set(connection.exec_driver_sql(_POSTGRESQL_TABLES).scalars())
    if not tables:
        return Whose("empty", "an empty database")
    version = None
    if "alembic_version" in tables:
        version = connection.exec_driver_sql(_POSTGRESQL_VERSION).scalar()
    return _of(tables, version)


def _of(tables: Collection[str], version: str | None) -> Whose:
    if version is not None and _VERSION.fullmatch(version) and set(tables) >= _OURS:
        return Whose("store", "a store of the service", version)
    for what, known in _OTHERS.items():
        if known <= set(tables):
            return Whose("other", what)
    shown = sorted(tables)[:_SHOWN] + ["..."] * (len(tables) > _SHOWN)
    there = f" (its tables: {', '.join(shown)})" if shown else ""
    return Whose("other", f"another program's database{there}")


def refuse_stranger(found: Whose) -> None:
    """Write into no database of anybody else's.

    Raises:
        StoreUnavailable: it is somebody else's.
    """
    if found.kind in ("population", "other"):
        raise StoreUnavailable(
            f"The database is {found.what}, no store of the service: it was left as it is. Name "
            "another in ORACLE_DATABASE_URL, or another ORACLE_DATA_DIR."
        )
