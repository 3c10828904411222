"""Populations to watch runs of."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import made_outcome

from oracle.hook.population import Population


@pytest.fixture
def shared(tmp_path: Path) -> Population:
    return Population(tmp_path / "runs.db")


@pytest.fixture
def filled(shared: Population) -> Population:
    """A population in which eight good runs have ended."""
    for i in range(8):
        shared.end("table", made_outcome(0.1 + i / 100, run_id=f"old-{i}"))
    return shared
