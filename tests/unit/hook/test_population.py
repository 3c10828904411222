"""The shared population file."""

from __future__ import annotations

import pickle
import sqlite3
import threading
from pathlib import Path

import pytest

from oracle.decision.wrong_stops import upper_bound
from oracle.errors import StoreUnavailable
from oracle.hook.population import KEPT_OPEN, Population, population_at
from oracle.types import Outcome


@pytest.fixture
def shared(tmp_path: Path) -> Population:
    return Population(tmp_path / "runs.db")


def outcome(run_id: str, mqe: float = 0.5, *, censored: bool = False) -> Outcome:
    return Outcome(
        run_id=run_id,
        final_mqe=mqe,
        final_topographic_error=0.1,
        final_dead_neuron_ratio=0.2,
        censored=censored,
        spread=0.05 if censored else 0.0,
    )


def test_a_run_is_live_until_it_ends(shared: Population) -> None:
    shared.start("a", "r1")
    shared.start("a", "r2")
    shared.start("other", "r1")
    assert shared.reference("a").live == 2
    assert shared.reference("a", without="r1").live == 1
    shared.end("a", outcome("r1"), progress=1.0, mqe_of_mean=2.0)
    shared.end("a", outcome("r2", censored=True), progress=0.25)
    reference = shared.reference("a", population_size=45)
    assert reference.outcomes == (outcome("r1"), outcome("r2", censored=True))
    assert (reference.mqe_of_mean, reference.live, reference.population_size) == (2.0, 0, 45)
    assert shared.reference("a", without="r1").outcomes == (outcome("r2", censored=True),)
    assert shared.reference("other").outcomes == ()


def test_what_others_write_is_seen(shared: Population) -> None:
    assert shared.reference("a").outcomes == ()
    Population(shared.path).end("a", outcome("theirs"))
    assert [o.run_id for o in shared.reference("a").outcomes] == ["theirs"]
    Population(shared.path).end("a", outcome("more"))
    assert [o.run_id for o in shared.reference("a").outcomes] == ["theirs", "more"]


def test_a_run_begun_anew_replaces_itself(shared: Population) -> None:
    for mqe in (0.5, 0.4):
        shared.start("a", "r1")
        shared.end("a", outcome("r1", mqe))
        assert [o.final_mqe for o in shared.reference("a").outcomes] == [mqe]


def test_a_run_given_up_leaves_no_trace(shared: Population) -> None:
    shared.start("a", "r1")
    shared.drop("a", "r1")
    assert shared.reference("a").live == 0
    assert shared.tally("a").finished == 0


def test_the_tally_counts_what_stops_saved(shared: Population) -> None:
    shared.start("a", "r0")
    shared.end("a", outcome("r1"), progress=1.0)
    shared.end("a", outcome("r2", censored=True), progress=0.25)
    tally = shared.tally("a")
    assert (tally.finished, tally.stopped, tally.live) == (1, 1, 1)
    assert tally.saved == pytest.approx(0.375)
    assert str(tally) == "1 of 2 runs stopped, 38% of all epochs saved"


def test_wrong_stops_are_measured_on_held_runs_only(shared: Population) -> None:
    assert "not measured" in str(shared.wrong_stops("a"))
    for i in range(20):
        shared.start("a", f"r{i}")
        if i in (0, 10):
            shared.hold("a", f"r{i}", 0.1)
        shared.end("a", outcome(f"r{i}", 0.5 + i / 100))
    wrong = shared.wrong_stops("a", good=0.1)
    assert (wrong.controls, wrong.wrong) == (2, 1)
    assert wrong.upper == pytest.approx(0.975, abs=0.001)
    assert str(wrong).startswith("1 of 2 control runs would have been stopped wrongly (at most 97%")


@pytest.mark.parametrize(
    ("successes", "trials", "bound"), [(0, 5, 0.4507), (0, 300, 0.00994), (2, 2000, 0.00314)]
)
def test_the_bound_is_clopper_and_pearsons(successes: int, trials: int, bound: float) -> None:
    assert upper_bound(successes, trials) == pytest.approx(bound, rel=0.01)


def test_it_goes_to_other_processes_by_its_path(shared: Population) -> None:
    shared.end("a", outcome("r1"))
    copy = pickle.loads(pickle.dumps(shared))  # noqa: S301
    assert copy.reference("a") == shared.reference("a")


def test_threads_share_one_connection(shared: Population) -> None:
    def work(n: int) -> None:
        for i in range(10):
            shared.start("a", f"{n}-{i}")
            shared.end("a", outcome(f"{n}-{i}"))
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
    with pytest.raises(StoreUnavailable, match=r"another program's database.*name another file"):
        Population(path).start("a", "r1")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database, whatever its name says\n" * 50, b"\0" * 4096]
)
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match=r"notes.txt"):
        Population(path).start("a", "r1")
    assert path.read_bytes() == content


def test_a_later_format_is_refused(shared: Population) -> None:
    shared.start("a", "r1")
    shared.close()
    with sqlite3.connect(shared.path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreUnavailable, match=r"of format 1.*99"):
        Population(shared.path).reference("a")


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"unable to open.*folder"):
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
    other.close()
    hasty.start("a", "r2")
    assert shared.reference("a").live == 2


def test_closing_is_not_the_end(shared: Population) -> None:
    shared.start("a", "r1")
    shared.close()
    shared.close()
    assert shared.reference("a").live == 1


def test_a_process_shares_one_connection_a_file_and_keeps_few_open(tmp_path: Path) -> None:
    first = population_at(tmp_path / "0.db")
    assert population_at(tmp_path / "0.db") is first
    first.start("a", "r1")
    for i in range(1, KEPT_OPEN + 1):
        population_at(tmp_path / f"{i}.db").start("a", "r1")
    assert first._connection is None
    assert first.reference("a").live == 1  # a closed one opens again where it is still in use
    first.close()
