"""The hook inside real searches: DEAP, pymoo, Optuna."""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import StandIn

from oracle.errors import InvalidHistory, OracleWarning
from oracle.hook import Population, WatchedRun, watch

EPOCHS = 10


def curve(quality: float, run: WatchedRun) -> WatchedRun:
    """Stand for a training that levels off at `quality` times 1 and 0.1."""
    with run:
        for epoch in range(1, EPOCHS + 1):
            level = quality * (1 + 0.3 * math.exp(-epoch))
            values = {"mqe": level, "topographic_error": 0.1 * quality, "dead_neuron_ratio": 0.1}
            if run.report(epoch, **values).stop:
                break
    return run


def train(genes: Any, bound: Any) -> WatchedRun:
    return curve(0.2 + float(genes[0]), bound(total_epochs=EPOCHS, dataset="t"))


def test_deap_ranks_stopped_individuals_by_their_forecast(tmp_path: Path) -> None:
    from deap import base, creator, tools

    from oracle.integrations.deap import Watched, assign

    creator.create("LowestInTest", base.Fitness, weights=(-1.0,))
    creator.create("GenomeInTest", list, fitness=creator.LowestInTest)
    evaluate = Watched(train, population=tmp_path / "runs.db", model=StandIn(), control=0)
    toolbox = base.Toolbox()
    toolbox.register("evaluate", evaluate)
    rng = random.Random(0)
    individuals = [creator.GenomeInTest([rng.random()]) for _ in range(30)]
    for individual, values in zip(
        individuals, toolbox.map(toolbox.evaluate, individuals), strict=True
    ):
        assign(individual, values)
    assert 5 <= sum(i.censored for i in individuals) < 30
    assert not tools.selBest(individuals, 1)[0].censored
    by_fitness = sorted(individuals, key=lambda i: -i.fitness.wvalues[0])
    ranks = [sorted(i[0] for i in individuals).index(i[0]) for i in by_fitness]
    assert np.corrcoef(ranks, range(30))[0, 1] > 0.9
    copy = pickle.loads(pickle.dumps(evaluate))  # noqa: S301  # as multiprocessing does
    values = pickle.loads(pickle.dumps(copy(individuals[0])))  # noqa: S301
    assert values.censored == copy(individuals[0]).censored


def test_deaps_own_algorithms_carry_the_mark_along(tmp_path: Path) -> None:
    from deap import algorithms, base, creator, tools

    from oracle.integrations.deap import OnlyFinished, Watched, finished

    names = ("mqe", "topographic_error")
    creator.create("LowerInTest", base.Fitness, weights=(-1.0, -2.0))
    creator.create("GenesInTest", list, fitness=creator.LowerInTest)
    toolbox = base.Toolbox()
    toolbox.register(
        "individual", tools.initRepeat, creator.GenesInTest, random.Random(0).random, 1
    )
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    toolbox.register("mate", tools.cxUniform, indpb=0.5)
    toolbox.register("mutate", tools.mutGaussian, mu=0.2, sigma=0.1, indpb=1.0)
    toolbox.register("select", tools.selNSGA2)
    settings = {"population": tmp_path / "runs.db", "model": StandIn(), "control": 0}
    evaluate = Watched(train, objectives=names, **settings)
    toolbox.register("evaluate", evaluate)
    everyone, maps = tools.ParetoFront(), OnlyFinished(tools.ParetoFront())
    both = type("Both", (), {"update": lambda _, p: (everyone.update(p), maps.update(p))})()
    people, _ = algorithms.eaMuPlusLambda(
        toolbox.population(10), toolbox, 10, 10, 0.3, 0.7, 3, halloffame=both, verbose=False
    )
    tally = Population(tmp_path / "runs.db").tally("t")
    assert tally.stopped
    travelled = pickle.loads(pickle.dumps(people))  # noqa: S301  # as a pool does
    assert [i.fitness.values for i in finished(people)] == [
        i.fitness.values for i in finished(travelled)
    ]
    runs = Population(tmp_path / "runs.db").members("t")
    measured = {m.final_mqe for m in runs if m.state == "finished"}
    assert maps.hall
    assert all(i.fitness.values[0] in measured for i in [*finished(people), *maps.hall])
    assert [*maps] == [*maps.hall]
    assert (len(maps), maps[0]) == (len(maps.hall), maps.hall[0])
    assert evaluate.summary().startswith("t: ")
    served = Watched(train, url="http://127.0.0.1:9")
    assert "http://127.0.0.1:9 counts the runs" in served.summary()


