"""The audit of a search: weights, words, and the store's against one made anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from made_up import StandIn
from storing import write_now

from oracle.audit.audit import audit
from oracle.audit.ended import EndedRun, Look, look_at
from oracle.server.http.wire import CheckpointsRequest, FinishRequest
from oracle.server.runs.lifecycle import Runs
from oracle.server.searches.audits import Audits, Measure
from oracle.server.storage.store import Store
from oracle.types import Policy

BAND = (0.1, 0.2, 0.3, 0.4, 0.5)


def ended(i: int, score: float, *, held: float | None = None, p_good: float = 0.3) -> EndedRun:
    """A run that went to its end, of which BAND was said at each look."""
    looks = tuple(Look(0.1, BAND, p_good) for _ in range(4))
    told = 0.1 if held else None
    return EndedRun(f"r{i}", score, score, False, held, told, p_good, looks)


def stopped(i: int, p_good: float | None) -> EndedRun:
    """A run that was stopped, which stands with its forecast."""
    return EndedRun(f"s{i}", None, 0.9, True, None, 0.1, p_good, (None,) * 4)


def test_a_control_stands_for_the_stops_it_was_drawn_from() -> None:
    inside = [ended(i, 0.3) for i in range(9)]
    found = audit([*inside, ended(9, 0.7, held=0.1)], 0.1)
    assert found.pooled.rate == pytest.approx(9 / 19)  # the control counts as ten
    assert found.pooled.n_effective == pytest.approx(19**2 / (9 + 100))
    assert found.controls[0].rank == 10
    assert not found.controls[0].good


def test_expected_and_measured_losses() -> None:
    runs = [*(stopped(i, 0.01) for i in range(30)), stopped(30, None), ended(1, 0.2, held=0.05)]
    lost = audit(runs, 0.1).lost
    assert (lost.stops, lost.asked) == (31, 30)
    assert lost.expected == pytest.approx(0.3)
    assert lost.by_chance == pytest.approx(3.1)
    assert lost.measured.rate == 1.0  # the best of all: its stop would have been wrong
    assert lost.upper == 1.0


@pytest.mark.parametrize(
    ("runs", "word"),
    [
        ([ended(i, 0.3) for i in range(19)], "cannot say yet"),
        ([ended(i, 0.3) for i in range(30)], "in its promise"),
        ([ended(i, 0.3 if i % 2 else 0.7) for i in range(60)], "worse than promised"),
        # two controls of which nothing good was expected
        ([*(ended(i, 0.4 + i / 100) for i in range(30)),
          *(ended(40 + i, 0.1 + i / 100, held=0.05, p_good=0.01) for i in range(2))],
         "worse than promised"),
        ([], "cannot say yet"),
    ],
)  # fmt: skip
def test_its_word(runs: list[EndedRun], word: str) -> None:
    assert audit(runs, 0.1).word == word


def test_looks_are_the_nearest_to_what_is_asked() -> None:
    looks = [Look(p, BAND, None) for p in (0.02, 0.11, 0.13, 0.4, 0.9)]
    assert [one and one.progress for one in look_at(looks)] == [0.11, None, 0.4, None]


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = Store(database_url, answer=StandIn().answer)
    yield opened
    opened.close()


def test_the_store_reads_each_run_once_and_tells_the_same(store: Store) -> None:
    policy = Policy(name="population", startup_runs=4, control=0.5, min_checkpoints=1)
    runs, one, at = Runs(policy), Audits(), (0.1, 0.25, 0.45, 0.7)

    def post(name: str, mqe: float) -> None:
        for i, share in enumerate(at):
            body = {
                "epochs": [100 * share], "mqe": [mqe + 0.1 / (i + 1)], "topographic_error": [0.1],
                "dead_neuron_ratio": [0.1], "population": "p", "total_epochs": 100,
            }  # fmt: skip
            piece = CheckpointsRequest.model_validate(body)
            done = write_now(store, lambda c: runs.append(c, "", name, piece))  # noqa: B023
            if done.decision.stop:
                return
        write_now(store, lambda c: runs.finish(c, "", name, FinishRequest(final_mqe=mqe)))

    def told(audits: Audits) -> object:
        return store.read_now(lambda c: audits.audit(c, "", "p", Measure(policy, ((0.1, 0.05),))))

    for n in range(24):
        post(f"r{n}", 0.2 + 0.1 * (n % 7))
        if n % 5 == 4:
            assert told(one) == told(Audits())
    last = told(one)
    assert last.runs == 24  # type: ignore[attr-defined]
    assert last.controls  # type: ignore[attr-defined]
    assert last.lost.stops  # type: ignore[attr-defined]
    write_now(store, lambda c: runs.delete(c, "", "r0"))
    assert told(one) == told(Audits())
