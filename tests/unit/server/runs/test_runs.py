"""The rules of a stored run, on a real SQLite file and a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest
from made_up import StandIn
from storing import Bench, kinds, write_now

from oracle.decision.policy import decide
from oracle.errors import InvalidHistory, RunConflict, RunNotFound
from oracle.server.http.answers import field_of
from oracle.server.http.wire import AboutRequest
from oracle.server.storage.store import Store
from oracle.types import Action, Reason


def test_an_append_creates_and_answers_with_a_decision(bench: Bench) -> None:
    decision, stored = bench.append("a", [10])
    assert stored == 1
    assert decision.run_id == "a"
    assert decision.reason is Reason.TOO_FEW_CHECKPOINTS
    found = bench.detail("a")
    assert found.run.state == "running"
    assert found.run.progress == 0.1
    assert found.decision.model_dump() == decision.model_dump()
    assert found.track.epochs == (10.0,)


def test_the_same_again_gives_the_same_answer_and_stores_nothing(bench: Bench) -> None:
    first, _ = bench.append("a", [10, 20])
    again, stored = bench.append("a", [10, 20])
    assert stored == 0
    assert again.model_dump() == first.model_dump()
    assert len(bench.detail("a").track.epochs) == 1


def test_a_client_that_was_cut_off_posts_all_it_has(bench: Bench) -> None:
    bench.append("a", [10])
    _, stored = bench.append("a", [10, 20, 30])
    assert stored == 2
    assert bench.detail("a").history.epochs == (10.0, 20.0, 30.0)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"mqe": [0.4]}, "`mqe.0` must be 0.5 as stored for epoch 10"),
        ({"topographic_error": [None]}, "`topographic_error.0` must be 0.1"),
        ({"epochs": [5]}, "`epochs.0` must come after the last stored one (10)"),
        ({"total_epochs": 200}, "`total_epochs` must be as at the run's first checkpoint"),
        ({"total_epochs": 200}, "Stored: 100.0."),
        ({"population": "q"}, "`population`"),
        ({"population": "q"}, "Stored: 'p'."),
        ({"dataset": "iris"}, "`dataset`"),
        ({"dataset": "iris"}, "It was not told there, and is not known"),
        ({"context": {"map_rows": 3}}, "`context.map_rows`"),
        ({"context": {"map_rows": 3}}, "Stored: 4.0."),
        ({"population_size": 9}, "`population_size`"),
        ({"run_id": "b"}, "`run_id`"),
        ({"radius": [3.0]}, "`radius.0` must be None"),
    ],
)
def test_contradictions_name_the_value(bench: Bench, change: dict[str, Any], named: str) -> None:
    bench.append("a", [10], context={"map_rows": 4})
    before = bench.detail("a")
    with pytest.raises(RunConflict) as error:
        bench.append("a", [10], change=change)
    assert named in str(error.value)
    assert bench.detail("a") == before


def test_contradictions_name_the_epoch_exactly(bench: Bench) -> None:
    bench.append("a", [0.1, 1_234_567], total_epochs=2e6)
    with pytest.raises(RunConflict, match="for epoch 1234567"):
        bench.append("a", [1_234_567], mqe=0.4, total_epochs=2e6)
    with pytest.raises(RunConflict, match=r"\(1234567\)"):
        bench.append("a", [1_234_566], total_epochs=2e6)


def test_what_breaks_a_rule_of_the_whole_history_is_undone(bench: Bench) -> None:
    bench.append("a", [90])
    with pytest.raises(InvalidHistory, match="total_epochs"):
        bench.append("a", [190.5], total_epochs=None)
    assert bench.detail("a").history.epochs == (90.0,)
    with pytest.raises(InvalidHistory, match=r"`population` must be .*characters"):
        bench.append("b", [1], population="a\x00b")
    with pytest.raises(InvalidHistory) as found:
        bench.append("b", [1], dataset="\u202egnp.exe")
    assert field_of(found.value) == "dataset"
    with pytest.raises(RunNotFound):
        bench.detail("b")
    bench.append("c", [1], population="\U0001f469\u200d\U0001f52c")


@pytest.mark.parametrize("total", [1200, None])
def test_a_run_may_be_told_as_often_as_one_likes(bench: Bench, total: float | None) -> None:
    for first in range(0, 1200, 300):
        bench.append("a", [float(e) for e in range(first, first + 300)], total_epochs=total)
    decision, _ = bench.append("a", [1200], total_epochs=total)
    epochs = bench.detail("a").history.epochs
    assert 90 < len(epochs) < 400
    assert epochs[-1] == 1200
    assert decision.forecast.n_checkpoints == len(epochs)
    # All of it again says nothing new; what is not kept is still known.
    assert bench.append("a", [597, 598, 599, 600], total_epochs=total) == (decision, 0)
    with pytest.raises(RunConflict, match=r"`mqe\.0` must be 0\.5 as stored for epoch 598"):
        bench.append("a", [598], mqe=0.4, total_epochs=total)
    with pytest.raises(RunConflict, match=r"must come after the last stored one"):
        bench.append("a", [598.5], total_epochs=total)


def test_a_decision_on_a_checkpoint_that_was_not_kept_is_made_again(bench: Bench) -> None:
    decisions = {e: bench.append("a", [e], mqe=1 / e)[0] for e in (10.0, 20.0, 20.1, 20.2, 30.0)}
    assert bench.detail("a").history.epochs == (10, 20, 30)
    for epoch, decision in decisions.items():
        found = bench.replay("a", epoch)
        assert found.decision == decision
        history = found.inputs.history
        assert history.epochs[-1] == epoch
        assert len(history) == decision.forecast.n_checkpoints


def test_what_is_said_of_a_run_is_kept(bench: Bench) -> None:
    said = {"name": "lr=0.1", "config": {"lr": 0.1, "on": True, "n": None}, "tags": ["a", "b"]}
    bench.append("a", [10], **said)
    bench.append("a", [10, 20], notes="first\nsecond")  # what is left out stays
    run = bench.detail("a").run
    assert (run.name, run.config, run.tags) == (said["name"], said["config"], ("a", "b"))
    assert run.notes == "first\nsecond"
    told = len(kinds(bench, "a"))
    bench.append("a", [10, 20], notes="third")  # nothing else is new
    assert kinds(bench, "a")[told:] == ["about"]
    bench.append("a", [10, 20], notes="third")
    assert len(kinds(bench, "a")) == told + 1
    bench.finish("a")
    new = AboutRequest.model_validate({"tags": ["c"], "notes": None})
    after = write_now(bench.store, lambda c: bench.runs.say(c, "", "a", new))
    assert (after.tags, after.notes, after.name) == (("c",), None, "lr=0.1")
    assert kinds(bench, "a")[-1] == "about"
    for wrong in ({"config": {"a": [1]}}, {"config": {"a": "b\x00"}}, {"notes": "\x00"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            AboutRequest.model_validate(wrong)


def test_a_persons_word_holds_until_the_next(bench: Bench) -> None:
    bench.fill()
    bench.append("bad", [10], mqe=5.0)
    bench.override("bad", "keep")
    decision, _ = bench.append("bad", [20], mqe=5.0)
    assert (decision.action, decision.reason) == (Action.CONTINUE, Reason.OVERRULED)
    bench.override("bad", "stop")
    decision, stored = bench.append("bad", [20], mqe=5.0)  # the same checkpoint, asked again
    assert stored == 0
    assert (decision.action, decision.reason) == (Action.STOP, Reason.OVERRULED)
    assert bench.replay("bad", 20).inputs.override == "stop"
    assert bench.detail("bad").run.state == "stopped"


def test_a_decision_is_made_again_from_what_is_stored(bench: Bench) -> None:
    bench.fill()
    decision, _ = bench.append("bad", [10, 20], mqe=5.0)
    bench.append("later", [10, 100], mqe=0.01)
    bench.finish("later")
    inputs = bench.replay("bad", 20).inputs
    assert inputs.exact
    assert len(inputs.reference.outcomes) == 8
    again = decide(
        inputs.history,
        StandIn().forecast(inputs.history),
        inputs.reference,
        inputs.policy,
        previous=inputs.previous,
    )
    assert again.model_dump() == decision.model_dump()


def test_patience_counts_over_requests(store: Store) -> None:
    bench = Bench(store, patience=3)
    bench.fill()
    actions = [bench.append("bad", [e], mqe=5.0)[0].reason for e in (10, 20, 30, 40)]
    assert actions[1:] == [Reason.WAITING, Reason.WAITING, Reason.UNLIKELY_GOOD]


def test_a_defect_inside_never_stops_a_run_nor_loses_a_checkpoint(bench: Bench) -> None:
    bench.store._answer = lambda histories: [ZeroDivisionError()]
    decision, stored = bench.append("a", [10, 20])
    assert stored == 2
    assert (decision.action, decision.reason) == (Action.ABSTAIN, Reason.ERROR)


def test_without_a_model_the_checkpoint_is_stored_all_the_same(bench: Bench) -> None:
    bench.store._answer = lambda histories: [None]
    decision, stored = bench.append("a", [10, 20])
    assert stored == 2
    assert decision.reason is Reason.NO_MODEL
    assert bench.finish("a", censored=True).final.final_mqe == 0.5