def test_a_search_says_at_once_what_no_run_of_it_can_have() -> None:
    from oracle.integrations.deap import Watched
    from oracle.integrations.pymoo import WatchedProblem

    for build in (
        lambda **k: Watched(train, **k),
        lambda objectives=("score",), **k: WatchedProblem(
            train, objectives=objectives, settings=k, n_var=1
        ),
    ):
        with pytest.raises(InvalidHistory, match="`objectives` must be of mqe"):
            build(objectives=("qe",))
        with pytest.raises(InvalidHistory, match="`run_id` must be left out"):
            build(run_id="r-17")
        with pytest.raises(InvalidHistory, match=r"`settings` must be of .* but got 'populaton'"):
            build(populaton="runs.db")
        with pytest.raises(InvalidHistory, match="`policy` must be threshold, population"):
            build(policy="populaton")
        with pytest.raises(InvalidHistory, match="map_rows"):
            build(context={"map_rows": -1})
        assert build(objectives="mqe").objectives == ("mqe",)
        assert build(objectives="quality").objectives == ("score",)
    with pytest.raises(InvalidHistory, match="`dataset, population` must be given within `sett"):
        WatchedProblem(train, n_var=1, population="runs.db", dataset="mine")


def test_a_whole_run_that_is_begun_anew_is_told(tmp_path: Path) -> None:
    settings = {"population": tmp_path / "runs.db", "model": StandIn(), "policy": "population"}

    def again() -> WatchedRun:
        return curve(0.3, watch(total_epochs=EPOCHS, dataset="t", run_id="r-1", **settings))

    assert not again().problems.counts
    with pytest.warns(OracleWarning, match="r-1 of t had gone to its end, and is begun anew"):
        again()


def test_a_relative_population_is_one_file_wherever_workers_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oracle.integrations.deap import Watched

    monkeypatch.chdir(tmp_path)
    evaluate = Watched(train, population="runs.db", model=StandIn(), control=0)
    for job in range(4):
        (tmp_path / f"job{job}").mkdir()
        monkeypatch.chdir(tmp_path / f"job{job}")
        evaluate([0.1 * job])
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("runs.db")] == ["runs.db"]
    assert len(Population(tmp_path / "runs.db").members("t")) == 4


def test_deap_with_positive_weights_is_told() -> None:
    from deap import base, creator

    from oracle.integrations.deap import Watched

    creator.create("HighestInTest", base.Fitness, weights=(1.0,))
    creator.create("WrongInTest", list, fitness=creator.HighestInTest)
    with pytest.warns(OracleWarning, match="fitness weights must be negative"):
        Watched(train, model=StandIn(), policy="threshold")(creator.WrongInTest([0.5]))


@pytest.mark.parametrize(
    "objectives", [("score",), ("mqe", "topographic_error")], ids=["single", "multi"]
)
def test_pymoo_marks_stopped_individuals(tmp_path: Path, objectives: tuple[str, ...]) -> None:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.population import Population as Population_
    from pymoo.optimize import minimize

    from oracle.integrations.pymoo import WatchedProblem, best, finished

    settings = {"population": tmp_path / "runs.db", "model": StandIn(), "control": 0}
    problem = WatchedProblem(
        train, objectives=objectives, settings=settings, n_var=2, xl=0.0, xu=1.0
    )
    result = minimize(
        problem, NSGA2(pop_size=10), ("n_gen", 4), seed=1, save_history=True, verbose=False
    )
    everyone = [i for a in result.history for i in a.pop]
    assert any(i.get("censored") for i in everyone)
    kept = finished(result.pop)
    assert len(kept)
    assert not any(i.get("censored") for i in kept)
    assert result.pop.get("F").shape[1] == len(objectives)
    front = best(Population_.merge(*(a.pop for a in result.history)))
    assert len(front)
    assert not any(i.get("censored") for i in front)
    assert len(best(result.pop[:0])) == 0
    assert len(problem.evaluated) == 40
    told = best(problem.evaluated).get("F")
    assert {tuple(f) for f in front.get("F")} <= {
        tuple(f) for f in finished(problem.evaluated).get("F")
    }
    # What forecasts pushed out of the last generation is among them.
    for f in front.get("F"):
        assert (told <= f + 1e-12).all(axis=1).any()
    marked = sum(bool(i.get("censored")) for i in problem.evaluated)
    trained = problem.finish_promising(k=2, least=0.0)
    assert sum(bool(i.get("censored")) for i in problem.evaluated) == marked - len(trained)
    stopped = [i for i in result.pop if i.get("censored")][:1]
    for one in problem.finish(Population_(individuals=stopped) if stopped else result.pop[:0]):
        twins = [i for i in problem.evaluated if np.array_equal(i.X, one.X)]
        assert twins
        assert not any(i.get("censored") for i in twins)
    assert problem.summary().startswith("t: ")
    assert Population(tmp_path / "runs.db").tally("t").saved > 0.05


@pytest.fixture
def quiet() -> Iterator[None]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


