"""Stopped runs that are worth it are trained to their end, whatever library searches."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from made_up import StandIn

from oracle.errors import InvalidHistory
from oracle.hook import Fitness, Population, WatchedRun, finish_promising, promising, watch
from oracle.hook.population_summary import Member
from oracle.hook.search import to_its_end
from oracle.integrations.optuna import OraclePruner, report, watched
from oracle.integrations.optuna_finish import finish_promising as finish_trials
from oracle.types import Policy

EPOCHS = 10
TWO = ("mqe", "topographic_error")
#: Whoever is not all but sure to be the very best is stopped.
DARING = Policy(name="population", good=0.01, risk=0.999, ramp=0.0, weights=(1, 0, 0))


def train(genes: Any, bound: Callable[..., WatchedRun], **told: Any) -> WatchedRun:
    """Stand for a training that levels off at what its gene says."""
    quality = 0.2 + float(genes[0])
    with bound(total_epochs=EPOCHS, dataset="t", **told) as run:
        for epoch in range(1, EPOCHS + 1):
            level = quality * (1 + 0.3 * math.exp(-epoch))
            values = {"mqe": level, "topographic_error": 0.4 - 0.3 * quality}
            if run.report(epoch, **values, dead_neuron_ratio=0.1).stop:
                break
    return run


def final(gene: float) -> float:
    return (0.2 + gene) * (1 + 0.3 * math.exp(-EPOCHS))


def genes(n: int = 25) -> list[float]:
    rng = random.Random(0)
    return [0.5, 0.6, 0.7, 0.2, 0.205, 0.21, *(rng.random() for _ in range(n - 6))]


def begun_anew(before: Sequence[Member], after: Sequence[Member], n: int) -> None:
    """Check that `n` stopped runs ended under their names, with what they had used beside it."""
    was, now = ({one.run_id: one for one in members} for members in (before, after))
    assert was.keys() == now.keys()  # none stands there twice
    changed = [name for name, one in now.items() if one.state != was[name].state]
    assert len(changed) == n > 0
    for name in changed:
        assert (was[name].state, now[name].state) == ("stopped", "finished")
        assert now[name].spent_before == was[name].progress > 0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A search whose best runs were stopped, for a policy that dares all: the first three end."""
    path = tmp_path / "runs.db"
    settings = {
        "population": path, "model": StandIn(), "control": 0, "check_every": 0,
        "policy": DARING,
    }  # fmt: skip
    for n, gene in enumerate(genes()):
        train([gene], partial(watch, **settings), run_id=f"r{n}", config={"gene": gene})
    return path


def test_a_second_look_that_breaks_off_loses_no_run(file: Path) -> None:
    before = Population(file).members("t")

    def broken(member: Member, watch: Callable[..., WatchedRun]) -> WatchedRun:
        with watch(total_epochs=EPOCHS, dataset="t") as run:
            run.report(1, mqe=1.0, topographic_error=0.1, dead_neuron_ratio=0.1)
            raise KeyboardInterrupt
        return run

    told = promising(file)
    with pytest.raises(KeyboardInterrupt):
        finish_promising(file, broken, k=1)
    assert promising(file) == told
    after = Population(file).members("t")
    assert [one.state for one in after] == [one.state for one in before]
    assert sum(one.spent_before for one in after) == 1 / EPOCHS  # in vain, but not for nothing


def test_a_second_training_that_diverges_is_no_longer_worth_it(file: Path) -> None:
    def diverges(member: Member, watch: Callable[..., WatchedRun]) -> WatchedRun:
        with watch(total_epochs=EPOCHS, dataset="t") as run:
            run.report(1, mqe=math.inf)
        return run

    first = promising(file)[0].run_id
    (one,) = finish_promising(file, diverges, k=1)
    assert (one.promising.run_id, one.final) == (first, None)
    assert first not in [other.run_id for other in promising(file)]


def test_a_run_of_a_long_name_is_finished_under_it(tmp_path: Path) -> None:
    path, long = tmp_path / "runs.db", "lr=0.1," * 40
    settings = {"population": path, "model": StandIn(), "check_every": 0, "policy": DARING}
    for n, gene in enumerate(genes()):
        told = {"run_id": f"{long}{n}", "config": {"gene": gene}, "control": 0}
        train([gene], partial(watch, **settings), **told)
    before = Population(path).members("t")
    done = finish_promising(
        path, lambda member, bound: train([member.config["gene"]], bound), k=1, least=0
    )
    begun_anew(before, Population(path).members("t"), len(done))


def test_a_policy_without_a_budget_stops_none_that_is_finished(tmp_path: Path) -> None:
    settings = {"population": tmp_path / "runs.db", "model": StandIn(), "control": 0}
    search = {**settings, "policy": Policy(threshold=0.01, caution=0.001)}
    for bound, stops in ((search, True), (to_its_end(search), False)):
        with watch(dataset="t", **bound) as run:  # type: ignore[arg-type]
            reports = [{"mqe": 3.0, "topographic_error": 0.1, "dead_neuron_ratio": 0.1}] * 5
            assert any([run.report(e, **r).stop for e, r in enumerate(reports, 1)]) == stops


