"""`make demo` in small: a real search over MiniSom posts to a real server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
from serving import Server

from oracle.hook import policy_for
from oracle.types import Policy

ROOT = Path(__file__).parents[3]


def test_the_demo_fills_a_population(tmp_path: Path) -> None:
    small = ("--runs", "4", "--workers", "2", "--updates", "500")
    with Server(tmp_path) as server:
        done = subprocess.run(
            [sys.executable, "examples/demo.py", "--url", server.url, *small],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "run 4 of 4" in done.stdout
        assert "% of all epochs saved." in done.stdout
        (population,) = httpx.get(f"{server.url}/v1/populations").json()["populations"]
        assert population["finished"] + population["stopped"] == 4
        runs = httpx.get(f"{server.url}/v1/runs").json()["runs"]
        assert all(run["forecast"] for run in runs)
        decision = httpx.get(f"{server.url}/v1/runs/{runs[0]['run_id']}").json()["decision"]
        assert Policy.model_validate(decision["policy"]) == policy_for(("score",))
