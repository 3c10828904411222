"""Where a population is kept that is no plain file: databases, and what lies on the network."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from made_up import StandIn, outcome_of

from oracle.errors import InvalidHistory, OracleWarning, StoreUnavailable
from oracle.hook import Population, watch
from oracle.hook.places import mounts
from oracle.hook.places.mounts import network_file_system
from oracle.hook.places.postgresql import SCHEMA
from oracle.hook.population_file import place_of

SECRET = "postgresql://me:s3cret@127.0.0.1:1/runs"


def table_of(folder: Path, kind: str, options: str = "rw") -> str:
    where = str(folder).replace(" ", "\\040")
    return f"/dev/vda / ext4 rw 0 0\nserver:/x {where} {kind} {options} 0 0\n"


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that this machine's table of mounts calls NFS."""
    folder = tmp_path / "of the network"
    folder.mkdir()
    table = tmp_path / "mounts"
    table.write_text(table_of(folder, "nfs4"))
    monkeypatch.setattr(mounts, "MOUNTS", table)
    return folder


def test_a_file_on_a_network_file_system_is_refused_with_what_to_do(mounted: Path) -> None:
    shared = Population(mounted / "runs.db")
    said = (
        r"^`population` must be on a disk of this machine, but got 'nfs4, a file system of the "
        r"network'\..*left alone\. Workers .*postgresql://.* or at a service, url='http:"
    )
    with pytest.raises(StoreUnavailable, match=said) as e:
        shared.start("t", "r1")
    assert str(mounted / "runs.db") in str(e.value)
    assert list(mounted.iterdir()) == []
    Population(mounted.parent / "runs.db").start("t", "r1")


def test_a_training_goes_on_where_the_file_is_refused(mounted: Path) -> None:
    with pytest.warns(OracleWarning, match="file system of the network"):
        run = watch(total_epochs=2, population=mounted / "runs.db", dataset="t", model=StandIn())
    for epoch in (1, 2):
        assert not run.report(epoch, mqe=1, topographic_error=0, dead_neuron_ratio=0).stop
    run.finish()
    assert run.state == "finished"


@pytest.mark.parametrize(
    ("kind", "options", "found"),
    [
        ("nfs", "rw", "nfs"), ("cifs", "rw", "cifs"), ("fuse.sshfs", "rw", "fuse.sshfs"),
        ("lustre", "rw", "lustre"), ("9p", "rw,trans=virtio", "9p"), ("9p", "rw,trans=fd", None),
        ("ext4", "rw", None), ("overlay", "rw", None), ("fuse.ntfs-3g", "rw", None),
    ],
)  # fmt: skip
def test_kinds_of_file_systems(mounted: Path, kind: str, options: str, found: str | None) -> None:
    mounts.MOUNTS.write_text(table_of(mounted, kind, options))
    assert network_file_system(mounted / "deeper" / "runs.db") == found
    assert network_file_system(mounted.parent / "runs.db") is None


def test_what_is_mounted_last_is_what_is_seen(mounted: Path) -> None:
    table = table_of(mounted, "nfs")
    mounts.MOUNTS.write_text(f"{table}tmpfs {table.splitlines()[1].split()[1]} tmpfs rw 0 0\n")
    assert network_file_system(mounted / "runs.db") is None
    (mounted.parent / "link").symlink_to(mounted)
    mounts.MOUNTS.write_text(table)
    assert network_file_system(mounted.parent / "link" / "runs.db") == "nfs"
    mounts.MOUNTS.unlink()  # a system that has no such table
    assert network_file_system(mounted / "runs.db") is None


@pytest.mark.parametrize("bad", ["mysql://me:s3cret@host/runs", "http://127.0.0.1:8000",
                                 "postgresql:///runs", "postgresql://h:port/runs"])  # fmt: skip
def test_an_address_that_is_none(bad: str) -> None:
    with pytest.raises(InvalidHistory, match="postgresql://USER@HOST/DATABASE") as error:
        place_of(bad)
    assert "s3cret" not in str(error.value)