def test_a_population_file_tells_which_and_finishes_them(file: Path) -> None:
    shared = Population(file)
    before = shared.tally("t")
    assert before.stopped > 15
    told = promising(file)
    assert told
    assert all(one.p_better / one.cost >= 0.05 and one.gain > 0 for one in told)
    assert [one.gain / one.cost for one in told] == sorted(
        (one.gain / one.cost for one in told), reverse=True
    )
    first = next(m for m in shared.members("t") if m.run_id == told[0].run_id)
    assert told[0].cost == 1.0  # trained anew, as `finish_promising` does
    goes_on = {one.run_id: one.cost for one in promising(file, resumes=True)}
    assert goes_on[first.run_id] == pytest.approx(1 - first.progress)
    assert first.run_id == "r4"  # the one that was forecast to end nearest to the best

    def again(member: Any, bound: Callable[..., WatchedRun]) -> WatchedRun:
        return train([member.config["gene"]], bound)

    done = finish_promising(file, again, k=2, model=StandIn())
    assert 1 <= len(done) <= 2
    assert done[0].promising.run_id == told[0].run_id
    by_name = {f"r{n}": gene for n, gene in enumerate(genes())}
    for one in done:
        assert one.final == (pytest.approx(final(by_name[one.promising.run_id])),)
    after = shared.tally("t")
    assert (after.finished, after.stopped) == (
        before.finished + len(done), before.stopped - len(done),
    )  # fmt: skip
    # Each was trained anew, and cost a whole run more than it had used before.
    everyone = len(shared.members("t"))
    assert after.saved == pytest.approx(before.saved - len(done) / everyone)
    assert shared.wrong_stops("t").held == 0  # none of them was drawn as a control
    finish_promising(file, again, model=StandIn())
    assert promising(file, "t") == []
    assert finish_promising(file, again, model=StandIn()) == []


def test_a_failed_training_is_no_result(file: Path) -> None:
    def fails(member: Any, bound: Callable[..., WatchedRun]) -> Fitness:
        return Fitness(math.inf, None, None, censored=True)

    (only,) = finish_promising(file, fails, k=1)
    assert only.final is None


def test_what_there_is_not_is_named(file: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidHistory, match=r"`name` must be one of t, but got 'other'"):
        promising(file, "other")
    with pytest.raises(InvalidHistory, match=r"a file that a search wrote"):
        promising(tmp_path / "none.db")
    with pytest.raises(InvalidHistory, match=r"`k` must be a whole number from 1 on"):
        finish_promising(file, lambda member, bound: None, k=0)  # type: ignore[arg-type, return-value]
    empty = Population(tmp_path / "empty.db")
    with pytest.raises(InvalidHistory, match=r"of a file that holds a run"):
        promising(empty)
    empty.start("t", "alone")  # it lives: there is no outcome yet
    assert promising(empty) == []
    Population(tmp_path / "whole.db")
    train([0.5], partial(watch, population=empty, model=StandIn()), run_id="one")
    assert promising(empty, "t") == []  # nothing was stopped


@pytest.mark.parametrize("objectives", [("mqe",), TWO])
def test_deap_finishes_the_most_promising(tmp_path: Path, objectives: tuple[str, ...]) -> None:
    from deap import base, creator

    from oracle.integrations.deap import Watched, assign, finished

    name = f"Second{len(objectives)}"
    creator.create(f"{name}Fitness", base.Fitness, weights=(-1.0,) * len(objectives))
    creator.create(name, list, fitness=getattr(creator, f"{name}Fitness"))
    evaluate = Watched(
        train, objectives=objectives, population=tmp_path / "runs.db", model=StandIn(), control=0,
    )  # fmt: skip
    everyone = [getattr(creator, name)([gene]) for gene in genes()]
    for individual in everyone:
        assign(individual, evaluate(individual))
    before = Population(tmp_path / "runs.db").members("t")
    stopped = [one for one in everyone if one.censored]
    assert stopped
    assert all(value.spread > 0 for one in stopped for value in one.fitness.values)
    whole = len(finished(everyone))
    done = evaluate.finish_promising(everyone, k=2, least=0.0)
    assert len(done) <= 2
    assert len(finished(everyone)) == whole + len(done)
    for one in done:
        assert one in stopped
        assert one.fitness.values[0] == pytest.approx(final(one[0]))
        assert not one.censored
    begun_anew(before, Population(tmp_path / "runs.db").members("t"), len(done))
    rest = [one for one in stopped if one not in done]
    if objectives == ("mqe",) and done and rest:  # no lower forecast was passed over
        assert min(one.fitness.values[0] for one in rest) >= max(
            one.forecast[0] for one in done
        ) - 0.05  # fmt: skip
    with pytest.raises(InvalidHistory, match="`budget`"):
        evaluate.finish_promising(everyone, budget=0)
    assert evaluate.finish_promising([]) == []


