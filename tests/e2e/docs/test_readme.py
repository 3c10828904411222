"""The blocks of the README and of docs/api.md: Python is run, curl is sent to a real server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from serving import Server

from oracle.types import TARGETS

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
API = (ROOT / "docs/api.md").read_text(encoding="utf-8")
URL = "http://127.0.0.1:8000"


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of every block of a page."""
    return re.findall(r"^```(\w+)\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)


BLOCKS = blocks(README)
PYTHON = [body for language, body in BLOCKS if language == "python"]
SHELL = [body for language, body in BLOCKS if language == "sh"]
CURL = [body for body in SHELL if body.startswith("curl")]
SHOWN = [body for language, body in BLOCKS if language == "text"]
#: These would start a server or the tests; CI runs them by itself.
MAKE = [body for body in SHELL if body.startswith("make")]
ACTIVATE = [body for body in SHELL if body.startswith("source")]
ORACLE = [body for body in SHELL if body.startswith("oracle")]


def test_every_block_is_of_a_kind_that_is_run() -> None:
    assert (len(PYTHON), len(CURL), len(SHOWN), len(MAKE), len(ORACLE)) == (3, 1, 1, 1, 1)
    assert [body for body in SHELL if body not in (*CURL, *MAKE, *ACTIVATE, *ORACLE)] == []
    assert {language for language, _ in BLOCKS} == {"python", "sh", "text"}


@pytest.mark.parametrize("body", PYTHON, ids=["suggest", "search", "forecast"])
def test_python_block(body: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", body],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
    assert "no_model" not in done.stdout  # the shipped oracle answered
    if "population=" in body:
        first, last = SHOWN[0].splitlines()
        lines = done.stdout.splitlines()
        assert len(lines) > 3  # it does stop some
        assert all(
            fits(line, first.replace("10%", "...").replace("unlikely_good", "..."))
            for line in lines[:-1]
        )
        assert fits(lines[-1], last)


@pytest.mark.parametrize("body", ORACLE)
def test_oracle_block(body: str, tmp_path: Path) -> None:
    samples = np.random.default_rng(7).normal(size=(500, 4))
    np.savetxt(tmp_path / "samples.csv", samples, delimiter=",", header="a,b,c,d", comments="")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", body],
        cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "MiniSom" in done.stdout


def test_what_runs_until_it_is_ended_stands_last_in_its_block() -> None:
    """Whoever pastes a block would never reach what comes after."""
    for body in SHELL:
        assert "make serve" not in "".join(body.rstrip("\n").splitlines(keepends=True)[:-1])


def fits(line: str, shown: str) -> bool:
    """Whether a line is what is shown, where `...` stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, shown.split("..."))), line) is not None


def test_the_environment_that_is_named_is_the_one_that_make_makes() -> None:
    assert len(ACTIVATE) == 1
    assert ACTIVATE[0].startswith("source .venv/bin/activate ")
    assert "VENV   := .venv" in (ROOT / "Makefile").read_text("utf-8")


def run(body: str, server: Server) -> str:
    """Run a shell block against the server; returns what it printed."""
    assert URL in body
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", body.replace(URL, server.url)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("readme")) as server:
        yield server


@pytest.mark.parametrize("body", CURL)
def test_curl_block(body: str, server: Server) -> None:
    decision = json.loads(run(body, server))
    assert decision["action"] in ("continue", "stop", "abstain")
    assert set(decision["forecast"]["final"]) == set(TARGETS)


def test_the_blocks_of_the_api_page(tmp_path: Path) -> None:
    bodies = [body for language, body in blocks(API) if language == "sh"]
    *asked, events = bodies
    for route in (
        "/v1/decide/batch",
        "/checkpoints",
        "/finish",
        "/about",
        "/keep",
        "/stop",
        "/v1/runs?",
    ):
        assert any(route in body for body in asked), route
    with Server(tmp_path) as server:
        for body in asked:
            text = run(body.replace("curl -s", r"curl -sfw '\n'"), server)
            assert all("error" not in json.loads(line) for line in text.splitlines()), body
        assert "/v1/events" in events
        stream = run(f"{events.rstrip()} --max-time 2 || test $? = 28", server)
    kinds = re.findall(r'^data: {"kind":"(\w+)"', stream, flags=re.MULTILINE)
    assert kinds == ["created", "finished", "about", "created", "keep", "stop", "policy"]
