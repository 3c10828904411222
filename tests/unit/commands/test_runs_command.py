"""`oracle runs`: how the searches of a population file went."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from inprocess import App
from serving import body, checkpoint

from oracle.cli import main
from oracle.hook.population import Population
from oracle.types import About, Outcome, Policy


@pytest.fixture
def file(tmp_path: Path) -> Path:
    shared = Population(tmp_path / "runs.db")
    for n, name in enumerate(("wine", "wine", "iris")):
        shared.start(
            name,
            f"r{n}",
            about=About(name="lr=0.1", config={"lr": 0.1}, tags=("a",)),
            policy=Policy(name="population"),
        )
        shared.end(
            name,
            Outcome(run_id=f"r{n}", final_mqe=0.5 + n, censored=n == 1),
            progress=0.5 if n == 1 else 1.0,
        )
    shared.close()
    return tmp_path / "runs.db"


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as done:
        main(["runs", *map(str, args)])
    out, err = capsys.readouterr()
    return int(done.value.code or 0), out, err


def test_a_line_a_population(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, file)
    assert code == 0
    first, second, third, _ = out.splitlines()
    assert first == (
        "wine: 1 of 2 runs stopped, 25% of all epochs saved; "
        "best quality score of mqe alone 0.5 (lr=0.1, whole)"
    )
    assert "wrong stops not measured yet" in second
    assert third.startswith("iris: 0 of 1 runs stopped")
    assert run(capsys, file, "--population", "iris")[1].startswith("iris: ")


def test_every_run_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, file, "--json")
    wine, iris = json.loads(out)
    assert (wine["name"], wine["stopped"], wine["finished"], wine["saved"]) == ("wine", 1, 1, 0.25)
    assert [(r["run_id"], r["name"], r["state"]) for r in wine["runs"]] == [
        ("r0", "lr=0.1", "finished"),
        ("r1", "lr=0.1", "stopped"),
    ]
    assert wine["runs"][0]["policy"]["name"] == "population"
    assert iris["wrong_stops"]["controls"] == 0


@pytest.mark.parametrize("name", ["missing.db", "notes.txt"])
def test_what_is_no_population_file_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("not a database " * 100)
    code, out, err = run(capsys, tmp_path / name)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert not (tmp_path / "missing.db").exists()


def test_a_store_of_the_service_is_told_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with App(tmp_path) as app:
        app.run(app.call("POST", "/v1/runs/r/checkpoints", body(checkpoint(10, population="p"))))
    code, _, said = run(capsys, tmp_path / "oracle.db")
    assert code == 2
    assert "a population file, not a store of the service" in said
    assert "`oracle report NAME --from oracle.db`" in said


def test_a_population_that_is_not_there_is_told_with_those_that_are(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, file, "--population", "digits")
    assert code == 2
    assert "`population` must be one of wine, iris, but got 'digits'" in err


def test_what_is_worth_finishing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = Population(file)
    shared.end("iris", Outcome(run_id="s", final_mqe=2.4, censored=True, spread=0.1), progress=0.25)
    shared.close()
    code, out, _ = run(capsys, file, "--promising")
    assert code == 0
    assert out.splitlines()[2] == "  worth training anew, to the end: none"
    assert out.splitlines()[5:] == [
        "  worth training anew, to the end: ",
        "    s: P(better than all) 75%, expected gain 0.1221",
    ]
    wine, iris = json.loads(run(capsys, file, "--promising", "--json")[1])
    assert wine["promising"] == []
    assert iris["promising"][0]["run_id"] == "s"
    assert "promising" not in json.loads(run(capsys, file, "--json")[1])[0]
