"""What one process has seen of a population: who counts, at which place, and what they teach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from made_up import outcome_of

from oracle.forecast.residuals import TEACHERS, Residuals
from oracle.hook.population import Population
from oracle.hook.population_seen import Seen


def lesson(doubt: float) -> bytes:
    """What one run teaches, told apart by its doubt."""
    known = Residuals.nothing()
    return Residuals(known.inputs, known.deviations, np.full_like(known.doubt, doubt)).to_bytes()


def ended(
    run_id: str, clock: int, *, scale: float = 2.0, model: str = "m", doubt: float | None = None
) -> tuple[Any, ...]:
    """A row of COLUMNS."""
    teaches = None if doubt is None else lesson(doubt)
    return run_id, clock, "finished", 0.5, 0.1, 0.2, 0.0, scale, model, teaches


def doubts(found: Residuals | None) -> Iterator[float]:
    assert found is not None
    return (float(doubt) for doubt in found.doubt[:, 0])


def test_nothing_is_known_of_nobody() -> None:
    seen = Seen()
    assert (seen.outcomes, seen.ended, seen.live, seen.fresh) == ({}, 0, 0, False)
    assert seen.teaches("m", None) is None
    assert seen.reference("r", None).live == 0


def test_a_run_begun_anew_counts_and_teaches_at_its_new_place() -> None:
    seen = Seen()
    seen.take([ended("a", 1, doubt=1.0), ended("b", 2, doubt=2.0)])
    assert list(doubts(seen.teaches("m", None))) == [1.0, 2.0]
    seen.take([ended("a", 3)])  # it taught under another version, and now does not
    assert list(seen.outcomes) == ["b", "a"]
    assert seen.ended == 3
    assert list(doubts(seen.teaches("m", None))) == [2.0]
    seen.take([ended("a", 4, doubt=4.0)])
    assert list(doubts(seen.teaches("m", None))) == [2.0, 4.0]


def test_a_run_is_taught_by_others_of_its_model_and_scale() -> None:
    seen = Seen()
    seen.take([ended("a", 1, doubt=1.0), ended("b", 2, doubt=2.0), ended("c", 3, doubt=3.0)])
    seen.take([ended("of-another", 4, model="n", doubt=4.0)])
    seen.take([ended("of-another-table", 5, scale=2000.0, doubt=5.0)])
    seen.take([ended("of-another-version", 6)])
    for _ in range(2):  # gathered, then remembered
        assert list(doubts(seen.teaches("m", None))) == [1.0, 2.0, 3.0]
        assert list(doubts(seen.teaches("m", "b"))) == [1.0, 3.0]
        assert list(doubts(seen.teaches("n", None))) == [4.0]
    assert seen.teaches("n", "of-another") is None


def test_what_another_version_wrote_teaches_nothing() -> None:
    seen = Seen()
    seen.take([(*ended("a", 1)[:-1], b"not so long")])
    assert seen.teaches("m", None) is None
    assert list(seen.outcomes) == ["a"]


@pytest.mark.parametrize("beyond", [0, 1])
def test_the_latest_teach(beyond: int) -> None:
    seen = Seen()
    seen.take(ended(f"r{i}", i, doubt=float(i)) for i in range(TEACHERS + beyond))
    found = list(doubts(seen.teaches("m", None)))
    assert found == list(range(beyond, TEACHERS + beyond))
    assert len(seen.outcomes) == TEACHERS + beyond


def test_the_latest_outcomes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oracle.hook.population_seen.MAX_REFERENCE_RUNS", 3)
    seen = Seen()
    seen.take(ended(f"r{i}", i, doubt=float(i)) for i in range(3))
    assert list(seen.outcomes) == ["r0", "r1", "r2"]
    seen.take([ended("r3", 3, doubt=3.0)])
    assert list(seen.outcomes) == ["r1", "r2", "r3"]
    assert list(doubts(seen.teaches("m", None))) == [1.0, 2.0, 3.0]
    assert seen.reference(None, 45).population_size == 45


def test_a_population_gives_what_its_runs_teach(shared: Population) -> None:
    for i, model in enumerate(("m", "m", "other")):
        shared.end("a", outcome_of(f"r{i}"), mqe_of_mean=2.0, teaches=(model, lesson(float(i))))
    assert list(doubts(shared.known("a", "m"))) == [0.0, 1.0]
    assert list(doubts(shared.known("a", "m", without="r0"))) == [1.0]
    assert list(doubts(shared.known("a", "other"))) == [2.0]
    assert shared.known("b", "m") is None


def test_one_small_question_while_nobody_else_wrote(shared: Population) -> None:
    other = Population(shared.path)
    other.end("a", outcome_of("r1"))
    shared.reference("a")
    asked: list[str] = []
    with shared._file.reading() as db:
        db.set_trace_callback(asked.append)
    assert len(shared.reference("a").outcomes) == 1
    assert asked == ["PRAGMA data_version"]
    other.end("a", outcome_of("r2"))
    assert len(shared.reference("a").outcomes) == 2
    assert len(asked) > 2
    asked.clear()
    assert len(shared.reference("a").outcomes) == 2
    assert asked == ["PRAGMA data_version"]
    shared.close()
    other.close()
