"""Studies of Optuna under test."""

from __future__ import annotations

from typing import Any

import optuna
from made_up import StandIn

from oracle.integrations.optuna import OraclePruner

EPOCHS = 10
RANDOM = optuna.samplers.RandomSampler


def pruner(**settings: Any) -> OraclePruner:
    """A pruner that asks a stand-in."""
    return OraclePruner(model=StandIn(), **settings)  # type: ignore[arg-type]
