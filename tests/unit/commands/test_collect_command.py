"""`oracle collect`: results, exit codes, one line for bad input, files left whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from collector.collect import journal_path, local_processes
from oracle import cli
from oracle.errors import OracleError
from oracle.history.dataset import metadata_path, read_dataset, write_dataset

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
    (inputs / "history.json").write_text(
        '{"epochs": [1, 2], "mqe": [1], "topo_error": [0, 0], "dead_ratio": [0, 0]}'
    )
    return {
        "tmp": tmp_path / "empty", "out": out, "nexussom": NEXUSSOM, "sound": sound,
        "history": inputs / "history.json",
        **{name: inputs / f"{name}.csv" for name in ("broken", "short", "narrow")},
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
