"""The file of a population: shared by processes, locked, lost, of an earlier version, not ours."""

from __future__ import annotations

import pickle
import sqlite3
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_up import outcome_of

from oracle.errors import InvalidHistory, StoreUnavailable
from oracle.hook import population_file
from oracle.hook.population import KEPT_OPEN, Population, population_at
from oracle.types import Policy


def test_it_goes_to_other_processes_by_its_path(shared: Population) -> None:
    shared.end("a", outcome_of("r1"))
    patient = Population(shared.path, timeout_s=7.0)
    copy = pickle.loads(pickle.dumps(patient))  # noqa: S301
    assert copy.reference("a") == shared.reference("a")
    assert (copy.path, copy._file.timeout_s) == (shared.path, 7.0)


def test_threads_share_one_connection(shared: Population) -> None:
    def work(n: int) -> None:
        for i in range(10):
            shared.start("a", f"{n}-{i}")
            shared.end("a", outcome_of(f"{n}-{i}"))
            shared.reference("a")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared.tally("a").finished == 40


def test_another_programs_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE precious (x)")
    db.close()
    before = path.read_bytes()
    said = (
        r"`population` must be a file made by SOM Oracle, or none yet, but got 'another'\."
        r".*theirs\.db is another program's database.*name another file"
    )
    with pytest.raises(StoreUnavailable, match=said):
        Population(path).start("a", "r1")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database, whatever its name says\n" * 50, b"\0" * 4096]
)
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    said = r"got 'file is not a database'\..*notes\.txt is no population file and was left as it is"
    with pytest.raises(StoreUnavailable, match=said):
        Population(path).start("a", "r1")
    assert path.read_bytes() == content


