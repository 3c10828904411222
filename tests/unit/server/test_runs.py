"""The rules of stored runs, on a real SQLite file and a real PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from made_up import StandIn
from sqlalchemy import Connection, select
from storing import write_now

from oracle.decision.policy import decide
from oracle.errors import InvalidHistory, RunConflict, RunNotFound
from oracle.server.http.wire import AboutRequest, CheckpointsRequest, FinishRequest
from oracle.server.runs import listing, populations
from oracle.server.runs.lifecycle import Runs
from oracle.server.runs.standing import Standings
from oracle.server.storage.schema import events
from oracle.server.storage.store import Store
from oracle.types import Action, Decision, Policy, Reason


class Bench:
    """Runs on a store, one transaction a call."""

    def __init__(self, store: Store, **policy: Any) -> None:
        self.store = store
        self.policy = Policy(name="population", startup_runs=4, control=0.0, **policy)
        self.runs = Runs(self.policy)
        self.standings = Standings()
        store.on_rollback = self.runs.references.forget_all

    def append(
        self, run_id: str, epochs: list[float], mqe: float = 0.5, change: Any = None, **fixed: Any
    ) -> tuple[Decision, int]:
        """Append checkpoints that all show the same values."""
        n = len(epochs)
        body = {
            "epochs": epochs,
            "mqe": [mqe] * n,
            "topographic_error": [0.1] * n,
            "dead_neuron_ratio": [0.1] * n,
            "population": "p",
            "total_epochs": 100,
            **fixed,
            **(change or {}),
        }
        piece = CheckpointsRequest.model_validate(body)
        done = write_now(self.store, lambda c: self.runs.append(c, "", run_id, piece))
        return done.decision, done.stored

    def finish(self, run_id: str, owner: str = "", **how: Any) -> Any:
        """Finish a run."""
        request = FinishRequest(**how)
        return write_now(self.store, lambda c: self.runs.finish(c, owner, run_id, request))

    def override(self, run_id: str, word: Any) -> Any:
        """Overrule."""
        return write_now(self.store, lambda c: self.runs.override(c, "", run_id, word, "eve"))

    def detail(self, run_id: str, owner: str = "") -> Any:
        """Read a run."""
        return self.store.read_now(lambda c: listing.detail(c, owner, run_id))

    def replay(self, run_id: str, epoch: float) -> Any:
        """Read a decision's inputs."""
        return self.store.read_now(lambda c: listing.replay(c, "", run_id, epoch))

    def population(self) -> Any:
        """Read the population."""
        seen, policy = self.standings, self.policy
        return self.store.read_now(lambda c: populations.detail(c, seen, "", "p", policy))

    def controls(self) -> tuple[int, ...]:
        """Read the control runs of all populations: ended, wrong, waiting."""
        return tuple(self.store.read_now(populations.controls))

    def fill(self, n: int = 8, mqe: float = 0.1, name: str = "good") -> None:
        """Finish `n` good runs."""
        for i in range(n):
            self.append(f"{name}-{i}", [10, 100], mqe + i / 1000)
            self.finish(f"{name}-{i}")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url, answer=StandIn().answer)
    yield store
    store.close()


def kinds(bench: Bench, run_id: str) -> list[str]:
    """Kinds of the events that are kept of a run; deleted ones must hold its names only."""
    found = select(events.c.body).where(events.c.run_id == run_id).order_by(events.c.id)
    told = [json.loads(body) for body in bench.store.read_now(lambda c: c.scalars(found).all())]
    names = {"run_id": run_id, "population": "p"}
    assert all(event["run"] == names for event in told if event["kind"] == "deleted")
    return [event["kind"] for event in told]


@pytest.fixture
def bench(store: Store) -> Bench:
    return Bench(store)


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
        ({"dataset": "iris"}, "Stored: None."),
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
    with pytest.raises(InvalidHistory, match="printable"):
        bench.append("b", [1], population="a\x00b")
    with pytest.raises(RunNotFound):
        bench.detail("b")


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


