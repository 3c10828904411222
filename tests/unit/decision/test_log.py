"""A logged decision replays to itself."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest
from stand_in import StandIn

from oracle.decision import log
from oracle.decision.log import DecisionLog, LoggedDecision, replay_decision
from oracle.errors import ArtifactIncompatible, InvalidHistory
from oracle.hook import Population, watch
from oracle.types import ModelInfo, Outcome, Policy


def fill(shared: Population, name: str) -> None:
    for i in range(12):
        shared.end(
            name,
            Outcome(
                run_id=f"old-{i}",
                final_mqe=0.1 + i / 37,
                final_topographic_error=0.1,
                final_dead_neuron_ratio=None if i == 3 else 0.1,
            ),
        )


@pytest.mark.parametrize("policy", ["threshold", "population", "pareto", Policy(patience=2)])
def test_each_line_replays_to_the_decision_it_logs(tmp_path: Path, policy: str | Policy) -> None:
    path, shared = tmp_path / "decisions.jsonl", Population(tmp_path / "runs.db")
    fill(shared, "table")
    with watch(
        total_epochs=10,
        policy=policy,
        population=shared,
        population_name="table",
        model=StandIn(),
        log=path,
        run_id="r",
    ) as run:
        taken = [
            run.report(e, mqe=1.7 / e, topographic_error=1 / 3, dead_neuron_ratio=0.2)
            for e in range(1, 11)
        ]
    lines = path.read_text().splitlines()
    assert len(lines) == 10
    for line, decision in zip(lines, taken, strict=True):
        logged = LoggedDecision.model_validate_json(line)
        assert replay_decision(line, StandIn()) == logged.decision  # type: ignore[arg-type]
        assert logged.decision.model_dump() == decision.model_dump()
    assert set(run.problems.counts) <= {"earlier_search"}  # whose runs fill the file


def test_a_torn_last_line_is_closed_and_not_glued_to(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"format": 1, "torn')
    with watch(total_epochs=10, model=StandIn(), log=path) as run:
        run.report(1, mqe=1, topographic_error=0.1, dead_neuron_ratio=0.1)
        run.report(2, mqe=1, topographic_error=0.1, dead_neuron_ratio=0.1)
    torn, first, second = path.read_bytes().splitlines()
    assert torn == b'{"format": 1, "torn'
    for line in (first, second):
        replay_decision(line, StandIn())  # type: ignore[arg-type]


def test_half_a_line_of_one_who_is_writing_is_not_torn(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    half, rest = b'{"format": 1, "half', b' and its end"}\n'
    with path.open("ab", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        other.write(half)
        thread = threading.Thread(target=one_line, args=(path,))
        thread.start()
        thread.join(0.02)  # whether it waits by then or not: the line is ended before it looks
        other.write(rest)
        fcntl.flock(other, fcntl.LOCK_UN)
        thread.join()
    whole, line = path.read_bytes().splitlines(keepends=True)
    assert whole == half + rest
    replay_decision(line, StandIn())  # type: ignore[arg-type]


def test_a_writer_that_was_halted_halts_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "WAIT_S", 0.0)
    path = tmp_path / "log.jsonl"
    with path.open("ab", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        one_line(path)
        one_line(path)
    assert len(path.read_bytes().splitlines()) == 2


def one_line(path: Path) -> None:
    with watch(total_epochs=10, model=StandIn(), log=path) as run:
        run.report(1, mqe=1, topographic_error=0.1, dead_neuron_ratio=0.1)
    assert not run.problems.counts


def test_lines_of_many_writers_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"

    def work() -> None:
        with watch(total_epochs=40, model=StandIn(), log=path) as run:
            for epoch in range(1, 41):
                run.report(epoch, mqe=0.1, topographic_error=0.1, dead_neuron_ratio=0.1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = path.read_text().splitlines()
    assert len(lines) == 160
    for line in lines:
        LoggedDecision.model_validate_json(line)
    assert DecisionLog(path).path == path


def test_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with watch(total_epochs=10, model=StandIn(), log=path) as run:
        run.report(1, mqe=1, topographic_error=0.1, dead_neuron_ratio=0.1)
    other = StandIn()
    other.info = ModelInfo(name="other", version="1", sha256="1" * 64)
    with pytest.raises(ArtifactIncompatible, match=r"the model of the log, stand-in 0.*other 1"):
        replay_decision(path.read_text(), other)  # type: ignore[arg-type]


@pytest.mark.parametrize("line", ["", "{}", "[1]", '{"format": 2}', b"\xff"])
def test_what_is_no_line_of_a_log_is_refused(line: str | bytes) -> None:
    with pytest.raises(InvalidHistory):
        replay_decision(line, StandIn())  # type: ignore[arg-type]
