"""Converged: a run ends as finished when what is left of its budget is worth next to nothing."""

from __future__ import annotations

import numpy as np
import pytest
from made_up import SCALE, forecast_of, history_of, reference_of

from oracle.decision.convergence import present
from oracle.decision.policy import decide, decide_population, is_control
from oracle.decision.rules import RULES
from oracle.types import (
    Action,
    Decision,
    Forecast,
    Policy,
    Reason,
    Reference,
    Scale,
)

NOW = (0.5, 0.1, 0.2)
HISTORY = history_of(
    (1.0, 0.6, NOW[0]),
    topographic_error=(0.2, 0.2, NOW[1]),
    dead_neuron_ratio=(0.3, 0.2, NOW[2]),
)
OTHERS = reference_of(*np.linspace(0.4, 0.9, 20))


def ending(gain: float, share: float = 1.0, **changes: object) -> Forecast:
    """Forecast that a share of the draws ends `gain` better in mqe, the rest unchanged."""
    draws = np.tile(np.array(NOW), (1000, 1))
    draws[: round(1000 * share), 0] -= gain
    return forecast_of(draws, **changes)  # type: ignore[arg-type]


def policy(name: str, **settings: object) -> Policy:
    return Policy.model_validate({"name": name, "control": 0.0, "converged": 0.01, **settings})


#: Settings with which a policy's rule stops nothing here.
LENIENT: dict[str, dict[str, object]] = {
    "threshold": {"threshold": 100.0},
    "population": {"startup_runs": 100},
    "pareto": {"startup_runs": 100},
}


def lenient(name: str, **settings: object) -> Policy:
    return policy(name, **LENIENT[name], **settings)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_run_whose_rest_is_worth_nothing_ends_as_finished(name: str) -> None:
    decision = decide(HISTORY, ending(0.001), OTHERS, lenient(name))
    assert (decision.action, decision.reason) == (Action.STOP, Reason.CONVERGED)
    assert decision.converged
    assert decision.expected_saving == pytest.approx(0.7)
    assert "the other 70% of its budget would improve its quality score of 0." in decision.message
    assert "with P = 100.0%" in decision.message
    outcome = present(HISTORY, decision)
    assert outcome is not None
    assert not outcome.censored
    assert (outcome.final_mqe, outcome.final_topographic_error) == NOW[:2]
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
    # Off unless asked for
    off = decide(HISTORY, ending(0.001), OTHERS, lenient(name, converged=0.0))
    assert not off.stop
    assert present(HISTORY, off) is None


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_run_that_may_yet_gain_goes_on(name: str) -> None:
    rule = lenient(name, converged_risk=0.05)
    gain = 0.03 * SCALE  # more than the hundredth on every scale
    assert not decide(HISTORY, ending(gain, share=0.06), OTHERS, rule).stop
    assert decide(HISTORY, ending(gain, share=0.04), OTHERS, rule).converged
    assert decide(HISTORY, ending(-1.0), OTHERS, rule).converged  # it would only get worse


def test_it_needs_no_population_but_a_progress_and_a_scale() -> None:
    few = decide(HISTORY, ending(0.0), Reference(), policy("population"))
    assert few.converged
    assert decide(HISTORY, ending(0.0), None, policy("population")).converged
    endless = HISTORY.model_copy(update={"total_epochs": None})
    decision = decide(endless, ending(0.0, progress=None), None, lenient("threshold"))
    assert decision.action is Action.CONTINUE
    relative = lenient("threshold", scale=Scale.RELATIVE)
    unknown = decide(HISTORY, ending(0.0, mqe_of_mean=None), None, relative)
    assert unknown.action is Action.ABSTAIN


def test_the_gain_is_measured_as_the_policy_weighs() -> None:
    better = np.tile(np.array(NOW), (100, 1))
    better[:, 2] -= 0.1  # fewer dead neurons
    forecast = forecast_of(better)
    assert not decide(HISTORY, forecast, OTHERS, lenient("population")).stop
    for_mqe = lenient("population", weights=(1.0, 0.0, 0.0))
    assert decide(HISTORY, forecast, OTHERS, for_mqe).converged
    front = lenient("pareto", objectives=("mqe", "topographic_error"))
    assert decide(HISTORY, forecast, OTHERS, front).converged
    other = lenient("pareto", objectives=("mqe", "seconds"))
    assert decide(HISTORY, forecast, OTHERS, other).reason is Reason.UNKNOWN_OBJECTIVE


def test_doubts_patience_and_controls_come_first() -> None:
    strange = decide(HISTORY, ending(0.0, support=0.0), OTHERS, lenient("population"))
    assert strange.reason is Reason.NO_SUPPORT
    early = decide(HISTORY, ending(0.0), OTHERS, lenient("population", min_progress=0.5))
    assert early.reason is Reason.TOO_EARLY
    patient = lenient("population", patience=2)
    first = decide(HISTORY, ending(0.0), OTHERS, patient)
    assert (first.stop, first.below_risk) == (False, 1)
    assert decide(HISTORY, ending(0.0), OTHERS, patient, previous=1).converged
    control = lenient("population", control=0.5)
    assert {is_control(HISTORY.model_copy(update={"run_id": f"r-{i}"}), 0.5) for i in range(9)} == {
        True,
        False,
    }
    for i in range(9):
        run = HISTORY.model_copy(update={"run_id": f"r-{i}"})
        decision = decide(run, ending(0.0), OTHERS, control)
        assert decision.converged != is_control(run, 0.5)
        assert decision.reason is not Reason.CONTROL  # no stop was held back


def test_the_best_run_is_ended_and_the_bad_one_is_stopped() -> None:
    far = OTHERS.model_copy(update={"outcomes": OTHERS.outcomes[-3:]})
    best = decide(HISTORY, ending(0.0), far, policy("population"))
    assert best.converged
    unasked = decide(HISTORY, ending(0.0), far, policy("population", converged=0.0))
    assert best.p_good == unasked.p_good
    assert best.p_good is not None
    awful = reference_of(*[0.01] * len(OTHERS.outcomes))
    bad = decide(HISTORY, ending(0.0), awful, policy("population"))
    assert (bad.reason, bad.converged) == (Reason.UNLIKELY_GOOD, False)


def test_members_of_a_generation_converge_one_by_one() -> None:
    rule = lenient("population")
    other = HISTORY.model_copy(update={"run_id": "r-2"})
    answers = decide_population([HISTORY, other], [ending(0.0), ending(0.3)], OTHERS, rule)
    assert [a.converged for a in answers] == [True, False]
    # Each on its own scale and that of the population, as `decide` says it of one.
    for gain in (0.01, 0.015, 0.025):  # 0.02 of mqe is worth 0.01 on a scale of 2
        answers = decide_population([HISTORY], [ending(gain, mqe_of_mean=None)], OTHERS, rule)
        alone = decide(HISTORY, ending(gain, mqe_of_mean=None), OTHERS, rule)
        assert answers[0].converged == alone.converged == (gain < 0.02)
