"""A logged decision replays to itself."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from made_up import StandIn, made_outcome

from oracle.decision import file_lock, log_writer
from oracle.decision.log import LoggedDecision, read_decisions, replay_decision
from oracle.decision.log_writer import DecisionLog
from oracle.errors import ArtifactIncompatible, DatasetError, InvalidHistory
from oracle.hook import Population, watch
from oracle.types import Decision, ModelInfo, Policy


def decisions(path: Path) -> list[LoggedDecision]:
    found = list(read_decisions(path))
    assert all(isinstance(logged, LoggedDecision) for logged in found), found
    return found  # type: ignore[return-value]


def replay(logged: Any) -> Decision:
    return replay_decision(logged, StandIn())  # type: ignore[arg-type]


def fill(shared: Population, name: str) -> None:
    for i in range(12):
        dead = None if i == 3 else 0.1
        shared.end(
            name, made_outcome(0.1 + i / 37, run_id=f"old-{i}", final_dead_neuron_ratio=dead)
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
    for logged, decision in zip(decisions(path), taken, strict=True):
        assert replay(logged) == logged.decision
        assert logged.decision.model_dump() == decision.model_dump()
    assert set(run.problems.counts) <= {"earlier_search"}  # whose runs fill the file


def test_a_torn_last_line_is_closed_and_not_glued_to(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"format": 1, "torn')
    with watch(total_epochs=10, model=StandIn(), log=path) as run:
        run.report(1, mqe=1, topographic_error=0.1, dead_neuron_ratio=0.1)
        run.report(2, mqe=1, topographic_error=0.1, dead_neuron_ratio=0.1)
    assert path.read_bytes().startswith(b'{"format": 1, "torn\n')
    torn, first, second = read_decisions(path)
    assert "row 1: The line must be whole, but is torn" in str(torn)
    for logged in (first, second):
        replay(logged)


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
    assert path.read_bytes().startswith(half + rest)
    _, logged = read_decisions(path)
    replay(logged)


def test_a_writer_that_was_halted_halts_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_lock, "WAIT_S", 0.0)
    path = tmp_path / "log.jsonl"
    with path.open("ab", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        one_line(path)
        one_line(path)
    assert len(decisions(path)) == 2


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
    assert len(decisions(path)) == 160
    assert b"\n\n" not in path.read_bytes()
    assert DecisionLog(path).path == path


def test_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with watch(total_epochs=10, model=StandIn(), log=path) as run:
        run.report(1, mqe=1, topographic_error=0.1, dead_neuron_ratio=0.1)
    other = StandIn()
    other.info = ModelInfo(name="other", version="1", sha256="1" * 64)
    with pytest.raises(ArtifactIncompatible, match=r"the model of the log, stand-in 0.*other 1"):
        replay_decision(decisions(path)[0], other)  # type: ignore[arg-type]


@pytest.mark.parametrize("line", ["", "{}", "[1]", '{"format": 2}', b"\xff"])
def test_what_is_no_line_of_a_log_is_refused(line: str | bytes) -> None:
    with pytest.raises(InvalidHistory):
        replay_decision(line, StandIn())  # type: ignore[arg-type]


def search(path: Path, runs: int, epochs: int = 20) -> list[Decision]:
    """Run a small search with a log; every run meets the outcomes of those before."""
    shared = Population(path.with_suffix(".db"))
    context = {"map_rows": 8, "mqe_of_mean": 2.0, "schedule": {
        "progress": [i / 40 for i in range(41)], "radius": [4 - i / 20 for i in range(41)],
    }}  # fmt: skip
    taken = []
    for i in range(runs):
        with watch(
            total_epochs=epochs, context=context, population=shared, population_name="table",
            model=StandIn(), log=path, run_id=f"r-{i}",
        ) as run:  # fmt: skip
            for epoch in range(1, epochs + 1):
                taken.append(
                    run.report(
                        epoch, mqe=1 / 3 + i / (7 * epoch), topographic_error=1 / 7,
                        dead_neuron_ratio=0.2, radius=4 / epoch,
                    )
                )  # fmt: skip
                if taken[-1].stop:
                    break
    return taken


def test_a_log_of_a_search_is_small_and_replays(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    taken = search(path, 30)
    found = decisions(path)
    assert [d.decision.model_dump() for d in found] == [d.model_dump() for d in taken]
    assert all(replay(logged) == logged.decision for logged in found[::17])
    assert max(len(logged.reference.outcomes) for logged in found if logged.reference) == 29
    # With all within, a line would grow with the population and with the run.
    sizes = [len(line) for line in path.read_bytes().splitlines() if b'"decision"' in line]
    assert max(sizes) < 1800
    assert sum(len(d.model_dump_json()) for d in found) > 3 * path.stat().st_size


def test_what_a_line_rests_on_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    search(path, 6)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    counts = Counter(line["what"] for line in lines)
    assert (counts["run"], counts["policy"], counts["model"]) == (6, 1, 1)
    assert counts["outcome"] == 5
    names = [line["is"] for line in lines]
    assert len(names) == len(set(names))


def test_another_process_goes_on_where_the_file_is(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    search(path, 3)
    log_writer._writers.clear()  # as in a process that has written nothing yet
    search(path, 4)
    counts = Counter(json.loads(line)["what"] for line in path.read_text().splitlines())
    assert (counts["policy"], counts["model"]) == (1, 1)
    assert all(replay(logged) == logged.decision for logged in decisions(path))


@pytest.mark.parametrize("lost", ["deleted", "cut", "replaced"])
def test_a_file_that_is_another_one_now_is_written_anew(tmp_path: Path, lost: str) -> None:
    path = tmp_path / "log.jsonl"
    search(path, 2)
    if lost == "deleted":
        path.unlink()
    elif lost == "cut":
        path.write_bytes(b"")
    else:
        path.replace(tmp_path / "log.1.jsonl")  # as logrotate does
    search(path, 3)
    for logged in decisions(path):
        assert replay(logged) == logged.decision


def test_blank_and_torn_lines_are_passed_over_and_told(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    taken = search(path, 2, epochs=6)
    lines = path.read_bytes().splitlines(keepends=True)
    (first, *_), second = (
        [i for i, line in enumerate(lines) if b'"what":"decision"' in line and name in line]
        for name in (b'"run_id":"r-0"', b'"run_id":"r-1"')
    )
    lines[second[2]] = lines[second[2]][:90] + b"\n"  # the later ones of this run rest on it
    lines.insert(first, b"\n")
    path.write_bytes(b"".join(lines))
    found = list(read_decisions(path))
    told = [str(item) for item in found if isinstance(item, DatasetError)]
    assert f"row {first + 1}: The line must be of a decision log, but is blank" in told[0]
    assert f"row {second[2] + 2}: The line must be whole, but is torn" in told[1]
    assert all("which no line before it tells" in text for text in told[2:])
    assert len(told) == 2 + len(second) - 3
    kept = [item for item in found if isinstance(item, LoggedDecision)]
    assert len(kept) == len(taken) - (len(second) - 2)
    assert all(replay(logged) == logged.decision for logged in kept)


def test_a_write_that_fails_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jsonl"
    write, calls = os.write, []

    def full(descriptor: int, raw: bytes) -> int:
        calls.append(raw)
        return write(descriptor, raw[:50]) if len(calls) == 2 else write(descriptor, raw)

    monkeypatch.setattr(log_writer.os, "write", full)
    with watch(total_epochs=10, model=StandIn(), log=path) as run:
        for epoch in range(1, 5):
            run.report(epoch, mqe=1, topographic_error=0.1, dead_neuron_ratio=0.1)
    assert run.problems.counts == {"log": 1}
    torn, *kept = (
        [item for item in read_decisions(path) if isinstance(item, DatasetError)],
        *[item for item in read_decisions(path) if isinstance(item, LoggedDecision)],
    )
    assert len(torn) == 1
    assert [len(logged.history) for logged in kept] == [1, 3, 4]
    assert all(replay(logged) == logged.decision for logged in kept)


def test_a_line_of_the_first_format_is_read_and_replays(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    search(path, 1)
    old = decisions(path)[3].model_copy(update={"format": 1}).model_dump_json(exclude_none=True)
    path.write_text(f"{old}\n")
    (logged,) = decisions(path)
    assert replay(logged) == replay_decision(old, StandIn()) == logged.decision  # type: ignore[arg-type]


def test_a_line_that_rests_on_others_is_no_decision_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    one_line(path)
    with pytest.raises(InvalidHistory):
        replay_decision(path.read_bytes().splitlines()[-1])
    logged = decisions(path)[0]
    with pytest.raises(InvalidHistory, match="`read_decisions` reads a whole log"):
        replay_decision(logged.model_dump_json())


def test_a_line_of_the_shipped_oracle_is_short_and_replays(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    with watch(total_epochs=20, policy="threshold", log=path) as run:
        taken = [
            run.report(epoch, mqe=1 / epoch, topographic_error=0.1, dead_neuron_ratio=0.1)
            for epoch in range(1, 8)
        ]
    assert any(d and d.forecast and d.forecast.curve for d in taken)
    assert all(replay_decision(logged) == logged.decision for logged in decisions(path))
    lines = [line for line in path.read_bytes().splitlines() if b'"what":"decision"' in line]
    assert 0 < max(map(len, lines)) < 1800
