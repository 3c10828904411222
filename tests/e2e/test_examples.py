"""Every example runs from any folder, warns of nothing of ours, and prints what was saved."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
#: The demo is a service's client, with a test of its own.
RUNNABLE = sorted(p.name for p in EXAMPLES.glob("*.py") if p.name != "demo.py")


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
