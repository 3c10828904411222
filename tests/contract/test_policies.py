"""One battery for every policy: any doubt is not a stop, and every answer says why."""

from __future__ import annotations

import numpy as np
import pytest
from made_up import SCALE, Insider, forecast_of, make_runs

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
    assert decision.below_risk == 0


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
    rule = policy(name, min_checkpoints=3)
    decision = decide(short, hopeless(), REFERENCE, rule, previous=1)
    abstains(decision, Reason.TOO_FEW_CHECKPOINTS)
    assert "1 of the 3 checkpoints needed are there" in decision.message
    assert decide(HISTORY.prefix(3), hopeless(), REFERENCE, rule).stop


def test_too_early(name: str) -> None:
    late = policy(name, min_progress=0.9)
    decision = decide(HISTORY, hopeless(), REFERENCE, late)
    abstains(decision, Reason.TOO_EARLY)
    assert decision.message == "No verdict: progress 45% is before the first check at 90%."
    now = policy(name, min_progress=HISTORY.progress)
    assert decide(HISTORY, hopeless(), REFERENCE, now).stop


def without(history: History, metric: str, where: str) -> History:
    """Hide a metric of a history: throughout, at the end, or in the middle."""
    n = len(history)
    hidden = {"throughout": range(n), "at the end": [n - 1], "in the middle": range(1, n - 1)}
    column = tuple(
        None if i in hidden[where] else value for i, value in enumerate(getattr(history, metric))
    )
    return history.model_copy(update={metric: column})


def reference_without(*metrics: str) -> Reference:
    lacking = {f"final_{metric}": None for metric in metrics}
    outcomes = tuple(o.model_copy(update=lacking) for o in REFERENCE.outcomes)
    return REFERENCE.model_copy(update={"outcomes": outcomes})


RATIOS = ("topographic_error", "dead_neuron_ratio")


@pytest.mark.parametrize("metric", RATIOS)
@pytest.mark.parametrize("where", ["throughout", "at the end"])
def test_a_metric_that_is_asked_for_and_not_known_now(name: str, where: str, metric: str) -> None:
    decision = decide(without(HISTORY, metric, where), hopeless(), REFERENCE, policy(name))
    abstains(decision, Reason.NOT_MEASURED)
    assert f"`{metric}` is not known at the last checkpoint" in decision.message
    remedy = "leave it out of `objectives`" if name == "pareto" else "give it the weight 0"
    assert decision.message.endswith(f"asks for it: report it, or {remedy}.")
    alone = decide(without(HISTORY, metric, where), hopeless(), None, policy(name))
    abstains(alone, Reason.NOT_MEASURED)


@pytest.mark.parametrize("metric", RATIOS)
def test_a_metric_missing_in_the_middle_is_no_doubt(name: str, metric: str) -> None:
    seen = without(HISTORY, metric, "in the middle")
    assert decide(seen, hopeless(), REFERENCE, policy(name)).stop


@pytest.mark.parametrize("metric", RATIOS)
def test_a_metric_that_nobody_asks_for_may_be_missing(name: str, metric: str) -> None:
    asked = {"objectives": ("mqe",)} if name == "pareto" else {"weights": (1.0, 0.0, 0.0)}
    seen, others = without(HISTORY, metric, "throughout"), reference_without(metric)
    decision = decide(seen, hopeless(), others, policy(name, **asked))
    assert decision.stop
    assert "without" not in decision.message


@pytest.mark.parametrize("lacking", [(RATIOS[0],), (RATIOS[1],), RATIOS])
def test_a_metric_that_the_whole_population_lacks_drops_out(
    name: str, lacking: tuple[str, ...]
) -> None:
    seen = HISTORY
    for metric in lacking:
        seen = without(seen, metric, "throughout")
    decision = decide(seen, hopeless(), reference_without(*lacking), policy(name))
    assert decision.stop
    told = f"judged without {' and '.join(lacking)}, which no run of the population has"
    assert told in decision.message
    # Whatever the forecast says of what nobody measures counts nothing.
    guess = HOPELESS.copy()
    guess[:, [1, 2]] = np.where([metric in lacking for metric in RATIOS], 0.0, guess[:, [1, 2]])
    assert decide(seen, forecast_of(guess), reference_without(*lacking), policy(name)).stop


def test_one_outcome_that_has_the_metric_is_enough_to_ask_for_it(name: str) -> None:
    others = reference_without("dead_neuron_ratio")
    one = Reference(outcomes=(*others.outcomes, REFERENCE.outcomes[0]), mqe_of_mean=SCALE)
    seen = without(HISTORY, "dead_neuron_ratio", "throughout")
    abstains(decide(seen, hopeless(), one, policy(name)), Reason.NOT_MEASURED)


