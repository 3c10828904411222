"""Plans of NexusSOM: its parameters as its own EA names them, and what follows from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from oracle.integrations.nexussom import of_parameters, planned
from oracle.search.parameters import Choice, Number, Space
from oracle.search.plan import LONGEST_SIDE, Plan, call
from oracle.search.table import Table

DROPS = ("linear-drop", "exp-drop", "log-drop", "step-down", "static")
GROWTHS = ("linear-growth", "exp-growth", "log-growth", "static")


def space(table: Table, longest_side: int) -> Space:
    """Give NexusSOM's parameters and where its own searches look."""
    return {
        "rows": Number(3, longest_side, log=True, whole=True, least=1, most=LONGEST_SIDE),
        "cols": Number(3, longest_side, log=True, whole=True, least=1, most=LONGEST_SIDE),
        "start_learning_rate": Number(0.1, 1.0, least=1e-6),
        "end_learning_rate": Number(0.005, 0.1, log=True, least=1e-9),
        "lr_decay_type": Choice(DROPS[:3], DROPS),
        "start_radius_init_ratio": Number(0.1, 1.0, least=0.01),
        "end_radius": Number(0.5, 2.0, least=0.01),
        "radius_decay_type": Choice(DROPS[:3], DROPS),
        "start_batch_percent": Number(0.1, 5.0, log=True, least=1e-3),
        "end_batch_percent": Number(1.0, 15.0, log=True, least=1e-3),
        "batch_growth_type": Choice(GROWTHS[:3], GROWTHS),
        "growth_g": Number(1.0, 50.0, log=True, least=1e-3),
        "num_batches": Number(1, 10, whole=True, least=1),
        "map_type": Choice(("hex", "square"), ("hex", "square")),
    }


#: Which parameters `fits`, in words.
RULE = (
    "end_learning_rate, end_radius and start_batch_percent not above start_learning_rate, the "
    "first radius and end_batch_percent"
)


def fits(parameters: dict[str, Any]) -> bool:
    """Tell whether they mean what they say: rates and radii that fall, batches that grow."""
    radius = parameters["start_radius_init_ratio"] * max(parameters["rows"], parameters["cols"])
    return bool(
        parameters["end_learning_rate"] <= parameters["start_learning_rate"]
        and parameters["end_radius"] <= radius
        and parameters["start_batch_percent"] <= parameters["end_batch_percent"]
    )


def plan(parameters: dict[str, Any], table: Table, updates: int) -> Plan:
    """Give the plan of about `updates` sample updates; how many follows from its batches."""
    sides = [parameters["rows"], parameters["cols"]]
    make: dict[str, Any] = {"map_size": sides}
    make |= {name: value for name, value in parameters.items() if name not in ("rows", "cols")}
    make["num_batches"] = min(make["num_batches"], table.n_samples)
    # Iterations are counted in tables' worths; each takes a batch.
    whole = planned(
        of_parameters({**make, "epoch_multiplier": 1.0}), np.empty((table.n_samples, 0))
    )
    each = (whole["total_updates"] or table.n_samples) / table.n_samples
    make["epoch_multiplier"] = max(1, round(updates / each)) / table.n_samples
    known = planned(of_parameters(make), np.empty((table.n_samples, 0)))
    rows, cols = known.pop("map_rows"), known.pop("map_cols")
    context = table.context(rows, cols, **known)
    code = f"som = {call('KohonenSOM', {'dim': table.n_features, **make})}\nsom.train(data)"
    return Plan(parameters, {"dim": table.n_features, **make}, {}, code, context)
