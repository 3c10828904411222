"""`oracle suggest`: a table in, settings out; what is asked wrongly is one line and exit code 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from minisom import MiniSom

from oracle.integrations.minisom import train
from oracle.types import Suggestions

FEW = ("--candidates", "60", "-n", "3")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suggest") / "table.csv"
    rows = np.random.default_rng(2).normal(size=(120, 4))
    np.savetxt(path, rows, delimiter=",", header="a,b,c,d", comments="", fmt="%.6f")
    return path


def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "oracle", "suggest", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_prints_settings_and_code(table: Path, tmp_path: Path) -> None:
    png = tmp_path / "plane.png"
    done = run(table, *FEW, "--how-long", "--png", png, "--plane", "sigma,x")
    assert (done.returncode, done.stderr) == (0, "")
    assert "The best 3 of 60 plans of minisom" in done.stdout
    assert "som = MiniSom(input_len=4, x=" in done.stdout
    assert "updates are enough" in done.stdout
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_json_is_the_type_of_the_library(table: Path) -> None:
    part = ("--space", "x=5:6", "--space", "topology=hexagonal", "--space", "sigma=2")
    done = run(table, *FEW, *part, "--objective", "mqe", "--budget", "900", "--json")
    assert done.returncode == 0
    found = Suggestions.model_validate(json.loads(done.stdout))
    for plan in found:
        assert plan.make["x"] in (5, 6)
        assert (plan.make["topology"], plan.make["sigma"]) == ("hexagonal", 2)
        assert plan.train["num_iteration"] == 900
        assert list(plan.expected) == ["mqe"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--library", "som"), "minisom, nexussom"),
        (("--space", "sigma"), "NAME=VALUE"),
        (("--space", "sgima=2"), "of the parameters"),
        (("--space", "topology=round"), "rectangular, hexagonal"),
        (("--objective", "speed"), "Nothing else is forecast"),
        (("--budget", "0"), "budget"),
        (("--png", "x.png", "--plane", "sigma"), "plane"),
        (("--png", "x.png", "--plane", "sigma,sigma"), "plane"),
        (("--png", "nodir/x.png"), "`--png` must be a file in a folder that is there"),
        (("--png", "x.xyz"), "`--png` must be a picture that ends in .png"),
        (("--png", "."), "`--png` must be a file"),
        (("--plane", "sigma,x"), "`--plane` must be left out without --png"),
        (("--space", "x=8", "--space", "x=9"), "`--space` must be told once"),
        (("--space", "x=8:9:10"), "a range LOW:HIGH"),
    ],
)
def test_what_is_asked_wrongly_is_one_line(
    table: Path, tmp_path: Path, args: tuple[str, ...], says: str
) -> None:
    done = run(table, *FEW, *args)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""  # before anything was computed


def test_commas_are_choices_and_a_colon_is_a_range(table: Path) -> None:
    done = run(table, *FEW, "--space", "x=8,12", "--space", "y=5:6", "-n", "30", "--json")
    plans = json.loads(done.stdout)["plans"]
    assert {plan["make"]["x"] for plan in plans} == {8, 12}
    assert {plan["make"]["y"] for plan in plans} == {5, 6}


def test_a_plane_over_choices_and_over_one_value_is_drawn(table: Path, tmp_path: Path) -> None:
    for space in ("x=8,12", "x=8"):
        png = tmp_path / "plane.png"
        done = run(table, *FEW, "--space", space, "--png", png, "--plane", "x,sigma")
        assert (done.returncode, done.stderr) == (0, "")
        assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        png.unlink()


def test_a_picture_that_fails_comes_after_the_plans(table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    taken = folder / "p.png"
    taken.symlink_to(folder / "nowhere" / "p.png")  # passes the check, and cannot be written
    done = run(table, *FEW, "--png", taken)
    assert done.returncode == 2
    assert "The best 3 of 60 plans of minisom" in done.stdout


def test_a_table_beyond_what_is_known_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    np.savetxt(path, np.random.default_rng(2).normal(size=(30_000, 2)), delimiter=",", fmt="%.4f")
    done = run(path, *FEW, "--png", tmp_path / "p.png")
    assert (done.returncode, done.stdout) == (2, "")
    assert "`data` must be of about" in done.stderr
    assert "random sample" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_it_learns_of_the_runs_in_a_population_file(table: Path, tmp_path: Path) -> None:
    data, where = np.loadtxt(table, delimiter=",", skiprows=1), tmp_path / "runs.db"
    for seed in range(4):
        som = MiniSom(5 + seed, 5, 4, sigma=1.5, random_seed=seed)
        train(som, data, 500, population=where, dataset="mine", run_id=seed)
    done = run(table, *FEW, "--population", where)
    assert done.returncode == 0, done.stderr
    assert "Learned of 4 runs that ended." in done.stdout
    for asked, told in (
        (("--population", where, "--population-name", "nobody"), "must be one of mine"),
        (("--population", tmp_path / "none.db"), "a file that a search wrote"),
        (("--population", table), "was left as it is"),
        (("--population-name", "mine"), "must be left out"),
        (("--population", tmp_path), "a file that a search wrote"),
    ):
        done = run(table, *FEW, *asked)
        assert (done.returncode, done.stdout) == (2, ""), asked
        assert told in done.stderr
