"""The rules at their boundaries: each verdict whole, its clause included."""

from __future__ import annotations

import numpy as np
import pytest
from made_up import forecast_of, made_outcome, reference_of

from oracle.decision.hypervolume import gains, hypervolume
from oracle.decision.ranking import JointRanking, p_good
from oracle.decision.rules import RULES, Generation, Others, Verdict
from oracle.errors import InvalidHistory
from oracle.types import (
    QUALITY_WEIGHTS,
    Action,
    Forecast,
    Outcome,
    Policy,
    PopulationPolicy,
    Reason,
    Reference,
    Scale,
)

THRESHOLD = Policy(threshold=1.0, caution=0.5)
POPULATION = Policy(name="population", startup_runs=3, ramp=0.3, risk=0.1)
NO_ERROR = ("topographic_error",)
WITHOUT = "; judged without topographic_error, which no run of the population has"


def drawn(*mqe: float, error: float = 0.0, dead: float = 0.0, **changes: object) -> Forecast:
    """A forecast of these draws of mqe; with neither error nor dead neurons they are its scores."""
    return forecast_of(np.array([(m, error, dead) for m in mqe]), **changes)  # type: ignore[arg-type]


def others_of(*mqe: float, **changes: object) -> Others:
    """Outcomes that end so, with neither errors nor dead neurons, in raw units."""
    outcomes = tuple(ended(m) for m in mqe)
    return Others.of(reference_of(outcomes=outcomes, **({"mqe_of_mean": None} | changes)))


def ended(mqe: float, **changes: object) -> Outcome:
    return made_outcome(
        mqe, **({"final_topographic_error": 0.0, "final_dead_neuron_ratio": 0.0} | changes)
    )


def threshold(
    forecast: Forecast, others: Others | None = None, policy: Policy = THRESHOLD
) -> Verdict:
    return RULES["threshold"](forecast, others, policy, ())


@pytest.mark.parametrize(
    ("draws", "action", "reason", "why"),
    [
        ([0.5], Action.CONTINUE, Reason.GOOD, "0.500 (raw) is good (caution from 0.5)"),
        ([1.0], Action.CONTINUE, Reason.CAUTION, "1.000 (raw) calls for caution (0.5 to 1)"),
        ([1.25], Action.STOP, Reason.ABOVE_THRESHOLD, "1.250 (raw) is above the threshold 1"),
        (
            [0.5, 0.5, 1.25, 1.25, 1.25],
            Action.ABSTAIN,
            Reason.TOO_UNCERTAIN,
            "1.250 (raw) is above the threshold 1, but may as well be 0.500: too wide to tell",
        ),
    ],
)
def test_a_threshold_counts_to_the_better_side(
    draws: list[float], action: Action, reason: Reason, why: str
) -> None:
    why = f"predicted quality score {why}"
    assert threshold(drawn(*draws)) == Verdict(action, reason, why)
    score = float(np.median(draws))
    for others, best in ((score, False), (score + 1e-9, True)):
        assert threshold(drawn(*draws), others_of(others)) == (action, reason, why, None, best)
    assert not threshold(drawn(*draws), others_of(9.0, score)).best


def test_a_relative_threshold_needs_the_scale() -> None:
    relative = Policy(threshold=1.0, caution=0.5, scale=Scale.RELATIVE)
    assert threshold(drawn(0.5, mqe_of_mean=None), None, relative) == Verdict(
        Action.ABSTAIN, Reason.TOO_UNCERTAIN, "the relative scale needs `context.mqe_of_mean`"
    )
    told = threshold(drawn(2.0, mqe_of_mean=4.0), None, relative).why
    assert told == "predicted quality score 0.500 (relative) is good (caution from 0.5)"


def test_a_threshold_weighs_as_asked_without_what_nobody_has() -> None:
    policy = Policy(threshold=1.0, caution=0.5, weights=(2.0, 1.0, 0.0))
    verdict = RULES["threshold"](drawn(0.3, error=0.9, dead=0.8), None, policy, NO_ERROR)
    assert verdict.why == (
        f"predicted quality score 0.600 (raw) calls for caution (0.5 to 1){WITHOUT}"
    )


