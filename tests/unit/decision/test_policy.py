"""Decisions: each rule, each doubt, each protection."""

from __future__ import annotations

import numpy as np
import pytest
from made_up import SCALE, forecast_of, history_of, make_runs, reference_of

from oracle.decision.policy import decide, decide_population, is_control, outcome_of
from oracle.errors import InvalidHistory
from oracle.types import (
    Action,
    Forecast,
    Policy,
    PopulationPolicy,
    Reason,
    Reference,
    Scale,
)


def forecast(middle: float, spread: float = 0.05, **changes: object) -> Forecast:
    rng = np.random.default_rng(0)
    draws = np.abs([middle, 0.1, 0.2] + spread * rng.standard_normal((500, 3)))
    return forecast_of(np.clip(draws, 0, [9, 1, 1]), **changes)  # type: ignore[arg-type]


MANY = reference_of(*np.linspace(0.3, 0.8, 20))
POPULATION = Policy(name="population", control=0.0)
PARETO = Policy(name="pareto", control=0.0)


def test_the_briefs_rule_stops_beyond_its_threshold() -> None:
    decision = decide(history_of(), forecast(1.4), None, Policy(control=0.0))
    assert (decision.action, decision.reason) == (Action.STOP, Reason.ABOVE_THRESHOLD)
    assert decision.expected_saving == pytest.approx(0.7)
    assert decision.stop
    assert decision.next_check is None


def test_nothing_is_stopped_when_hardly_any_budget_is_left() -> None:
    def late(epochs: tuple[float, ...], total: float) -> Reason:
        decision = decide(history_of(epochs=epochs, total_epochs=total), forecast(1.4))
        assert decision.stop == (decision.reason is not Reason.FINISHED)
        return decision.reason

    assert late((28.0, 29.0, 30.0), 32.0) is Reason.ABOVE_THRESHOLD  # at 94 %
    assert late((28.0, 29.0, 30.0), 31.0) is Reason.FINISHED
    assert late((0.0, 10.0, 20.0), 30.0) is Reason.FINISHED  # counted from 0: the last one
    assert late((10.0, 20.0, 30.0), 40.0) is Reason.ABOVE_THRESHOLD


def test_the_briefs_rule_cautions_below_it_and_praises_the_good() -> None:
    assert decide(history_of(), forecast(0.5)).reason is Reason.CAUTION
    assert decide(history_of(), forecast(0.1)).reason is Reason.GOOD


def test_a_raw_threshold_says_that_it_depends_on_the_scale() -> None:
    told = decide(history_of(), forecast(1.4, mqe_of_mean=None)).message
    assert "depends on the scale of the data" in told
    assert "depends on the scale" not in decide(history_of(), forecast(1.4)).message


def test_the_relative_scale_divides_by_mqe_of_mean() -> None:
    relative = Policy(scale=Scale.RELATIVE, control=0.0)
    assert decide(history_of(), forecast(1.4), None, relative).reason is Reason.CAUTION
    unknown = decide(history_of(), forecast(1.4, mqe_of_mean=None), None, relative)
    assert unknown.action is Action.ABSTAIN


def test_a_threshold_needs_no_progress() -> None:
    endless = history_of(total_epochs=None)
    decision = decide(endless, forecast(1.4, progress=None), None, Policy(control=0.0))
    assert decision.stop
    assert decision.expected_saving is None


def test_an_interval_from_good_to_bad_is_no_reason_to_stop() -> None:
    draws = np.column_stack([np.linspace(0.1, 2.5, 500), np.zeros(500), np.zeros(500)])
    decision = decide(history_of(), forecast_of(draws), None, Policy(control=0.0))
    assert (decision.action, decision.reason) == (Action.ABSTAIN, Reason.TOO_UNCERTAIN)


def test_a_run_unlikely_to_be_good_is_stopped() -> None:
    decision = decide(history_of(), forecast(1.5), MANY, POPULATION)
    assert (decision.action, decision.reason) == (Action.STOP, Reason.UNLIKELY_GOOD)
    assert decision.p_good is not None
    assert decision.p_good < POPULATION.risk
    assert decide(history_of(), forecast(0.31), MANY, POPULATION).reason is Reason.PROMISING


