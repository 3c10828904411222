"""`oracle train` on real runs: what it writes, and fine-tuning's verdict. T6 kills it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle.artifact import list_artifacts, read_artifact
from oracle.dataset import read_dataset, write_dataset
from oracle.forecaster import Oracle
from oracle.types import Run

pytestmark = pytest.mark.tensorflow

SAMPLE = Path(__file__).parents[2] / "data" / "sample.csv.gz"
DEADLINE_S = 300


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return read_dataset(SAMPLE)


@pytest.fixture
def small(tmp_path: Path, runs: list[Run]) -> Path:
    path = tmp_path / "small.csv"
    write_dataset(path, runs[:80], {})
    return path


def train(*options: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "oracle", "train", *options],
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("architecture", ["lite", "bidirectional"])
def test_it_writes_what_the_brief_promises(tmp_path: Path, small: Path, architecture: str) -> None:
    options = ["--dataset", str(small), "--architecture", architecture, "--epochs", "2"]
    process = train(*options, "--json", cwd=tmp_path)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    (result,) = json.loads(out)
    name, models = result["name"], tmp_path / "models"
    assert name.startswith(f"lstm_oracle_{architecture}_")
    for end in ("_best.keras", "_final.keras", "_metadata.json", "_learning_curve.png"):
        assert (models / f"{name}{end}").stat().st_size > 0
    assert list((models / "logs" / name).rglob("events.out.tfevents.*"))
    facts = json.loads((models / f"{name}_metadata.json").read_text())
    assert facts["data"]["split_by"] == "table"
    assert not list(models.glob(".*_backup"))
    artifact = read_artifact(models / name)
    assert artifact.manifest.architecture == architecture
    assert "Mean absolute error" in artifact.card
    forecast = Oracle(artifact).forecast(read_dataset(small)[0].history.prefix(3))
    assert all(np.isfinite(v).all() for v in map(np.array, forecast.final.values()))


def test_fine_tuning_says_whether_it_got_better(tmp_path: Path, runs: list[Run]) -> None:
    path = tmp_path / "mine.csv"
    write_dataset(path, runs, {})
    began = time.monotonic()
    process = train(
        "--from", "shipped-lite", "--dataset", str(path), "--epochs", "3", "--name", "mine",
        "--json", cwd=tmp_path,
    )  # fmt: skip
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    (result,) = json.loads(out)
    verdict = result["verdict"]
    assert verdict["better"] == (verdict["after"] < verdict["before"])
    kept = (tmp_path / "models" / "mine" / "manifest.json").exists()
    assert kept == verdict["better"]
    assert (result["artifact"] is not None) == kept
    assert time.monotonic() > began


def test_a_control_run_stands_for_those_that_were_stopped(runs: list[Run]) -> None:
    from oracle.recipe import Request, gather

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


def test_reading_a_graph_back_gives_the_same_answers() -> None:
    from oracle.export import forecast
    from oracle.finetune import networks_of

    for folder in list_artifacts():
        if not folder.name.startswith("shipped-"):
            continue
        artifact = read_artifact(folder)
        models, _ = networks_of(artifact)
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
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, options: list[str], says: str
) -> None:
    process = train(*options, cwd=tmp_path)
    _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 2, err
    last: Any = [line for line in err.splitlines() if line.strip()][-1]
    assert says in last
    assert "Traceback" not in err
