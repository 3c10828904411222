"""What the tests of the hook in real searches share."""

from __future__ import annotations

from collections.abc import Iterator

import optuna
import pytest


@pytest.fixture
def quiet() -> Iterator[None]:
    """Optuna without its lines of log."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)
