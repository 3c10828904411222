"""R's kohonen over HTTP, by the documented script, where R is there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from serving import Server

SCRIPT = Path(__file__).parents[3] / "examples" / "kohonen.R"


@pytest.fixture(scope="module")
def rscript() -> str:
    found = shutil.which("Rscript")
    asked = ["-e", "stopifnot(require(kohonen), require(jsonlite))"]
    done = found and subprocess.run([found, *asked], capture_output=True, check=False).returncode
    if found is None or done or shutil.which("curl") is None:
        pytest.skip(
            "R's kohonen IS NOT INSTALLED, so its script is NOT tested: "
            "apt-get install r-cran-kohonen r-cran-jsonlite curl"
        )
    return found


def test_its_maps_are_stopped_by_the_service(rscript: str, tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        done = subprocess.run(
            [rscript, str(SCRIPT), server.url, "9"],
            cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "of the epochs saved" in done.stdout
        runs = httpx.get(f"{server.url}/v1/runs?limit=20").json()["runs"]
        assert len(runs) == 9
        stopped = sum("stopped at" in line for line in done.stdout.splitlines())
        told = [httpx.get(f"{server.url}/v1/runs/{run['run_id']}").json() for run in runs]
    assert all(one["history"]["context"]["topology"] in ("even-r", "rectangular") for one in told)
    assert sum(one["run"]["state"] == "stopped" for one in told) == stopped


def test_its_hexagons_are_even_r(rscript: str) -> None:
    code = "library(kohonen); cat(unit.distances(somgrid(4, 5, 'hexagonal')) < 1.05)"
    done = subprocess.run([rscript, "-e", code], capture_output=True, text=True, check=True)
    import numpy as np

    from oracle.history.grids import Grid, adjacent

    near = np.array([word == "TRUE" for word in done.stdout.split()]).reshape(20, 20)
    first, second = np.divmod(np.arange(400), 20)
    ours = adjacent(first, second, 5, 4, Grid("even-r")).reshape(20, 20)
    np.fill_diagonal(near, False)
    assert np.array_equal(near, ours)
