"""`oracle suggest`: a table in, settings out; what is asked wrongly is one line and exit code 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

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
    ],
)
def test_what_is_asked_wrongly_is_one_line(
    table: Path, tmp_path: Path, args: tuple[str, ...], says: str
) -> None:
    done = run(table, *FEW, *args)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
