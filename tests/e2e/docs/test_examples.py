"""Every example runs from any folder, warns of nothing of ours, and prints what was saved."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from serving import Server

EXAMPLES = Path(__file__).parents[3] / "examples"
#: Clients of a service have tests of their own; the demo's is in test_demo.py.
SERVED = ("demo.py", "fill.py", "http_batch_som.py")
RUNNABLE = sorted(p.name for p in EXAMPLES.glob("*.py") if p.name not in SERVED)


@pytest.mark.parametrize("name", RUNNABLE)
def test_it_prints_what_was_saved(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "saved" in done.stdout
    assert "OracleWarning" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_map_of_ones_own_over_http(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / "http_batch_som.py"), server.url],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert "of all epochs saved" in done.stdout
        runs = httpx.get(f"{server.url}/v1/runs").json()["runs"]
    assert len(runs) == 20
    assert {run["state"] for run in runs} <= {"finished", "stopped"}
    assert all(run["config"] for run in runs)
    assert not any(run["left"] for run in runs)


def test_a_service_is_filled_with_recorded_runs(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / "fill.py"), "--url", server.url,
             "--population", "filled", "--runs", "12", "--live", "2"],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = httpx.get(f"{server.url}/v1/populations/filled").json()
    assert found["finished"] + found["stopped"] + found["running"] == 12
    assert found["running"] >= 1  # of two that are left training one may have been stopped
