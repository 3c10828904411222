"""What users leave out, hidden in training and calibration as it is missing in life.

Every run of a batch gets a profile (what a whole class of users tells), then single inputs are
hidden on top. The rates are how often training should prepare for each, not how often it happens.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oracle.history.columns import TOLD_TOGETHER, Array, Columns

Flags = npt.NDArray[np.bool_]

#: Inputs that are told or left out together -> how often each is left out by itself.
GROUPS = {
    "scale": 0.04,  # mqe_of_mean
    "geometry": 0.10,
    "schedule": 0.05,
    "rates": 0.05,  # learning rate and radius at the checkpoints
    "budget": 0.03,  # total_epochs
    "map": 0.02,
    "samples": 0.02,
    "updates": 0.04,
    "batch": 0.05,
    "kind": 0.03,
    "torus": 0.10,
}
EVERYTHING = tuple(GROUPS)
_PLAN = ("schedule", "rates", "updates", "batch", "kind", "torus")
#: Profile -> how often, and the groups that it leaves out.
PROFILES: dict[str, tuple[float, tuple[str, ...]]] = {
    "all": (0.50, ()),
    "no geometry": (0.08, ("geometry",)),
    # What a recorded folder without its table tells.
    "no table": (0.07, ("scale", "geometry", "torus")),
    # What can be read from a map and its data: no plan.
    "no plan": (0.12, _PLAN),
    "no plan, no table": (0.06, (*_PLAN, "scale", "geometry")),
    "scale alone": (0.05, (*_PLAN, "map")),
    "plan alone": (0.03, ("scale", "geometry", "updates", "batch", "kind", "samples", "torus")),
    "four arrays": (0.09, tuple(g for g in EVERYTHING if g != "budget")),
}
#: How a ratio is missing -> how often: never measured, no longer measured, not measured at times.
MISSING_RATIO = {"throughout": 0.035, "from then on": 0.015, "at times": 0.015}
RATIOS = ("topographic_error", "dead_neuron_ratio")
#: Factor on all rates in calibration: every class of knowledge needs examples.
HIDDEN_OFTEN = 2.0
_SIZES = {
    "scale": ("mqe_of_mean",),
    "map": TOLD_TOGETHER[0],
    "samples": TOLD_TOGETHER[1],
    "updates": ("total_updates",),
    "batch": ("batch_size",),
}


def hide_inputs(c: Columns, scale: float, rng: np.random.Generator) -> None:
    """Set inputs of random runs to missing, in place.

    Args:
        c: what is known.
        scale: factor on all rates; 0 hides nothing.
        rng: source of the draws.
    """
    if scale <= 0:
        return
    runs = len(c)
    hidden = {name: rng.random(runs) < scale * rate for name, rate in GROUPS.items()}
    drawn = rng.random(runs)
    first = 0.0
    for rate, groups in list(PROFILES.values())[1:]:
        here = (drawn >= first) & (drawn < first + scale * rate)
        first += scale * rate
        for group in groups:
            hidden[group] |= here
    hide(c, hidden)
    for ratio in RATIOS:
        hide_ratio(c.step[ratio], scale, rng)


def hide(c: Columns, hidden: dict[str, Flags]) -> None:
    """Set groups of inputs to missing, in place: group -> [run]."""
    for group, rows in hidden.items():
        for size in _SIZES.get(group, ()):
            c.size[size][rows] = np.nan
        if group == "schedule":
            for plan in c.plan.values():
                plan[rows] = np.nan
        elif group == "rates":
            for name in ("learning_rate", "radius"):
                c.step[name][rows] = np.nan
        elif group == "budget":
            c.total_epochs[rows] = np.nan
        elif group == "geometry":
            c.geometry[rows] = np.nan
        elif group == "kind":
            c.kind[rows, :-2] = 0.0
        elif group == "torus":
            c.kind[rows, -2:] = 0.0


def hide_ratio(values: Array, scale: float, rng: np.random.Generator) -> None:
    """Hide one ratio [run, time] of random runs, throughout or in part, in place."""
    runs, time = values.shape
    drawn = rng.random((runs, 1)) / scale
    at = np.arange(time)
    throughout = drawn < MISSING_RATIO["throughout"]
    later = (drawn >= MISSING_RATIO["throughout"]) & (
        drawn < MISSING_RATIO["throughout"] + MISSING_RATIO["from then on"]
    )
    seldom = (drawn >= MISSING_RATIO["throughout"] + MISSING_RATIO["from then on"]) & (
        drawn < sum(MISSING_RATIO.values())
    )
    begins = rng.integers(1, max(2, time), (runs, 1))
    gaps = rng.random((runs, time)) < rng.uniform(0.2, 0.9, (runs, 1))
    values[throughout | (later & (at >= begins)) | (seldom & gaps)] = np.nan
