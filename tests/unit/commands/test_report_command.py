"""`oracle report`: from a service's store, a population file and recorded runs; bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from inprocess import App

from oracle.cli import main
from oracle.history.dataset import COLUMNS, read_dataset, write_dataset
from oracle.hook.population import Population
from oracle.types import About, Outcome, Policy

SEARCH = Path(__file__).parents[2] / "data/search.csv.gz"


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as done:
        main(["report", *map(str, args)])
    out, err = capsys.readouterr()
    return int(done.value.code or 0), out, err


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A search of 30 runs, every third stopped half way."""
    shared = Population(tmp_path / "runs.db")
    for n in range(30):
        about = About(name=f"lr={n}", config={"lr": 0.01 * (n + 1)})
        shared.start("wine", f"r{n}", about=about, policy=Policy(name="population"))
        outcome = Outcome(
            run_id=f"r{n}", final_mqe=0.5 + 0.01 * n, final_topographic_error=0.1,
            final_dead_neuron_ratio=0.2, censored=n % 3 == 0, spread=0.05,
        )  # fmt: skip
        why = {0: "unlikely_good: P(good) 1 %", 3: "promising: P(good) 8 %"}.get(n)
        shared.end("wine", outcome, progress=0.5 if n % 3 == 0 else 1.0, reason=why)
    shared.start("iris", "live")
    shared.close()
    return tmp_path / "runs.db"


def test_a_population_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = file.with_suffix(".html")
    code, said, _ = run(capsys, "wine", "--from", file, "--out", out, "--json")
    assert code == 0
    found, html = json.loads(said), out.read_text(encoding="utf-8")
    assert (found["stopped"], found["finished"], found["counted"]) == (10, 20, "budgets")
    assert found["saved_share"] == pytest.approx(1 / 6)
    assert found["best"]["run_id"] == "r1"
    assert found["audit"] is None
    assert "16.7\u00a0%" in html
    assert "wrong stops not measured yet" in html
    assert found["settings"]["settings"][0]["name"] == "lr"
    # Why it was stopped; a file written before that was kept tells why it was not.
    assert html.count("unlikely good") == 1
    assert "promising" not in html


@pytest.mark.parametrize(
    ("name", "says"),
    [("nope", "`population` must be one of"), ("iris", "a search with a run that has ended")],
)
def test_what_is_not_there_is_one_line(
    file: Path, capsys: pytest.CaptureFixture[str], name: str, says: str
) -> None:
    code, _, err = run(capsys, name, "--from", file)
    assert code == 2
    assert says in err
    assert len(err.strip().splitlines()) == 1


def test_a_file_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.txt"
    other.write_text("no database at all, but words enough to be one of some size" * 20)
    assert run(capsys, "wine", "--from", other)[0] == 2
    for name, what in (("empty.db", "an empty file"), ("folder", "a folder without a service's")):
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "empty.db").touch()
        code, _, err = run(capsys, "wine", "--from", tmp_path / name)
        assert (code, what in err) == (2, True), err
    (tmp_path / "folder.csv").mkdir()
    code, _, err = run(capsys, "wine", "--from", tmp_path / "folder.csv")
    assert (code, "but it is a folder" in err) == (2, True), err
    assert run(capsys, "wine", "--from", tmp_path / "gone.db")[0] == 2
    assert run(capsys, "wine", "--from", "ftp://nowhere")[0] == 2
    assert not (tmp_path / "gone.db").exists()


def post(app: App, run_id: str, mqe: float, finish: bool) -> None:
    body = {
        "epochs": [10, 50, 100], "mqe": [2 * mqe, 1.5 * mqe, mqe], "total_epochs": 100,
        "topographic_error": [0.1] * 3, "dead_neuron_ratio": [0.2] * 3, "population": "a/b",
        "config": {"rate": mqe},
    }  # fmt: skip
    path = f"/v1/runs/{run_id}"
    app.run(app.call("POST", f"{path}/checkpoints", json.dumps(body).encode()))
    if finish:
        app.run(app.call("POST", f"{path}/finish", b"{}"))