def test_a_forecast_without_draws_is_refused() -> None:
    gone = Forecast.model_validate_json(drawn(0.5).model_dump_json())
    for weights in ((2.0, 1.0, 0.0), (1.0, 1.0, 0.4)):
        with pytest.raises(
            InvalidHistory, match=r"^`forecast.draws` must be there.*\. Forecast in process\.$"
        ):
            threshold(gone, None, Policy(threshold=1.0, caution=0.5, weights=weights))


def test_the_usual_score_is_read_off_the_forecast_as_its_draws_tell_it() -> None:
    policy = Policy(threshold=1.0, caution=0.5, weights=QUALITY_WEIGHTS)
    forecast = drawn(0.3, 0.7, 0.9, error=0.1, dead=0.2)
    assert threshold(forecast, None, policy) == threshold(
        forecast.model_copy(update={"quality": ()}), None, policy
    )


def population(forecast: Forecast, others: Others | None, policy: Policy = POPULATION) -> Verdict:
    return RULES["population"](forecast, others, policy, ())


def test_no_population_and_too_few_of_one() -> None:
    assert population(drawn(0.5), None) == Verdict(
        Action.ABSTAIN, Reason.NO_POPULATION, "the run has no population"
    )
    for n in (0, 2):
        why = f"the population has {n} of the 3 outcomes needed"
        told = population(drawn(0.5), others_of(*[0.1] * n))
        assert told == Verdict(Action.ABSTAIN, Reason.TOO_FEW_RUNS, why)
    assert population(drawn(0.5), others_of(0.1, 0.1, 0.1)).p is not None


def test_p_is_of_the_size_that_the_population_will_have() -> None:
    mqe, draws = np.linspace(0.1, 1.0, 19), np.linspace(0.05, 1.0, 20)
    for size, good in ((None, "the best 10%"), (40, "the best 4 of 40")):
        told = population(drawn(*draws), others_of(*mqe, population_size=size))
        p = p_good(draws, mqe, np.zeros(19), size, 0.1)
        why = f"P(among {good}) is {p:.2%}, at least the risk of 10.00%"
        assert told == (Action.CONTINUE, Reason.PROMISING, why, p, False)
    assert p_good(draws, mqe, np.zeros(19), None, 0.1) != p


def test_below_the_risk_is_less_than_it() -> None:
    seen = others_of(0.1, 0.2, 0.3, population_size=4)
    told = population(drawn(0.9), seen)
    why = "P(among the best 1 of 4) is 0.00%, below the risk of 10.00%"
    assert told == Verdict(Action.STOP, Reason.UNLIKELY_GOOD, why, 0.0)
    # In proportion to progress before the ramp; where that is unknown: 0 is not below 0.
    assert "below the risk of 5.00%" in population(drawn(0.9, progress=0.15), seen).why
    why = "P(among the best 1 of 4) is 0.00%, at least the risk of 0.00%"
    assert population(drawn(0.9, progress=None), seen) == (
        Action.CONTINUE, Reason.PROMISING, why, 0.0, False,
    )  # fmt: skip


GAIN = PopulationPolicy(goal="gain", startup_runs=3, ramp=0.3, risk=0.1)