def test_stopped_runs_set_a_softer_bar_than_finished_ones() -> None:
    soft = reference_of(0.3, 0.4, 0.5, 0.6, censored=True)
    hard = reference_of(0.3, 0.4, 0.5, 0.6)
    p = [decide(history_of(), forecast(0.6), r, POPULATION).p_good or 0.0 for r in (soft, hard)]
    assert p[0] > p[1]


def test_patience_counts_consecutive_checks() -> None:
    patient = POPULATION.model_copy(update={"patience": 2})
    first = decide(history_of(), forecast(1.5), MANY, patient)
    assert (first.action, first.reason, first.below_risk) == (Action.CONTINUE, Reason.WAITING, 1)
    stopped = decide(history_of(), forecast(1.5), MANY, POPULATION)
    why = stopped.message.removeprefix("Stop: ").removesuffix(".")
    assert first.message == f"Continue: {why}, for 1 of 2 checks."
    second = decide(history_of(), forecast(1.5), MANY, patient, previous=first.below_risk)
    assert second.stop
    relieved = decide(history_of(), forecast(0.31), MANY, patient, previous=first.below_risk)
    assert relieved.below_risk == 0


def test_the_risk_grows_from_nothing_to_its_value() -> None:
    policy = PopulationPolicy(risk=0.02, ramp=0.4)
    assert [policy.risk_at(p) for p in (0.0, 0.2, 0.4, 0.9)] == pytest.approx(
        [0.0, 0.01, 0.02, 0.02]
    )
    assert PopulationPolicy(ramp=0.0).risk_at(0.0) == PopulationPolicy().risk


def test_the_expected_best_is_never_stopped() -> None:
    bad = reference_of(5.0, 6.0, 7.0)
    decision = decide(history_of(), forecast(1.5), bad, Policy(control=0.0))
    assert (decision.action, decision.reason) == (Action.CONTINUE, Reason.BEST)
    said = "Continue: it is expected to be the best run so far, although predicted quality score"
    assert decision.message.startswith(said)


def test_controls_run_on_and_say_so() -> None:
    decision = decide(history_of(), forecast(1.5), MANY, Policy(name="population", control=1.0))
    assert (decision.action, decision.reason) == (Action.CONTINUE, Reason.CONTROL)
    assert "control" in decision.message


def test_the_control_share_is_drawn_once_a_run() -> None:
    drawn = [is_control(history_of(run_id=f"r-{i}"), 0.05) for i in range(4000)]
    assert drawn == [is_control(history_of(run_id=f"r-{i}"), 0.05) for i in range(4000)]
    assert np.mean(drawn) == pytest.approx(0.05, abs=0.012)
    # Runs that every search names alike are drawn anew in each.
    names = [f"run_{i:03}" for i in range(45)]
    by_search = [
        tuple(is_control(history_of(run_id=n, population=f"search {s}"), 0.2) for n in names)
        for s in range(40)
    ]
    assert len(set(by_search)) == 40
    assert np.mean(by_search) == pytest.approx(0.2, abs=0.03)
    assert is_control(history_of(population="p"), 0.5) == is_control(history_of(dataset="p"), 0.5)
    # Whoever was held stays held: in every version, and of whatever name.
    for named, held in (({}, [2, 49, 67, 68, 83, 99]), ({"population": "p"}, [22, 48, 77])):
        runs = {i: history_of(run_id=f"r-{i}", **named) for i in range(103)}
        assert [i for i, run in runs.items() if is_control(run, 0.05)] == held
    assert not is_control(history_of(run_id="r-1", population="\ud800"), 0.05)


def test_a_run_without_a_name_is_drawn_by_its_first_checkpoint_or_its_plan() -> None:
    begun = [history_of((1.0 + i / 100, 0.5), run_id=None) for i in range(100)]
    drawn = [is_control(history, 0.5) for history in begun]
    assert drawn == [is_control(history.prefix(1), 0.5) for history in begun]
    assert 30 < sum(drawn) < 70
    plans = [history_of((), run_id=None, context={"n_samples": 100.0 + i}) for i in range(100)]
    assert 30 < sum(is_control(plan, 0.5) for plan in plans) < 70


def test_pareto_stops_what_adds_nothing_to_the_front() -> None:
    decision = decide(history_of(), forecast(1.5), MANY, PARETO)
    assert (decision.action, decision.reason) == (Action.STOP, Reason.UNLIKELY_GAIN)
    assert decide(history_of(), forecast(0.1), MANY, PARETO).reason is Reason.PROMISING


