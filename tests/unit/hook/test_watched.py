"""A watched run from its start to its end."""

from __future__ import annotations

import contextlib
import copy
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import StandIn, history_of, made_outcome

from oracle.decision.log import read_decisions
from oracle.decision.policy import is_control
from oracle.errors import InvalidHistory, OracleError, OracleWarning
from oracle.hook import Population, WatchedRun, policy_for, watch
from oracle.types import (
    QUALITY_WEIGHTS,
    RUN_ID_PATTERN,
    Action,
    Forecast,
    History,
    Policy,
    PopulationPolicy,
    Reason,
    Scale,
)

Report = Callable[[WatchedRun, float], bool]


def good(run: WatchedRun, epoch: float, mqe: float = 0.1) -> bool:
    """Report a checkpoint of a run that nothing is wrong with."""
    return run.report(epoch, mqe=mqe, topographic_error=0.1, dead_neuron_ratio=0.1).stop


def bad(run: WatchedRun, epoch: float) -> bool:
    """Report a checkpoint far above the threshold of 1.0."""
    return good(run, epoch, mqe=3.0)


@pytest.fixture
def filled(tmp_path: Path) -> Population:
    shared = Population(tmp_path / "runs.db")
    for i in range(8):
        shared.end("table", made_outcome(0.1 + i / 100, run_id=f"old-{i}"))
    return shared


def test_a_bad_run_is_stopped_and_its_fitness_is_the_forecast() -> None:
    with watch(total_epochs=10, model=StandIn(), control=0) as run:
        assert not bad(run, 1)  # one checkpoint is too few
        assert bad(run, 2)
    assert run.state == "stopped"
    fitness = run.fitness()
    assert fitness.censored
    assert fitness.mqe == run.decision.forecast.median("final_mqe")  # type: ignore[union-attr]
    assert run.decision is not None
    assert run.decision.expected_saving == 0.8
    assert "stopped at 20% of its budget (above_threshold); 2 reports:" in run.summary()


def test_a_good_run_goes_to_its_end_and_has_its_own_values() -> None:
    with watch(total_epochs=10, model=StandIn()) as run:
        for epoch in range(1, 11):
            assert not good(run, epoch)
    assert run.state == "finished"
    assert run.fitness().mqe == 0.1
    assert not run.fitness().censored
    assert (
        "not stopped, mostly because predicted quality score 0.250 (raw) is good" in run.summary()
    )
    assert "abstain (too_few_checkpoints 1)" in run.summary()


def test_the_last_checkpoint_need_not_be_the_end() -> None:
    with watch(total_epochs=1000, model=StandIn()) as run:
        good(run, 960)
    assert run.state == "finished"


@pytest.mark.parametrize(
    ("total", "epochs"),
    [
        (10, range(10)),  # counted from 0
        (100, range(0, 100, 10)),
        (100, range(10, 100, 40)),  # steps that do not divide the budget
        (10, range(1, 11)),
        (60, (6.1, 12.4, 18.2, 24.9, 31.0, 37.4, 43.6, 49.9, 55.8, 61.9)),  # seconds
        (1000, (300, 600, 900, 1200)),
        (1000, (700, 1400)),
    ],
    ids=str,
)
def test_a_loop_that_came_to_its_end_is_finished_however_it_counts(
    total: float, epochs: list[float], tmp_path: Path
) -> None:
    shared = Population(tmp_path / "runs.db")
    with watch(total_epochs=total, population=shared, model=StandIn()) as run:
        for n, epoch in enumerate(epochs):
            assert not good(run, epoch, mqe=0.5 - n / 100)
    fitness = run.fitness()
    assert (run.state, fitness.mqe, fitness.censored) == ("finished", 0.5 - n / 100, False)
    assert not run.problems.counts
    assert shared.reference("default").outcomes[0].final_mqe == fitness.mqe


def test_beyond_the_end_is_another_unit_and_nothing_follows_the_last(tmp_path: Path) -> None:
    with watch(total_epochs=10, model=StandIn()) as run, pytest.warns(OracleWarning, match="unit"):
        good(run, 150)  # updates, where epochs were planned
    assert run.state == "abandoned"
    with watch(total_epochs=10, model=StandIn()) as run:
        for epoch in (4, 8, 12):
            good(run, epoch)
        with pytest.warns(OracleWarning, match=r"at most total_epochs \(10\)"):
            good(run, 13)
    assert run.state == "finished"