def test_a_gain_is_to_beat_what_has_finished() -> None:
    stopped = [ended(mqe, censored=True) for mqe in (0.1, 0.1, 0.2)]
    finished = [ended(mqe) for mqe in (0.5, 0.6, 0.7)]
    seen = Others.of(reference_of(outcomes=(*stopped, *finished), mqe_of_mean=None))
    likely = drawn(0.3, 0.4, 0.6, 0.6, 0.6)
    told = population(likely, seen, GAIN)
    why = "P(better than all 3 that finished) is 40.00%, at least the risk of 10.00%"
    assert told == Verdict(Action.CONTINUE, Reason.PROMISING, why, 0.4)
    # By P(good) the forecasts of the stopped ones are what it must beat.
    assert population(likely, seen).action is Action.STOP
    even = drawn(0.5, 0.5, 0.9)  # as good is no gain
    told = population(even, seen, GAIN)
    why = "P(better than all 3 that finished) is 0.00%, below the risk of 10.00%"
    assert told == Verdict(Action.STOP, Reason.UNLIKELY_GAIN, why, 0.0)
    assert "risk of 5.00%" in population(even.model_copy(update={"progress": 0.15}), seen, GAIN).why
    few = Others.of(reference_of(outcomes=(*stopped, *finished[:2]), mqe_of_mean=None))
    assert population(likely, few, GAIN).reason is Reason.TOO_FEW_RUNS
    assert population(likely, None, GAIN).reason is Reason.NO_POPULATION


def test_members_of_a_generation_gain_each_alone() -> None:
    others = others_of(0.5, 0.6, 0.7)
    members = [drawn(0.1, 0.2), drawn(0.8, 0.9)]
    generation = Generation(members, others, GAIN, ())
    for i, member in enumerate(members):
        assert generation.verdict(i) == population(member, others, GAIN)
    assert [generation.verdict(i).p for i in range(2)] == [1.0, 0.0]


def test_the_best_has_more_than_half_of_its_draws_below_all_others() -> None:
    others = others_of(0.5, 0.6, 0.7)
    for draws, best in (
        ([0.4, 0.9], False), ([0.4, 0.4, 0.9], True), ([0.4, 0.9, 0.9, 0.4, 0.9], False),
        ([0.5, 0.5, 0.5], False), ([0.5, 0.4, 0.4], True),
    ):  # fmt: skip
        assert population(drawn(*draws), others).best is best


def test_the_best_is_told_also_where_the_rule_would_stop_it() -> None:
    risky = Policy(name="population", risk=0.9999, good=0.01, ramp=0.0)
    told = population(drawn(0.4), others_of(0.5, 0.6, 0.7), risky)
    assert (told.action, told.best) == (Action.STOP, True)


@pytest.mark.parametrize("reference", [10.0, None])
@pytest.mark.parametrize("own", [10.0, None])
def test_mqe_counts_in_units_of_the_population_else_of_the_run(
    reference: float | None, own: float | None
) -> None:
    """Half the mqe and an error: the best in raw units, and in units of 2 or more no longer."""
    others = others_of(*[1.0] * 5, mqe_of_mean=reference)
    told = population(drawn(0.5, error=0.3, mqe_of_mean=own), others)
    assert told.best is (reference is None and own is None)


def generation(
    members: list[Forecast],
    others: Others,
    policy: Policy = POPULATION,
    without: tuple[str, ...] = (),
) -> list[Verdict]:
    made = Generation(members, others, policy, without)  # type: ignore[arg-type]
    return [made.verdict(i) for i in range(len(members))]


def test_a_generation_needs_as_many_others_for_each() -> None:
    nobody = others_of()
    few = generation([drawn(m) for m in (0.1, 0.2, 0.3)], nobody)
    why = "the population has 2 of the 3 outcomes needed"
    assert few == [Verdict(Action.ABSTAIN, Reason.TOO_FEW_RUNS, why)] * 3
    enough = generation([drawn(m) for m in (0.1, 0.2, 0.3, 0.4)], nobody)
    assert [v.best for v in enough] == [True, False, False, False]
    assert enough[1].why.startswith("P(among the best 1 of 4) is ")
    assert [v.best for v in generation([drawn(0.1), drawn(0.1)], others_of(0.1, 0.2))] == [True] * 2
    assert generation([], others_of(0.1, 0.2, 0.3, 0.4)) == []
    assert Generation([], nobody, POPULATION, ()) is not None  # type: ignore[arg-type]