def test_a_run_goes_on_from_an_earlier_map(bench: Bench) -> None:
    before = {e: bench.append("a", [e], mqe=1 / e)[0] for e in (10, 20, 30, 40)}
    with pytest.raises(RunConflict, match="says so by `rewind_from`"):
        bench.append("a", [30], mqe=0.5)
    again, stored = bench.append("a", [30], mqe=0.5, rewind_from=30)
    assert stored == 1
    run = bench.detail("a")
    assert run.history.epochs == (10, 20, 30)
    assert run.history.mqe == (1 / 10, 1 / 20, 0.5)
    assert run.track.epochs == (10, 20, 30)
    assert [r.epoch for r in run.run.rewinds] == [30]
    assert (run.run.epoch, run.run.mqe, run.run.n_checkpoints) == (30, 0.5, 3)
    # The same again is no second rewind, and a whole history may be told.
    assert bench.append("a", [30], mqe=0.5, rewind_from=30) == (again, 0)
    assert bench.append("a", [30, 40], mqe=0.5, rewind_from=30)[1] == 1
    assert len(bench.detail("a").run.rewinds) == 1
    # Honest in the log: what was decided before is made again from what was known then.
    for epoch, attempt in ((20, before[20]), (30, again)):
        found = bench.replay("a", epoch)
        assert found.decision == attempt
        assert not found.inputs.rewound
        assert found.inputs.history.mqe[-1] == bench.detail("a").history.mqe[epoch // 10 - 1]
    bench.append("a", [25], mqe=0.4, rewind_from=25)  # an epoch that was never stored
    found = bench.replay("a", 40)
    assert found.inputs.rewound
    assert found.inputs.history.epochs == (10, 20, 30, 40)
    assert found.inputs.history.mqe == (1 / 10, 1 / 20, 0.5, 0.5)
    assert bench.detail("a").history.epochs == (10, 20, 25)
    bench.append("a", [5], mqe=0.9, rewind_from=0)  # from the beginning
    assert bench.detail("a").history.epochs == (5,)
    assert [r.epoch for r in bench.detail("a").run.rewinds] == [30, 25, 5]
    # What it went back over and did not tell again is gone, too.
    bench.append("b", [10, 20, 30, 40])
    bench.append("b", [60], rewind_from=20.5)
    assert bench.detail("b").history.epochs == (10, 20, 60)
    # What lies before is no matter of the rewind.
    with pytest.raises(RunConflict, match=r"`mqe\.0` must be"):
        bench.append("b", [10, 60], mqe=0.7, rewind_from=20.5)


def test_a_run_goes_on_from_among_checkpoints_that_were_not_kept(bench: Bench) -> None:
    close = (20.0, 20.1, 20.2, 20.3, 20.4)
    bench.append("a", [10])
    decisions = {}
    for times, back in enumerate((None, 20.1, 20.0, 20.2)):  # the last had been thinned twice
        for epoch in close:
            if back is None or epoch >= back:
                fixed = {"rewind_from": back} if epoch == back else {}
                mqe = (0.5 - 0.1 * times) / epoch
                decisions[epoch], stored = bench.append("a", [epoch], mqe=mqe, **fixed)
                assert stored == 1
                # The same again is known, kept or not.
                assert bench.append("a", [epoch], mqe=mqe) == (decisions[epoch], 0)
    run = bench.detail("a")
    assert run.history.epochs == (10, 20, 20.4)
    assert [r.epoch for r in run.run.rewinds] == [20.1, 20, 20.2]
    for epoch, decision in decisions.items():
        found = bench.replay("a", epoch)
        assert found.decision == decision
        assert found.inputs.history.epochs[-1] == epoch
        assert len(found.inputs.history) == decision.forecast.n_checkpoints


def test_what_is_said_of_a_run_is_kept(bench: Bench) -> None:
    said = {"name": "lr=0.1", "config": {"lr": 0.1, "on": True, "n": None}, "tags": ["a", "b"]}
    bench.append("a", [10], **said)
    bench.append("a", [10, 20], notes="first\nsecond")  # what is left out stays
    run = bench.detail("a").run
    assert (run.name, run.config, run.tags) == (said["name"], said["config"], ("a", "b"))
    assert run.notes == "first\nsecond"
    bench.finish("a")
    new = AboutRequest.model_validate({"tags": ["c"], "notes": None})
    after = write_now(bench.store, lambda c: bench.runs.say(c, "", "a", new))
    assert (after.tags, after.notes, after.name) == (("c",), None, "lr=0.1")
    assert kinds(bench, "a")[-1] == "about"
    for wrong in ({"config": {"a": [1]}}, {"config": {"a": "b\x00"}}, {"notes": "\x00"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            AboutRequest.model_validate(wrong)


def test_a_stopped_run_that_is_rewound_is_live_again(bench: Bench) -> None:
    bench.fill()
    bench.append("bad", [10, 20], mqe=5.0)
    assert bench.detail("bad").run.state == "stopped"
    bench.append("bad", [20], mqe=0.001, rewind_from=20)
    assert bench.detail("bad").run.state == "running"
    assert bench.population().running == 1
    assert not any(o.run_id == "bad" for o in bench.population().outcomes)
    bench.finish("bad", censored=True)
    with pytest.raises(RunConflict, match="The run has finished"):
        bench.append("bad", [20], mqe=0.5, rewind_from=20)


def test_a_finish_after_a_stop_stands_by_the_forecast(bench: Bench) -> None:
    bench.fill()
    decision, _ = bench.append("bad", [10, 20], mqe=5.0)
    for how in ({}, {"final_mqe": 0.4}):
        name = f"bad-{len(how)}"
        decision, _ = bench.append(name, [10, 20], mqe=5.0)
        run = bench.finish(name, **how)
        assert (run.state, run.censored) == ("stopped", True)
        assert run.final.final_mqe == decision.forecast.median("final_mqe")
        assert run.ending == (
            "Stopped at 20% of its budget: it stands in its population with its forecast."
        )
        assert bench.finish(name, **how) == run
    # One that ignored the stop and came to its end has finished.
    bench.append("ignores", [10, 20, 100], mqe=5.0)
    assert bench.finish("ignores").ending == "Finished."


def test_final_values_are_the_last_checkpoint_at_the_budget(bench: Bench) -> None:
    final = {"final_mqe": 0.2, "final_topographic_error": 0.05, "final_dead_neuron_ratio": 0.01}
    bench.append("a", [10, 40, 69])
    run = bench.finish("a", **final)
    assert (run.epoch, run.progress, run.n_checkpoints) == (100, 1.0, 4)
    assert (run.mqe, run.topographic_error, run.dead_neuron_ratio) == tuple(final.values())
    history = bench.detail("a").history
    assert history.epochs == (10, 40, 69, 100)
    assert history.is_whole
    assert bench.finish("a", **final) == run
    # A whole run has its end already: nothing is added.
    bench.append("b", list(range(10)), total_epochs=10)
    assert bench.finish("b", **final).n_checkpoints == 10
    # A metric that was never measured is not asked for.
    bench.append("c", [10, 40], topographic_error=[None, None])
    assert bench.finish("c", final_mqe=0.2, final_dead_neuron_ratio=0.1).epoch == 100


def test_a_finish_says_how_the_run_ended(bench: Bench) -> None:
    bench.append("whole", [10, 100])
    assert bench.finish("whole").ending == "Finished."
    bench.append("left", [10, 40])
    left = bench.finish("left")
    assert left.ending.startswith("Left at 40% of its budget: it stands with its last checkpoint")
    bench.append("told", [10, 40])
    told = bench.finish("told", final_mqe=0.2)
    assert told.ending.startswith("Finished with values of its own, told at 40% of its budget")
    assert "With all final values it could be trained on" in told.ending
    assert bench.detail("told").run == told


def test_a_bad_run_is_stopped_and_stands_censored(bench: Bench) -> None:
    bench.fill()
    decision, _ = bench.append("bad", [10, 20], mqe=5.0)
    assert decision.action is Action.STOP
    run = bench.detail("bad").run
    assert run.state == "stopped"
    assert run.censored
    assert run.final.final_mqe == decision.forecast.median("final_mqe")
    assert run.final.spread > 0
    assert bench.population().savings.saved_epochs == 80.0
    # The client confirms: nothing changes.
    assert bench.finish("bad", censored=True).final == run.final
    # A client that goes on instead: the run is live again, and may end well.
    bench.append("ignores", [10, 20], mqe=5.0)
    assert bench.detail("ignores").run.state == "stopped"
    _, stored = bench.append("ignores", [30], mqe=0.001)
    assert stored == 1
    assert bench.detail("ignores").run.state == "running"
    bench.append("ignores-2", [10, 20], mqe=5.0)
    assert not bench.finish("ignores-2", censored=False, final_mqe=0.3).censored


def test_a_run_that_has_converged_is_finished(store: Store) -> None:
    bench = Bench(store, converged=0.5, converged_risk=0.2)
    decision, _ = bench.append("a", [10, 40])
    assert (decision.reason, decision.converged) == (Reason.CONVERGED, True)
    found = bench.detail("a").run
    assert (found.state, found.censored, found.reason) == ("finished", False, "converged")
    assert found.final.final_mqe == 0.5
    seen = bench.population()
    assert (seen.finished, seen.stopped, seen.wrong_stops.stops) == (1, 0, 0)
    assert seen.savings.saved_share == pytest.approx(0.6)
    assert [(o.censored, o.final_mqe) for o in seen.outcomes] == [(False, 0.5)]
    # Whoever goes on takes it back ...
    bench.append("a", [45], mqe=0.4, change={"policy": Policy(name="population", control=0.0)})
    assert bench.detail("a").run.state == "running"
    assert bench.population().outcomes == ()
    assert bench.append("a", [50], mqe=0.3)[0].converged
    # ... and whoever obeys says so, with what was measured at the end.
    assert bench.finish("a", final_mqe=0.29).final.final_mqe == 0.29
    assert bench.population().savings.saved_share == pytest.approx(0.5)
    assert bench.finish("a", final_mqe=0.29).state == "finished"
    with pytest.raises(RunConflict, match="final_mqe"):
        bench.finish("a", final_mqe=0.1)
    with pytest.raises(RunConflict, match="takes no more checkpoints"):
        bench.append("a", [60])


@pytest.mark.parametrize("mqe", [0.5, 5.0])  # going on; stopped by a decision
def test_a_censored_finish_is_a_finish(bench: Bench, mqe: float) -> None:
    bench.fill()
    bench.append("a", [10, 20], mqe=mqe)
    first = bench.finish("a", censored=True, final_mqe=0.4)
    assert first.state == "stopped"
    assert bench.finish("a", censored=True, final_mqe=0.4) == first
    with pytest.raises(RunConflict, match=r"`final_mqe` must be 0\.4 as stored"):
        bench.finish("a", censored=True, final_mqe=0.3)
    assert bench.finish("a", final_mqe=0.4) == first
    with pytest.raises(RunConflict, match="`censored` must be True as stored"):
        bench.finish("a", censored=False, final_mqe=0.4)
    with pytest.raises(RunConflict, match="takes no more"):
        bench.append("a", [30], mqe=mqe)
    with pytest.raises(RunConflict, match="nothing to overrule"):
        bench.override("a", "keep")
    assert bench.detail("a").run == first


def test_a_stopped_run_without_a_decision_stands_by_its_forecast(bench: Bench) -> None:
    decision, _ = bench.append("a", [10, 20])
    run = bench.finish("a", censored=True)
    assert run.state == "stopped"
    assert run.censored
    assert run.final.final_mqe == decision.forecast.median("final_mqe")


def test_a_finish_is_repeatable_but_not_changeable(bench: Bench) -> None:
    bench.append("a", [10, 100])
    first = bench.finish("a", final_mqe=0.4)
    assert first.state == "finished"
    assert bench.finish("a", final_mqe=0.4) == first
    with pytest.raises(RunConflict, match=r"`final_mqe` must be 0\.4 as stored"):
        bench.finish("a", final_mqe=0.3)
    with pytest.raises(RunConflict, match="takes no more"):
        bench.append("a", [10, 100])
    with pytest.raises(RunConflict, match="nothing to overrule"):
        bench.override("a", "keep")
    with pytest.raises(RunNotFound):
        bench.finish("nobody")


def test_a_run_that_is_left_is_no_whole_one(bench: Bench) -> None:
    bench.append("left", [5, 10])
    run = bench.finish("left")
    assert (run.state, run.left, run.final.final_mqe) == ("finished", True, 0.5)
    assert bench.finish("left") == run
    with pytest.raises(RunConflict, match="final_mqe"):
        bench.finish("left", final_mqe=0.4)
    # It would have ended there without us.
    savings = bench.population().savings
    assert (savings.planned_epochs, savings.used_epochs, savings.saved_share) == (10.0, 10.0, 0.0)
    bench.append("told", [5, 10])
    assert not bench.finish("told", final_mqe=0.4).left
    bench.append("whole", [5, 95])
    assert not bench.finish("whole").left
    bench.append("from-0", [*range(0, 100, 10)])
    assert not bench.finish("from-0").left
    bench.append("open", [5, 10], total_epochs=None)
    assert not bench.finish("open").left
    savings = bench.population().savings
    assert (savings.planned_epochs, savings.used_epochs) == (310.0, 310.0)


def test_a_control_that_is_left_measures_no_stop(bench: Bench) -> None:
    bench.fill()
    control = Policy(name="population", startup_runs=4, control=1.0)
    bench.append("control", [10, 20], mqe=5.0, policy=control)
    assert bench.detail("control").run.control
    assert bench.finish("control").left
    assert bench.population().wrong_stops.controls == 0


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


def test_deleting_forgets_everything_and_says_what_is_no_longer_exact(bench: Bench) -> None:
    bench.fill()
    bench.append("bad", [10, 20], mqe=5.0)
    write_now(bench.store, lambda c: bench.runs.delete(c, "", "good-0"))
    with pytest.raises(RunNotFound):
        bench.detail("good-0")
    assert set(kinds(bench, "good-0")) == {"deleted"}
    assert "deleted" not in kinds(bench, "good-1")
    assert not bench.replay("bad", 20).inputs.exact
    decision, _ = bench.append("bad-2", [10, 20], mqe=5.0)
    assert decision.stop
    assert len(bench.replay("bad-2", 20).inputs.reference.outcomes) == 8  # 7 and the censored


def test_control_runs_measure_wrong_stops(store: Store) -> None:
    bench = Bench(store)
    bench.fill()
    bench.runs.policy = bench.policy.model_copy(update={"control": 0.999999})
    decision, _ = bench.append("kept", [10, 20], mqe=5.0)
    assert decision.reason is Reason.CONTROL
    assert bench.detail("kept").run.control
    assert bench.population().wrong_stops.waiting == 1
    assert bench.controls() == (0, 0, 1)
    bench.finish("kept", final_mqe=5.0)
    assert bench.controls() == (1, 0, 0)
    found = bench.population().wrong_stops
    assert (found.controls, found.wrong, found.waiting) == (1, 0, 0)
    assert found.upper == pytest.approx(0.955, abs=1e-3)


def test_wrong_stops_count_who_decisions_count_as_good(store: Store) -> None:
    """Of 46 runs the best 4, as the hook's file counts; the fifth is no wrong stop."""
    bench = Bench(store)
    bench.fill(40)  # 0.100 to 0.139
    bench.runs.policy = bench.policy.model_copy(update={"control": 0.999999})
    for run_id in ("fourth", "fifth"):
        decision, _ = bench.append(run_id, [10, 20], mqe=5.0)
        assert decision.reason is Reason.CONTROL
    bench.fill(4, mqe=0.2, name="worse")
    bench.finish("fourth", final_mqe=0.1025)
    assert bench.controls() == (1, 1, 1)
    bench.finish("fifth", final_mqe=0.1026)
    assert bench.controls() == (2, 1, 0)
    found = bench.population().wrong_stops
    assert (found.controls, found.wrong) == (2, 1)
    assert (found.held, found.stops) == (2, 2)
    assert (found.share, found.departs) == (0.0, True)  # the service asks for none
    # What was no wrong stop at its own end is one once those before it are gone, in both counts.
    for i in range(10):
        write_now(bench.store, lambda c, i=i: bench.runs.delete(c, "", f"good-{i}"))
    found = bench.population().wrong_stops
    assert bench.controls() == (found.controls, found.wrong, 0)


@pytest.mark.parametrize("factor", [1e-3, 0.1, 10, 1e3])
def test_one_wrong_scale_moves_no_population(store: Store, factor: float) -> None:
    bench, right = Bench(store), {"context": {"mqe_of_mean": 2.0}}
    for i in range(5):
        bench.append(f"r{i}", [10, 100], 0.1 + i / 1000, right)
        bench.finish(f"r{i}")
    bench.append("wrong", [10, 100], 0.1, {"context": {"mqe_of_mean": 2.0 * factor}})
    bench.finish("wrong")
    assert bench.population().mqe_of_mean == 2.0
    assert [o.quality is None for o in bench.population().outcomes] == [False] * 5 + [True]
    bench.append("next", [10, 20], 0.1, right)
    reference = bench.replay("next", 20).inputs.reference
    assert (reference.mqe_of_mean, len(reference.outcomes)) == (2.0, 5)
    slip, _ = bench.append("slip", [10, 20], 5.0, {"context": {"mqe_of_mean": 2.0 * factor}})
    assert (slip.action, slip.reason) == (Action.ABSTAIN, Reason.OTHER_SCALE)


def test_owners_see_their_own(bench: Bench) -> None:
    bench.append("a", [10])
    with pytest.raises(RunNotFound):
        bench.detail("a", owner="other")
    with pytest.raises(RunNotFound):
        bench.finish("a", owner="other")


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


def test_pages_follow_each_other(bench: Bench) -> None:
    for i in range(5):
        bench.append(f"r{i}", [10])

    def page(cursor: str | None = None, **filters: Any) -> Any:
        wanted = {"population": None, "dataset": None, "state": None, **filters}

        def work(connection: Connection) -> Any:
            return listing.page(connection, "", limit=2, cursor=cursor, **wanted)

        return bench.store.read_now(work)

    seen, cursor = [], None
    while True:
        found = page(cursor)
        seen += [run.run_id for run in found.runs]
        cursor = found.next_cursor
        if cursor is None:
            break
    assert seen == ["r4", "r3", "r2", "r1", "r0"]
    assert page(state="finished").runs == ()
    assert len(page(population="p").runs) == 2
    with pytest.raises(InvalidHistory, match="cursor"):
        page("x")


def test_old_runs_are_retired(bench: Bench) -> None:
    bench.append("old", [10])
    assert write_now(bench.store, lambda c: bench.runs.retire(c, before=0.0)) == 0
    assert write_now(bench.store, lambda c: bench.runs.retire(c, before=2e9)) == 1
    with pytest.raises(RunNotFound):
        bench.detail("old")
    assert kinds(bench, "old") == ["deleted", "deleted"]


def test_a_clock_that_is_set_back_makes_no_run_younger(bench: Bench) -> None:
    bench.runs.clock = lambda: 5_000.0
    bench.append("a", [10])
    bench.runs.clock = lambda: 1_000.0
    bench.append("a", [20])
    bench.override("a", "keep")
    run = bench.finish("a")
    assert run.created_at <= run.updated_at == run.ended_at
