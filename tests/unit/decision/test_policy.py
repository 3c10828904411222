"""Decisions: each rule, each doubt, each protection."""

from __future__ import annotations

import numpy as np
import pytest
from made_runs import SCALE, forecast_of

from oracle.decision.policy import decide, decide_population, is_control, outcome_of
from oracle.errors import InvalidHistory
from oracle.types import (
    Action,
    Forecast,
    History,
    Outcome,
    Policy,
    PopulationPolicy,
    Reason,
    Reference,
    Scale,
)


def history(**changes: object) -> History:
    columns = {
        "run_id": "r-1",
        "epochs": (10.0, 20.0, 30.0),
        "mqe": (1.0, 0.8, 0.7),
        "topographic_error": (0.2, 0.2, 0.1),
        "dead_neuron_ratio": (0.3, 0.2, 0.2),
        "total_epochs": 100.0,
    }
    return History.model_validate(columns | changes)


def forecast(middle: float, spread: float = 0.05, **changes: object) -> Forecast:
    rng = np.random.default_rng(0)
    draws = np.abs([middle, 0.1, 0.2] + spread * rng.standard_normal((500, 3)))
    return forecast_of(np.clip(draws, 0, [9, 1, 1]), **changes)  # type: ignore[arg-type]


def outcomes(*mqe: float, censored: bool = False) -> tuple[Outcome, ...]:
    return tuple(
        Outcome(
            final_mqe=m,
            final_topographic_error=0.1,
            final_dead_neuron_ratio=0.2,
            censored=censored,
            spread=0.03 if censored else 0.0,
        )
        for m in mqe
    )


MANY = Reference(outcomes=outcomes(*np.linspace(0.3, 0.8, 20)), mqe_of_mean=SCALE)
POPULATION = Policy(name="population", control=0.0)
PARETO = Policy(name="pareto", control=0.0)


def test_the_briefs_rule_stops_beyond_its_threshold() -> None:
    decision = decide(history(), forecast(1.4), None, Policy(control=0.0))
    assert (decision.action, decision.reason) == (Action.STOP, Reason.ABOVE_THRESHOLD)
    assert decision.expected_saving == pytest.approx(0.7)
    assert decision.stop
    assert decision.next_check is None


def test_nothing_is_stopped_when_hardly_any_budget_is_left() -> None:
    def late(epochs: tuple[float, ...], total: float) -> Reason:
        decision = decide(history(epochs=epochs, total_epochs=total), forecast(1.4))
        assert decision.stop == (decision.reason is not Reason.FINISHED)
        return decision.reason

    assert late((28.0, 29.0, 30.0), 32.0) is Reason.ABOVE_THRESHOLD  # at 94 %
    assert late((28.0, 29.0, 30.0), 31.0) is Reason.FINISHED
    assert late((0.0, 10.0, 20.0), 30.0) is Reason.FINISHED  # counted from 0: the last one
    assert late((10.0, 20.0, 30.0), 40.0) is Reason.ABOVE_THRESHOLD


def test_the_briefs_rule_cautions_below_it_and_praises_the_good() -> None:
    assert decide(history(), forecast(0.5)).reason is Reason.CAUTION
    assert decide(history(), forecast(0.1)).reason is Reason.GOOD


def test_a_raw_threshold_says_that_it_depends_on_the_scale() -> None:
    told = decide(history(), forecast(1.4, mqe_of_mean=None)).message
    assert "depends on the scale of the data" in told
    assert "depends on the scale" not in decide(history(), forecast(1.4)).message


def test_the_relative_scale_divides_by_mqe_of_mean() -> None:
    relative = Policy(scale=Scale.RELATIVE, control=0.0)
    assert decide(history(), forecast(1.4), None, relative).reason is Reason.CAUTION
    unknown = decide(history(), forecast(1.4, mqe_of_mean=None), None, relative)
    assert unknown.action is Action.ABSTAIN


def test_a_threshold_needs_no_progress() -> None:
    endless = history(total_epochs=None)
    decision = decide(endless, forecast(1.4, progress=None), None, Policy(control=0.0))
    assert decision.stop
    assert decision.expected_saving is None


def test_an_interval_from_good_to_bad_is_no_reason_to_stop() -> None:
    draws = np.column_stack([np.linspace(0.1, 2.5, 500), np.zeros(500), np.zeros(500)])
    decision = decide(history(), forecast_of(draws), None, Policy(control=0.0))
    assert (decision.action, decision.reason) == (Action.ABSTAIN, Reason.TOO_UNCERTAIN)


def test_a_run_unlikely_to_be_good_is_stopped() -> None:
    decision = decide(history(), forecast(1.5), MANY, POPULATION)
    assert (decision.action, decision.reason) == (Action.STOP, Reason.UNLIKELY_GOOD)
    assert decision.p_good is not None
    assert decision.p_good < POPULATION.risk
    assert decide(history(), forecast(0.31), MANY, POPULATION).reason is Reason.PROMISING


def test_stopped_runs_set_a_softer_bar_than_finished_ones() -> None:
    soft = Reference(outcomes=outcomes(0.3, 0.4, 0.5, 0.6, censored=True), mqe_of_mean=SCALE)
    hard = Reference(outcomes=outcomes(0.3, 0.4, 0.5, 0.6), mqe_of_mean=SCALE)
    p = [decide(history(), forecast(0.6), r, POPULATION).p_good or 0.0 for r in (soft, hard)]
    assert p[0] > p[1]