def test_a_generation_says_what_it_leaves_out() -> None:
    lacks = ended(0.4, final_topographic_error=None)
    for n, left_out in ((1, "1 outcome is"), (2, "2 outcomes are")):
        outcomes = (ended(0.3), *[lacks] * n)
        others = Others.of(Reference(outcomes=outcomes))
        told = f"; {left_out} left out for want of a metric that is asked for"
        assert generation([drawn(0.5)], others)[0].why == (
            f"the population has 1 of the 3 outcomes needed{told}"
        )
        assert generation([drawn(m) for m in (0.1, 0.2, 0.3, 0.4)], others)[0].why.endswith(told)
        assert population(drawn(0.5), others).why.endswith(f"of the 3 outcomes needed{told}")


def test_a_generation_is_weighed_as_asked_without_what_nobody_has() -> None:
    policy = Policy(name="population", weights=(2.0, 1.0, 0.0), startup_runs=3)
    pairs = [(0.3, 0.0), (0.2, 0.9), (0.4, 0.0), (0.5, 0.0)]  # the second ends best by mqe
    members = [drawn(m, error=e, dead=1 - m) for m, e in pairs]
    told = generation(members, others_of(), policy, NO_ERROR)
    assert [v.best for v in told] == [False, True, False, False]
    assert told[0].why.endswith(WITHOUT)
    # By two of the one and one of the other; by one of each it would be the last two.
    pairs = [(0.3, 0.15), (0.2, 0.25), (0.1, 0.42), (0.4, 0.0)]
    told = generation(
        [drawn(m, error=e, dead=0.9 * (m == 0.1)) for m, e in pairs], others_of(), policy
    )
    assert [v.best for v in told] == [False, False, True, False]


@pytest.mark.parametrize("size", [None, 30])
def test_a_generation_is_ranked_jointly_by_as_many_draws_as_all_have(size: int | None) -> None:
    rng = np.random.default_rng(0)
    long, short = rng.uniform(0.1, 1.0, (2, 9)), rng.uniform(0.1, 1.0, (3, 3))
    mqe = np.linspace(0.2, 1.0, 6)
    draws = np.vstack([long[:, [0, 4, 8]], short])
    ranking = JointRanking(draws, mqe, np.zeros(6), size, 0.1)
    told = generation([drawn(*d) for d in (*long, *short)], others_of(*mqe, population_size=size))
    assert [v.p for v in told] == [ranking.p_good(i) for i in range(5)]
    assert {v.why.split(")")[0] for v in told} == {
        "P(among the best 3 of 30" if size else "P(among the best 1 of 11"
    }


PARETO = Policy(name="pareto", startup_runs=3, ramp=0.3, risk=0.1, epsilon=0.0)
#: mqe, topographic error, dead neurons of a front, one that it dominates, one that was stopped.
ENDED = [(1.0, 0.5, 0.1), (2.0, 0.3, 0.2), (3.0, 0.1, 0.1), (3.0, 0.5, 0.3)]
STOPPED = (5.0, 0.9, 0.3)


def front(*more: object) -> Others:
    outcomes = [
        ended(mqe, final_topographic_error=error, final_dead_neuron_ratio=dead, censored=censored)
        for (mqe, error, dead), censored in [*((one, False) for one in ENDED), (STOPPED, True)]
    ]
    return Others.of(Reference(outcomes=(*outcomes, *more)))  # type: ignore[arg-type]


def pareto(forecast: Forecast, others: Others | None, **changes: object) -> Verdict:
    return RULES["pareto"](forecast, others, PARETO.model_copy(update=changes), ())


def test_a_front_of_what_nobody_forecasts_or_has() -> None:
    some = forecast_of(np.array([STOPPED]))
    told = pareto(some, front(), objectives=("mqe", "u_matrix_max", "x" * 50))
    why = "the oracle does not forecast the objective `u_matrix_max`"
    assert told == Verdict(Action.ABSTAIN, Reason.UNKNOWN_OBJECTIVE, why)
    why = f"the oracle does not forecast the objective `{'x' * 40}`"
    assert pareto(some, None, objectives=("x" * 50,)).why == why
    assert pareto(some, None) == Verdict(
        Action.ABSTAIN, Reason.NO_POPULATION, "the run has no population"
    )
    # What was stopped is on nobody's front.
    why = "the population has 4 of the 5 finished outcomes needed"
    told = pareto(some, front(), startup_runs=5)
    assert told == Verdict(Action.ABSTAIN, Reason.TOO_FEW_RUNS, why)
    assert pareto(some, front(), startup_runs=4).p is not None
    gone = Forecast.model_validate_json(some.model_dump_json())
    why = "the forecast has no joint draws"
    assert pareto(gone, front()) == Verdict(Action.ABSTAIN, Reason.TOO_UNCERTAIN, why)