@pytest.mark.parametrize("objectives", [("mqe",), TWO])
def test_pymoo_finishes_the_most_promising(tmp_path: Path, objectives: tuple[str, ...]) -> None:
    from pymoo.core.evaluator import Evaluator
    from pymoo.core.population import Population as Individuals

    from oracle.integrations.pymoo import WatchedProblem
    from oracle.integrations.pymoo import finished as maps

    settings = {"population": tmp_path / "runs.db", "model": StandIn(), "control": 0}
    problem = WatchedProblem(
        train, objectives=objectives, settings=settings, n_var=1, xl=0.0, xu=1.0
    )
    everyone = Individuals.new("X", np.array(genes())[:, None])
    Evaluator().eval(problem, everyone)
    before = Population(tmp_path / "runs.db").members("t")
    stopped = [one for one in everyone if one.get("censored")]
    assert stopped
    assert all((one.get("spreads") > 0).all() for one in stopped)
    whole = len(maps(everyone))
    done = problem.finish_promising(everyone, k=2, least=0.0)
    assert len(maps(everyone)) == whole + len(done)
    for one in done:
        assert one.F[0] == pytest.approx(final(float(one.X[0])))
        assert not one.get("censored")
    begun_anew(before, Population(tmp_path / "runs.db").members("t"), len(done))
    assert len(problem.finish_promising(everyone[:0])) == 0


@pytest.fixture
def quiet() -> Any:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


def told_to_optuna(trial: optuna.Trial) -> float:
    gene = trial.suggest_float("gene", 0, 1)
    for epoch in range(1, EPOCHS + 1):
        mqe = (0.2 + gene) * (1 + 0.3 * math.exp(-epoch))
        report(
            trial, epoch, mqe=mqe, topographic_error=0.1, dead_neuron_ratio=0.1, total_epochs=EPOCHS
        )
        if trial.should_prune():
            raise optuna.TrialPruned
    return mqe


@pytest.mark.usefixtures("quiet")
def test_optuna_finishes_pruned_trials_that_are_worth_it() -> None:
    policy = DARING.model_copy(update={"control": 0})
    study = optuna.create_study(
        pruner=OraclePruner(policy=policy, model=StandIn()),
        sampler=optuna.samplers.RandomSampler(seed=1),
    )
    for gene in (0.9, 0.91, 0.92, 0.3, 0.305, 0.31, 0.8, 0.81, 0.82, 0.83):
        study.enqueue_trial({"gene": gene})
    study.optimize(told_to_optuna, n_trials=10)
    states = [trial.state.name for trial in study.trials]
    assert states.count("PRUNED") > 5
    new = finish_trials(study, told_to_optuna, k=1)
    assert len(new) == 1
    assert (new[0].state.name, new[0].params["gene"]) == ("COMPLETE", 0.305)
    of = study.trials[new[0].user_attrs["oracle_finishes"]]
    assert (of.state.name, of.params) == ("PRUNED", new[0].params)
    more = finish_trials(study, told_to_optuna)
    assert {trial.params["gene"] for trial in more} <= {0.31}
    assert finish_trials(study, told_to_optuna) == []
    with pytest.raises(InvalidHistory, match="`least`"):
        finish_trials(study, told_to_optuna, least=-1)


@pytest.mark.usefixtures("quiet")
def test_optuna_finishes_watched_trials_that_are_worth_it(tmp_path: Path) -> None:
    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        gene = trial.suggest_float("gene", 0, 1)
        settings = {"population": tmp_path / "runs.db", "model": StandIn(), "control": 0}
        bound = partial(watched, trial, TWO, **settings)
        return train([gene], bound).fitness().objectives(TWO)  # type: ignore[arg-type]

    study = optuna.create_study(
        directions=["minimize"] * 2, sampler=optuna.samplers.RandomSampler(seed=1)
    )
    study.optimize(objective, n_trials=25)
    stopped = [trial for trial in study.trials if trial.user_attrs["censored"]]
    assert stopped
    assert all(len(trial.user_attrs["oracle_spreads"]) == 2 for trial in stopped)
    told = Population(tmp_path / "runs.db").members(study.study_name)
    assert {m.config["gene"] for m in told} == {t.params["gene"] for t in study.trials}
    new = finish_trials(study, objective, k=2, least=0.0)
    begun_anew(told, Population(tmp_path / "runs.db").members(study.study_name), len(new))
    assert all(not trial.user_attrs["censored"] for trial in new)
    assert [trial.values[0] for trial in new] == [
        pytest.approx(final(trial.params["gene"])) for trial in new
    ]
    assert finish_trials(optuna.create_study(), told_to_optuna) == []
    with pytest.raises(InvalidHistory, match="`study` must be minimised"):
        finish_trials(optuna.create_study(direction="maximize"), told_to_optuna)
