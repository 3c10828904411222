"""`oracle sequences run` with the NumPy LSTM: what it prints, writes, draws and refuses."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from oracle.cli import main
from oracle.sequences.config import Config, Logging
from oracle.sequences.numpy_lstm import NumpyLstm
from oracle.sequences.run import log_to, logger, run, task_of
from oracle.sequences.states import layers_of, states_of

SMALL = """\
logging: {file: logs/app.log}
data: {n_train: 300, n_test: 60, sequence_length: 12, random_seed: 1, noise_std: 0.05}
model: {hidden_dim: 8}
training: {epochs: 4, learning_rate: 0.02}
"""


def sequences(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["sequences", *words])
    code = ended.value.code
    return int(code) if code is not None else 0


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def test_a_run_prints_writes_and_draws(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = sequences(
        "run", str(config), "--output", "results.json", "--png", "run.png", "--states", "s.png",
        "--save", "m.npz",
    )  # fmt: skip
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    results = json.loads((tmp_path / "results.json").read_text())
    assert f"Training loss {results['train_loss']:.6f}, test loss {results['test_loss']:.6f}" in out
    assert results["windows"] == {"train": 300, "test": 60}
    assert results["series"]["points"] == 372
    assert len(results["train_losses"]) == len(results["test_losses"]) == 4
    assert results["train_losses"][-1] < 0.5 * results["train_losses"][0]
    assert list(results["scores"])[:2] == ["model", "last value"]
    assert results["least_mse"] == pytest.approx(0.0025)
    for name in ("run.png", "s.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    log = (tmp_path / "logs" / "app.log").read_text().splitlines()
    assert sum("epoch" in line for line in log) == 4
    # The saved network is the one that was scored.
    task = task_of(Config.model_validate({"data": results["config"]["data"]}).data)
    made = task.forecaster(NumpyLstm.load(tmp_path / "m.npz").forward)(task.split.test.x)
    assert np.mean((made - task.split.test.y) ** 2) == pytest.approx(
        results["scores"]["model"]["mse"], rel=1e-5
    )


def test_json_is_all_that_is_printed(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sequences("run", str(config), "--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["config"]["data"]["random_seed"] == 1
    assert err == ""


def test_seeds_repeat(config: Path) -> None:
    def losses(seed: int) -> list[float]:
        data = {"points": 200, "random_seed": seed}
        return run(Config.model_validate({"data": data, "training": {"epochs": 2}})).train_losses

    assert losses(1) == losses(1) != losses(2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data: {points: 21}", "`windows` must be enough for a training and a test part"),
        ("data: {points: 20}", "`series` must be at least 21 points (length 20, horizon 1)"),
        ("data: {points: 10}", "`points` must be within 20..10,000"),
        ("model: {input_dim: 2}", "`model.input_dim` must be 1 (features of the series)"),
        ("model: {output_dim: 3}", "`model.output_dim` must be 1 (data.horizon)"),
        ("data: {series: csv, file: none.csv}", "none.csv: must be an existing file"),
        ("data: {series: csv, file: flat.csv}", "`value` must be different from point to point"),
        (
            "data: {series: csv, file: gap.csv, column: value}",
            "gap.csv, row 4, column value: `value` must be",
        ),
        ("data: {series: csv, file: short.csv}", "`series` must be at least 21 points"),
        ("data: {series: oscillator, noise_std: 0.1}", "`data.noise_std` must be"),
        ("data: {horizn: 3}", "`data.horizn` must be a known field"),
        ("training: {learning_rate: 10, optimizer: sgd, clip_norm: 1.0e+30, epochs: 500}", ""),
    ],
)
def test_bad_input_is_one_line(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, message: str
) -> None:
    (tmp_path / "flat.csv").write_text("value\n" + "3\n" * 60)
    (tmp_path / "gap.csv").write_text("n,value\n1,1\n2,2\n3,\n4,5\n")
    (tmp_path / "short.csv").write_text("value\n1\n2\n3\n")
    config.write_text(change)
    if not message:
        message = "`learning_rate` must be smaller"
    assert sequences("run", str(config)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_a_folder_that_is_not_there_is_refused_before_training(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sequences("run", str(config), "--output", "no/results.json") == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "Error: There is no such file or folder: no/results.json.\n")
    assert not Path("logs").exists()


def test_the_log_rotates(tmp_path: Path) -> None:
    section = Logging(file=str(tmp_path / "deep" / "app.log"), max_bytes=1000, backups=2)
    with log_to(section):
        for i in range(100):
            logger.info("line %d of some length", i)
    files = sorted(path.name for path in (tmp_path / "deep").iterdir())
    assert files == ["app.log", "app.log.1", "app.log.2"]
    assert all(path.stat().st_size <= 1000 for path in (tmp_path / "deep").iterdir())
    assert not logger.handlers
    with log_to(Logging(level="ERROR", file=str(tmp_path / "quiet.log"))):
        logger.info("nobody reads this")
    assert (tmp_path / "quiet.log").read_text() == ""
    assert logger.level == logging.NOTSET


def test_states_are_those_of_the_forward_pass() -> None:
    model = NumpyLstm(1, 6, 1, seed=2)
    x = np.random.default_rng(0).normal(size=(9, 1)).astype(np.float32)
    (layer,) = states_of(layers_of(model), x)
    trace = model.trace(x[None])
    assert list(layer.parts) == [
        "input gate", "forget gate", "candidate", "output gate", "cell", "hidden"
    ]  # fmt: skip
    assert (layer.parts["cell"] == trace.cell[:, 0]).all()
    assert (layer.parts["hidden"] == trace.hidden[:, 0]).all()
