"""Importing one integration imports nothing of the others, and the hook nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIBRARIES = {"minisom", "deap", "pymoo", "optuna", "xpysom", "ray", "somoclu"}
#: Integration -> the library it may import.
SERVES = {
    "oracle.integrations.minisom": set(),
    "oracle.integrations.deap": set(),
    "oracle.integrations.pymoo": {"pymoo"},
    "oracle.integrations.optuna": {"optuna"},
}


@pytest.mark.parametrize("module", SERVES)
def test_it_imports_its_own_library_only(module: str) -> None:
    heavy = LIBRARIES | {"tensorflow", "fastapi", "sqlalchemy", "onnxruntime", "httpx"}
    code = f"import {module}, sys; print(*sorted({heavy!r} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert set(result.stdout.split()) == SERVES[module]
