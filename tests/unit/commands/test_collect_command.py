"""`oracle collect`: results, exit codes, one line for bad input, files left whole."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collector.collect import journal_path, local_processes
from collector.sources import MAX_ROWS, OwnTable
from oracle import cli
from oracle.errors import OracleError
from oracle.history.dataset import metadata_path, read_dataset, write_dataset
from oracle.history.tables import role_of

NEXUSSOM = Path(__file__).parents[2] / "data" / "nexussom"
#: Small tables, so that a run takes a moment.
TABLES = "iris,linnerud,wine"


def call(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    code: Any = 0
    try:
        cli.main(["collect", *map(str, args)])
    except SystemExit as end:
        code = end.code or 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def facts(path: Path) -> dict[str, Any]:
    return json.loads(metadata_path(path).read_text())


def test_simulate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "s.csv.gz"
    code, printed, _ = call(capsys, "simulate", "--runs", 7, "--seed", 3, "--out", out, "--json")
    assert code == 0
    assert json.loads(printed)["runs"] == 7
    assert {run.source for run in read_dataset(out)} == {"simulated"}
    assert (facts(out)["runs"], facts(out)["seed"]) == (7, 3)


def test_simulate_is_the_same_for_the_same_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.csv", "b.csv"):
        call(capsys, "simulate", "--runs", 5, "--seed", 8, "--out", tmp_path / name)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_simulate_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "s.csv"
    options = ("--from", NEXUSSOM, "--checkpoints", 20, "--out", out)
    code, printed, _ = call(capsys, "simulate", *options)
    assert code == 0
    assert "5 runs" in printed
    assert "row 9" in printed


def test_ingest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "n.csv"
    code, printed, _ = call(capsys, "ingest", NEXUSSOM, "--out", out)
    assert code == 0
    for text in ("4 runs", "source nexussom: 4", "table iris: 4", "4 skipped", "row 7", "0.988"):
        assert text in printed
    assert len(read_dataset(out)) == 4
    assert facts(out)["ingest"]["final_progress"][0] == pytest.approx(0.988, abs=1e-3)


def test_ingest_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "n.csv"
    options = ("--mqe-of-mean", 0.4, "--topology", "rectangular", "--json")
    code, printed, _ = call(capsys, "ingest", NEXUSSOM, "--out", out, *options)
    assert code == 0
    report = json.loads(printed)
    assert (report["runs"], report["censored"], len(report["skipped"])) == (4, 1, 4)
    context = read_dataset(out)[0].history.context
    assert (context.topology, context.mqe_of_mean) == ("rectangular", 0.4)


def test_ingest_of_a_dataset_in_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "simulate", "--runs", 3, "--out", tmp_path / "a.csv")
    code, _, _ = call(
        capsys, "ingest", tmp_path / "a.csv", NEXUSSOM, "--out", tmp_path / "both.csv"
    )
    assert code == 0
    assert len(read_dataset(tmp_path / "both.csv")) == 7


BAD = {
    "wrong suffix": (["simulate", "--out", "{tmp}/d.txt"], "`--out` must be a path ending in .csv"),
    "no runs": (["simulate", "--runs", "0", "--out", "{out}"], "`runs` must be within"),
    "negative seed": (["simulate", "--seed", "-1", "--out", "{out}"], "--seed"),
    "one checkpoint": (["simulate", "--checkpoints", "1", "--out", "{out}"], "`checkpoints` must"),
    "runs and from": (
        ["simulate", "--from", "{nexussom}", "--runs", "3", "--out", "{out}"],
        "`--runs` must be left out",
    ),
    "from nothing": (["simulate", "--from", "{tmp}", "--out", "{out}"], "results.csv"),
    "unknown preset": (["run", "--preset", "best", "--out", "{out}"], "`--preset` must be one of"),
    "unknown table": (["run", "--tables", "iris,mine", "--out", "{out}"], "got 'mine'"),
    "table of a preset": (
        ["run", "--preset", "test", "--tables", "iris", "--out", "{out}"],
        "`--tables` must be left out",
    ),
    "no such table": (["run", "--table", "{tmp}/no.csv", "--out", "{out}"], "no such file"),
    "text in a table": (
        ["run", "--table", "{words}", "--out", "{out}"],
        "--without 'b' leaves the column out",
    ),
    "a table of one row": (["run", "--table", "{row}", "--out", "{out}"], "rows that differ"),
    "two kinds of table": (
        ["run", "--table", "{words}", "--tables", "iris", "--out", "{out}"],
        "left out with",
    ),
    "table of another preset": (
        ["run", "--table", "{words}", "--preset", "test", "--out", "{out}"],
        "left out with",
    ),
    "scaling": (
        ["run", "--table", "{row}", "--scaling", "log", "--out", "{out}"],
        "standard, none",
    ),
    "a field": (["ingest", "{nexussom}", "--columns", "x=y", "--out", "{out}"], "of the fields"),
    "budget": (["ingest", "{nexussom}", "--total-epochs", "0", "--out", "{out}"], "above 0"),
    "no columns": (["ingest", "{words}", "--out", "{out}"], "--columns epochs=COLUMN"),
    "no runs of maps": (["run", "--runs", "0", "--out", "{out}"], "`runs` must be at least 1"),
    "no workers": (["run", "--workers", "0", "--out", "{out}"], "`workers` must be at least 1"),
    "missing path": (["ingest", "{tmp}/none", "--out", "{out}"], "there is none"),
    "empty folder": (["ingest", "{tmp}", "--out", "{out}"], "holds neither"),
    "topology": (["ingest", "{nexussom}", "--topology", "torus", "--out", "{out}"], "hexagonal"),
    "scale": (["ingest", "{nexussom}", "--mqe-of-mean", "0", "--out", "{out}"], "above 0"),
    "scale nan": (["ingest", "{nexussom}", "--mqe-of-mean", "nan", "--out", "{out}"], "above 0"),
    "no table": (["ingest", "{nexussom}", "--table", "{tmp}/no", "--out", "{out}"], "no such file"),
    "scale twice": (
        ["ingest", "{nexussom}", "--mqe-of-mean", "1", "--table", "{tmp}/t", "--out", "{out}"],
        "`--table` must be left out",
    ),
    "broken row": (["ingest", "{broken}", "--out", "{out}"], "row 3, column final_mqe"),
    "short row": (["ingest", "{short}", "--out", "{out}"], "row 4"),
    "missing column": (["ingest", "{narrow}", "--out", "{out}"], "censored is missing"),
    "no run in it": (["ingest", "{history}", "--out", "{out}"], "`mqe` must be"),
}


@pytest.fixture
def places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Path]:
    """Give broken files, and a dataset that is there already."""
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    (tmp_path / "empty").mkdir()
    out, sound = inputs / "out.csv", inputs / "sound.csv"
    call(capsys, "simulate", "--runs", 3, "--out", sound)
    out.write_bytes(sound.read_bytes())
    lines = sound.read_text().splitlines()
    final = lines[2].split(",")[3]
    for name, text in (
        ("broken", "\n".join(lines).replace(final, "low", 1)),
        ("short", "\n".join([*lines[:3], "simulated-9,simulated"])),
        ("narrow", "\n".join(lines).replace(",censored", ",stopped", 1)),
    ):
        (inputs / f"{name}.csv").write_text(text + "\n")
    (inputs / "words.csv").write_text("a,b\n1,x\n2,y\n")
    (inputs / "row.csv").write_text("a,b\n1,2\n")
    (inputs / "history.json").write_text(
        '{"epochs": [1, 2], "mqe": [1], "topo_error": [0, 0], "dead_ratio": [0, 0]}'
    )
    return {
        "tmp": tmp_path / "empty", "out": out, "nexussom": NEXUSSOM, "sound": sound,
        "history": inputs / "history.json",
        **{name: inputs / f"{name}.csv" for name in ("broken", "short", "narrow", "words", "row")},
    }  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_2(
    case: str, places: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    args, wanted = BAD[case]
    code, _, err = call(capsys, *(arg.format(**places) for arg in args))
    assert code == 2, err
    assert wanted.lower() in err.lower()
    assert "Traceback" not in err
    assert places["out"].read_bytes() == places["sound"].read_bytes()
    assert not journal_path(places["out"]).exists()


def test_what_was_read_already_is_one_line(
    places: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = (places["sound"], places["sound"], NEXUSSOM, NEXUSSOM)
    code, printed, _ = call(capsys, "ingest", *paths, "--out", places["tmp"] / "d.csv")
    assert code == 0
    assert "7 read already, by an earlier path: left out" in printed
    assert "8 skipped" in printed
    assert printed.count("must have checkpoints") == 1  # the same reason twice is told once
    assert re.search(r"2 times, first .*row 9: `row` must be 50 cells wide", printed)


def test_a_tidy_table_by_its_own_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, log, out = tmp_path / "t.csv", tmp_path / "log.csv", tmp_path / "d.csv"
    table.write_text("0,1,2,3\n.2,.4,.1,.3\n.3,.5,.2,.4\n")
    log.write_text("trial;when;Error\nlr=0.1;50;.5\nlr=0.1;100;.25\n")
    code, printed, err = call(
        capsys, "ingest", log, "--columns", "run_id=trial,epochs=when", "--columns", "mqe=error",
        "--total-epochs", 100, "--dataset", "mine", "--table", table, "--out", out,
    )  # fmt: skip
    assert code == 0, err
    for line in ("mqe read from Error", "2 x 4; first line taken as the header: 0, 1, 2, 3"):
        assert line in printed
    (run,) = read_dataset(out)
    assert (run.dataset, run.source, run.censored, run.final_mqe) == ("mine", "export", False, 0.25)
    context = run.history.context
    assert (context.n_samples, context.n_features) == (2, 4)
    assert context.mqe_of_mean == pytest.approx(0.1, abs=1e-9)
    told = facts(out)
    assert told["given"] == {run.run_id: {"name": "lr=0.1"}}
    assert told["ingest"]["read_as"]["epochs"] == ["when"]


def test_one_scale_is_not_given_to_two_tables(
    places: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = (NEXUSSOM, places["sound"])
    code, _, err = call(capsys, "ingest", *paths, "--mqe-of-mean", 1, "--out", places["out"])
    assert code == 2
    assert "one table's runs" in err


def test_an_interrupted_write_leaves_the_old_file(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = read_dataset(places["sound"])

    def broken(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match="No space"):
        write_dataset(places["out"], runs[:1], {})
    assert places["out"].read_bytes() == places["sound"].read_bytes()


def test_run_does_not_depend_on_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for workers in (1, 2):
        out = tmp_path / f"{workers}.csv"
        code, _, err = call(
            capsys, "run", "--runs", 6, "--seed", 1, "--tables", TABLES, "--workers", workers,
            "--out", out,
        )  # fmt: skip
        assert code == 0, err
        assert "6/6" in err  # the progress bar
    one, two = (read_dataset(tmp_path / f"{w}.csv") for w in (1, 2))
    assert one == two
    assert {run.source for run in one} == {"minisom"}
    assert sorted({run.dataset for run in one}) == [
        "iris-minmax", "linnerud-standard", "wine-minmax"
    ]  # fmt: skip


def a_table(folder: Path, name: str = "mine.csv") -> Path:
    rng = np.random.default_rng(0)
    rows = [f"{i},{a:.3f},{b:.3f},7,x" for i, (a, b) in enumerate(rng.normal(size=(40, 2)))]
    path = folder / name
    path.write_text("\n".join(["id;a;b;same;kind".replace(";", ","), *rows]))
    return path


def test_run_on_a_table_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, out = a_table(tmp_path), tmp_path / "o.csv"
    args = ("run", "--table", table, "--without", "id,kind", "--runs", 3, "--workers", 1)
    code, printed, err = call(capsys, *args, "--out", out)
    assert code == 0, err
    for note in ("40 x 3", "taken as the header: id, a", "1 constant columns", "scaling standard"):
        assert note in printed
    runs = read_dataset(out)
    assert {run.dataset for run in runs} == {"mine-standard"}
    assert {run.history.context.n_features for run in runs} == {2}
    assert {run.history.context.n_samples for run in runs} == {40}
    scale = runs[0].history.context.mqe_of_mean
    assert scale is not None
    assert 1 < scale < 2**0.5  # of two standardised columns
    code, printed, _ = call(capsys, *args, "--out", out, "--json")
    assert json.loads(printed)["made"] == 0  # finished before


def test_a_table_named_as_a_bundled_one_has_no_role(tmp_path: Path) -> None:
    own = OwnTable.of(a_table(tmp_path, "wine.csv"), without=("id", "kind"), scaling="none")
    assert own.dataset == "own-wine"
    assert role_of(own.dataset) is None
    assert OwnTable.of(a_table(tmp_path, "my.big.csv.gz")).dataset == "my-standard"


def test_a_table_that_was_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    own = OwnTable.of(a_table(tmp_path), without=("id", "kind"))
    own.read()
    with (tmp_path / "mine.csv").open("a") as file:
        file.write("\n9,9,9,9,x")
    with pytest.raises(OracleError, match="changed meanwhile"):
        own.read()


def test_a_long_table_is_drawn_from_always_alike(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\n".join(f"{i},{i % 7}" for i in range(MAX_ROWS + 5)))
    own = OwnTable.of(path, scaling="none")
    values, notes = own.read()
    assert len(values) == MAX_ROWS
    assert (own.read()[0] == values).all()
    assert "2000 rows drawn" in notes


def _end_this_process(index: int) -> str:
    os._exit(9)


def test_a_worker_that_ends_by_itself_is_told() -> None:
    with pytest.raises(OracleError, match=r"A worker process ended .* fewer `--workers`"):
        list(local_processes(_end_this_process, range(4), 2))


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGKILL])
def test_run_goes_on_after_an_interruption(
    with_signal: signal.Signals, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "d.csv"
    args = ["run", "--runs", "40", "--tables", TABLES, "--workers", "1", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "oracle", "collect", *args],
        stderr=subprocess.PIPE,
        # A shell's background job hands on an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wal = journal_path(out).with_name(f"{journal_path(out).name}-wal")
    deadline = time.monotonic() + 60
    while not (wal.exists() and wal.stat().st_size > 3 * 4096):  # a run or two are recorded
        assert time.monotonic() < deadline, "no run was recorded"
        assert process.poll() is None, "finished too early"
        time.sleep(0.005)
    process.send_signal(with_signal)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (130 if with_signal == signal.SIGINT else -signal.SIGKILL)
    assert b"Traceback" not in err
    assert not out.exists()
    code, printed, err_text = call(capsys, *args, "--json")
    assert code == 0, err_text
    assert 0 < json.loads(printed)["made"] < 40
    whole = tmp_path / "whole.csv"
    call(capsys, *args[:-1], whole)
    assert read_dataset(out) == read_dataset(whole)


def test_ingest_tells_of_every_row_that_it_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = tmp_path / "log.csv", tmp_path / "o.csv"
    rows = [f"{epoch},{'' if epoch in (200, 1000) else 9 / epoch}" for epoch in range(50, 1050, 50)]
    table.write_text("\n".join(["epoch,qe", *rows]))
    given = ("ingest", table, "--total-epochs", 1000, "--out", out)
    code, told, _ = call(capsys, *given)
    assert code == 0
    assert "run log: 2 of 20, mqe is empty at 200, empty at 1000" in told
    assert "1 kept as censored: log" in told
    (run,) = read_dataset(out)
    assert (run.censored, len(run.history)) == (True, 18)
    code, told, _ = call(capsys, *given, "--json")
    assert json.loads(told)["open_ended"] == ["log"]
    assert facts(out)["ingest"]["left_out"] == json.loads(told)["left_out"] != []
    for text, said in (
        ("epoch,qe\n", "must have rows below its header"),
        ("\n".join(["epoch,qe", *rows, "1001,nan"]), "a map that diverged has no final values"),
        ("epoch,qe,qe\n1,.5,.4\n", "--columns mqe=COLUMN"),
    ):
        table.write_text(text)
        code, _, err = call(capsys, *given)
        assert (code, said in err) == (2, True), err
        assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(("name", "text"), [("a.json", "[]"), ("d.csv", "dataset")])
def test_ingest_of_nothing_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    write_dataset(tmp_path / "d.csv", [], {})
    if text != "dataset":
        (tmp_path / name).write_text(text)
    code, _, err = call(capsys, "ingest", tmp_path / name, "--out", tmp_path / "o.csv")
    assert (code, f"{name}: must hold a run, but has no rows." in err) == (2, True), err
