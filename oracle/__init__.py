"""SOM Oracle: forecast how a self-organizing map's training will end, and decide whether to stop.

    from oracle import History, Oracle, watch

Public names are loaded on first use, so `import oracle` costs milliseconds and never imports
TensorFlow, onnxruntime, FastAPI or SQLAlchemy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from oracle._moved import lead_old_paths
from oracle.forks import uncut

__version__ = "0.1.0"

if TYPE_CHECKING:
    from oracle.client import Client as Client
    from oracle.decision.log import read_decisions as read_decisions
    from oracle.decision.log import replay_decision as replay_decision
    from oracle.decision.policy import decide as decide
    from oracle.decision.policy import decide_population as decide_population
    from oracle.errors import OracleError as OracleError
    from oracle.errors import OracleWarning as OracleWarning
    from oracle.forecast.certified import certified_policy as certified_policy
    from oracle.forecast.forecaster import Oracle as Oracle
    from oracle.history.context import context_of as context_of
    from oracle.history.dataset import iter_dataset as iter_dataset
    from oracle.history.dataset import read_dataset as read_dataset
    from oracle.history.dataset import write_dataset as write_dataset
    from oracle.history.frames import forecast_frame as forecast_frame
    from oracle.history.frames import read_frame as read_frame
    from oracle.history.frames import runs_frame as runs_frame
    from oracle.history.metrics import Metrics as Metrics
    from oracle.history.metrics import measure as measure
    from oracle.hook import watch as watch
    from oracle.hook.fitness import Fitness as Fitness
    from oracle.hook.population import Population as Population
    from oracle.integrations.maps import train_map as train_map
    from oracle.search.budgets import how_long as how_long
    from oracle.search.screen import Screen as Screen
    from oracle.search.screen import screen as screen
    from oracle.search.suggest import suggest as suggest
    from oracle.types import Action as Action
    from oracle.types import Decision as Decision
    from oracle.types import Forecast as Forecast
    from oracle.types import History as History
    from oracle.types import Outcome as Outcome
    from oracle.types import Policy as Policy
    from oracle.types import Reason as Reason
    from oracle.types import Reference as Reference
    from oracle.types import Run as Run
    from oracle.types import RunContext as RunContext
    from oracle.types import Schedule as Schedule

#: Public name -> module that defines it. A contract test keeps it equal to the block above.
_HOME = {
    "Client": "oracle.client",
    "context_of": "oracle.history.context",
    "iter_dataset": "oracle.history.dataset",
    "read_dataset": "oracle.history.dataset",
    "write_dataset": "oracle.history.dataset",
    "forecast_frame": "oracle.history.frames",
    "read_frame": "oracle.history.frames",
    "runs_frame": "oracle.history.frames",
    "read_decisions": "oracle.decision.log",
    "replay_decision": "oracle.decision.log",
    "certified_policy": "oracle.forecast.certified",
    "OracleError": "oracle.errors",
    "OracleWarning": "oracle.errors",
    "Fitness": "oracle.hook.fitness",
    "Oracle": "oracle.forecast.forecaster",
    "watch": "oracle.hook",
    "Metrics": "oracle.history.metrics",
    "measure": "oracle.history.metrics",
    "decide": "oracle.decision.policy",
    "decide_population": "oracle.decision.policy",
    "Population": "oracle.hook.population",
    "train_map": "oracle.integrations.maps",
    "how_long": "oracle.search.budgets",
    "Screen": "oracle.search.screen",
    "screen": "oracle.search.screen",
    "suggest": "oracle.search.suggest",
    "Action": "oracle.types",
    "Decision": "oracle.types",
    "Forecast": "oracle.types",
    "History": "oracle.types",
    "Outcome": "oracle.types",
    "Policy": "oracle.types",
    "Reason": "oracle.types",
    "Reference": "oracle.types",
    "Run": "oracle.types",
    "RunContext": "oracle.types",
    "Schedule": "oracle.types",
}

__all__ = ["__version__", *_HOME]

lead_old_paths()


#: Public name that went -> what to do instead.
_GONE = {"Follower": "Oracle.forecast on the history so far gives the same forecasts."}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        instead = f": {_GONE[name]}" if name in _GONE else ""
        raise AttributeError(f"module 'oracle' has no attribute {name!r}{instead}")
    with uncut():  # a child would wait for ever for an import that a thread of its parent had begun
        value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
