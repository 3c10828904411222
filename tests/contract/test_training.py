"""`oracle train` on real runs: what it writes, and fine-tuning's verdict.

The command runs in this process, which has imported TensorFlow once; T6, which kills it, starts it
in processes of its own.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle.cli import main
from oracle.forecast.forecaster import Oracle
from oracle.history.dataset import read_dataset, write_dataset
from oracle.model.artifact import list_artifacts, read_artifact
from oracle.types import Forecast, History, Run

pytestmark = pytest.mark.tensorflow

SAMPLE = Path(__file__).parents[2] / "data" / "sample.csv.gz"

#: `oracle train` with these words: exit code, stdout and stderr.
Train = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return read_dataset(SAMPLE)


@pytest.fixture
def small(tmp_path: Path, runs: list[Run]) -> Path:
    path = tmp_path / "small.csv"
    write_dataset(path, runs[:80], {})
    return path


@pytest.fixture
def train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Train:
    monkeypatch.chdir(tmp_path)
    # Tracing one length costs more than training on it; all are traced in a test of their own.
    monkeypatch.setattr("oracle.training.windows.LENGTHS", (8,))
    monkeypatch.setattr("oracle.training.windows.LENGTH_SHARES", (1.0,))

    def run(*options: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["train", *options])
        return (int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.mark.parametrize(
    ("architecture", "correct"), [("lite", None), ("standard", "relu"), ("gru", "raw")]
)
def test_it_writes_what_the_brief_promises(
    tmp_path: Path, small: Path, train: Train, architecture: str, correct: str | None
) -> None:
    options = ["--dataset", str(small), "--architecture", architecture, "--epochs", "2"]
    options += [] if correct is None else ["--correct", correct]  # from the second epoch on
    code, out, err = train(*options, "--json")
    assert code == 0, err
    (result,) = json.loads(out)
    name, models = result["name"], tmp_path / "models"
    assert name.startswith(f"lstm_oracle_{architecture}_")
    for end in ("_best.keras", "_final.keras", "_metadata.json", "_learning_curve.png"):
        assert (models / f"{name}{end}").stat().st_size > 0
    assert list((models / "logs" / name).rglob("events.out.tfevents.*"))
    facts = json.loads((models / f"{name}_metadata.json").read_text())
    assert facts["data"]["split_by"] == "table"
    assert facts["settings"]["correct"] == correct
    assert not list(models.glob(".*_backup"))
    artifact = read_artifact(models / name)
    assert artifact.manifest.architecture == architecture
    assert "Mean absolute error" in artifact.card
    forecast = Oracle(artifact).forecast(read_dataset(small)[0].history.prefix(3))
    assert all(np.isfinite(v).all() for v in map(np.array, forecast.final.values()))


def test_fine_tuning_says_whether_it_got_better(
    tmp_path: Path, runs: list[Run], train: Train
) -> None:
    path = tmp_path / "mine.csv"
    write_dataset(path, runs, {})
    code, out, err = train(
        "--from", "shipped-lite", "--dataset", str(path), "--epochs", "3", "--name", "mine",
        "--json",
    )  # fmt: skip
    assert code == 0, err
    (result,) = json.loads(out)
    verdict = result["verdict"]
    low, high = verdict["change"]
    assert low <= verdict["after"] - verdict["before"] <= high
    assert verdict["better"] == (high < 0)
    kept = (tmp_path / "models" / "mine" / "manifest.json").exists()
    assert kept == verdict["better"]
    assert (result["artifact"] is not None) == kept


def test_fine_tuning_goes_on_where_it_was_interrupted(
    tmp_path: Path, small: Path, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oracle.training.callbacks import Backup

    keep, restore = Backup.on_epoch_end, Backup.restore
    begun_at: list[int] = []

    def interrupted(self: Any, epoch: int, logs: Any = None) -> None:
        keep(self, epoch, logs)
        if not epoch:
            raise KeyboardInterrupt

    def restored(self: Any, model: Any) -> int:
        begun_at.append(restore(self, model))
        return begun_at[-1]

    options = ["--from", "shipped-lite", "--dataset", str(small), "--epochs", "2"]
    monkeypatch.setattr(Backup, "on_epoch_end", interrupted)
    assert train(*options)[0] == 130
    (left,) = (tmp_path / "models").glob(".*_backup")
    monkeypatch.setattr(Backup, "on_epoch_end", keep)
    monkeypatch.setattr(Backup, "restore", restored)
    code, out, err = train(*options, "--resume", "--json")
    assert code == 0, err
    assert begun_at == [1]
    (result,) = json.loads(out)
    assert left.name == f".{result['name']}_backup"
    facts = json.loads((tmp_path / "models" / f"{result['name']}_metadata.json").read_text())
    assert facts["epochs_run"] == [2]
    assert not left.exists()


def test_a_control_run_stands_for_those_that_were_stopped(runs: list[Run]) -> None:
    from oracle.training.recipe import Request, gather

    weights = {runs[0].run_id: 4.0, runs[1].run_id: 1000.0, runs[2].run_id: 0.1}
    data = gather(Request(runs=tuple(runs), weights=weights, excluded={"no whole history": 3}))
    drawn = Counter(run.run_id for run in data.fitted_to())
    expected = {runs[0].run_id: 4, runs[1].run_id: 20}
    assert drawn == {run.run_id: expected.get(run.run_id, 1) for run in data.train}
    facts = data.facts()
    assert facts["train"]["runs"] == len(data.train)
    assert facts["control_runs"] == sum(run_id in drawn for run_id in expected)
    assert facts["control_runs"] > 0
    assert facts["excluded"]["no whole history"] == 3
    assert facts["files"] == {"store": len(runs)}


def test_a_weight_is_of_a_run_and_not_of_its_name(tmp_path: Path, runs: list[Run]) -> None:
    from oracle.training.recipe import Request, gather

    def named(some: Sequence[Run], table: str) -> tuple[Run, ...]:
        return tuple(
            run.model_copy(update={"run_id": f"r-{i}", "dataset": f"{table}-{i % 5}"})
            for i, run in enumerate(some)
        )

    parts = {
        table: named(runs[at : at + 20], table) for at, table in ((0, "a"), (20, "b"), (40, "s"))
    }
    weights = {"a": {"r-1": 4.0, "r-2": 3.0}, "b": {"r-1": 7.0}, "s": {"r-3": 9.0}}
    for table in ("a", "b"):
        (tmp_path / table).mkdir()
        write_dataset(tmp_path / table / "d.csv", parts[table], {"weights": weights[table]})
    data = gather(
        Request(
            runs=parts["s"],
            weights=weights["s"],
            datasets=tuple(tmp_path / table / "d.csv" for table in ("a", "b")),
        )
    )
    drawn = Counter((run.dataset[0], run.run_id) for run in data.fitted_to())
    for run in data.train:
        key = run.dataset[0], run.run_id
        assert drawn[key] == weights[key[0]].get(key[1], 1)
    assert sorted(data.files.values()) == [20, 20, 20]


def test_a_run_that_comes_twice_is_in_one_part_only(tmp_path: Path, runs: list[Run]) -> None:
    from oracle.training.recipe import Request, gather

    exported = tmp_path / "exported.csv"
    write_dataset(exported, runs[:50], {})
    known = dict(runs=tuple(runs), datasets=(exported,))
    data = gather(Request(**known, excluded={"censored": 2}))
    names = [run.run_id for part in (data.train, data.calibrate, data.test) for run in part]
    assert len(names) == len(set(names)) == len(runs)
    assert data.excluded == {"censored": 2, "the same run again": 50}
    # Another collection may have given a name again: that is another run.
    namesake = runs[0].model_copy(update={"history": runs[1].history})
    assert "the same run again" not in gather(Request(runs=(*runs, namesake))).excluded


def test_what_calibrates_and_judges_is_counted_too(tmp_path: Path, runs: list[Run]) -> None:
    from oracle.training.recipe import Request, gather

    files = {}
    for name, table in (("train", "a"), ("calibrate", "b"), ("test", "c")):
        some = [run.model_copy(update={"dataset": table}) for run in runs[:20]]
        files[name] = tmp_path / f"{name}.csv"
        write_dataset(files[name], [some[0].model_copy(update={"censored": True}), *some[1:]], {})
    data = gather(
        Request(datasets=(files["train"],), calibrate=files["calibrate"], test=files["test"])
    )
    assert data.excluded == {"censored": 1, "censored (--calibrate)": 1, "censored (--test)": 1}


def test_a_constant_metric_is_told_and_not_trained_on(
    tmp_path: Path, runs: list[Run], train: Train
) -> None:
    """Topographic error 0.1 in all runs of one table: no outcome to learn, and it says so."""
    path = tmp_path / "constant.csv"
    still = [
        run.model_copy(
            update={
                "dataset": "mine",
                "final_topographic_error": 0.1,
                "history": run.history.model_copy(
                    update={"topographic_error": (0.1,) * len(run.history)}
                ),
            }
        )
        for run in runs[:60]
    ]
    write_dataset(path, still, {})
    options = ["--dataset", str(path), "--architecture", "rnn", "--epochs", "2", "--name", "x"]
    code, out, err = train(*options)
    assert code == 0, err
    said = "final_topographic_error ends the same in all 42 training runs"
    card = (tmp_path / "models" / "x" / "card.md").read_text()
    for told in (out, card):
        assert said in told
        assert "One table: " in told
        assert "nothing is known of other tables" in told
    facts = json.loads((tmp_path / "models" / "x_metadata.json").read_text())
    assert facts["data"]["constant"] == {"final_topographic_error": 42}
    assert facts["score"]["by_progress"]["0.5"]["final_topographic_error"] is None
    # Nothing learned: the last value, give or take anything, and no noise of idle weights.
    oracle = Oracle(read_artifact(tmp_path / "models" / "x"))
    final = oracle.forecast(still[0].history.prefix(4)).final["final_topographic_error"]
    assert final[len(final) // 2] == pytest.approx(0.1, abs=1e-6)
    assert final[-1] - final[0] > 0.8


def test_a_constant_final_mqe_is_refused(runs: list[Run]) -> None:
    from oracle.errors import DatasetError
    from oracle.training.recipe import Request, gather

    same = tuple(run.model_copy(update={"final_mqe": 0.5}) for run in runs)
    with pytest.raises(DatasetError, match="must be different in some"):
        gather(Request(runs=same))


def test_a_new_oracle_must_be_better_by_more_than_chance(
    runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    from oracle.training.finetune import Verdict, compare
    from oracle.types import Scale

    assert Verdict(0.05, 0.04, (-0.02, -0.001), 50, Scale.RELATIVE).better
    lucky = Verdict(0.05, 0.049, (-0.01, 0.008), 50, Scale.RELATIVE)
    assert not lucky.better
    assert "no better than chance allows" in str(lucky)
    assert not Verdict(0.05, 0.04, None, 5, Scale.RELATIVE).better
    # An undefined outcome counts for neither: what is forecast for it changes nothing.
    oracle, some = Oracle.load(), runs[:6]
    undefined = [run.model_copy(update={"final_dead_neuron_ratio": None}) for run in some]

    deadlier = Oracle.load()

    def all_dead(histories: Sequence[History]) -> list[Forecast]:
        return [dead(f) for f in oracle.forecast_many(histories)]

    def dead(f: Forecast) -> Forecast:
        assert f.draws is not None
        final = f.final | {"final_dead_neuron_ratio": (1.0,) * 5}
        draws = np.concatenate([f.draws[:, :2], np.ones((len(f.draws), 1))], axis=1)
        return f.model_copy(update={"final": final}).with_draws(draws)

    monkeypatch.setattr(deadlier, "forecast_many", all_dead)
    assert compare(oracle, deadlier, some).after > compare(oracle, oracle, some).after
    assert compare(oracle, deadlier, undefined).change == (0.0, 0.0)


def test_the_training_step_is_traced_at_most_once_a_length(
    tmp_path: Path, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    from oracle.history.dataset import usable
    from oracle.training.batches import Settings, TrainingBatches
    from oracle.training.fit import fit
    from oracle.training.windows import LENGTHS

    traces: list[Any] = []
    lengths: set[int] = set()
    whole_step, whole_batch = keras.Model.train_step, TrainingBatches.__getitem__

    def seen_step(self: Any, data: Any) -> Any:
        traces.append(data)  # Python runs only while TensorFlow traces
        return whole_step(self, data)

    def seen_batch(self: TrainingBatches, i: int) -> Any:
        inputs, outcome = whole_batch(self, i)
        lengths.add(inputs["sequence"].shape[1])
        return inputs, outcome

    monkeypatch.setattr(keras.Model, "train_step", seen_step)
    monkeypatch.setattr(TrainingBatches, "__getitem__", seen_batch)
    some = usable(runs)[0][:40]
    settings = Settings(architecture="lite", epochs=2, batch_size=8)
    fit(some, some[:8], settings, tmp_path, "x", verbose=0)
    assert len(lengths) > 2
    assert 1 <= len(traces) <= len(LENGTHS)


def test_weights_read_back_into_keras_give_the_same_answers() -> None:
    from oracle.training.export import forecast, models_of

    for folder in list_artifacts():
        if not folder.name.startswith("shipped-"):
            continue
        artifact = read_artifact(folder)
        models = models_of(artifact)
        for sequence, expected in zip(
            artifact.golden.sequence, artifact.golden.quantiles, strict=True
        ):
            rows = np.asarray(sequence, np.float32)[None]
            np.testing.assert_allclose(
                forecast(models, rows, [rows.shape[1]])[0], expected, atol=1e-5
            )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--dataset"),
        (["--store", "none.db"], "none.db"),
        (["--store", "x.db", "--preset", "shipped"], "--store"),
        (["--dataset", "none.csv"], "existing file"),
        (["--dataset", str(SAMPLE), "--architecture", "deep"], "standard, bidirectional, lite"),
        (["--dataset", str(SAMPLE), "--learning-rate", "-1"], "--learning-rate"),
        (["--dataset", str(SAMPLE), "--resume"], "interrupted training"),
        (["--dataset", str(SAMPLE), "--from", "nothing"], "Known names"),
        (["--preset", "other"], "shipped"),
        (["--dataset", "none.csv", "--name", "my model"], "`--name` must be a name matching"),
        (["--dataset", "none.csv", "--name", "active"], "`--name` must be a name matching"),
        (["--dataset", "none.csv", "--calibrate", "c.csv"], "`--calibrate` must be left out wit"),
        *(
            (["--dataset", "none.csv", "--from", "shipped-lite", *option], f"`{option[0]}` must be")
            for option in (
                ("--architecture", "lite"),
                ("--dropout", "0"),
                ("--seeds", "2"),
                ("--correct", "raw"),
            )
        ),
        *(
            (["--preset", "shipped", *option], f"`{option[0]}` must be left out with --preset")
            for option in (
                ("--dataset", "d.csv"),
                ("--from", "shipped-lite"),
                ("--architecture", "lite"),
                ("--batch-size", "8"),
                ("--learning-rate", "0.1"),
                ("--dropout", "0"),
                ("--seed", "1"),
                ("--seeds", "2"),
                ("--correct", "raw"),
                ("--test", "t.csv"),
            )
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(train: Train, options: list[str], says: str) -> None:
    code, _, err = train(*options)
    assert code == 2, err
    last: Any = [line for line in err.splitlines() if line.strip()][-1]
    assert says in last
    assert "Traceback" not in err
