"""The code of the pages on libraries that CI does not have: it runs on the real ones."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "libraries"


@pytest.mark.parametrize("name", ["somoclu", "torchsom", "intrasom", "fastersom"])
def test_its_code_runs(name: str, tmp_path: Path) -> None:
    pytest.importorskip(
        name, reason=f"{name} IS NOT INSTALLED, so it is NOT tested: make libraries"
    )
    page = (PAGES / f"{name}.md").read_text("utf-8")
    code = "\n".join(re.findall(r"^```py\n(.*?)^```", page, re.M | re.S))
    assert "train_map" in code or "watch" in code
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "finished" in done.stdout or "stopped" in done.stdout
