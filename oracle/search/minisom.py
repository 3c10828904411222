"""Plans of MiniSom: its parameters, and the schedules that follow from them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from oracle.integrations.minisom import PLAN_POINTS, RADII, RATES, decay
from oracle.search.parameters import Choice, Number, Space, beginnings
from oracle.search.plan import LONGEST_SIDE, Plan, call
from oracle.search.table import Table
from oracle.types import FloatArray, Schedule

NEIGHBORHOODS = ("gaussian", "bubble", "mexican_hat", "triangle")
INITIALIZATIONS = {"random": None, "sample": "random_weights_init", "pca": "pca_weights_init"}


def space(table: Table, longest_side: int) -> Space:
    """Give MiniSom's parameters and where they are usually looked for."""
    return {
        "x": Number(3, longest_side, log=True, whole=True, least=1, most=LONGEST_SIDE),
        "y": Number(3, longest_side, log=True, whole=True, least=1, most=LONGEST_SIDE),
        "sigma": Number(0.5, 0.6 * longest_side, log=True, least=0.01),
        "learning_rate": Number(0.02, 1.0, log=True, least=1e-6),
        "decay_function": Choice(RATES, RATES),
        "sigma_decay_function": Choice(RADII, RADII),
        "neighborhood_function": Choice(NEIGHBORHOODS[:2], NEIGHBORHOODS),
        "topology": Choice(("rectangular", "hexagonal"), ("rectangular", "hexagonal")),
        "initialization": beginnings(table.n_features, ("sample", "pca"), tuple(INITIALIZATIONS)),
    }


#: Which parameters `fits`, in words.
RULE = (
    "sigma shorter than the diagonal of x by y; for bubble and triangle at least 1, for "
    "triangle learning_rate * sigma^2 at most 1"
)


def fits(parameters: dict[str, Any]) -> bool:
    """Tell whether MiniSom would take them without a warning, and keep what was meant."""
    sigma, longest = parameters["sigma"], np.hypot(parameters["x"], parameters["y"])
    kernel = parameters["neighborhood_function"]
    if kernel == "triangle" and parameters["learning_rate"] * sigma**2 > 1:
        return False  # its peak is sigma^2: the first step would throw the map about
    return bool(sigma < longest and (kernel not in ("bubble", "triangle") or sigma >= 1))


def plan(parameters: dict[str, Any], table: Table, updates: int) -> Plan:
    """Give the plan of `updates` sample updates in random order."""
    make = {name: value for name, value in parameters.items() if name != "initialization"}
    if make["neighborhood_function"] in ("bubble", "triangle"):
        make["sigma"] = round(make["sigma"])  # it reaches whole neurons
    make = {"input_len": table.n_features, **make}
    train = {"num_iteration": updates, "random_order": True}
    kind = parameters["initialization"]
    begin = INITIALIZATIONS[kind]
    lines = [f"som = {call('MiniSom', make)}", f"som.train(data, {updates}, random_order=True)"]
    if begin is not None:
        lines.insert(1, f"som.{begin}(data)")
    context = table.context(
        make["x"],
        make["y"],
        topology=make["topology"],
        toroidal=False,
        neighborhood=make["neighborhood_function"],
        initialization=kind,
        total_updates=updates,
        batch_size=1,
        schedule=_schedule(make, updates),
    )
    return Plan(parameters, make, train, "\n".join(lines), context)


def _schedule(make: dict[str, Any], updates: int) -> Schedule | None:
    """Read both decays; one update alone has no schedule."""
    if updates < 2:
        return None
    t, progress = _points(updates)
    return Schedule(
        progress=progress,
        learning_rate=_values(make["decay_function"], make["learning_rate"], t, updates),
        radius=_values(make["sigma_decay_function"], make["sigma"], t, updates),
    )


@lru_cache(maxsize=4)
def _points(updates: int) -> tuple[FloatArray, tuple[float, ...]]:
    """Give the updates at which a schedule is read, and the progress there."""
    t = np.unique(np.linspace(1, updates, PLAN_POINTS).round()) - 1
    return t, tuple((t / (updates - 1)).tolist())


def _values(kind: str, start: float, t: FloatArray, updates: int) -> tuple[float, ...]:
    return tuple(np.maximum(decay(kind, t, updates, start), 0.0).tolist())
