"""The README's blocks do what they say: Python is run, curl is sent to a real server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from serving import Server

from oracle.types import TARGETS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
PYTHON = [body for language, body in BLOCKS if language == "python"]
SHELL = [body for language, body in BLOCKS if language == "sh"]
CURL = [body for body in SHELL if body.startswith("curl")]
#: These would run this very test again, or another server; CI runs them by itself.
MAKE = [body for body in SHELL if body.startswith("make")]
COMMANDS = [body for body in SHELL if body not in CURL and body not in MAKE]


def test_every_block_is_of_a_kind_that_is_run() -> None:
    assert (len(PYTHON), len(CURL), len(MAKE)) == (2, 1, 1)
    assert {language for language, _ in BLOCKS} == {"python", "sh"}


@pytest.mark.parametrize("body", PYTHON, ids=["forecast", "watch"])
def test_python_block(body: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", body],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
    assert "no_model" not in done.stdout  # the shipped oracle answered


@pytest.mark.parametrize("body", COMMANDS)
def test_command_block(body: str, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", body],
        cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("body", CURL)
def test_curl_block(body: str, tmp_path: Path) -> None:
    assert "http://127.0.0.1:8000" in body
    with Server(tmp_path) as server:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", body.replace("http://127.0.0.1:8000", server.url)],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    decision = json.loads(done.stdout)
    assert decision["action"] in ("continue", "stop", "abstain")
    assert set(decision["forecast"]["final"]) == set(TARGETS)
