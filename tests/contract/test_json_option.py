"""`--json` on every command that prints: one JSON value on stdout, and nothing else there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from made_up import make_runs

from oracle import cli
from oracle.commands import sequences
from oracle.history.dataset import write_dataset
from oracle.hook import Population
from oracle.sequences import battery, corrected
from oracle.types import Outcome

#: What they print is a service's log, or a protocol.
SERVICES = {"serve", "mcp"}
#: Trained by Keras: JSON is read where one is trained anyway.
READ_ELSEWHERE = {
    "train": "tests/contract/test_training.py",
    "sequences oscillator": "",  # as `memory`, which stands for it
}
#: Command -> its other words, with {names} of files that the fixture makes.
WORDS = {
    "evaluate": "--dataset {dataset}",
    "replay": "--dataset {dataset} --population-size 12 --checks 0.5 --risks 0.1",
    "predict": "{history}",
    "suggest": "{table} --candidates 20 -n 2",
    "checkpoints": "--dataset {dataset} --runs 4 --checks 0.2",
    "check-policy": "--dataset {dataset} --population-size 12 --checks 0.3",
    "show": "{history} --png {folder}/fan.png",
    "runs": "{population}",
    "report": "wine --from {population} --out {folder}/report.html",
    "collect simulate": "--runs 2 --out {folder}/simulated.csv",
    "collect run": "--runs 1 --shard 1/1 --tables wine --workers 1 --out {shard}",
    "collect merge": "{shard} --out {folder}/merged.csv",
    "collect ingest": "{history} --out {folder}/ingested.csv",
    "sequences run": "{config}",
    "sequences compare": "--quick --seeds 1 --architecture numpy",
    "sequences memory": "--seeds 1 --length 5 --architecture rnn",
    "sequences correction": "--seeds 2 --series sine",
    "models list": "",
    "models verify": "shipped-lite",
    "models show": "shipped-lite",
    "models certify": "shipped-lite --dataset {dataset} --checks 0.5 --risks 0.1",
    "models export": "shipped-lite --out {folder}/networks.onnx",
    "models activate": "shipped-lite",
}


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command with its path."""
    group = group or typer.main.get_command(cli.build(*cli.COMMANDS))
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def test_every_command_that_prints_has_the_option() -> None:
    have = {
        path
        for path, command in commands()
        if any("--json" in option.opts for option in command.params)
    }
    assert {path for path, _ in commands()} - have == SERVICES
    assert have == WORDS.keys() | READ_ELSEWHERE.keys()
    for file in filter(None, READ_ELSEWHERE.values()):
        assert '"--json"' in (Path(__file__).parents[2] / file).read_text()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    made = {
        name: folder / file
        for name, file in {
            "dataset": "runs.csv", "history": "history.json", "table": "table.csv",
            "population": "runs.db", "config": "small.yaml", "shard": "shard.csv",
        }.items()
    }  # fmt: skip
    write_dataset(made["dataset"], [r for t in "ab" for r in make_runs(12, t, seed=ord(t))], {})
    made["history"].write_text(make_runs(1, "a")[0].history.prefix(5).model_dump_json())
    rows = "\n".join(f"{i % 7},{i % 3},{i * i % 11}" for i in range(40))
    made["table"].write_text(f"a,b,c\n{rows}\n")
    population = Population(made["population"])
    population.start("wine", "r1")
    population.end("wine", Outcome(run_id="r1", final_mqe=0.5))
    population.close()
    made["config"].write_text(
        "data: {n_train: 60, n_test: 20, sequence_length: 5}\ntraining: {epochs: 1}\n"
    )
    return {**made, "folder": folder}


@pytest.mark.parametrize("path", WORDS)
def test_it_prints_one_json_value(
    path: str,
    files: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(files["folder"])
    monkeypatch.setenv("ORACLE_MODEL", "shipped-lite")
    if path.startswith("sequences"):
        _without_training(monkeypatch)
    if path == "collect merge" and not files["shard"].exists():
        call("collect run", files)
        capsys.readouterr()
    call(path, files)
    out, _ = capsys.readouterr()
    assert isinstance(json.loads(out), dict | list)


def call(path: str, files: dict[str, Path]) -> None:
    words = f"{path} {WORDS[path]} --json".format(**files).split()
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code in (None, 0, 1)  # 1 is a verdict: of a policy, of an architecture


def _without_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of one epoch: what they learn is others' to test."""
    mark = battery.Mark(0.5, 0.5, 0.0)
    tells: Callable[..., Any] = lambda *words, told=None: mark  # noqa: E731
    monkeypatch.setattr(battery, "remembers", tells)
    monkeypatch.setattr(battery, "examine", tells)
    monkeypatch.setattr(corrected, "errors", lambda *words, told=None: (0.1, 0.2))
    monkeypatch.setattr(sequences, "load_keras", lambda: None)
