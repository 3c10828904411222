"""How stored runs end: stopped, converged, finished, left; and what of them stands."""

from __future__ import annotations

import pytest
from storing import Bench

from oracle.errors import RunConflict, RunNotFound
from oracle.server.storage.store import Store
from oracle.types import Action, Policy, Reason


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
