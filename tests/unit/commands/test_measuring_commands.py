"""`oracle evaluate`, `replay`, `predict` and `check-policy`: output, exit codes, bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import make_runs

from oracle.history.dataset import write_dataset
from oracle.types import METRICS, RunContext


def test_predict_and_evaluate_a_sequence_say_the_same(
    oracle: Any, model: str, tmp_path: Path, brief_history: dict[str, Any]
) -> None:
    path = tmp_path / "partial.json"
    path.write_text(json.dumps(brief_history))
    states = tmp_path / "states.png"
    code, out, _ = oracle("predict", str(path), "--model", model, "--json", "--states", str(states))
    assert code == 0
    assert states.read_bytes().startswith(b"\x89PNG")
    decision = json.loads(out)
    assert set(decision["forecast"]["final"]) == {
        "final_mqe",
        "final_topographic_error",
        "final_dead_neuron_ratio",
    }
    code, out, _ = oracle("evaluate", "--model", model, "--sequence", str(path))
    assert code == 0
    assert decision["message"] in out


def test_predict_takes_a_plan_in_place_of_a_history(oracle: Any, model: str, samples: str) -> None:
    plan = ("--table", samples, "--map", "6x5", "--passes", "10", "--batch-size", "1")
    schedule = ("--learning-rate", "0.5:0.01", "--radius", "2")
    code, out, _ = oracle("predict", *plan, *schedule, "--model", model)
    assert code == 0
    assert "from the plan alone" in out
    code, out, _ = oracle("predict", *plan, *schedule, "--model", model, "--json")
    forecast = json.loads(out)["forecast"]
    assert (forecast["n_checkpoints"], forecast["progress"]) == (0, 0.0)
    _, out, _ = oracle("predict", "--table", samples, "--model", model, "--json")
    assert json.loads(out)["forecast"]["final"] != forecast["final"]  # the plan counts


def test_predict_explains_in_words_and_as_a_picture(
    oracle: Any, model: str, tmp_path: Path, brief_history: dict[str, Any]
) -> None:
    path, png = tmp_path / "partial.json", tmp_path / "why.png"
    path.write_text(json.dumps(brief_history))
    code, out, _ = oracle("predict", str(path), "--model", model, "--explain", "--png", str(png))
    assert code == 0
    assert "without the topographic error" in out
    assert png.read_bytes().startswith(b"\x89PNG")
    _, out, _ = oracle("predict", str(path), "--model", model, "--explain", "--json")
    found = json.loads(out)
    assert len(found["explanation"]["parts"]) == 2 + len(brief_history["epochs"])
    assert found["action"]


def test_checkpoints_tells_and_draws(oracle: Any, model: str, dataset: str, tmp_path: Path) -> None:
    png = tmp_path / "checkpoints.png"
    args = ("checkpoints", "--dataset", dataset, "--model", model, "--runs", "6")
    code, out, _ = oracle(*args, "--checks", "0.2,0.5", "--png", str(png), "--json")
    assert code == 0
    found = json.loads(out)
    assert found["runs"] == 6
    assert [len(m["shares"]) for m in found["equally_spaced"]][:3] == [2, 3, 4]
    assert [len(m["shares"]) for m in found["grown"]] == list(range(1, len(found["grown"]) + 1))
    assert png.read_bytes().startswith(b"\x89PNG")
    code, out, _ = oracle(*args, "--checks", "0.2", "--within", "0.5")
    assert code == 0
    assert "Equally spaced" in out
    assert oracle(*args, "--within", "0")[0] == 2


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "samples.csv"
    np.savetxt(path, np.random.default_rng(0).normal(size=(60, 3)), delimiter=",")
    return str(path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--map", "ten"], "`--map` must be ROWSxCOLS"),
        (["--map", "0x4"], "`--map` must be ROWSxCOLS"),
        (["--passes", "nan"], "`--passes` must be above 0"),
        (["--passes", "-1"], "`--passes` must be above 0"),
        (["--batch-size", "61"], "at most the 60 samples"),
        (["--learning-rate", "fast"], "`--learning-rate` must be START:END"),
        (["--radius", "inf:1"], "`--radius` must be START:END"),
        (["history.json"], "`--table` must be left out beside a history"),
        (["--total-epochs", "10"], "`--total-epochs` must be left out with --table"),
        (["--columns", "mqe=qe"], "`--columns` must be left out with --table"),
    ],
)
def test_a_plan_that_does_not_fit_is_told_by_its_option(
    oracle: Any, model: str, samples: str, options: list[str], said: str
) -> None:
    code, _, err = oracle("predict", *options, "--table", samples, "--model", model)
    assert (code, len(err.strip().splitlines())) == (2, 1)
    assert said in err


@pytest.mark.parametrize("option", [["--no-header"], ["--without", "id"], ["--map", "5x5"]])
def test_what_tells_of_a_table_is_no_use_beside_a_history(
    oracle: Any, model: str, option: list[str]
) -> None:
    code, _, err = oracle("predict", "history.json", *option, "--model", model)
    assert code == 2
    assert "must be left out beside a history" in err


def test_what_trains_a_rival_is_no_use_without_one(oracle: Any, model: str) -> None:
    told = ("--train-dataset", "past.csv", "--dataset", "runs.csv")
    for command in ("replay", "evaluate"):
        code, _, err = oracle(command, *told, "--model", model)
        assert (code, "`--train-dataset` must be left out without --baselines" in err) == (2, True)


def test_tables_that_no_map_can_be_trained_on(oracle: Any, model: str, tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    for text, said in (
        ("1,2,3\n", "two different rows"),
        ("1,2,3\n1,2,3\n", "two different rows"),
        ("1,2,3\n1,,3\n", "must be a finite number"),
        ("1,2,3\n1,nan,3\n", "must be a finite number"),
        ("1,2,3\n1,b,3\n", "must be a finite number"),
        ("", "holds none"),
    ):
        path.write_text(text)
        code, _, err = oracle("predict", "--no-header", "--table", str(path), "--model", model)
        assert (code, len(err.strip().splitlines())) == (2, 1), text
        assert said in err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["predict", "nowhere.json"], "nowhere.json"),
        (["predict"], "nothing to go by"),
        (["predict", "--map", "3x3"], "nothing to go by"),
        (["evaluate"], "--sequence"),
        (["replay", "--dataset", "nowhere.csv"], "nowhere.csv"),
        (["replay", "--dataset", "x.csv", "--checks", "0.5,0.1"], "increasing"),
        (["replay", "--dataset", "x.csv", "--good", "2"], "--good"),
        (["check-policy", "--dataset", "x.csv", "--policy", "{oops"], "valid JSON"),
        (["check-policy", "--dataset", "x.csv", "--policy", "luck"], "threshold"),
    ],
)
def test_bad_input_ends_with_2_and_one_line(
    oracle: Any, model: str, args: list[str], said: str
) -> None:
    code, _, err = oracle(*args, "--model", model)
    assert code == 2
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_evaluate_tells_and_draws(oracle: Any, model: str, dataset: str, tmp_path: Path) -> None:
    args = ("evaluate", "--model", model, "--dataset", dataset)
    code, out, _ = oracle(*args)
    assert code == 0
    assert "36 runs of 3 tables (made)" in out
    code, out, _ = oracle(*args, "--json", "--png", str(tmp_path))
    found = json.loads(out)
    assert [Path(p).stat().st_size > 0 for p in found["pictures"]] == [True] * 4
    assert {row["forecaster"] for row in found["errors"]} == {"oracle", "mean", "last"}


def test_evaluate_prints_intervals_of_all_by_table_and_source(
    oracle: Any, model: str, dataset: str
) -> None:
    code, out, _ = oracle("evaluate", "--model", model, "--dataset", dataset)
    assert code == 0
    assert "a bootstrap over tables" in out
    for title in ("by table", "by source"):
        block = out.partition(f"\n{title}: MAE of quality_relative")[2].partition("\n\n")[0]
        lines = block.splitlines()
        for name in ("oracle", "mean", "last"):
            (first, *_) = [i for i, line in enumerate(lines) if line.split()[:1] == [name]]
            assert lines[first + 1].count("..") == 7  # 0 % and six more


def test_evaluate_says_what_its_runs_leave_out(oracle: Any, model: str, tmp_path: Path) -> None:
    bare = tmp_path / "bare.csv"
    runs = [
        run.model_copy(update={"history": run.history.model_copy(update={"context": RunContext()})})
        for run in make_runs(36, "alone")
    ]
    write_dataset(bare, runs, {})
    args = ("evaluate", "--model", model, "--dataset", str(bare))
    code, out, _ = oracle(*args)
    assert code == 0
    assert "36 runs without n_samples, n_features, mqe_of_mean\n" in out
    assert "36 runs without schedule, total_updates, batch_size: errors at a fifth are 1.9" in out
    assert "\nalone: 36 runs\n" in out
    untold = json.loads(oracle(*args, "--json")[1])["untold"]
    assert [part["runs"] for part in untold] == [36] * 4


def test_evaluate_of_one_table_says_so(oracle: Any, model: str, tmp_path: Path) -> None:
    one = tmp_path / "one.csv"
    runs = [r.model_copy(update={"final_topographic_error": 0.1}) for r in make_runs(12, "alone")]
    write_dataset(one, runs, {})
    code, out, _ = oracle("evaluate", "--model", model, "--dataset", str(one))
    assert code == 0
    assert "12 runs of 1 table (made)" in out
    assert "nothing is known of other tables" in out
    assert "a bootstrap over runs of one table" in out
    assert "final_topographic_error ends the same in all runs" in out
    write_dataset(one, runs[:1], {})
    code, out, _ = oracle("evaluate", "--model", model, "--dataset", str(one))
    assert code == 0
    assert out.partition("mean ")[2].splitlines()[1].split() == ["-"] * 7


@pytest.mark.parametrize("columns", [("dead_neuron_ratio",), METRICS[1:]])
def test_evaluate_draws_what_was_measured(
    oracle: Any, model: str, tmp_path: Path, columns: tuple[str, ...]
) -> None:
    runs = []
    for run in make_runs(12, "alone"):
        never = {name: (None,) * len(run.history) for name in columns}
        history = run.history.model_copy(update={**never, "context": RunContext()})
        finals = {f"final_{name}": None for name in columns}
        runs.append(run.model_copy(update={"history": history, **finals}))
    write_dataset(tmp_path / "some.csv", runs, {})
    args = ("--dataset", str(tmp_path / "some.csv"), "--report", str(tmp_path / "r.html"))
    code, out, err = oracle("evaluate", "--model", model, *args)
    assert (code, err) == (0, "")
    assert "final_dead_neuron_ratio: unknown here" in out
    html = (tmp_path / "r.html").read_text()
    assert "Final dead neuron ratio" in html
    assert "<img" not in html


def test_evaluate_of_stopped_runs_alone_is_one_line(
    oracle: Any, model: str, tmp_path: Path
) -> None:
    stopped = tmp_path / "stopped.csv"
    write_dataset(stopped, [r.model_copy(update={"censored": True}) for r in make_runs(5)], {})
    code, _, err = oracle("evaluate", "--model", model, "--dataset", str(stopped))
    assert code == 2
    assert "Left out: 5 runs (censored)." in err
    assert len(err.strip().splitlines()) == 1


def test_replay_tells_and_draws(oracle: Any, model: str, dataset: str, tmp_path: Path) -> None:
    picture = tmp_path / "saved.png"
    args = ("replay", "--model", model, "--dataset", dataset, "--population-size", "12",
            "--checks", "0.1,0.5", "--risks", "0.01,0.2", "--good", "0.2")  # fmt: skip
    code, out, _ = oracle(*args, "--json", "--png", str(picture))
    assert code == 0
    found = json.loads(out)
    assert found["populations"] == 3
    assert found["chosen"].keys() == {"0.01", "0.05"}
    assert picture.read_bytes().startswith(b"\x89PNG")
    code, out, _ = oracle(*args)
    assert "3 populations of up to 12 runs on 3 tables" in out


def test_one_of_a_thing_is_told_as_one(oracle: Any, model: str, tmp_path: Path) -> None:
    one = tmp_path / "one.csv"
    write_dataset(one, make_runs(12, "alone"), {})
    code, out, _ = oracle(
        "replay", "--model", model, "--dataset", str(one), "--population-size", "12",
        "--checks", "0.5", "--risks", "0.1",
    )  # fmt: skip
    assert code == 0
    assert "1 population of up to 12 runs on 1 table of " in out
    assert "no other half" in out


def test_too_few_runs_are_said_and_not_taken_for_a_failure(
    oracle: Any, model: str, dataset: str, tmp_path: Path
) -> None:
    report = tmp_path / "r.html"
    args = ("replay", "--model", model, "--dataset", dataset, "--population-size", "12",
            "--checks", "0.5", "--risks", "0.01", "--report", str(report))  # fmt: skip
    code, out, _ = oracle(*args)
    assert code == 0
    # At best two of three tables with one good run each are there to choose on.
    assert (
        "too few runs: 0 of 2 good runs lost still allows 55% (80% confidence), 161 are needed"
        in out
    )
    assert "no setting keeps the limit" not in out
    assert "too few runs; 0 of 2 good ones lost" in report.read_text()
    code, out, _ = oracle(*args, "--json", "--confidence", "0.5", "--lost", "0.2,0.9")
    (few, enough) = json.loads(out)["chosen"].values()
    assert {row["policy"] for row in few if "too_few" in row} >= {"oracle, pareto"}
    assert next(r for r in few if "too_few" in r)["too_few"]["needed"] == 4
    assert not [row for row in enough if "too_few" in row]


def test_what_nothing_can_show_is_not_accepted(oracle: Any, model: str, dataset: str) -> None:
    harmless = json.dumps({"name": "threshold", "threshold": 1e6, "caution": 1e5})
    args = ("check-policy", "--model", model, "--dataset", dataset, "--population-size", "12",
            "--policy", harmless)  # fmt: skip
    code, out, _ = oracle(*args)
    assert code == 0
    assert "still allows 42% (80% confidence), 32 are needed for 5%" in out
    assert "Accepted" not in out
    assert "loses 0.0% (0.0%..70.8%) of the good runs over 3 populations" in out
    code, out, _ = oracle(*args, "--lost", "0.5", "--json")
    assert (json.loads(out)["verdict"], json.loads(out)["too_few"]) == ("accepted", None)
    code, out, _ = oracle(*args, "--lost", "0.5")
    assert "Accepted" in out


@pytest.mark.parametrize("command", ["replay", "check-policy"])
@pytest.mark.parametrize("option", ["--lost", "--confidence"])
@pytest.mark.parametrize("value", ["0", "1", "-0.1"])
def test_a_share_is_between_0_and_1(
    oracle: Any, model: str, dataset: str, command: str, option: str, value: str
) -> None:
    code, _, err = oracle(command, "--model", model, "--dataset", dataset, option, value)
    assert code == 2
    assert option in err


def test_choosing_on_the_scored_tables_is_refused(oracle: Any, model: str, dataset: str) -> None:
    code, _, err = oracle(
        "replay", "--model", model, "--dataset", dataset, "--choose-on", dataset,
        "--population-size", "12", "--checks", "0.5", "--risks", "0.1",
    )  # fmt: skip
    assert code == 2
    assert "other tables" in err


def test_a_policy_that_would_have_stopped_a_best_is_refused(
    oracle: Any, model: str, dataset: str
) -> None:
    args = ("check-policy", "--model", model, "--dataset", dataset, "--population-size", "12")
    harmless = json.dumps({"name": "threshold", "threshold": 1e6, "caution": 1e5})
    code, out, _ = oracle(*args, "--policy", harmless, "--json")
    assert code == 0
    assert json.loads(out)["accepted"]
    # A stop at the least provocation, without the protections.
    greedy = json.dumps(
        {"name": "population", "risk": 0.999, "ramp": 0, "min_support": 0, "good": 0.05,
         "startup_runs": 1, "control": 0}
    )  # fmt: skip
    code, out, _ = oracle(*args, "--policy", greedy)
    assert code == 1
    assert "Refused" in out
