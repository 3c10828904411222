"""The stopped members of a front are trained to their end: DEAP, pymoo, NexusSOM's files."""

from __future__ import annotations

import csv
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import StandIn

from collector.recorded.nexussom_files import read_rows
from oracle.errors import DatasetError, InvalidHistory, OracleWarning
from oracle.hook import Population, WatchedRun
from oracle.integrations.nexussom_front import finish
from oracle.types import Outcome

EPOCHS = 10


def train(genes: Any, bound: Any) -> WatchedRun:
    """Stand for a training that levels off at what its gene says."""
    quality = 0.2 + float(genes[0])
    with bound(total_epochs=EPOCHS, dataset="t") as run:
        for epoch in range(1, EPOCHS + 1):
            level = quality * (1 + 0.3 * math.exp(-epoch))
            values = {"mqe": level, "topographic_error": 0.1 * quality, "dead_neuron_ratio": 0.1}
            if run.report(epoch, **values).stop:
                break
    return run


def final(gene: float) -> float:
    return (0.2 + gene) * (1 + 0.3 * math.exp(-EPOCHS))


def test_deap_finishes_what_was_stopped_and_only_that(tmp_path: Path) -> None:
    from deap import base, creator

    from oracle.integrations.deap import Watched, assign

    creator.create("LowestToFinish", base.Fitness, weights=(-1.0,))
    creator.create("ToFinish", list, fitness=creator.LowestToFinish)
    evaluate = Watched(
        train, objectives=("mqe",), population=tmp_path / "runs.db", model=StandIn(), control=0
    )
    rng = random.Random(0)
    everyone = [creator.ToFinish([rng.random()]) for _ in range(25)]
    for individual in everyone:
        assign(individual, evaluate(individual))
    stopped = [one for one in everyone if one.censored]
    ranked_by = [one.fitness.values for one in stopped]
    assert stopped
    assert evaluate.finish(everyone) == stopped
    assert [one.forecast for one in stopped] == ranked_by
    assert not any(one.censored for one in everyone)
    for one in stopped:
        assert one.fitness.values[0] == pytest.approx(final(one[0]))
    assert evaluate.finish(everyone) == []


def test_deap_trains_one_of_equal_individuals_for_all(tmp_path: Path) -> None:
    from deap import base, creator

    from oracle.integrations.deap import Forecast, Values, Watched, assign

    creator.create("LowestOfTwins", base.Fitness, weights=(-1.0,))
    creator.create("Twin", list, fitness=creator.LowestOfTwins)
    creator.create("Array", np.ndarray, fitness=creator.LowestOfTwins)
    trained: list[float] = []

    def counted(genes: Any, bound: Any) -> WatchedRun:
        trained.append(float(genes[0]))
        return train(genes, bound)

    evaluate = Watched(counted, objectives=("mqe",), population=tmp_path / "runs.db", dataset="t")
    for made in (creator.Twin, creator.Array):
        for end in (evaluate.finish, lambda all_: evaluate.finish_promising(all_, k=5)):
            everyone = [made(genes) for genes in ([0.1], [0.2], [0.1], [0.2], [0.1])]
            for one in everyone:
                assign(one, Values([Forecast(0.3, 0.2)]))
            trained.clear()
            done = end(everyone)
            assert sorted(trained) == [0.1, 0.2]
            assert [float(one[0]) for one in done] == trained
            assert [one.fitness.values[0] for one in everyone] == [
                pytest.approx(final(float(one[0]))) for one in everyone
            ]
            assert {one.forecast for one in everyone} == {(0.3,)}
    told = Population(tmp_path / "runs.db").members("t")
    assert {m.config["gene 1"] for m in told} == {0.1, 0.2}  # kept without a word of the caller


def test_runs_keep_the_parameters_that_their_genes_stand_for(tmp_path: Path) -> None:
    from deap import base, creator
    from pymoo.core.evaluator import Evaluator
    from pymoo.core.population import Population as Individuals

    from oracle.integrations.deap import Watched
    from oracle.integrations.pymoo import WatchedProblem

    creator.create("LowestByName", base.Fitness, weights=(-1.0,))
    creator.create("ByName", list, fitness=creator.LowestByName)

    def parameters(genes: Any) -> dict[str, float]:
        return {"sigma": 2 * float(genes[0])}

    def fails(genes: Any) -> dict[str, float]:
        raise ValueError("no such gene")

    def kept(name: str) -> list[Any]:
        return [member.config for member in Population(tmp_path / name).members("t")]

    where = {"population": tmp_path / "deap.db", "model": StandIn()}
    Watched(train, parameters=parameters, **where)(creator.ByName([0.25]))
    assert kept("deap.db") == [{"sigma": 0.5}]
    where["population"] = tmp_path / "pymoo.db"
    problem = WatchedProblem(train, parameters=parameters, settings=where, n_var=1, xl=0.0, xu=1.0)
    Evaluator().eval(problem, Individuals.new("X", np.array([[0.25], [0.5]])))
    assert kept("pymoo.db") == [{"sigma": 0.5}, {"sigma": 1.0}]
    where["population"] = tmp_path / "fails.db"
    watched = Watched(train, parameters=fails, **where)
    with pytest.warns(OracleWarning, match="read the genes: ValueError: no such gene") as warned:
        list(map(watched, [creator.ByName([0.25]), creator.ByName([0.5])]))
    assert len(warned) == 1
    assert kept("fails.db") == [{"gene 1": 0.25}, {"gene 1": 0.5}]