def test_the_store_of_a_service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with App(tmp_path / "data") as app:
        for n in range(14):
            post(app, f"r{n}", 0.5 + 0.01 * n, finish=n < 13)
        told: dict[str, Any] = {}
        for what in ("", "/audit"):
            answer = app.run(app.call("GET", f"/v1/populations/a/b{what}"))
            assert answer.status == 200
            told[what] = answer.json()
    out = tmp_path / "r.html"
    code, said, _ = run(capsys, "a/b", "--from", tmp_path / "data", "--out", out, "--json")
    assert code == 0
    found = json.loads(said)
    assert (found["finished"], found["running"]) == (told[""]["finished"], told[""]["running"])
    assert found["saved_share"] == pytest.approx(told[""]["savings"]["saved_share"])
    for name in ("word", "runs", "coverage", "promised", "controls", "lost"):
        assert found["audit"][name] == told["/audit"][name]
    assert found["best"]["run_id"] == "r0"
    best = next(o for o in told[""]["outcomes"] if o["run_id"] == "r0")
    assert found["best"]["score"] == pytest.approx(best["quality"])
    code, _, err = run(capsys, "gone", "--from", tmp_path / "data")
    assert (code, "must be one of a/b" in err) == (2, True)


def test_recorded_runs_are_replayed_by_the_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "runs.csv", tmp_path / "r.html"
    runs = read_dataset(SEARCH)[:24]
    name = runs[0].dataset
    write_dataset(file, [*runs[:20], runs[20].model_copy(update={"censored": True})], {})
    code, said, _ = run(capsys, name, "--from", file, "--out", out, "--json")
    assert code == 0
    found, html = json.loads(said), out.read_text(encoding="utf-8")
    capsys.readouterr()
    replayed = ["replay", "--dataset", str(file), "--population-size", "20", "--json"]
    with pytest.raises(SystemExit):
        main(replayed)
    told = json.loads(capsys.readouterr().out)["in_force"]
    assert found["stopped"] == sum(one["stopped_at"] is not None for one in told["runs"]) > 0
    assert found["stopped"] + found["finished"] == 20
    budgets = {one.run_id: one.history.total_epochs or 0.0 for one in runs}  # by share there
    used = sum(budgets[one["run_id"]] * (one["stopped_at"] or 1.0) for one in told["runs"])
    assert found["used"] == pytest.approx(used, rel=0.03)
    assert found["lost"] == {"stopped": told["lost_runs"], "good": told["good_runs"]}
    assert found["audit"]["finished"] == 20  # how the stopped ones went on is recorded
    assert found["audit"]["pooled"]["rate"] > 0.5
    assert "replayed one after another by the policy population" in html
    assert "1 run (censored)" in found["source"]
    assert {s["name"] for s in found["settings"]["settings"]} >= {"map_rows", "total_updates"}
    never = '{"name": "threshold", "threshold": 1000000.0}'
    code, said, _ = run(capsys, name, "--from", file, "--out", out, "--policy", never, "--json")
    assert (code, json.loads(said)["stopped"]) == (0, 0)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("wine", None, "must be an existing file"),
        ("wine", "", "runs.csv: must be an existing file with rows, but it is empty"),
        ("wine", f"{','.join(COLUMNS)}\n", "runs.csv: must hold recorded runs, but has no row"),
        ("wine", "a,b\n1,2\n", "final_mqe"),
        ("other", "runs", "`population` must be one of wine-standard"),
        ("wine-standard", "censored", "got '1 run (censored)'"),
    ],
)
def test_recorded_runs_that_are_none_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str | None, says: str
) -> None:
    file = tmp_path / "runs.csv"
    if content in ("runs", "censored"):
        one = read_dataset(SEARCH)[0]
        write_dataset(file, [one.model_copy(update={"censored": content == "censored"})], {})
    elif content is not None:
        file.write_text(content, encoding="utf-8")
    code, _, err = run(capsys, name, "--from", file)
    assert code == 2
    assert says in err
    assert len(err.strip().splitlines()) == 1


def test_a_policy_is_for_recorded_runs_alone(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "wine", "--from", file, "--policy", "threshold")
    assert (code, "--policy" in err) == (2, True)
