"""notebooks/ run from the first cell to the last, in their short form, and draw their pictures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
#: Notebook -> pictures that it draws.
PICTURES = {
    "1-first-forecast": 3, "2-minisom-search": 1, "3-your-own-library": 1, "4-your-own-oracle": 3,
}  # fmt: skip
RUN = """
import sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
NotebookClient(notebook, timeout=400, resources={"metadata": {"path": sys.argv[2]}}).execute()
nbformat.write(notebook, sys.argv[3])
"""


def cells(file: Path) -> list[dict[str, Any]]:
    return [c for c in json.loads(file.read_text("utf-8"))["cells"] if c["cell_type"] == "code"]


def test_these_are_all() -> None:
    assert [file.stem for file in NOTEBOOKS] == sorted(PICTURES)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_it_is_kept_without_outputs(file: Path) -> None:
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in cells(file))


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_it_runs(file: Path, tmp_path: Path) -> None:
    done = tmp_path / "done.ipynb"
    environment = {**os.environ, "SHORT": "1", "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    environment.pop("MPLBACKEND", None)  # the notebook's own draws into it
    ran = subprocess.run(
        [sys.executable, "-c", RUN, file, tmp_path, done],
        env=environment, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    outputs = [output for cell in cells(done) for output in cell["outputs"]]
    assert sum("image/png" in o.get("data", {}) for o in outputs) == PICTURES[file.stem]
    assert not [o for o in outputs if o["output_type"] == "error"]