@pytest.mark.parametrize("ended", [False, True])
def test_a_loop_left_by_its_own_rule_is_worth_the_map_that_is_there(
    ended: bool, tmp_path: Path
) -> None:
    shared = Population(tmp_path / "runs.db")
    with watch(total_epochs=1000, population=shared, model=StandIn()) as run:
        for epoch in range(50, 401, 50):
            good(run, epoch, mqe=1 / epoch)
        if ended:
            run.finish()
    fitness = run.fitness()
    assert (run.state, fitness.mqe, fitness.censored) == ("left", 1 / 400, False)
    assert "left by its own loop at 40% of its budget" in run.summary()
    assert shared.reference("default").outcomes[0].final_mqe == 1 / 400


def test_values_given_after_a_stop_are_of_a_map_cut_short() -> None:
    with watch(total_epochs=10, model=StandIn(), control=0) as run:
        bad(run, 1)
        assert bad(run, 2)
        with pytest.warns(OracleWarning, match="told to stop.*its fitness is the forecast"):
            fitness = run.finish(mqe=0.1)
    assert run.state == "stopped"
    assert fitness.censored
    assert fitness.mqe == run.decision.forecast.median("final_mqe")  # type: ignore[union-attr]


@pytest.mark.parametrize(("last", "state"), [(95, "finished"), (94.9, "left")])
def test_a_run_is_whole_from_95_percent_on(last: float, state: str) -> None:
    with watch(total_epochs=100, model=StandIn()) as run:
        for epoch in (10, 12, 14, last):
            good(run, epoch)
    assert run.state == state


def test_final_values_can_be_given() -> None:
    with watch(total_epochs=1000, model=StandIn()) as run:
        good(run, 400)
        fitness = run.finish(mqe=np.float32(0.25))
    assert (fitness.mqe, fitness.topographic_error, fitness.censored) == (0.25, 0.1, False)
    assert run.finish(mqe=0.1).mqe == 0.25  # only the first end counts
    assert run.state == "finished"


def test_without_a_budget_a_run_that_ends_is_finished() -> None:
    with watch(model=StandIn()) as run:
        good(run, 5)
    assert run.state == "finished"


def test_a_run_that_never_reported_is_worth_nothing() -> None:
    with watch(total_epochs=10, model=StandIn()) as run:
        pass
    assert run.fitness().objectives() == (math.inf, math.inf, math.inf)
    assert "nothing was reported" in run.summary()


def test_a_run_left_by_an_exception_is_given_up(filled: Population) -> None:
    run = watch(total_epochs=10, population=filled, population_name="table", model=StandIn())
    with contextlib.suppress(KeyboardInterrupt), run:
        good(run, 5)
        raise KeyboardInterrupt
    assert run.state == "abandoned"
    reference = filled.reference("table")
    assert (len(reference.outcomes), reference.live) == (8, 0)


def test_a_stop_that_is_obeyed_by_an_exception_is_a_stop() -> None:
    run = watch(total_epochs=10, model=StandIn(), control=0)
    with contextlib.suppress(LookupError), run:
        bad(run, 1)
        if bad(run, 2):
            raise LookupError("pruned")
    assert run.state == "stopped"


def test_who_goes_on_after_a_stop_is_not_stopped() -> None:
    with watch(total_epochs=10, model=StandIn(), control=0) as run:
        for epoch in range(1, 11):
            bad(run, epoch)
    assert run.state == "finished"


def test_runs_of_a_population_are_ranked_and_marked(filled: Population) -> None:
    with watch(
        total_epochs=10,
        population=filled,
        population_name="table",
        model=StandIn(),
        control=0,
        run_id="hopeless",
        context={"mqe_of_mean": 1.0},
    ) as run:
        good(run, 1, mqe=0.9)
        assert good(run, 2, mqe=0.9)
    assert run.decision is not None
    assert run.decision.policy.name == "population"
    last = filled.reference("table").outcomes[-1]
    assert last.run_id == "hopeless"
    assert last.censored
    assert last.spread > 0
    assert filled.tally("table").saved == pytest.approx(0.8 / 9)