@pytest.mark.parametrize("epsilon", [0.0, 0.02, 0.05])
@pytest.mark.parametrize("objectives", [("mqe", "topographic_error"), ("dead_neuron_ratio",)])
def test_p_gain_is_the_share_of_draws_that_enlarge_the_front(
    epsilon: float, objectives: tuple[str, ...]
) -> None:
    columns = [("mqe", "topographic_error", "dead_neuron_ratio").index(o) for o in objectives]
    rng = np.random.default_rng(1)
    draws = rng.uniform((0.5, 0.0, 0.0), (5.0, 0.9, 0.3), (200, 3))
    every = np.array([*ENDED, STOPPED])[:, columns]
    best, worst = every.min(axis=0), every.max(axis=0)
    points, corner = (every[:4] - best) / (worst - best), np.full(len(columns), 1.1)
    bar = epsilon * hypervolume(points, corner)
    p = float((gains((draws[:, columns] - best) / (worst - best), points, corner) > bar).mean())
    told = pareto(forecast_of(draws), front(), epsilon=epsilon, objectives=objectives)
    assert 0.1 < p < 0.9
    why = (
        f"P(the Pareto front gains more than {epsilon:.2%}) is {p:.1%}, at least the risk of 10.00%"
    )
    assert told == Verdict(Action.CONTINUE, Reason.PROMISING, why, p)


def test_no_gain_is_below_the_risk_that_grows_with_progress() -> None:
    worse = np.array([(4.0, 0.6, 0.3)])
    why = "P(the Pareto front gains more than 0.00%) is 0.0%"
    assert pareto(forecast_of(worse), front()) == Verdict(
        Action.STOP, Reason.UNLIKELY_GAIN, f"{why}, below the risk of 10.00%", 0.0
    )
    early = pareto(forecast_of(worse, progress=0.15), front())
    assert early.why == f"{why}, below the risk of 5.00%"
    assert pareto(forecast_of(worse, progress=None), front()) == Verdict(
        Action.CONTINUE, Reason.PROMISING, f"{why}, at least the risk of 0.00%", 0.0
    )
    lacks = ended(0.1, final_topographic_error=None)
    note = "; 1 outcome is left out for want of a metric that is asked for"
    assert pareto(forecast_of(worse), front(lacks)).why.endswith(f"10.00%{note}")
    assert pareto(forecast_of(worse, progress=None), front(lacks)).why.endswith(note)


def test_a_front_without_what_nobody_has_and_of_equals() -> None:
    """Equal in what is left, a run gains by being better at all."""
    equal = Others.of(Reference(outcomes=(ended(1.0),) * 3))
    for mqe, p in ((1.0, 0.0), (0.999, 1.0), (1.05, 0.0)):
        told = RULES["pareto"](drawn(mqe, error=0.0), equal, PARETO, NO_ERROR)
        assert told.p == p
    assert told.why.endswith(WITHOUT)
    dares = PARETO.model_copy(update={"epsilon": 0.05})
    assert [RULES["pareto"](drawn(m), equal, dares, ()).p for m in (0.96, 0.93)] == [0.0, 1.0]
    lacks = ended(0.9, final_dead_neuron_ratio=None)
    several = Others.of(Reference(outcomes=(lacks, lacks, *(ended(1.0),) * 3)))
    told = RULES["pareto"](drawn(0.9), several, PARETO, NO_ERROR)
    left_out = "; 2 outcomes are left out for want of a metric that is asked for"
    assert told.why.endswith(f"%{WITHOUT}{left_out}")
