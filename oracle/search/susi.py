"""Plans of susi's unsupervised map: its parameters, and the radius and rate that follow."""

from __future__ import annotations

from math import exp
from typing import Any

from oracle.integrations.own_training import Plan as Steps
from oracle.search.parameters import Choice, Number, Space, beginnings
from oracle.search.plan import LONGEST_SIDE, Plan, call
from oracle.search.table import Table

RATES = ("min", "exp", "expsquare")
RADII = ("linear", "min")
INITIALIZATIONS = ("random", "random_data", "pca")


def space(table: Table, longest_side: int) -> Space:
    """Give the parameters of `SOMClustering` and where they are usually looked for."""
    return {
        "n_rows": Number(3, longest_side, log=True, whole=True, least=1, most=LONGEST_SIDE),
        "n_columns": Number(3, longest_side, log=True, whole=True, least=1, most=LONGEST_SIDE),
        "learning_rate_start": Number(0.1, 1.0, least=1e-6),
        "learning_rate_end": Number(0.005, 0.1, log=True, least=1e-9),
        "learn_mode_unsupervised": Choice(RATES, RATES),
        "neighborhood_mode_unsupervised": Choice(RADII, RADII),
        "init_mode_unsupervised": beginnings(table.n_features, INITIALIZATIONS, INITIALIZATIONS),
    }


#: Which parameters `fits`, in words.
RULE = "a map of more than one neuron, learning_rate_end not above learning_rate_start"


def fits(parameters: dict[str, Any]) -> bool:
    """Tell whether rate and radius fall; the latter from half the longer side to 1."""
    longest = max(parameters["n_rows"], parameters["n_columns"])
    return bool(
        longest >= 2 and parameters["learning_rate_end"] <= parameters["learning_rate_start"]
    )


def plan(parameters: dict[str, Any], table: Table, updates: int) -> Plan:
    """Give the plan of `updates` sample updates, drawn at random."""
    make = {**parameters, "n_iter_unsupervised": updates}
    rows, cols = parameters["n_rows"], parameters["n_columns"]
    first, last = parameters["learning_rate_start"], parameters["learning_rate_end"]

    def radius(t: int) -> float:
        kind = parameters["neighborhood_mode_unsupervised"]
        return _decreased(kind, max(rows, cols) / 2, 1.0, t / updates)

    def rate(t: int) -> float:
        return _decreased(parameters["learn_mode_unsupervised"], first, last, t / updates)

    context = table.context(
        rows,
        cols,
        topology="rectangular",
        toroidal=False,
        neighborhood="pseudo-gaussian",
        initialization=parameters["init_mode_unsupervised"],
        total_updates=updates,
        batch_size=1,
        schedule=Steps(updates, radius=radius, rate=rate).schedule(),
    )
    code = f"som = {call('SOMClustering', make)}\nsom.fit(data)"
    return Plan(parameters, make, {}, code, context)


def _decreased(kind: str, start: float, end: float, share: float) -> float:
    """Evaluate `susi.decreasing_rate` (susi 1.4.3) at a share of the iterations."""
    if kind == "linear":
        return (start - end) * (1 - share) + end
    if kind == "min":
        return float(start * (end / start) ** share)
    return start * exp(-5 * share ** (2 if kind == "expsquare" else 1))