@pytest.mark.usefixtures("quiet")
def test_optunas_pruner_prunes_and_spares_the_best() -> None:
    import optuna

    from oracle.integrations.optuna import OraclePruner, report

    pruner = OraclePruner(model=StandIn())  # type: ignore[arg-type]
    study = optuna.create_study(
        pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=1), study_name="t"
    )

    def objective(trial: optuna.Trial) -> float:
        quality = 0.2 + trial.suggest_float("x", 0, 1)
        for epoch in range(1, EPOCHS + 1):
            report(
                trial,
                epoch,
                mqe=quality * (1 + 0.3 * math.exp(-epoch)),
                topographic_error=0.1,
                dead_neuron_ratio=0.1,
                total_epochs=EPOCHS,
            )
            if trial.should_prune():
                raise optuna.TrialPruned
        return quality + 0.15

    study.optimize(objective, n_trials=40)
    pruned = [t for t in study.trials if t.state is optuna.trial.TrialState.PRUNED]
    assert 10 <= len(pruned) < 40
    assert study.best_trial.params["x"] == min(t.params["x"] for t in study.trials)
    assert not pruner.problems.counts


@pytest.mark.usefixtures("quiet")
def test_optunas_plain_reports_are_taken_as_mqe() -> None:
    import optuna

    from oracle.hook import policy_for
    from oracle.integrations.optuna import OraclePruner

    pruner = OraclePruner(
        model=StandIn(),  # type: ignore[arg-type]
        total_epochs=EPOCHS,
        policy=policy_for(("mqe",), control=0.0),
        n_trials=30,
    )
    study = optuna.create_study(pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=1))

    def objective(trial: optuna.Trial) -> float:
        quality = 0.2 + trial.suggest_float("x", 0, 1)
        for epoch in range(1, EPOCHS + 1):
            trial.report(quality, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return quality

    study.optimize(objective, n_trials=30)
    assert not pruner.problems.counts
    assert all(t.value is not None for t in study.trials)


@pytest.mark.usefixtures("quiet")
def test_optuna_is_never_pruned_in_doubt() -> None:
    import optuna

    from oracle.integrations.optuna import OraclePruner

    class Broken:
        def forecast(self, history: Any) -> Any:
            raise RuntimeError("broken")

    for direction, kind, why in (
        ("maximize", "direction", "`direction` must be minimize"),
        ("minimize", "prune", "could not judge the trial: RuntimeError: broken"),
    ):
        pruner = OraclePruner(model=Broken(), total_epochs=5)  # type: ignore[arg-type]
        study = optuna.create_study(pruner=pruner, direction=direction)
        trial = study.ask()
        trial.report(1.0, 1)
        with pytest.warns(OracleWarning, match=why):
            assert not trial.should_prune()
        trial.report(math.nan, 2)
        assert not trial.should_prune()
        assert set(pruner.problems.counts) == {kind}


@pytest.mark.usefixtures("quiet")
def test_optunas_multi_objective_studies_stop_through_the_hook(tmp_path: Path) -> None:
    import optuna

    from oracle.integrations.optuna import CENSORED, watched

    names = ("mqe", "topographic_error")
    study = optuna.create_study(
        directions=["minimize", "minimize"],
        sampler=optuna.samplers.RandomSampler(seed=2),
        study_name="two objectives",
    )
    shared = Population(tmp_path / "runs.db")

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        with watched(
            trial, names, total_epochs=EPOCHS, population=shared, model=StandIn(), control=0
        ) as run:
            curve(0.2 + trial.suggest_float("x", 0, 1), run)
        return run.fitness().objectives(names)

    study.optimize(objective, n_trials=30)
    censored = [t for t in study.trials if t.user_attrs[CENSORED]]
    assert 3 <= len(censored) < 30
    assert not any(t in censored for t in study.best_trials)
    assert shared.tally("two objectives").stopped == len(censored)


@pytest.mark.parametrize("returned", [None, 0.5, {"mqe": 0.5}])
def test_a_training_that_returns_no_run_is_told_so(returned: object, tmp_path: Path) -> None:
    from oracle.integrations.deap import Watched
    from oracle.integrations.pymoo import WatchedProblem

    def forgetful(genes: Any, bound: Any) -> Any:
        curve(0.5, bound(total_epochs=EPOCHS, dataset="t", model=StandIn()))
        return returned

    told = "`train` must be a function that returns the watched run, .*with `return run`"
    with pytest.raises(InvalidHistory, match=told):
        Watched(forgetful, population=tmp_path / "a.db")([0.5])
    problem = WatchedProblem(
        forgetful, n_var=1, xl=0, xu=1, settings={"population": tmp_path / "b.db"}
    )
    with pytest.raises(InvalidHistory, match=told):
        problem.evaluate(np.array([[0.5]]))


def test_a_search_may_mix_its_own_watch(tmp_path: Path) -> None:
    run = curve(0.5, watch(total_epochs=EPOCHS, population=tmp_path / "r.db", model=StandIn()))
    assert run.state == "finished"