def test_a_control_run_goes_on_and_measures_wrong_stops(filled: Population) -> None:
    control = next(f"c{i}" for i in range(1000) if _drawn(f"c{i}", 0.05))
    with watch(
        total_epochs=10,
        population=filled,
        population_name="table",
        model=StandIn(),
        run_id=control,
    ) as run:
        for epoch in range(1, 11):
            assert not good(run, epoch, mqe=0.9)
        assert run.state == "live"
    assert (Action.CONTINUE, Reason.CONTROL) in run._verdicts.counts
    wrong = filled.wrong_stops("table")
    assert (wrong.controls, wrong.wrong) == (1, 0)


def test_the_expected_best_is_let_on_but_measures_no_wrong_stop(tmp_path: Path) -> None:
    shared, hard = Population(tmp_path / "runs.db"), Policy(threshold=0.05, caution=0.05)
    for i in range(4):
        shared.end("table", made_outcome(9.0, run_id=f"{i}"))
    with watch(
        total_epochs=10, population=shared, population_name="table", policy=hard, model=StandIn()
    ) as run:
        for epoch in range(1, 11):
            assert not good(run, epoch)
    assert run._verdicts.counts[Action.CONTINUE, Reason.BEST] > 0
    assert shared.wrong_stops("table").controls == 0


def _drawn(run_id: str, share: float) -> bool:
    return is_control(history_of(run_id=run_id, population="table"), share)


def test_the_population_is_named_after_the_table(tmp_path: Path) -> None:
    path, context = tmp_path / "runs.db", {"n_samples": 569, "n_features": 30, "mqe_of_mean": 1.31}
    for settings in ({"context": context}, {"dataset": "wdbc"}, {}):
        with watch(total_epochs=10, population=path, model=StandIn(), **settings) as run:  # type: ignore[arg-type]
            good(run, 10)
    names = ("569x30-1.31", "wdbc", "default")
    assert [Population(path).tally(name).finished for name in names] == [1, 1, 1]


def test_dense_reports_are_judged_at_steps_of_a_hundredth() -> None:
    asked = []

    class Counting(StandIn):
        def forecast(self, history: History) -> Forecast:
            asked.append(history.epochs[-1])
            return super().forecast(history)

    with watch(total_epochs=10_000, model=Counting()) as run:
        for epoch in range(10_001):
            good(run, epoch)
    assert 95 <= len(asked) <= 102
    assert asked[-1] == 10_000
    assert run.fitness().mqe == 0.1


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
    with watch(total_epochs=10, population=shared, run_id=name, model=StandIn()) as run:
        good(run, 10)
    assert not run.problems.counts
    assert run.name == str(name)
    assert re.match(RUN_ID_PATTERN, run.run_id)
    assert f"run {name}: " in run.summary()
    assert shared.reference("default").outcomes[0].run_id == run.run_id


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda run: pickle.loads(pickle.dumps(run))],  # noqa: S301
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_run_is_copied_with_whoever_holds_it(
    copied: Callable[[WatchedRun], WatchedRun], tmp_path: Path
) -> None:
    shared = Population(tmp_path / "runs.db")
    run = watch(total_epochs=10, population=shared, run_id="r", model=StandIn())
    good(run, 5)
    other = copied(run)
    good(other, 10)
    assert other.finish().mqe == 0.1
    assert not other.problems.counts
    assert [o.run_id for o in shared.reference("default").outcomes] == ["r"]


def test_two_ways_to_write_a_name_are_one_population(tmp_path: Path) -> None:
    shared = Population(tmp_path / "runs.db")
    for i, name in enumerate(("caf\u00e9", "cafe\u0301", " caf\u00e9 ")):
        settings = {"population_name": name} if i else {"dataset": name}
        with watch(total_epochs=10, population=shared, model=StandIn(), **settings) as run:  # type: ignore[arg-type]
            good(run, 10)
    assert shared.names() == ("caf\u00e9",)
    assert len(shared.reference("caf\u00e9").outcomes) == 3


@pytest.mark.parametrize("first", [100.0, 1000.0])
def test_a_counter_that_goes_on_beyond_the_budget_stops_nothing(
    filled: Population, first: float
) -> None:
    """A training that is resumed and counts on from its last epoch, with the budget of the rest."""
    run = watch(total_epochs=100, population=filled, population_name="table", model=StandIn())
    with contextlib.suppress(OracleWarning):
        stopped = [bad(run, first + epoch) for epoch in range(10, 101, 10)]
    assert not any(stopped)