def test_pymoo_finishes_what_was_stopped_and_only_that(tmp_path: Path) -> None:
    from pymoo.core.evaluator import Evaluator
    from pymoo.core.population import Population as Individuals

    from oracle.integrations.pymoo import WatchedProblem

    settings = {"population": tmp_path / "runs.db", "model": StandIn(), "control": 0}
    problem = WatchedProblem(train, objectives=("mqe",), settings=settings, n_var=1, xl=0.0, xu=1.0)
    everyone = Individuals.new("X", np.random.default_rng(0).random((25, 1)))
    Evaluator().eval(problem, everyone)
    stopped = [one for one in everyone if one.get("censored")]
    ranked_by = [one.F.copy() for one in stopped]
    assert stopped
    assert list(problem.finish(everyone)) == stopped
    for one, forecast in zip(stopped, ranked_by, strict=True):
        assert np.array_equal(one.get("forecast"), forecast)
        assert one.F[0] == pytest.approx(final(float(one.X[0])))
        assert not one.get("censored")
    assert len(problem.finish(everyone)) == 0
    # What they came to stands in the population in place of what was forecast.
    tally = Population(tmp_path / "runs.db").tally("t")
    assert (tally.finished, tally.stopped) == (25, 0)
    kept = {m.config["gene 1"] for m in Population(tmp_path / "runs.db").members("t")}
    assert kept == {float(one.X[0]) for one in everyone}


RESULTS = (
    "uid", "dataset_name", "raw_best_mqe", "raw_topographic_error", "raw_mqe_improvement_ratio",
    "raw_topological_correlation", "best_mqe", "topographic_error", "constraint_violation",
    "dead_neuron_ratio", "epochs_ran", "ds_censored", "ds_n_samples", "map_size", "growth_g",
    "lr_decay_type",
)  # fmt: skip
FRONT = (
    "generation", "uid", "raw_mqe_ratio", "raw_te", "raw_topo_corr", "dead_ratio",
    "constraint_violation", "ds_censored", "ds_n_samples", "growth_g", "lr_decay_type", "map_size",
)  # fmt: skip
#: uid -> mqe ratio, topographic error, correlation, stopped; as ranked, and as they come to.
RANKED = {
    "a": (0.30, 0.10, 0.80, True), "b": (0.40, 0.05, 0.90, False), "c": (0.25, 0.20, 0.70, True),
}  # fmt: skip
COMES_TO = {"a": (0.32, 0.09, 0.85), "c": (0.45, 0.30, 0.60)}


