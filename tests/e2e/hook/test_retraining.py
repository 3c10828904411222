"""The closed circle: served runs, an oracle adapted to them, and the server answers from it.

The service is a process of its own; the commands run in this one, which has TensorFlow already.
"""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from serving import Server, until

from oracle.cli import main
from oracle.client import Client
from oracle.history.dataset import read_dataset
from oracle.types import Run

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[3]
#: These maps end in a step that halves their error, as no map that the shipped oracle saw does.
LAST_STEP = 0.5


def serve_runs(client: Client, runs: list[Run]) -> None:
    """Send whole runs, one that was stopped and one that goes on."""
    for run in runs:
        client.append(run.run_id, run.history.model_copy(update={"dataset": "mine"}))
        client.finish(run.run_id, final_mqe=LAST_STEP * run.history.mqe[-1])
    first = runs[0].history.prefix(3).model_copy(update={"dataset": "mine"})
    client.append("stopped", first.model_copy(update={"run_id": "stopped"}))
    client.finish("stopped", censored=True)
    client.append("running", first.model_copy(update={"run_id": "running"}))


def test_served_runs_make_a_model_that_the_server_picks_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    with Server(tmp_path, models=models, model="", model_poll_s=0.1) as server:
        monkeypatch.chdir(tmp_path)
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)

        def oracle(*words: str) -> str:
            with pytest.raises(SystemExit) as ended:
                main(list(words))
            out, err = capsys.readouterr()
            assert not ended.value.code, err
            return out

        with Client(server.url) as client:
            serve_runs(client, read_dataset(ROOT / "data/sample.csv.gz")[:60])
        (result,) = json.loads(
            oracle(
                "train", "--from", "shipped-lite", "--store", str(tmp_path / "data/oracle.db"),
                "--epochs", "4", "--name", "mine", "--out", str(models), "--json",
            )
        )  # fmt: skip
        assert result["data"]["files"] == {"store": 61}
        assert result["data"]["excluded"] == {"censored": 1}
        assert result["verdict"]["better"]
        oracle("models", "activate", "mine")

        def served() -> str:
            return str(httpx.get(f"{server.url}/readyz").json()["model"]["name"])

        until(lambda: served() == "mine", 30, "the new model")
