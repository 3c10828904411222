"""One battery for every policy: any doubt is not a stop, and every answer says why."""

from __future__ import annotations

import numpy as np
import pytest
from made_runs import SCALE, Insider, forecast_of, make_runs

from oracle.decision.policy import RULES, decide, decide_population
from oracle.types import Action, Decision, Forecast, History, Outcome, Policy, Reason, Reference

RUNS = make_runs(30)
REFERENCE = Reference(
    outcomes=tuple(
        Outcome(
            final_mqe=run.final_mqe,
            final_topographic_error=run.final_topographic_error,
            final_dead_neuron_ratio=run.final_dead_neuron_ratio,
        )
        for run in RUNS
    ),
    mqe_of_mean=SCALE,
)
HISTORY = RUNS[0].history.prefix(10)
#: So bad that every rule stops it where nothing speaks against it.
HOPELESS = np.array([8.0, 0.9, 0.9]) + 0.01 * np.random.default_rng(0).uniform(size=(300, 3))

pytestmark = pytest.mark.parametrize("name", sorted(RULES))


def policy(name: str, **settings: object) -> Policy:
    return Policy.model_validate({"name": name, "control": 0.0, **settings})


def hopeless(**changes: object) -> Forecast:
    return forecast_of(HOPELESS, **changes)  # type: ignore[arg-type]


def abstains(decision: Decision, reason: Reason) -> None:
    assert (decision.action, decision.reason) == (Action.ABSTAIN, reason)
    assert not decision.stop


def test_a_hopeless_run_is_stopped(name: str) -> None:
    decision = decide(HISTORY, hopeless(), REFERENCE, policy(name))
    assert decision.stop
    assert decision.message.startswith("Stop: ")
    assert decision.message.endswith(".")
    assert decision.policy.name == name
    assert decision.model is not None


def test_no_model(name: str) -> None:
    abstains(decide(HISTORY, None, REFERENCE, policy(name)), Reason.NO_MODEL)


def test_too_few_checkpoints(name: str) -> None:
    short = HISTORY.prefix(1)
    abstains(decide(short, hopeless(), REFERENCE, policy(name)), Reason.TOO_FEW_CHECKPOINTS)


def test_too_early(name: str) -> None:
    late = policy(name, min_progress=0.9)
    abstains(decide(HISTORY, hopeless(), REFERENCE, late), Reason.TOO_EARLY)


def test_no_support(name: str) -> None:
    abstains(decide(HISTORY, hopeless(support=0.0), REFERENCE, policy(name)), Reason.NO_SUPPORT)


def test_no_draws(name: str) -> None:
    on_the_wire = Forecast.model_validate_json(hopeless().model_dump_json())
    abstains(decide(HISTORY, on_the_wire, REFERENCE, policy(name)), Reason.TOO_UNCERTAIN)


def test_unknown_progress(name: str) -> None:
    endless = HISTORY.model_copy(update={"total_epochs": None})
    decision = decide(endless, hopeless(progress=None), REFERENCE, policy(name))
    if name == "threshold":
        assert decision.stop  # the brief's rule knows no budget
    else:
        abstains(decision, Reason.NO_PROGRESS)


def test_no_population(name: str) -> None:
    decision = decide(HISTORY, hopeless(), None, policy(name))
    if name == "threshold":
        assert decision.stop
    else:
        abstains(decision, Reason.NO_POPULATION)
        few = Reference(outcomes=REFERENCE.outcomes[:2], mqe_of_mean=SCALE)
        abstains(decide(HISTORY, hopeless(), few, policy(name)), Reason.TOO_FEW_RUNS)


def test_a_finished_run_goes_on(name: str) -> None:
    decision = decide(RUNS[0].history, hopeless(), REFERENCE, policy(name))
    assert (decision.action, decision.reason) == (Action.CONTINUE, Reason.FINISHED)


def test_decisions_are_pure(name: str) -> None:
    first, second = (decide(HISTORY, hopeless(), REFERENCE, policy(name)) for _ in range(2))
    assert first == second


def test_decisions_survive_the_wire(name: str) -> None:
    decision = decide(HISTORY, hopeless(), REFERENCE, policy(name))
    assert Decision.model_validate_json(decision.model_dump_json()).action is decision.action


def test_a_generation_answers_in_order(name: str) -> None:
    histories: list[History] = [run.history.prefix(10) for run in RUNS]
    forecasts = Insider(RUNS).forecast_many(histories)
    forecasts[3] = forecast_of(HOPELESS, histories[3])
    decisions = decide_population(histories, forecasts, REFERENCE, policy(name))
    assert [d.run_id for d in decisions] == [run.run_id for run in RUNS]
    assert decisions[3].stop
    assert not all(d.stop for d in decisions)