def test_pareto_abstains_on_an_objective_without_forecast() -> None:
    policy = PARETO.model_copy(update={"objectives": ("mqe", "wall_clock")})
    decision = decide(history_of(), forecast(1.5), MANY, policy)
    assert (decision.action, decision.reason) == (Action.ABSTAIN, Reason.UNKNOWN_OBJECTIVE)
    assert "wall_clock" in decision.message


def test_pareto_counts_finished_runs_only() -> None:
    stopped = reference_of(*np.linspace(0.3, 0.8, 20), censored=True, mqe_of_mean=None)
    assert decide(history_of(), forecast(1.5), stopped, PARETO).reason is Reason.TOO_FEW_RUNS


def test_a_map_that_will_get_worse_is_worth_keeping() -> None:
    decision = decide(history_of(), forecast(0.1, will_worsen=0.8))
    assert any("Keep the best map" in sentence for sentence in decision.advice)
    assert decide(history_of(), forecast(0.1, will_worsen=0.5)).advice == ()


@pytest.mark.parametrize(
    ("epoch", "first", "following"),
    [
        (0.0, 0.0, 0.05),
        (0.0, 0.2, 0.2),
        (10.0, 0.2, 0.2),
        (20.0, 0.2, 0.3),
        (50.0, 0.2, 0.75),
        (70.0, 0.2, 0.9),
        (90.0, 0.2, None),
    ],
)
def test_the_next_look_is_half_as_far_again(
    epoch: float, first: float, following: float | None
) -> None:
    policy = Policy(name="population", min_progress=first)
    plan = make_runs(1)[0].history.prefix(0)
    history = history_of((1.0,), epochs=(epoch,)) if epoch else plan
    decision = decide(history, forecast(0.31), MANY, policy)
    assert not decision.stop
    assert decision.next_check == (following and pytest.approx(following))


def test_without_a_budget_no_next_look_is_named() -> None:
    assert decide(history_of(total_epochs=None), forecast(0.31), MANY).next_check is None


def test_a_generation_in_step_drops_its_clear_losers() -> None:
    middles = np.linspace(0.3, 1.5, 20)
    decisions = decide_population(
        [history_of(run_id=f"r-{i}") for i in range(20)],
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
        [history_of()] * 6,
        [None, *[forecast(m) for m in (0.3, 0.4, 0.5, 0.6, 2.0)]],
        None,
        POPULATION,
    )
    assert decisions[0].reason is Reason.NO_MODEL
    assert decisions[-1].stop


@pytest.mark.parametrize("policy", [POPULATION, Policy()])
def test_a_generation_of_unequal_lengths_is_refused(policy: Policy) -> None:
    said = r"`forecasts` must be as many as histories \(1\), but got 0"
    with pytest.raises(InvalidHistory, match=said):
        decide_population([history_of()], [], None, policy)
    with pytest.raises(InvalidHistory, match="as many as histories"):
        decide_population([history_of()], [forecast(0.5)], None, policy, previous=[])


@pytest.mark.parametrize("rule", ["threshold", "pareto"])
@pytest.mark.parametrize("previous", [None, [1, 0, 1]])
def test_rules_that_do_not_rank_judge_each_by_itself(rule: str, previous: list[int] | None) -> None:
    policy = Policy(name=rule, control=0.0, patience=2, min_checkpoints=3)
    histories = [history_of(run_id=f"r-{i}") for i in range(3)]
    forecasts = [forecast(1.5), forecast(1.5), forecast(0.1)]
    together = decide_population(histories, forecasts, MANY, policy, previous=previous)
    assert together == [
        decide(h, f, MANY, policy, previous=p)
        for h, f, p in zip(histories, forecasts, previous or [0] * 3, strict=True)
    ]
    assert [d.stop for d in together] == [previous is not None, False, False]


def test_members_of_a_generation_keep_their_forecasts_and_count_from_nothing() -> None:
    patient = POPULATION.model_copy(update={"patience": 2})
    histories = [history_of(run_id=f"r-{i}") for i in range(6)]
    histories.append(history_of((1.0,), run_id="begins"))  # in doubt, and in the field
    forecasts = [forecast(m) for m in (0.3, 0.4, 0.5, 0.6, 2.0, 2.1, 0.7)]
    decisions = decide_population(histories, forecasts, MANY, patient, previous=[0] * 5 + [1, 1])
    assert [d.forecast for d in decisions] == forecasts
    assert [d.stop for d in decisions] == [False] * 5 + [True, False]
    assert (decisions[4].below_risk, decisions[6].below_risk) == (1, 0)