def results_of(uid: str, values: tuple[Any, ...], stopped: bool) -> dict[str, Any]:
    ratio, error, correlation = values[:3]
    return {
        "uid": uid, "dataset_name": "t", "raw_best_mqe": ratio / 2, "best_mqe": ratio / 2,
        "raw_topographic_error": error, "topographic_error": error,
        "raw_mqe_improvement_ratio": ratio, "raw_topological_correlation": correlation,
        "constraint_violation": 0.0, "dead_neuron_ratio": 0.1, "epochs_ran": 30 if stopped else 90,
        "ds_censored": stopped, "ds_n_samples": 20,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A search as NexusSOM's writers leave it: two members of its front were stopped."""
    genes = {"map_size": "[8, 8]", "growth_g": 38, "lr_decay_type": "exp-drop"}
    with (tmp_path / "results.csv").open("w", newline="") as text:
        writer = csv.DictWriter(text, RESULTS)
        writer.writeheader()
        for uid, values in RANKED.items():
            writer.writerow(results_of(uid, values, values[3]) | genes)
        text.write("torn,row\n")
    with (tmp_path / "pareto_front.csv").open("w", newline="") as text:
        writer = csv.DictWriter(text, FRONT)
        writer.writeheader()
        for generation, members in ((1, "b"), (2, "abc")):
            for uid in members:
                ratio, error, correlation, stopped = RANKED[uid]
                writer.writerow(
                    {"generation": generation, "uid": uid, "raw_mqe_ratio": ratio,
                     "raw_te": error, "raw_topo_corr": correlation, "dead_ratio": 0.1,
                     "constraint_violation": 0.0, "ds_censored": stopped, "ds_n_samples": 20}
                    | genes
                )  # fmt: skip
    return tmp_path


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


@pytest.mark.parametrize("it_writes", [True, False], ids=["NexusSOM writes", "only returns"])
@pytest.mark.parametrize("renamed", [False, True], ids=["", "under another name"])
def test_nexussoms_front_is_of_finished_maps(folder: Path, it_writes: bool, renamed: bool) -> None:
    asked = []

    def evaluate(genes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        asked.append(genes)
        uid = "ac"[len(asked) - 1]
        whole = results_of(uid, COMES_TO[uid], stopped=False)
        whole["uid"] = uid.upper() if renamed else uid
        del whole["ds_censored"]  # without the hook nobody marks
        if it_writes:
            with (folder / "results.csv").open("a", newline="") as text:
                csv.DictWriter(text, RESULTS).writerow(whole | {"map_size": "[8, 8]"})
        return whole, genes

    done = finish(folder, evaluate)
    genes = {"map_size": [8, 8], "growth_g": 38, "lr_decay_type": "exp-drop"}
    assert asked == [genes, genes]
    assert [(one.uid, one.on_front) for one in done] == [("a", True), ("c", False)]
    assert done[0].forecast == RANKED["a"][:3]
    assert done[0].final == COMES_TO["a"]

    a, c = ("A", "C") if renamed else ("a", "c")
    front = rows_of(folder / "pareto_front.csv")
    assert [(row["generation"], row["uid"], row["censored"]) for row in front] == [
        ("1", "b", "False"), ("2", "a", "True"), ("2", "b", "False"), ("2", "c", "True"),
        ("3", a, "False"), ("3", "b", "False"),
    ]  # fmt: skip
    assert float(front[4]["raw_mqe_ratio"]) == COMES_TO["a"][0]
    results = rows_of(folder / "results.csv")
    marks = [(row["uid"], row["censored"]) for row in results if row["uid"] != "torn"]
    assert marks == [
        ("a", "True"), ("b", "False"), ("c", "True"), (a, "False"), (c, "False"),
    ]  # fmt: skip
    assert "torn,row\n" in (folder / "results.csv").read_text().replace("\r", "")
    read = {row.uid: row for row in read_rows(folder) if not isinstance(row, DatasetError)}
    assert read[a].cells["censored"] == "False"  # the finished one is read
    assert finish(folder, evaluate) == []


def test_nexussom_finishes_the_most_promising_of_all_stopped(folder: Path) -> None:
    """One that the last front has not, and that is nearly sure, comes first; how sure: runs.db."""
    genes = {"map_size": "[8, 8]", "growth_g": 38, "lr_decay_type": "exp-drop"}
    rows = rows_of(folder / "results.csv")
    with (folder / "results.csv").open("w", newline="") as text:
        writer = csv.DictWriter(text, RESULTS)
        writer.writeheader()
        for row in rows[:3]:
            writer.writerow(row)
        writer.writerow(results_of("d", (0.2, 0.02, 0.0), True) | genes)
        writer.writerow(results_of("e", (0.6, 0.6, 0.0), True) | genes)
        broken = results_of("f", (0.0, 0.0, 0.0), True) | {"constraint_violation": 1.0}
        writer.writerow(broken | genes)
    shared = Population(folder / "runs.db")
    for uid, spread in (("a", 0.001), ("c", 0.001), ("d", 0.001), ("e", 0.01)):
        shared.end(
            "iris",
            Outcome(run_id=uid, final_mqe=0.1, censored=True, spread=0.1),
            progress=0.3,
            spreads=(spread, spread, 0.0),
        )
    asked = []

    def evaluate(genes: dict[str, Any]) -> dict[str, Any]:
        asked.append(genes)
        return results_of("d", (0.21, 0.03, 0.9), stopped=False)

    (one,) = finish(folder, evaluate, k=1)
    assert (one.uid, one.on_front, one.final) == ("d", True, (0.21, 0.03, 0.9))
    assert one.forecast == (0.2, 0.02, 0.0)
    assert asked == [{"map_size": [8, 8], "growth_g": 38, "lr_decay_type": "exp-drop"}]
    front = rows_of(folder / "pareto_front.csv")
    newest = [row for row in front if row["generation"] == "3"]  # of finished maps alone
    assert [(row["uid"], row["censored"]) for row in newest] == [("d", "False")]
    # What is left is dominated by far, or breaks a constraint.
    assert finish(folder, evaluate, budget=5) == []
    with pytest.raises(InvalidHistory, match="`k`"):
        finish(folder, evaluate, k=0)


def test_a_folder_of_something_else_is_named(folder: Path) -> None:
    (folder / "pareto_front.csv").write_text("uid,x\na,1\n")
    with pytest.raises(DatasetError, match=r"pareto_front.csv.*generation"):
        finish(folder, lambda genes: {})
    (folder / "results.csv").unlink()
    with pytest.raises(DatasetError, match=r"results.csv.*missing"):
        finish(folder, lambda genes: {})