def test_a_service_is_no_place_of_a_file() -> None:
    said = (
        "`population` must be the path of a file, or postgresql://USER@HOST/DATABASE, "
        "but got 'http://...'. A service is given as `url=`."
    )
    with pytest.raises(InvalidHistory) as error:
        place_of("http://127.0.0.1:8000/?next=http://elsewhere")
    assert str(error.value) == said


def test_no_server_there_and_no_word_of_the_password() -> None:
    shared = Population(SECRET)
    assert str(shared.path) == "postgresql://127.0.0.1:1/runs"
    with pytest.raises(StoreUnavailable, match=r"`population` must be a database that an") as error:
        shared.start("t", "r1")
    assert "127.0.0.1:1/runs" in str(error.value)
    assert "s3cret" not in str(error.value)
    copy = pickle.loads(pickle.dumps(shared))  # noqa: S301  as a process pool does
    assert copy.path == shared.path


def test_a_driver_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreUnavailable, match=r"som-oracle\[postgres\]"):
        Population(SECRET).start("t", "r1")


@pytest.fixture
def url(postgres: Any) -> str:
    made: str = postgres.database()
    return made


@pytest.mark.postgres
def test_a_halted_server_halts_no_training(postgres: Any, url: str) -> None:
    shared = Population(url, timeout_s=0.3)
    shared.start("t", "r1")
    # All of it, or the backend of this connection would answer.
    with psycopg.connect(url) as connection:
        pids = [row[0] for row in connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'som-oracle'"
        )]  # fmt: skip
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable, match="no answer in time"):
            shared.end("t", outcome_of("r1"))
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    shared.end("t", outcome_of("r1"))
    assert [o.run_id for o in shared.reference("t").outcomes] == ["r1"]
    shared.close()


@pytest.mark.postgres
def test_a_connection_that_was_cut_is_opened_again(url: str) -> None:
    shared = Population(url)
    shared.start("t", "r1")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'som-oracle'"
        )
    shared.end("t", outcome_of("r1"))
    assert shared.tally("t").finished == 1
    shared.close()


@pytest.mark.postgres
def test_a_later_format_is_left_alone(url: str) -> None:
    Population(url).start("t", "r1")
    with psycopg.connect(url) as connection:
        connection.execute(f"UPDATE {SCHEMA}.clock SET format = 99".encode())
    with pytest.raises(StoreUnavailable, match="of format 6, but got 99"):
        Population(url).start("t", "r2")


@pytest.mark.postgres
def test_the_format_before_is_brought_up_to_date(url: str) -> None:
    Population(url).start("t", "r1")
    with psycopg.connect(url) as connection:
        connection.execute(f"ALTER TABLE {SCHEMA}.run DROP COLUMN spent_before".encode())
        connection.execute(f"UPDATE {SCHEMA}.clock SET format = 5".encode())

    def work(n: int) -> float:
        mine = Population(url)
        mine.end("t", outcome_of(f"r{n}"))
        mine.trained_anew("t", f"r{n}", 0.5)
        mine.close()
        return mine.members("t")[0].spent_before

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(1, 5))) == {0.5}


@pytest.mark.postgres
def test_workers_that_begin_at_once_make_the_tables_once(url: str) -> None:
    def work(n: int) -> None:
        mine = Population(url)
        mine.start("t", f"r{n}")
        mine.end("t", outcome_of(f"r{n}"), teaches=("m", b"\x00\xff"))
        mine.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    shared = Population(url)
    assert shared.tally("t").finished == 8
    assert len(shared.reference("t").outcomes) == 8
    shared.close()


@pytest.mark.postgres
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_worker_has_a_connection_of_its_own(url: str) -> None:
    code = f"""
import os
from made_up import outcome_of
from oracle.hook import Population
shared = Population({url!r})
shared.start("t", "parent")
child = os.fork()
shared.end("t", outcome_of("child" if child == 0 else "parent"))
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
shared.end("t", outcome_of("afterwards"))
print(sorted(member.run_id for member in shared.members("t")))
"""
    folder = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{folder.parent}"},
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == ("['afterwards', 'child', 'parent']", "")
