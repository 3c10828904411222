"""Watched runs of one search: ranked, held, counted, and told where nothing can be stopped."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import StandIn, history_of, made_outcome
from watching import bad, good

from oracle.decision.log import read_decisions
from oracle.decision.policy import is_control
from oracle.errors import OracleError, OracleWarning, StoreUnavailable
from oracle.hook import Population, policy_for, watch
from oracle.types import (
    Action,
    Forecast,
    History,
    Policy,
    Reason,
)


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
    assert str(filled.members("table")[-1].reason).startswith("unlikely_good: ")
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


def test_a_run_that_tells_nothing_of_its_table_is_told_among_whom_it_is_ranked(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.db"
    with pytest.warns(OracleWarning, match="names no `dataset`, and its `context` does not tell"):
        watch(total_epochs=10, population=path, model=StandIn())
    named = (
        {"dataset": 0},
        {"population_name": 0},
        {"context": {"n_samples": 5, "mqe_of_mean": 1.0}},
    )
    own = {"population_name": "default", "dataset": "iris"}
    scaled = {"context": {"mqe_of_mean": 1.0}}  # others of this scale alone are compared with it
    for settings in (*named, own, scaled, {"policy": "threshold"}):
        run = watch(total_epochs=10, population=path, model=StandIn(), **settings)  # type: ignore[arg-type]
        assert "unnamed" not in run.problems.counts
    assert Population(path).names()[-1] == "default"  # the rule of threshold ranks nothing


@pytest.mark.parametrize("names", [(0, 1), ("0", 1)])
def test_a_population_of_a_number_is_one_of_its_own(
    names: tuple[str | int, int], tmp_path: Path
) -> None:
    shared = Population(tmp_path / "runs.db")
    for fold in names:
        with watch(population=shared, dataset="mine", population_name=fold, total_epochs=10,
                   model=StandIn()) as run:  # fmt: skip
            good(run, 10)
    assert shared.names() == ("0", "1")


def test_a_finished_run_that_lacks_what_others_have_measured_wins_nothing(tmp_path: Path) -> None:
    shared = Population(tmp_path / "runs.db")
    settings = {"total_epochs": 10, "population": shared, "dataset": "t", "model": StandIn()}
    for _ in range(3):
        with watch(**settings) as run:  # type: ignore[arg-type]
            good(run, 10)
    for checks in ((3, 10), (10,)):
        with watch(**settings) as lacking:  # type: ignore[arg-type]
            for epoch in checks:
                lacking.report(epoch, mqe=0.05, topographic_error=math.nan, dead_neuron_ratio=0.1)
                assert math.isinf(lacking.fitness().score())
        assert lacking.state == "finished"
        assert math.isinf(lacking.fitness().score())
        assert lacking.fitness().mqe == 0.05
    assert run.fitness().score() == 0.25


def test_a_run_whose_population_is_away_is_worth_what_it_has_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Population(tmp_path / "runs.db")
    with watch(total_epochs=10, population=shared, dataset="t", model=StandIn()) as run:
        run.report(5, mqe=0.1, dead_neuron_ratio=0.1)

        def away(*args: object, **told: object) -> None:
            raise StoreUnavailable("locked")

        monkeypatch.setattr(Population, "reference", away)
        run.report(10, mqe=0.1, dead_neuron_ratio=0.1)
    assert run.fitness().score() == pytest.approx(0.15)


def test_a_run_without_others_is_worth_what_it_has_measured() -> None:
    with watch(total_epochs=10, model=StandIn()) as run:
        for epoch in (5, 10):
            run.report(epoch, mqe=0.1, topographic_error=math.nan, dead_neuron_ratio=0.1)
            assert run.fitness().score() == pytest.approx(0.15)


def test_a_run_that_tells_its_end_alone_is_known_by_it(tmp_path: Path) -> None:
    shared = Population(tmp_path / "runs.db")
    for total in (100, None):
        settings = {"total_epochs": total, "population": shared, "dataset": "t"}
        with watch(model=StandIn(), **settings) as run:  # type: ignore[arg-type]
            fitness = run.finish(mqe=0.3, topographic_error=0.1, dead_neuron_ratio=0.2)
        assert (fitness.mqe, fitness.censored, run.state) == (0.3, False, "finished")
    ends = [(m.state, m.final_mqe, m.final_dead_neuron_ratio) for m in shared.members("t")]
    assert ends == [("finished", 0.3, 0.2)] * 2


def test_two_ways_to_write_a_name_are_one_population(tmp_path: Path) -> None:
    shared = Population(tmp_path / "runs.db")
    for i, name in enumerate(("caf\u00e9", "cafe\u0301", " caf\u00e9 ")):
        settings = {"population_name": name} if i else {"dataset": name}
        with watch(total_epochs=10, population=shared, model=StandIn(), **settings) as run:  # type: ignore[arg-type]
            good(run, 10)
    assert shared.names() == ("caf\u00e9",)
    assert len(shared.reference("caf\u00e9").outcomes) == 3


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
        settings = {**settings, "population": tmp_path / "runs.db", "dataset": "t"}
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
    with watch(total_epochs=10, population=shared, dataset="t", run_id="lr=0.1", config=config,
               tags=["a", 1], notes="x" * 20_000, model=StandIn()) as run:  # fmt: skip
        good(run, 10)
    assert not run.problems.counts
    (member,) = shared.members("t")
    told = member.as_json()
    assert told["name"] == "lr=0.1"
    assert told["config"] == {"som.rows": 10, "som.size": "(4, 5)", "seed": None}
    assert told["tags"] == ["a", "1"]
    assert len(told["notes"]) == 10_000