@pytest.mark.parametrize(
    ("name", "kept"), [(17, "17"), ("wine\n2", "wine 2"), ("w" * 300, f"{'w' * 191}-")]
)
def test_a_table_or_population_may_be_called_anything(
    name: str | int, kept: str, tmp_path: Path
) -> None:
    shared = Population(tmp_path / "runs.db")
    for settings in ({"dataset": name}, {"population_name": name}, {"dataset": name}):
        with watch(total_epochs=10, population=shared, model=StandIn(), **settings) as run:  # type: ignore[arg-type]
            good(run, 10)
        assert not run.problems.counts
    (found,) = shared.names()
    assert found.startswith(kept)
    assert len(found) <= 200
    assert len(shared.members(found)) == 3


def test_populations_of_one_service_are_searches_of_their_own() -> None:
    def search(name: str) -> Any:
        judge = watch(total_epochs=10, url="http://127.0.0.1:9", population_name=name)._judge
        return judge and judge.search

    assert search("a") == search("a") != search("b")


def test_what_the_policy_does_not_ask_for_need_not_be_told() -> None:
    by_mqe = Policy(name="threshold", weights=(1, 0, 0))
    with watch(total_epochs=10, policy=by_mqe, model=StandIn()) as run:
        run.report(1, mqe=0.5)
    assert not run.problems.counts
    with pytest.warns(OracleWarning, match="must be given"):
        watch(total_epochs=10, policy="threshold", model=StandIn()).report(1, mqe=0.5)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"policy": "population"}, "population policy stops nothing without `population=`"),
        ({"policy": "pareto"}, "pareto policy stops nothing without `population=`"),
        ({"population": "", "total_epochs": None}, "stops nothing without `total_epochs=`"),
        (
            {"population": "", "policy": policy_for(("mqe", "silhouette"))},
            "pareto policy stops nothing: no oracle forecasts `silhouette`",
        ),
    ],
    ids=["population", "pareto", "total", "objective"],
)
def test_a_search_that_can_stop_nothing_is_told_at_once(
    settings: dict[str, Any], why: str, tmp_path: Path
) -> None:
    if "population" in settings:
        settings = {**settings, "population": tmp_path / "runs.db"}
    with pytest.warns(OracleWarning, match=why):
        run = watch(**{"total_epochs": 10, "model": StandIn(), **settings})
    assert run.problems.counts.total() == 1


class Unlike(StandIn):
    """A model to which every history is strange."""

    def forecast(self, history: History) -> Forecast:
        forecast = super().forecast(history)
        draws = forecast.draws
        assert draws is not None
        return forecast.model_copy(update={"support": 0.0}).with_draws(draws)


def test_a_search_of_which_nothing_is_judged_is_told_once(tmp_path: Path) -> None:
    shared = Population(tmp_path / "runs.db")

    def search(runs: int, name: str, model: StandIn, startup_runs: int) -> list[int]:
        told = []
        for _ in range(runs):
            policy = Policy(name="population", startup_runs=startup_runs)
            with watch(
                total_epochs=4,
                population=shared,
                population_name=name,
                policy=policy,
                model=model,
            ) as run:
                for epoch in range(1, 5):
                    good(run, epoch)
            told.append(run.problems.counts["never_judged"])
        assert run.problems.counts.keys() <= {"never_judged"}
        return told

    assert sum(search(9, "slow", StandIn(), startup_runs=6)) == 0  # judged from the seventh on
    with pytest.warns(OracleWarning, match="none of the last 8 runs was ever judged.*unlike") as w:
        assert search(11, "strange", Unlike(), startup_runs=3) == [0] * 7 + [1, 0, 0, 0]
    assert len(w) == 1


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


CONVERGING = Policy(threshold=100.0, converged=0.5, converged_risk=0.2, control=0.0)


