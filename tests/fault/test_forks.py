"""A process that forks while other threads use the library: its children go on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from made_up import StandIn

from oracle import forks
from oracle.errors import StoreUnavailable
from oracle.forecast.forecaster import Oracle
from oracle.forks import Lock, UncutLock, cached_property, uncut
from oracle.hook import Population, watch
from oracle.hook.circuit import circuit_of
from oracle.hook.local import loaded
from oracle.hook.population import population_at
from oracle.types import Forecast, History, Outcome

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]
#: Long after what a child does here is done; only one that hangs lives as long.
HUNG_S = 20.0


def child(work: Callable[[], object]) -> bool:
    """Fork, do `work` in the child, and tell whether it came to its end."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    for _ in range(int(HUNG_S / 0.01)):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


@contextmanager
def meanwhile(work: Callable[[Callable[[], None]], object]) -> Iterator[None]:
    """Run `work` in a thread; the block begins when it calls what it is given."""
    begun = threading.Event()
    thread = threading.Thread(target=work, args=(begun.set,))
    thread.start()
    assert begun.wait(HUNG_S)
    yield
    thread.join()


class Slow(StandIn):
    """A model of the caller's own that forecasts slowly."""

    def __init__(self, begun: Callable[[], None]) -> None:
        self.begun = begun

    def forecast(self, history: History) -> Forecast:
        self.begun()
        time.sleep(0.3)
        return super().forecast(history)


def report(run: object) -> None:
    run.report(run._seen.kept[-1].epoch + 1 if run._seen.kept else 1, mqe=0.5)  # type: ignore[attr-defined]


def test_a_lock_that_another_thread_holds_is_free_in_the_child() -> None:
    lock = Lock()

    def hold(begun: Callable[[], None]) -> None:
        with lock:
            begun()
            time.sleep(0.3)

    def use() -> None:
        with lock:
            pass

    with meanwhile(hold):
        assert child(use)


def test_a_lock_that_the_forking_thread_holds_stays_its_own() -> None:
    for lock in (Lock(), UncutLock()):
        with lock:
            pid = os.fork()
        if pid == 0:
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0


def test_a_fork_waits_for_who_is_uncut_and_holds_newcomers_back() -> None:
    inside = 0

    def stay(begun: Callable[[], None]) -> None:
        nonlocal inside
        for _ in range(3):
            with uncut(), uncut():
                inside += 1
                begun()
                time.sleep(0.1)
                inside -= 1

    def look() -> None:
        assert inside == 0
        with uncut():
            pass

    with meanwhile(stay):
        assert child(look)


def test_a_cached_property_that_is_being_computed() -> None:
    class Slow:
        begun: Callable[[], None] = staticmethod(lambda: None)

        @cached_property
        def value(self) -> int:
            self.begun()
            time.sleep(0.3)
            return 1

    def compute(begun: Callable[[], None]) -> None:
        slow = Slow()
        slow.begun = begun  # type: ignore[method-assign]
        assert slow.value == slow.value == 1

    with meanwhile(compute):
        assert child(lambda: Slow().value)


def test_a_fork_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "WAIT_S", 0.05)
    leave = threading.Event()

    def stay(begun: Callable[[], None]) -> None:
        with uncut():
            begun()
            leave.wait(HUNG_S)

    def use() -> None:
        with uncut():
            pass

    with meanwhile(stay):
        assert child(use)
        leave.set()


def test_a_model_that_is_being_loaded_is_there_in_the_child(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loads = []

    def load(path: Path) -> StandIn:
        loads.append(os.getpid())
        time.sleep(0.3)
        return StandIn()

    monkeypatch.setattr(Oracle, "load", load)
    folder = tmp_path / "model"

    def begin(begun: Callable[[], None]) -> None:
        with uncut():  # as `loaded` is: the fork comes when it is at work
            begun()
            loaded(folder)

    def use() -> None:
        loaded(folder)
        assert loads == [os.getppid()]

    with meanwhile(begin):
        assert child(use)


def test_a_population_in_the_midst_of_a_transaction(tmp_path: Path) -> None:
    shared = population_at(tmp_path / "runs.db")

    def write(begun: Callable[[], None]) -> None:
        with shared._file.writing() as db:
            begun()
            db.execute("UPDATE clock SET n = n + 1")
            time.sleep(0.3)

    def use() -> None:
        mine = population_at(tmp_path / "runs.db")
        mine.end("t", Outcome(run_id="child", final_mqe=0.5))
        assert len(mine.reference("t").outcomes) == 1

    with meanwhile(write):
        assert child(use)
    assert len(shared.reference("t").outcomes) == 1
    shared.close()


def test_a_file_that_is_being_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(self: Population, path: Path, **_: object) -> None:
        time.sleep(0.3)
        original(self, path)

    original = Population.__init__
    monkeypatch.setattr(Population, "__init__", slow)

    def begin(begun: Callable[[], None]) -> None:
        begun()
        population_at(tmp_path / "runs.db")

    with meanwhile(begin):
        assert child(lambda: population_at(tmp_path / "other.db"))


def test_a_circuit() -> None:
    circuit = circuit_of("fork")

    def hold(begun: Callable[[], None]) -> None:
        with circuit._lock:
            begun()
            time.sleep(0.3)

    with meanwhile(hold):
        assert child(circuit.closed)
        assert child(lambda: circuit_of("fork").failed())


def test_a_run_in_the_midst_of_a_report() -> None:
    def work(begun: Callable[[], None]) -> None:
        run._judge._model = Slow(begun)  # type: ignore[union-attr]
        report(run)

    run = watch(total_epochs=10, model=StandIn())
    report(run)
    with meanwhile(work):
        assert child(run.finish)


def test_workers_of_a_search_whose_parent_trains_in_threads(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    stop = threading.Event()

    def train() -> None:
        with watch(total_epochs=10, population=path, population_name="t") as run:
            for epoch in range(1, 11):
                values = {"mqe": 0.4 + float(np.exp(-epoch)), "topographic_error": 0.1}
                run.report(epoch, dead_neuron_ratio=0.1, **values)
        if run.problems.counts or run.state == "abandoned":
            raise StoreUnavailable(str(run.problems))

    def busy() -> None:
        while not stop.is_set():
            train()

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert [child(train) for _ in range(12)] == [True] * 12
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    population_at(path).close()
