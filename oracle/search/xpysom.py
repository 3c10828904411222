"""Plans of XPySom: its parameters, and the radius of its batch training."""

from __future__ import annotations

from math import exp, log
from typing import Any

from oracle.integrations.own_training import Plan as Steps
from oracle.search.minisom import INITIALIZATIONS
from oracle.search.parameters import Choice, Number, Space, beginnings
from oracle.search.plan import LONGEST_SIDE, Plan, call
from oracle.search.table import Table

DECAYS = ("exponential", "linear", "asymptotic")
NEIGHBORHOODS = ("gaussian", "bubble")
#: Its Gaussian's standard deviation, as a share of its sigma.
STD_COEFF = 0.5


def space(table: Table, longest_side: int) -> Space:
    """Give XPySom's parameters and where they are usually looked for."""
    return {
        "x": Number(3, longest_side, log=True, whole=True, least=1, most=LONGEST_SIDE),
        "y": Number(3, longest_side, log=True, whole=True, least=1, most=LONGEST_SIDE),
        "sigma": Number(1.0, 0.9 * longest_side, log=True, least=0.01),
        "sigmaN": Number(0.3, 2.0, log=True, least=0.01),
        "decay_function": Choice(DECAYS, DECAYS),
        "neighborhood_function": Choice(NEIGHBORHOODS[:1], NEIGHBORHOODS),
        "topology": Choice(("rectangular", "hexagonal"), ("rectangular", "hexagonal")),
        "initialization": beginnings(table.n_features, ("sample", "pca"), tuple(INITIALIZATIONS)),
    }


#: Which parameters `fits`, in words.
RULE = "sigma below the shorter of x and y, sigmaN not above sigma; for bubble sigmaN at least 1"


def fits(parameters: dict[str, Any]) -> bool:
    """Tell whether XPySom takes them without a warning, and the radius falls."""
    sigma, last = parameters["sigma"], parameters["sigmaN"]
    if parameters["neighborhood_function"] == "bubble" and last < 1:
        return False  # it reaches no neighbour at its end
    return bool(last <= sigma < min(parameters["x"], parameters["y"]))


def plan(parameters: dict[str, Any], table: Table, updates: int) -> Plan:
    """Give the plan of as many epochs over the table as are nearest to `updates`."""
    make = {name: value for name, value in parameters.items() if name != "initialization"}
    make = {"input_len": table.n_features, **make}
    epochs = max(1, round(updates / table.n_samples))
    kind = parameters["initialization"]
    lines = [f"som = {call('XPySom', make)}", f"som.train(data, {epochs})"]
    if begin := INITIALIZATIONS[kind]:
        lines.insert(1, f"som.{begin}(data)")
    gaussian = make["neighborhood_function"] == "gaussian"
    reach = STD_COEFF if gaussian else 1.0
    start, end = make["sigma"], make["sigmaN"]

    def radius(t: int) -> float:
        return reach * _decayed(make["decay_function"], start, end, t, epochs)

    context = table.context(
        make["x"],
        make["y"],
        topology=make["topology"],
        toroidal=False,
        neighborhood=make["neighborhood_function"],
        initialization=kind,
        total_updates=epochs * table.n_samples,
        batch_size=table.n_samples,
        schedule=Steps(epochs, table.n_samples, radius=radius).schedule(),
    )
    return Plan(parameters, make, {"num_epochs": epochs}, "\n".join(lines), context)


def _decayed(kind: str, start: float, end: float, t: int, total: int) -> float:
    """Evaluate one of its decays (xpysom 1.0.7, decays.py) at the epoch `t` of `total`."""
    if kind == "asymptotic":
        return start / (1 + 2 * t / total)
    if kind == "linear":
        return start + (end - start) * t / max(1, total - 1)
    return start * exp(t * log(end / start) / total)
