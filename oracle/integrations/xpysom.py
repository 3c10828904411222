"""XPySom: the planned schedule of its batch training, for `oracle.context_of`.

XPySom trains in pieces, so the hook needs no loop of its own:

    with watch(total_epochs=n, context=context_of(som, data, num_iteration=n)) as run:
        for epoch in range(0, n, step):
            som.train(data, n, iter_beg=epoch, iter_end=min(epoch + step, n))
            metrics = measure(som.get_weights(), data, som.topology)
            if run.report(min(epoch + step, n), **metrics._asdict()).stop:
                break

XPySom itself is never imported.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from oracle.types import Schedule

#: Points at which a planned schedule is read; linear between them.
PLAN_POINTS = 33
_GAUSSIANS = ("gaussian", "mexican_hat")


def planned(
    som: Any, samples: Any, num_iteration: int | None, use_epochs: bool = True
) -> dict[str, Any]:
    """Gather what XPySom's object tells of a run before its first update.

    Args:
        som: an `xpysom.XPySom`.
        samples: [sample, feature].
        num_iteration: epochs; without them there is no plan.
        use_epochs: XPySom knows nothing else.

    Returns:
        Fields of `RunContext`.
    """
    found: dict[str, Any] = {
        "topology": som.topology,
        "toroidal": False,
        "neighborhood": som.neighborhood_func_name,
        "batch_size": len(samples),
    }
    if num_iteration is not None:
        found["total_updates"] = len(samples) * num_iteration
        found["schedule"] = _schedule(som, num_iteration)
    return found


def _schedule(som: Any, epochs: int) -> Schedule | None:
    if epochs < 2:
        return None
    # A Gaussian's standard deviation is std_coeff * sigma, half of sigma by default; and the batch
    # rule divides by the learning rate what it multiplied by it, so that there is none.
    reach = som._std_coeff if som.neighborhood_func_name in _GAUSSIANS else 1.0
    at = np.unique(np.linspace(0, epochs - 1, PLAN_POINTS).round().astype(int)).tolist()
    radius = [reach * float(som._decay_function(som._sigma, som._sigmaN, t, epochs)) for t in at]
    if not all(isfinite(r) and r >= 0 for r in radius):
        return None
    return Schedule.model_validate({"progress": [t / (epochs - 1) for t in at], "radius": radius})