def test_a_run_that_has_converged_is_finished_with_its_present_values(tmp_path: Path) -> None:
    shared = Population(tmp_path / "runs.db")
    settings: dict[str, Any] = {"policy": CONVERGING, "population": shared, "model": StandIn()}
    with watch(total_epochs=10, **settings) as run:
        good(run, 1)
        assert good(run, 4)
    assert run.decision is not None
    assert run.decision.reason is Reason.CONVERGED
    fitness = run.fitness()
    assert (run.state, fitness.mqe, fitness.censored) == ("finished", 0.1, False)
    assert "converged at 40% of its budget" in run.summary()
    with contextlib.suppress(RuntimeError), watch(total_epochs=10, **settings) as left:
        good(left, 1)
        good(left, 5)
        raise RuntimeError("pruned")
    assert left.state == "finished"
    with watch(total_epochs=10, **settings) as ignored:
        for epoch in range(1, 11):
            good(ignored, epoch, mqe=1 / epoch)
    assert ignored.fitness().mqe == 0.1
    assert [o.censored for o in shared.reference("default").outcomes] == [False] * 3
    tally = shared.tally("default")
    assert (tally.finished, tally.stopped, tally.converged) == (3, 0, 2)
    assert tally.saved == pytest.approx((0.6 + 0.5) / 3)
    assert "2 converged" in str(tally)
    assert shared.wrong_stops("default").stops == 0


def test_values_measured_at_the_end_of_a_converged_run_count() -> None:
    with watch(total_epochs=10, policy=CONVERGING, model=StandIn()) as run:
        good(run, 1)
        assert good(run, 4)
        fitness = run.finish(mqe=0.09)
    assert (fitness.mqe, fitness.censored) == (0.09, False)
    assert not run.problems.counts


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


def test_reports_after_the_end_are_ignored() -> None:
    with watch(total_epochs=10, model=StandIn()) as run:
        good(run, 10)
    with pytest.warns(OracleWarning, match="after the end of the run"):
        assert run.report(11, mqe=9).reason is Reason.FINISHED
    assert run.fitness().mqe == 0.1


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


def test_a_training_that_goes_back_to_an_earlier_map(filled: Population, tmp_path: Path) -> None:
    policy = Policy(name="population", control=0.0)
    log = tmp_path / "decisions.jsonl"
    settings = {"total_epochs": 100, "population": filled, "dataset": "table", "model": StandIn()}
    with watch(policy=policy, log=log, **settings) as run:
        for epoch in (10, 20, 30):
            stopped = bad(run, epoch)
        assert stopped
        run.rewind(20)
        for epoch in range(30, 110, 10):
            assert not good(run, epoch, mqe=0.01)
    assert set(run.problems.counts) == {"earlier_search"}  # of the runs that were there
    assert run.state == "finished"
    assert run.fitness().mqe == 0.01
    told = [d for d in read_decisions(log) if not isinstance(d, OracleError)]
    assert [d.history.epochs for d in told[2:4]] == [(10, 20, 30), (10, 20, 30)]
    assert told[2].decision.stop
    assert not told[3].decision.stop
    assert told[3].history.mqe[-1] == 0.01


def test_a_rewind_that_cannot_be_is_told_and_nothing_else() -> None:
    with watch(total_epochs=100, model=StandIn()) as run:
        good(run, 10)
        with pytest.warns(OracleWarning, match="could not rewind the run: `epoch` must be a fin"):
            run.rewind(math.nan)
        assert not good(run, 20)
    assert [c.epoch for c in run._seen.kept] == [10, 20]


def test_what_is_said_of_a_run_stands_in_the_population(tmp_path: Path) -> None:
    shared = Population(tmp_path / "runs.db")
    config = {"som": {"rows": np.int64(10), "size": (4, 5)}, "seed": None}
    with watch(total_epochs=10, population=shared, run_id="lr=0.1", config=config,
               tags=["a", 1], notes="x" * 20_000, model=StandIn()) as run:  # fmt: skip
        good(run, 10)
    assert not run.problems.counts
    (member,) = shared.members("default")
    told = member.as_json()
    assert told["name"] == "lr=0.1"
    assert told["config"] == {"som.rows": 10, "som.size": "(4, 5)", "seed": None}
    assert told["tags"] == ["a", "1"]
    assert len(told["notes"]) == 10_000


def test_values_told_far_before_the_end_are_named_in_the_summary() -> None:
    with watch(total_epochs=100, model=StandIn(), policy=Policy(threshold=1000)) as run:
        good(run, 20)
        good(run, 40)
        run.finish(mqe=0.5)
    assert "finished with values of its own at 40%" in run.summary()
