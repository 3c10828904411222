"""The file that the workers of a search share: found, opened, checked, brought up to date.

SQLite with WAL and BEGIN IMMEDIATE: a worker that is killed leaves the file whole, and loses no
run that had ended. synchronous=NORMAL saves the training a wait for the disk at either end of a
run; a power failure may cost the last rows.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from oracle.errors import InvalidHistory, StoreUnavailable, must_be
from oracle.forks import UncutLock, renew_in_child
from oracle.hook.places.mounts import network_file_system
from oracle.hook.places.postgresql import SCHEMES, Database
from oracle.types.fields import POPULATION_FILE

SCHEMA_VERSION = 6
#: How long a locked file is waited for, seconds.
TIMEOUT_S = 2.0

_SCHEMA = """
CREATE TABLE run (
    population TEXT NOT NULL,
    run_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('live', 'finished', 'stopped', 'left', 'abandoned')),
    ended INTEGER,            -- the clock when it ended, NULL while live and where abandoned
    progress REAL,            -- share of the budget used when it ended
    final_mqe REAL,
    final_topographic_error REAL,
    final_dead_neuron_ratio REAL,
    spread REAL NOT NULL DEFAULT 0,
    mqe_of_mean REAL,
    held_at REAL,             -- progress at which a control run would have been stopped
    name TEXT,                -- as the caller gave it, where that is no run_id
    policy TEXT,              -- JSON
    started_at REAL,          -- unix time, seconds
    ended_at REAL,
    reason TEXT,              -- why stopped, or why not at most of its checks: "word: sentence"
    about TEXT,               -- JSON: its config, tags and notes, as the caller gave them
    spreads TEXT,             -- JSON: of a stopped run, as `spread`, of each of the final values
    teaches BLOB,             -- what it teaches the forecast of others (oracle.forecast.residuals)
    model TEXT,               -- SHA-256 of the model that it teaches
    spent_before REAL NOT NULL DEFAULT 0,  -- budgets that it used before it was trained anew
    PRIMARY KEY (population, run_id)
) WITHOUT ROWID;
CREATE INDEX run_ended ON run (population, ended);
CREATE INDEX run_live ON run (population) WHERE state = 'live';
"""
_CLOCK = """
CREATE TABLE clock (n INTEGER NOT NULL);  -- counts ends and never goes back
INSERT INTO clock VALUES (0);
"""
#: One statement, one state of the file: between several another worker may make it.
_MARK = (
    "SELECT (SELECT application_id FROM pragma_application_id),"
    " (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)"
)
#: Folders beside one's own that are looked into for a file of the same name.
_NEIGHBOURS = 1000

_Row = tuple[str | float | bytes | None, ...]

# Connections opened before a fork: SQLite forbids their use in the child, closing included.
_inherited: list[sqlite3.Connection] = []
# Where each relative name led first in this process.
_first_meant: dict[Path, Path] = {}


def place_of(path: str | os.PathLike[str] | Database) -> Path | Database:
    """Give the place that is meant: `~` is the home folder, a relative name is taken from here.

    Raises:
        InvalidHistory: for a database that is no file, and so cannot be shared, or an address that
            is none of PostgreSQL.
    """
    if isinstance(path, Database):
        return path
    text = os.fspath(path)
    if text.startswith(SCHEMES):
        return Database(text)
    if "://" in text and isinstance(path, str):
        rule = "the path of a file, or postgresql://USER@HOST/DATABASE"
        advice = "A service is given as `url=`."
        came = f"{text.partition('://')[0]}://..."  # the rest may hold a password
        raise InvalidHistory(must_be("population", rule, came, advice))
    if text in ("", ":memory:") or text.startswith("file:"):
        advice = "The workers of a search meet in a file."
        raise InvalidHistory(must_be("population", "the path of a file", text, advice))
    return Path(text).expanduser().absolute()


def stray(path: str | os.PathLike[str]) -> str | None:
    """Say where a relative name may not lead to the one file that is meant by all.

    Ray, Hydra and others give each job a folder of its own, and so each a file of its own. Such
    folders are numbered alike, and their jobs run at once or in turn: a file of this name in a
    folder of another kind beside, of somebody else, is no sign of it.
    """
    place = place_of(path)
    if isinstance(place, Database):
        return None
    named = Path(path)
    if named.is_absolute() or named.parts[:1] == ("~",):
        return None
    where = "Name it by its whole path where these runs are of one search."
    first = _first_meant.setdefault(named, place)
    if first != place:
        return f"the population {named} was {first} before, and is {place} in this folder. {where}"
    with suppress(OSError):
        own = _numbered(place.parent)
        if own is not None and not place.exists():
            for folder in islice(place.parent.parent.iterdir(), _NEIGHBOURS):
                other = folder / place.name
                if folder != place.parent and _numbered(folder) == own and other.is_file():
                    return f"the population {place} is new, and there is {other} beside. {where}"
    return None


def _numbered(folder: Path) -> str | None:
    """Give what stands before the number of a folder's name; None where it has none.

    A digit in a word, as temporary folders have it, is no number.

    >>> _numbered(Path("job12")), _numbered(Path("train_a_00001_lr=0.1"))
    ('job', 'train_a_')
    >>> _numbered(Path("wine")), _numbered(Path("tmp6wkvxrqo"))
    (None, None)
    """
    found = re.match(r"(\D*)\d+(?![^\W_])", folder.name)
    return found and found[1]


class PopulationFile:
    """One SQLite file, as this process uses it: opened on first use, made where it is missing.

    Safe for threads; each process, forked or spawned, gets a connection of its own.

    A file that is removed or replaced while it is in use is noticed at the next use: what the one
    before held is entered into the one that is there then, or into a new one.

    Attributes:
        openings: how often it was opened: what was read before another opening is out of date.
        healed: what to tell of a file that was removed or replaced; None where none was.
    """

    def __init__(self, path: Path, timeout_s: float = TIMEOUT_S) -> None:
        self.path, self.timeout_s = path, timeout_s
        self.openings = 0
        self.healed: str | None = None
        self._mark: tuple[int, int] | None = None
        self._log = path.with_name(f"{path.name}-wal")
        self._log_mark: tuple[int, int] | None = None
        self.lock = UncutLock()
        self._connection: sqlite3.Connection | None = None
        renew_in_child(self)

    def renew(self) -> None:
        """Leave the connection of the parent alone, in a child that was just forked."""
        if self._connection is not None:
            _inherited.append(self._connection)
        self._connection = None

    def close(self) -> None:
        """Close this process' connection; the next use opens it again."""
        with self.lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read; each statement sees what was committed before it.

        Raises:
            StoreUnavailable: the file does not answer, or is not ours.
        """
        with self.lock:
            try:
                yield self._open()
            except sqlite3.Error as error:
                raise StoreUnavailable(self._explain(error)) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Write all or nothing.

        Raises:
            StoreUnavailable: the file cannot be written; nothing was.
        """
        with self.reading() as db, _transaction(db):
            yield db

    def version(self, db: sqlite3.Connection) -> int:
        """Give a number that another connection's commit changes."""
        return int(db.execute("PRAGMA data_version").fetchone()[0])

    def _open(self) -> sqlite3.Connection:
        before = self._connection
        if before is not None:
            if _mark(self.path) == self._mark:
                return before
            # Before SQLite meets the new file: the two may come to share the index of a log.
            lost = _runs(before)
            self._part_from_log()
        if (kind := network_file_system(self.path)) is not None:
            raise StoreUnavailable(
                must_be(
                    "population",
                    "on a disk of this machine",
                    f"{kind}, a file system of the network",
                    f"SQLite's locks are not to be trusted there, and {self.path} was left alone. "
                    "Workers of several machines meet in population='postgresql://...' or at "
                    "a service, url='http://...'; those of one machine in a file on its own disk.",
                )
            )
        db = sqlite3.connect(
            self.path, timeout=self.timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(db)
            if before is not None:
                self._carry_over(*lost, db)
        except BaseException:
            db.close()
            raise
        self._connection, self._mark, self._log_mark = db, _mark(self.path), _mark(self._log)
        self.openings += 1
        if before is not None:
            before.close()
        return db

    def _part_from_log(self) -> None:
        """Remove the log of a file that is gone: SQLite would write it into the one there now."""
        if self._log_mark is not None and _mark(self._log) == self._log_mark:
            for end in ("-wal", "-shm"):
                self.path.with_name(self.path.name + end).unlink(missing_ok=True)

    def _carry_over(self, names: list[str], rows: list[_Row], db: sqlite3.Connection) -> None:
        """Enter the runs of a file that is gone from its place; those that are there stay."""
        ended, places = names.index("ended"), ", ".join("?" * len(names))
        with _transaction(db):
            clock = db.execute("SELECT n FROM clock").fetchone()[0]
            n = 0
            for row in rows:
                # As if it ended now: what others have read reaches up to the clock.
                at = None if row[ended] is None else clock + 1
                values = [*row[:ended], at, *row[ended + 1 :]]
                new = db.execute(
                    f"INSERT OR IGNORE INTO run ({', '.join(names)}) VALUES ({places})", values
                ).rowcount
                n += new
                clock = at if new and at is not None else clock
            db.execute("UPDATE clock SET n = ?", (clock,))
        self.healed = (
            f"the population file {self.path} was removed or replaced while its runs lived: "
            f"{n} of them were entered into the one that is there now."
        )

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Check that the file is ours, or make it so where it is empty."""
        if self.format_of(db) != SCHEMA_VERSION:
            with _transaction(db):
                found = self.format_of(db)  # another process may have been quicker
                if found != SCHEMA_VERSION:
                    made = _SCHEMA + _CLOCK if found is None else _upgrade(db)
                    for statement in made.split(";"):
                        db.execute(statement)
                    db.execute(f"PRAGMA application_id = {POPULATION_FILE}")
                    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        _journal(db, self.timeout_s)
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(_MARK)  # a first look makes the log where there was none: `_open` marks it

    def format_of(self, db: sqlite3.Connection) -> int | None:
        """Read the schema version; None for an empty file.

        Raises:
            StoreUnavailable: for a file of another program or a later version.
        """
        application, version, tables = db.execute(_MARK).fetchone()
        if not application and not version and not tables:
            return None
        if application != POPULATION_FILE:
            raise StoreUnavailable(
                must_be(
                    "population",
                    "a file made by SOM Oracle, or none yet",
                    "another",
                    f"{self.path} is another program's database and was left as it is: name "
                    "another file.",
                )
            )
        if not 1 <= version <= SCHEMA_VERSION:
            raise StoreUnavailable(
                must_be(
                    "population",
                    f"of format {SCHEMA_VERSION} or older",
                    version,
                    "Name a new file, or update SOM Oracle in every worker.",
                )
            )
        return int(version)

    def _explain(self, error: sqlite3.Error) -> str:
        advice = f"Name a file in a folder that every worker can write to, not {self.path}."
        if "locked" in str(error):
            advice = f"Another program holds {self.path}; nothing was written."
        elif "not a database" in str(error):
            advice = f"{self.path} is no population file and was left as it is: name another file."
        return must_be("population", "a population file that answers", str(error), advice)


def _runs(db: sqlite3.Connection) -> tuple[list[str], list[_Row]]:
    """Read all runs of a file, in the order of their ends, after the names of their columns."""
    rows = db.execute("SELECT * FROM run ORDER BY ended")
    return [column[0] for column in rows.description], rows.fetchall()


def _mark(path: Path) -> tuple[int, int] | None:
    """Tell one file of a name from another."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


def _journal(db: sqlite3.Connection, timeout_s: float) -> None:
    """Switch to WAL; the switch needs the file alone for a moment, whatever busy_timeout says."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                db.execute("PRAGMA journal_mode = WAL")  # stays as it is where WAL cannot be
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def _upgrade(db: sqlite3.Connection) -> str:
    """Give the statements that bring the runs of an older format into a table of this one."""
    columns = ", ".join(row[1] for row in db.execute("PRAGMA table_info(run)"))
    return (
        "ALTER TABLE run RENAME TO older; DROP INDEX run_ended; DROP INDEX run_live;"
        f"{_SCHEMA} INSERT INTO run ({columns}) SELECT {columns} FROM older; DROP TABLE older;"
    )
