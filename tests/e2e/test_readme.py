"""The README's blocks do what they say: Python is run, curl is sent to a real server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
PYTHON = [body for language, body in BLOCKS if language == "python"]
SHELL = [body for language, body in BLOCKS if language == "sh"]
CURL = [body for body in SHELL if body.startswith("curl")]
#: These would run this very test again, or another server; CI runs them by itself.
MAKE = [body for body in SHELL if body.startswith("make")]
COMMANDS = [body for body in SHELL if body not in CURL and body not in MAKE]

START_S = 30.0


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start `oracle serve` on a free port; yield its address once it is ready."""
    folder = tmp_path_factory.mktemp("serve")
    port_of = re.compile(r"http://127\.0\.0\.1:(\d+)")
    log = folder / "log"
    with log.open("w") as sink:
        server = subprocess.Popen(
            [sys.executable, "-m", "oracle", "serve", "--port", "0"],
            cwd=folder, stdout=sink, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            found = port_of.search(log.read_text())
            if server.poll() is not None:
                break
            if found and _ready(found[0]):
                yield found[0]
                return
            time.sleep(0.02)
        pytest.fail(f"oracle serve was not ready within {START_S:g} s:\n{log.read_text()}")
    finally:
        server.terminate()
        server.wait(timeout=10)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


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
def test_curl_block(body: str, base_url: str) -> None:
    assert "http://127.0.0.1:8000" in body
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", body.replace("http://127.0.0.1:8000", base_url)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    decision = json.loads(done.stdout)
    assert decision["action"] in ("continue", "stop", "abstain")
    assert set(decision["forecast"]["final"]) == {
        "final_mqe",
        "final_topographic_error",
        "final_dead_neuron_ratio",
    }