def test_patience_counts_consecutive_checks() -> None:
    patient = POPULATION.model_copy(update={"patience": 2})
    first = decide(history(), forecast(1.5), MANY, patient)
    assert (first.action, first.reason, first.below_risk) == (Action.CONTINUE, Reason.WAITING, 1)
    second = decide(history(), forecast(1.5), MANY, patient, previous=first.below_risk)
    assert second.stop
    relieved = decide(history(), forecast(0.31), MANY, patient, previous=first.below_risk)
    assert relieved.below_risk == 0


def test_the_risk_grows_from_nothing_to_its_value() -> None:
    policy = PopulationPolicy(risk=0.02, ramp=0.4)
    assert [policy.risk_at(p) for p in (0.0, 0.2, 0.4, 0.9)] == pytest.approx(
        [0.0, 0.01, 0.02, 0.02]
    )
    assert PopulationPolicy(ramp=0.0).risk_at(0.0) == PopulationPolicy().risk


def test_the_expected_best_is_never_stopped() -> None:
    bad = Reference(outcomes=outcomes(5.0, 6.0, 7.0), mqe_of_mean=SCALE)
    decision = decide(history(), forecast(1.5), bad, Policy(control=0.0))
    assert (decision.action, decision.reason) == (Action.CONTINUE, Reason.BEST)


def test_controls_run_on_and_say_so() -> None:
    decision = decide(history(), forecast(1.5), MANY, Policy(name="population", control=1.0))
    assert (decision.action, decision.reason) == (Action.CONTINUE, Reason.CONTROL)
    assert "control" in decision.message


def test_the_control_share_is_drawn_once_a_run() -> None:
    drawn = [is_control(history(run_id=f"r-{i}"), 0.05) for i in range(4000)]
    assert drawn == [is_control(history(run_id=f"r-{i}"), 0.05) for i in range(4000)]
    assert np.mean(drawn) == pytest.approx(0.05, abs=0.012)
    # Runs that every search names alike are drawn anew in each.
    names = [f"run_{i:03}" for i in range(45)]
    by_search = [
        tuple(is_control(history(run_id=n, population=f"search {s}"), 0.2) for n in names)
        for s in range(40)
    ]
    assert len(set(by_search)) == 40
    assert np.mean(by_search) == pytest.approx(0.2, abs=0.03)
    assert is_control(history(population="p"), 0.5) == is_control(history(dataset="p"), 0.5)
    nameless = history(run_id=None)
    assert is_control(nameless, 0.5) == is_control(nameless.prefix(1), 0.5)


def test_pareto_stops_what_adds_nothing_to_the_front() -> None:
    decision = decide(history(), forecast(1.5), MANY, PARETO)
    assert (decision.action, decision.reason) == (Action.STOP, Reason.UNLIKELY_GAIN)
    assert decide(history(), forecast(0.1), MANY, PARETO).reason is Reason.PROMISING


def test_pareto_abstains_on_an_objective_without_forecast() -> None:
    policy = PARETO.model_copy(update={"objectives": ("mqe", "wall_clock")})
    decision = decide(history(), forecast(1.5), MANY, policy)
    assert (decision.action, decision.reason) == (Action.ABSTAIN, Reason.UNKNOWN_OBJECTIVE)
    assert "wall_clock" in decision.message


def test_pareto_counts_finished_runs_only() -> None:
    stopped = Reference(outcomes=outcomes(*np.linspace(0.3, 0.8, 20), censored=True))
    assert decide(history(), forecast(1.5), stopped, PARETO).reason is Reason.TOO_FEW_RUNS


def test_a_map_that_will_get_worse_is_worth_keeping() -> None:
    decision = decide(history(), forecast(0.1, will_worsen=0.8))
    assert any("Keep the best map" in sentence for sentence in decision.advice)


def test_a_generation_in_step_drops_its_clear_losers() -> None:
    middles = np.linspace(0.3, 1.5, 20)
    decisions = decide_population(
        [history(run_id=f"r-{i}") for i in range(20)],
        [forecast(float(m)) for m in middles],
        None,
        POPULATION,
    )
    stops = [d.stop for d in decisions]
    assert stops[-1]
    assert not stops[0]
    assert stops == sorted(stops)


def test_a_member_without_forecast_abstains_among_the_others() -> None:
    decisions = decide_population(
        [history()] * 6, [None, *[forecast(m) for m in (0.3, 0.4, 0.5, 0.6, 2.0)]], None, POPULATION
    )
    assert decisions[0].reason is Reason.NO_MODEL
    assert decisions[-1].stop


def test_a_generation_of_unequal_lengths_is_refused() -> None:
    with pytest.raises(InvalidHistory, match="as many as histories"):
        decide_population([history()], [], None, POPULATION)


def test_a_stopped_run_is_remembered_by_its_forecast() -> None:
    told = forecast(0.6)
    outcome = outcome_of(history(), told, POPULATION)
    assert outcome.censored
    assert outcome.final_mqe == told.median("final_mqe")
    # Half the central 50 % of mqe / 2, topographic error and half the dead neurons together.
    wanted = 0.6745 * 0.05 * np.sqrt(0.25 + 1 + 0.25)
    assert outcome.spread == pytest.approx(wanted, rel=0.2)
