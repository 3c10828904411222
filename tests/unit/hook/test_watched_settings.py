"""How a watched run is set up: names, numbers, policies, plans, and what does not fit."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import StandIn
from watching import bad, good

from oracle.errors import InvalidHistory, OracleWarning
from oracle.hook import Population, policy_for, watch
from oracle.integrations.deap import Watched
from oracle.integrations.optuna import OraclePruner
from oracle.types import (
    QUALITY_WEIGHTS,
    RUN_ID_PATTERN,
    Policy,
    PopulationPolicy,
    Reason,
    Scale,
)


def test_numbers_of_numpy_do_as_well() -> None:
    with watch(total_epochs=np.int64(10), model=StandIn()) as run:
        decision = run.report(
            np.int32(1),
            mqe=np.float32(0.5),
            topographic_error=np.float64(0.1),
            dead_neuron_ratio=np.array(0.1),
            learning_rate=np.float16(0.5),
            radius=np.int8(2),
        )
    assert decision.reason is Reason.TOO_FEW_CHECKPOINTS
    assert not run.problems.counts


WRONG: tuple[dict[str, Any], ...] = (
    *({"policy": 3}, {"population": 3}, {"model": 3}, {"log": 3}, {"url": 8}, {"config": 3}),
    *({"tags": 3}, {"check_every": "a"}, {"check_every": -1}, {"timeout_s": 0}),
    *({"population_size": -1}, {"population_size": "a"}, {"population_size": True}),
)


@pytest.mark.parametrize("settings", WRONG, ids=str)
def test_a_search_is_refused_what_no_run_of_it_can_have(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(InvalidHistory, match=f"`{name}` must be .*, but got "):
        Watched(lambda genes, bound: bound(), **settings)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"n_trials": -1}, "`n_trials` must be a whole number, 1 to 10,000,000, but got -1"),
        ({"n_trials": "a"}, "`n_trials` must be"),
        ({"policy": 3}, "`policy` must be threshold, population, pareto or a Policy, but got 3"),
    ],
)
def test_a_pruner_is_refused_it_at_once(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidHistory, match=says):
        OraclePruner(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"policy": "populaton"},
        {"policy": "threshold", "control": 2},
        {"total_epochs": math.nan},
        {"total_epochs": 0},
        {"total_epochs": "many"},
        {"context": {"map_rows": -1}},
        {"context": {"unknown": 1}},
        {"url": "not an address"},
        *WRONG,
    ],
    ids=str,
)
def test_settings_that_do_not_fit_leave_the_run_unwatched(settings: dict[str, object]) -> None:
    with pytest.warns(OracleWarning, match="could not set up the watch.*`.*` must be") as told:
        run = watch(**{"total_epochs": 10, "model": StandIn(), **settings})  # type: ignore[arg-type]
    assert told[0].filename == __file__
    with run:
        for epoch in range(1, 11):
            assert not bad(run, epoch)
    assert run.fitness().mqe == 3.0
    assert not run.fitness().censored
    assert "problems: settings 1" in run.summary()


@pytest.mark.parametrize("name", ["lr=0.1,sigma=2.0", "run 17 (copy)", 17, "../../etc", "x" * 99])
def test_a_name_of_any_tool_is_cleaned_and_kept(name: str | int, tmp_path: Path) -> None:
    shared = Population(tmp_path / "runs.db")
    with watch(
        total_epochs=10, population=shared, dataset="t", run_id=name, model=StandIn()
    ) as run:
        good(run, 10)
    assert not run.problems.counts
    assert run.name == str(name)
    assert re.match(RUN_ID_PATTERN, run.run_id)
    assert f"run {name}: " in run.summary()
    assert shared.reference("t").outcomes[0].run_id == run.run_id


def test_what_the_policy_does_not_ask_for_need_not_be_told() -> None:
    by_mqe = Policy(name="threshold", weights=(1, 0, 0))
    with watch(total_epochs=10, policy=by_mqe, model=StandIn()) as run:
        run.report(1, mqe=0.5)
    assert not run.problems.counts
    with pytest.warns(OracleWarning, match="must be given"):
        watch(total_epochs=10, policy="threshold", model=StandIn()).report(1, mqe=0.5)


def test_the_first_default_is_relative_where_the_scale_is_known() -> None:
    def policy(**settings: Any) -> Policy:
        run = watch(total_epochs=10, model=StandIn(), **settings)
        good(run, 1)
        assert run.decision is not None
        return run.decision.policy

    known = {"mqe_of_mean": 7.0}
    assert policy(context=known) == Policy(name="threshold", scale=Scale.RELATIVE)
    assert policy(context=known, control=0) == Policy(scale=Scale.RELATIVE, control=0)
    assert policy() == Policy()
    assert policy(context=known, policy="threshold") == Policy()  # raw where it is asked for


PLAN = {"mqe_of_mean": 1.0, "map_rows": 5, "map_cols": 5}


def test_the_plan_is_forecast_before_the_first_report() -> None:
    with watch(total_epochs=10, context=PLAN, model=StandIn()) as run:
        assert run.forecast is None
        answer = run.plan()
        assert (answer.stop, answer.progress) == (False, 0.0)
        assert run.forecast == answer.forecast
        assert run.forecast is not None
        assert run.forecast.n_checkpoints == 0
        assert run.decision is None  # nothing was decided on
        good(run, 1)
        assert run.forecast.n_checkpoints == 1
        with pytest.warns(OracleWarning, match="`plan` was called after the first report"):
            assert run.plan() is run.decision


def test_a_policy_that_judges_plans_may_stop_a_run_that_has_not_begun(tmp_path: Path) -> None:
    shared = Population(tmp_path / "runs.db")
    bold = Policy(min_checkpoints=0, min_progress=0.0, threshold=0.3, caution=0.3, control=0.0)
    assert not Policy().judges_plans
    with watch(total_epochs=10, context=PLAN, policy=bold, population=shared, model=StandIn()) as r:
        assert r.judges_plans
        assert r.plan().stop
    assert r.state == "stopped"
    fitness = r.fitness()
    assert fitness.censored
    assert fitness.mqe == r.forecast.median("final_mqe")  # type: ignore[union-attr]
    assert "stopped at 0% of its budget" in r.summary()
    assert [o.censored for o in shared.reference("default").outcomes] == [True]


@pytest.mark.parametrize("context", [None, {}, {"map_rows": 5}])
def test_a_plan_without_a_scale_is_told_and_harms_nothing(context: dict[str, Any] | None) -> None:
    with watch(total_epochs=10, context=context, model=StandIn()) as run:
        with pytest.warns(OracleWarning, match=r"mqe_of_mean|nothing else to go by"):
            assert run.plan().reason is Reason.ERROR
        good(run, 1)
    assert run.problems.counts["plan"] == 1


def test_the_policy_follows_from_the_objectives() -> None:
    one = policy_for(("score",))
    assert (one.name, one.quality_weights) == ("population", QUALITY_WEIGHTS)
    assert isinstance(one, PopulationPolicy)
    assert one.risk > PopulationPolicy().risk  # a search still ranks what it stops
    assert one.good < PopulationPolicy().good
    mqe = policy_for(("mqe",), risk=0.01)
    assert (mqe.weights, mqe.risk, mqe.good) == ((1.0, 0.0, 0.0), 0.01, one.good)
    several = policy_for(("mqe", "dead_neuron_ratio"))
    assert (several.name, several.objectives) == ("pareto", ("mqe", "dead_neuron_ratio"))
    assert policy_for("mqe") == policy_for(("mqe",))
    for none in ("silhouette", ("silhouette",), ()):
        with pytest.raises(InvalidHistory, match="`objectives` must be of mqe"):
            policy_for(none)


def test_global_randomness_stays_as_it_is() -> None:
    before = np.random.get_state()[1].copy()
    with watch(total_epochs=10, model=StandIn()) as run:
        good(run, 5)
    assert np.array_equal(before, np.random.get_state()[1])