def test_a_later_format_is_refused(shared: Population) -> None:
    shared.start("a", "r1")
    shared.close()
    with sqlite3.connect(shared.path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    said = r"`population` must be of format 6 or older, but got 99\. Name a new file, or update"
    with pytest.raises(StoreUnavailable, match=said):
        Population(shared.path).reference("a")


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    said = r"`population` must be a population .*'unable to open .*Name a file in a folder that"
    with pytest.raises(StoreUnavailable, match=said):
        Population(tmp_path / "no" / "runs.db").start("a", "r1")


def test_a_locked_file_is_waited_for_and_then_told(shared: Population) -> None:
    shared.start("a", "r1")
    hasty = Population(shared.path, timeout_s=0.05)
    with sqlite3.connect(shared.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match=r"locked.*nothing was written"):
            hasty.start("a", "r2")
        assert hasty.reference("a").live == 1  # reading goes on beside a writer
        other.execute("ROLLBACK")
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    with hasty._file.reading() as db:
        assert db.execute("PRAGMA busy_timeout").fetchone() == (50,)
    hasty.start("a", "r2")
    assert shared.reference("a").live == 2


@pytest.mark.parametrize("lets_go", [True, False])
def test_the_switch_to_wal_waits_until_nobody_reads(
    shared: Population, monkeypatch: pytest.MonkeyPatch, lets_go: bool
) -> None:
    shared.start("a", "r1")
    shared.close()
    reader = sqlite3.connect(shared.path, isolation_level=None)
    reader.execute("PRAGMA journal_mode = DELETE")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM run").fetchall()
    now, waits = 100.0, []

    def sleep(duration: float) -> None:
        nonlocal now
        now += duration
        waits.append(duration)
        if lets_go and len(waits) == 2:
            reader.execute("COMMIT")

    clock = SimpleNamespace(monotonic=lambda: now, sleep=sleep)
    monkeypatch.setattr(population_file, "time", clock)
    hasty = Population(shared.path, timeout_s=0.01)
    if lets_go:
        with hasty._file.reading() as db:
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    else:
        with pytest.raises(StoreUnavailable, match=r"locked.*nothing was written"):
            hasty.names()
        assert 0.01 <= sum(waits) < 0.02
    reader.close()


def test_another_worker_may_make_the_file_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sqlite3.connect

    class Interrupted:
        """A connection whose process is put aside after the n-th statement."""

        def __init__(self, db: sqlite3.Connection, after: int) -> None:
            self._db, self._left = db, after

        def __getattr__(self, name: str) -> Any:
            return getattr(self._db, name)

        def execute(self, *statement: Any) -> Any:
            result = self._db.execute(*statement)
            self._left -= 1
            if self._left == 0:
                rows = result.fetchall()
                monkeypatch.setattr(sqlite3, "connect", real)
                Population(path, timeout_s=0.01).start("t", "other")
                return SimpleNamespace(fetchone=lambda: rows[0], fetchall=lambda: rows)
            return result

    for n in range(1, 4):
        path = tmp_path / f"{n}.db"
        slow = partial(Interrupted, after=n)
        monkeypatch.setattr(sqlite3, "connect", lambda *a, slow=slow, **k: slow(real(*a, **k)))
        try:
            Population(path).start("t", "mine")
        except StoreUnavailable as error:  # the other waits for a transaction of ours
            assert "locked" in str(error)  # noqa: PT017
            Population(path).start("t", "mine")
            Population(path).start("t", "other")
        assert Population(path).tally("t").live == 2


def test_a_file_of_the_first_format_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as db:
        db.executescript(FORMAT_1)
    db.close()
    shared = Population(path)
    word = shared.earlier_search("a", Policy(name="population"))
    assert word is not None
    assert "holds 3 runs of a search by another policy, and this run" in word  # when: who knows
    tally = shared.tally("a")
    assert (tally.finished, tally.stopped, tally.live, tally.saved) == (1, 1, 1, 0.375)
    shared.end("a", outcome_of("r4"), left=True)
    assert [o.run_id for o in shared.reference("a").outcomes] == ["r1", "r2", "r4"]
    assert Population(path).names() == ("a",)


FORMAT_1 = """
CREATE TABLE run (
    population TEXT NOT NULL,
    run_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('live', 'finished', 'stopped')),
    ended INTEGER,
    progress REAL,
    final_mqe REAL,
    final_topographic_error REAL,
    final_dead_neuron_ratio REAL,
    spread REAL NOT NULL DEFAULT 0,
    mqe_of_mean REAL,
    held_at REAL,
    PRIMARY KEY (population, run_id)
) WITHOUT ROWID;
CREATE TABLE clock (n INTEGER NOT NULL);
CREATE INDEX run_ended ON run (population, ended);
CREATE INDEX run_live ON run (population) WHERE state = 'live';
INSERT INTO clock VALUES (2);
INSERT INTO run VALUES ('a', 'r1', 'finished', 1, 1.0, 0.5, 0.1, 0.2, 0, 2.0, NULL);
INSERT INTO run VALUES ('a', 'r2', 'stopped', 2, 0.25, 0.6, 0.1, 0.2, 0.1, 2.0, NULL);
INSERT INTO run VALUES ('a', 'r3', 'live', NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL);
PRAGMA application_id = 1397706064;
PRAGMA user_version = 1;
"""


@pytest.mark.parametrize("path", [":memory:", "file:x?mode=memory", ""])
def test_what_is_no_file_cannot_be_shared(path: str) -> None:
    with pytest.raises(InvalidHistory) as error:
        Population(path)
    said = f"`population` must be the path of a file, but got {path!r}. "
    assert str(error.value) == said + "The workers of a search meet in a file."


@pytest.mark.parametrize("how", ["removed", "removed but for its log", "replaced"])
def test_a_file_that_goes_while_runs_live_is_healed(tmp_path: Path, how: str) -> None:
    path = tmp_path / "runs.db"
    workers = [Population(path) for _ in range(2)]
    workers[0].start("a", "r1")
    workers[0].end("a", outcome_of("r1"), progress=1.0, mqe_of_mean=2.0)
    workers[1].start("a", "r2")
    assert len(workers[0].reference("a").outcomes) == 1
    path.unlink()
    if how == "removed but for its log":
        path.with_name("runs.db-shm").unlink()
    if how == "replaced":
        other = Population(tmp_path / "other.db")
        other.start("a", "r0")
        other.end("a", outcome_of("r0"), progress=1.0, mqe_of_mean=2.0)
        other.close()
        (tmp_path / "other.db").rename(path)
    assert workers[0].healed is None
    workers[1].end("a", outcome_of("r2"), progress=1.0, mqe_of_mean=2.0)
    workers[0].start("a", "r3")
    workers[0].end("a", outcome_of("r3"), progress=1.0, mqe_of_mean=2.0)
    expected = {"r1", "r2", "r3"} | ({"r0"} if how == "replaced" else set())
    for worker in (*workers, Population(path)):
        assert {o.run_id for o in worker.reference("a").outcomes} == expected
        assert worker.tally("a").live == 0
    for worker, n in zip(workers, (0, 2), strict=True):  # the second one came first
        assert worker.healed is not None
        assert f"removed or replaced while its runs lived: {n} of them" in worker.healed
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_who_lives_goes_on_in_the_new_file_and_who_ends_there_is_seen(shared: Population) -> None:
    for run_id in ("r1", "r2", "r3"):
        shared.start("a", run_id)
    for run_id in ("r1", "r2"):
        shared.end("a", outcome_of(run_id))
    Path(shared.path).unlink()
    reference = shared.reference("a")
    assert [o.run_id for o in reference.outcomes] == ["r1", "r2"]
    assert reference.live == 1
    Population(shared.path).end("a", outcome_of("r3"))
    assert [o.run_id for o in shared.reference("a").outcomes] == ["r1", "r2", "r3"]


def test_who_made_a_file_harms_none_that_takes_its_place(tmp_path: Path) -> None:
    population, other = Population(tmp_path / "runs.db"), Population(tmp_path / "other.db")
    population.end("a", outcome_of("r1"))  # stands in the log of a file that was empty before
    for i in range(9):
        other.end("a", outcome_of(f"other-{i}"))
    other.close()
    (tmp_path / "other.db").rename(tmp_path / "runs.db")
    index = tmp_path / "runs.db-shm"
    of_the_first = index.stat().st_ino
    population.end("a", outcome_of("r2"))
    assert index.stat().st_ino != of_the_first  # nor do the two share what tells pages of a log
    found = [o.run_id for o in population.reference("a").outcomes]
    assert found == [*(f"other-{i}" for i in range(9)), "r1", "r2"]
    with population._file.reading() as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_log_that_came_with_the_new_file_is_part_of_it(tmp_path: Path) -> None:
    population, other = Population(tmp_path / "runs.db"), Population(tmp_path / "other.db")
    population.start("a", "r1")
    other.end("a", outcome_of("r0"))
    for end in ("", "-wal", "-shm"):  # `other` holds it open: what it wrote stands in its log
        (tmp_path / f"other.db{end}").rename(tmp_path / f"runs.db{end}")
    population.end("a", outcome_of("r1"))
    assert [o.run_id for o in population.reference("a").outcomes] == ["r0", "r1"]


def test_what_another_program_puts_in_its_place_is_told_and_left(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    population = Population(path)
    population.start("a", "r1")
    path.rename(tmp_path / "kept.db")
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE precious (x)")
    db.close()
    with pytest.raises(StoreUnavailable, match="another program's"):
        population.start("a", "r2")
    path.unlink()
    population.start("a", "r2")
    assert population.tally("a").live == 2


def test_closing_is_not_the_end(shared: Population) -> None:
    shared.start("a", "r1")
    assert shared._file.openings == 1
    shared.close()
    shared.close()
    assert shared.reference("a").live == 1
    assert shared._file.openings == 2


def test_a_forked_child_leaves_the_parents_connection_open(
    shared: Population, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Any] = []
    monkeypatch.setattr(population_file, "_inherited", kept)
    shared._file.renew()
    assert kept == []
    shared.start("a", "r1")
    parents: Any = shared._file._connection
    shared._file.renew()  # as in a child
    assert shared.reference("a").live == 1
    assert kept == [parents]
    assert shared._file._connection is not parents
    assert parents.execute("SELECT count(*) FROM run").fetchone() == (1,)
    parents.close()


def test_a_process_shares_one_connection_a_file_and_keeps_few_open(tmp_path: Path) -> None:
    first = population_at(tmp_path / "0.db")
    assert population_at(tmp_path / "0.db") is first
    first.start("a", "r1")
    for i in range(1, KEPT_OPEN):
        population_at(tmp_path / f"{i}.db").start("a", "r1")
    assert first._file._connection is not None
    population_at(tmp_path / "last.db").start("a", "r1")
    assert first._file._connection is None
    assert first.reference("a").live == 1  # a closed one opens again where it is still in use
    first.close()