def test_a_generation_without_a_reference_is_of_the_scale_that_its_members_share() -> None:
    same = {"context": {"mqe_of_mean": SCALE}}
    histories = [history_of(run_id=f"r-{i}", **same) for i in range(5)]
    histories.append(history_of(run_id="odd", context={"mqe_of_mean": 1000 * SCALE}))
    forecasts = [forecast(m) for m in (0.3, 0.4, 0.5, 0.6, 0.7, 0.1)]
    for reference in (None, reference_of(0.4, 0.5, mqe_of_mean=None), reference_of(0.4, 0.5)):
        decisions = decide_population(histories, forecasts, reference, POPULATION)
        assert [d.reason is Reason.OTHER_SCALE for d in decisions] == [False] * 5 + [True]


def test_a_generation_is_weighed_on_the_scale_that_its_members_share() -> None:
    """mqe 2 of 10 with hardly an error is the best; in raw units it would be the worst."""
    ends = [(2.0, 0.05), *((0.5, 0.6 + 0.01 * i) for i in range(7))]
    rng = np.random.default_rng(0)
    forecasts = [
        forecast_of(np.abs([mqe, error, 0.0] + 0.005 * rng.standard_normal((500, 3))))
        for mqe, error in ends
    ]
    histories = [history_of(run_id=f"r-{i}", context={"mqe_of_mean": 10.0}) for i in range(8)]
    told = reference_of(0.9, mqe_of_mean=10.0)
    for reference in (None, Reference(), told.model_copy(update={"mqe_of_mean": None}), told):
        decisions = decide_population(histories, forecasts, reference, POPULATION)
        assert [d.stop for d in decisions] == [False, *[True] * 7]


def test_a_stopped_run_is_remembered_by_its_forecast() -> None:
    history = history_of(context={"mqe_of_mean": SCALE})
    told = forecast(0.6, history=history)
    outcome = outcome_of(history, told, POPULATION)
    assert outcome.censored
    assert outcome.run_id == history.run_id == "r-1"
    assert outcome.final_mqe == told.median("final_mqe")
    # Half the central 50 % of mqe / 2, topographic error and half the dead neurons together.
    wanted = 0.6745 * 0.05 * np.sqrt(0.25 + 1 + 0.25)
    assert outcome.spread == pytest.approx(wanted, rel=0.2)


@pytest.mark.parametrize(
    ("weights", "lacks", "unit", "own", "weighed"),
    [
        ((1.0, 1.0, 1.0), (), 4.0, SCALE, (1 / 4, 1, 1)),  # the population's scale goes first
        ((1.0, 1.0, 1.0), (), None, SCALE, (1 / SCALE, 1, 1)),
        ((1.0, 1.0, 1.0), (), None, None, (1, 1, 1)),
        ((2.0, 0.0, 0.0), (), None, None, (2, 0, 0)),
        ((1.0, 1.0, 1.0), ("topographic_error",), None, None, (1, 0, 1)),
        ((0.0, 1.0, 0.0), ("topographic_error",), None, None, (0, 0, 0)),
    ],
)
def test_a_stopped_run_spreads_as_far_as_its_policy_weighs(
    weights: tuple[float, float, float],
    lacks: tuple[str, ...],
    unit: float | None,
    own: float | None,
    weighed: tuple[float, float, float],
) -> None:
    told = forecast(0.6, mqe_of_mean=own)
    history = history_of(**dict.fromkeys(lacks, (None,) * 3))
    policy = Policy(name="population", weights=weights)
    outcome = outcome_of(history, told, policy, mqe_of_mean=unit)
    assert told.draws is not None
    low, high = np.quantile(told.draws @ np.array(weighed), (0.25, 0.75))
    assert outcome.spread == pytest.approx((high - low) / 2, rel=1e-6)
    assert (outcome.final_topographic_error is None) == bool(lacks)
    assert outcome.final_dead_neuron_ratio == told.median("final_dead_neuron_ratio")