def test_outcomes_that_lack_a_metric_are_left_out_and_told(name: str) -> None:
    lacking = reference_without("dead_neuron_ratio").outcomes
    mixed = Reference(outcomes=(*lacking[:5], *REFERENCE.outcomes[5:]), mqe_of_mean=SCALE)
    decision = decide(HISTORY, hopeless(), mixed, policy(name))
    assert decision.stop
    if name != "threshold":  # which does not rank
        assert "5 outcomes are left out for want of a metric" in decision.message
    few = Reference(outcomes=(*lacking, *REFERENCE.outcomes[:2]), mqe_of_mean=SCALE)
    decision = decide(HISTORY, hopeless(), few, policy(name))
    if name == "threshold":
        assert decision.stop
    else:
        abstains(decision, Reason.TOO_FEW_RUNS)
        kind = "finished " if name == "pareto" else ""
        told = f"2 of the 3 {kind}outcomes needed; 30 outcomes are left out"
        assert told in decision.message


def test_nothing_that_is_asked_for_was_ever_measured(name: str) -> None:
    asked = {"objectives": RATIOS} if name == "pareto" else {"weights": (0.0, 1.0, 0.5)}
    seen = without(without(HISTORY, RATIOS[0], "throughout"), RATIOS[1], "throughout")
    decision = decide(seen, hopeless(), reference_without(*RATIOS), policy(name, **asked))
    abstains(decision, Reason.NOT_MEASURED)
    both = " and ".join(f"`{metric}`" for metric in RATIOS)
    assert f"no run of the population has {both}, all that the policy asks for" in decision.message


def test_a_plan_lacks_nothing_yet(name: str) -> None:
    plan = HISTORY.prefix(0)
    rule = policy(name, min_checkpoints=0, min_progress=0.0)
    assert decide(plan, hopeless(), REFERENCE, rule).stop
    decision = decide(plan, hopeless(), Reference(), rule)
    if name == "threshold":
        assert decision.stop
    else:
        abstains(decision, Reason.TOO_FEW_RUNS)
    assert "without" not in decision.message


def test_a_member_that_lacks_a_metric_neither_stops_nor_competes(name: str) -> None:
    histories = [run.history.prefix(10) for run in RUNS]
    forecasts = Insider(RUNS).forecast_many(histories)
    lone = [without(histories[0], "dead_neuron_ratio", "throughout"), *histories[1:]]
    decisions = decide_population(lone, forecasts, REFERENCE, policy(name))
    abstains(decisions[0], Reason.NOT_MEASURED)
    if name == "population":
        rest = decide_population(histories[1:], forecasts[1:], REFERENCE, policy(name))
        assert [d.p_good for d in decisions[1:]] == [d.p_good for d in rest]
    nobody = [without(h, "dead_neuron_ratio", "throughout") for h in histories]
    others = reference_without("dead_neuron_ratio")
    decisions = decide_population(nobody, [hopeless()] * 30, others, policy(name))
    assert not {d.reason for d in decisions} & {Reason.NOT_MEASURED, Reason.TOO_FEW_RUNS}
    assert all("judged without dead_neuron_ratio" in d.message for d in decisions)


@pytest.mark.parametrize("factor", [1e-3, 0.5, 1.6, 1e3])
def test_a_scale_that_is_not_the_populations(name: str, factor: float) -> None:
    context = HISTORY.context.model_copy(update={"mqe_of_mean": SCALE * factor})
    seen = HISTORY.model_copy(update={"context": context})
    decision = decide(seen, hopeless(mqe_of_mean=SCALE * factor), REFERENCE, policy(name))
    abstains(decision, Reason.OTHER_SCALE)
    assert f"`context.mqe_of_mean` is {SCALE * factor:.4g}, that of its" in decision.message
    assert f"population {SCALE:.4g}: runs of one table are compared, on data" in decision.message


def test_folds_of_one_table_differ_a_little(name: str) -> None:
    context = HISTORY.context.model_copy(update={"mqe_of_mean": SCALE * 1.4})
    assert decide(
        HISTORY.model_copy(update={"context": context}), hopeless(), REFERENCE, policy(name)
    ).stop


def test_no_support(name: str) -> None:
    abstains(decide(HISTORY, hopeless(support=0.0), REFERENCE, policy(name)), Reason.NO_SUPPORT)
    just = policy(name, min_support=0.25)
    assert decide(HISTORY, hopeless(support=0.25), REFERENCE, just).stop


def test_no_draws(name: str) -> None:
    on_the_wire = Forecast.model_validate_json(hopeless().model_dump_json())
    decision = decide(HISTORY, on_the_wire, REFERENCE, policy(name))
    abstains(decision, Reason.TOO_UNCERTAIN)
    assert "the forecast came without finite joint draws" in decision.message


def test_unknown_progress(name: str) -> None:
    endless = HISTORY.model_copy(update={"total_epochs": None})
    decision = decide(endless, hopeless(progress=None), REFERENCE, policy(name))
    if name == "threshold":
        assert decision.stop  # the brief's rule knows no budget
    else:
        abstains(decision, Reason.NO_PROGRESS)
        assert f"`total_epochs` is unknown, and the {name} rule needs the" in decision.message


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
    assert decision.message == "Continue: the run has used 100% of its budget."


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
