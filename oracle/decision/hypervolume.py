"""Exact hypervolume gain of many candidate points over one front, up to three objectives.

All objectives are minimised. The part of the objective space that the front leaves free is cut
into disjoint boxes once; a candidate's gain is the volume it takes of them, one multiplication
a box and candidate. Boxes come from a sweep along the last objective, as in dimension-sweep
algorithms (Beume et al., "On the complexity of computing the hypervolume indicator", IEEE
Transactions on Evolutionary Computation 13, 2009).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

MAX_OBJECTIVES = 3
#: The corner lies this share of the range beyond the worst value seen.
CORNER_MARGIN = 0.1


def box_of(points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give the box that points [point, objective] are measured in, so that no unit counts more.

    Returns:
        best, span: [objective] of the points; (point - best) / span is measured.
        corner: [objective] of the hypervolume, in these units.
    """
    best, worst = points.min(axis=0), points.max(axis=0)
    span = np.where(worst > best, worst - best, 1.0)
    return best, span, np.full(points.shape[1], 1.0 + CORNER_MARGIN)


def nondominated(points: FloatArray) -> FloatArray:
    """Return the points [point, objective] that no other one dominates, without duplicates."""
    points = np.unique(points, axis=0)
    worse_or_equal: npt.NDArray[np.bool_] = np.all(points[:, None] >= points[None], axis=2)
    np.fill_diagonal(worse_or_equal, False)
    front: FloatArray = points[~np.any(worse_or_equal, axis=1)]
    return front


def _free_boxes(front: FloatArray, corner: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Cut what a front without dominated members leaves free below `corner` into boxes [box, 3].

    Lower ends, and upper. The lower are -inf where the free space is open; a candidate bounds it.
    """
    lower: list[tuple[float, float, float]] = []
    upper: list[tuple[float, float, float]] = []
    alive: dict[tuple[float, float, float], float] = {}  # (x from, x to, y to) -> z from
    stair: list[tuple[float, float]] = []
    order = np.argsort(front[:, 2], kind="stable")
    levels = [-np.inf, *front[order, 2].tolist(), float(corner[2])]
    for step, z in enumerate(levels[:-1]):
        if step:
            x, y, _ = front[order[step - 1]].tolist()
            stair = [p for p in stair if not (p[0] >= x and p[1] >= y)]
            stair.append((x, y))  # none in it is as good, or the front would be dominated
            stair.sort()
        if levels[step + 1] <= z:
            continue  # a thicker slab follows
        xs = [-np.inf, *(p[0] for p in stair), float(corner[0])]
        ys = [float(corner[1]), *(p[1] for p in stair)]
        now = {(xs[i], xs[i + 1], ys[i]) for i in range(len(ys)) if xs[i + 1] > xs[i]}
        for column in [c for c in alive if c not in now]:
            lower.append((column[0], -np.inf, alive.pop(column)))
            upper.append((column[1], column[2], z))
        for column in now:
            alive.setdefault(column, z)
    for column, start in alive.items():
        lower.append((column[0], -np.inf, start))
        upper.append((column[1], column[2], levels[-1]))
    return np.array(lower), np.array(upper)


def _three(points: FloatArray, fill: float) -> FloatArray:
    missing = MAX_OBJECTIVES - points.shape[-1]
    return np.pad(points, [(0, 0), (0, missing)], constant_values=fill)


def gains(points: FloatArray, front: FloatArray, corner: FloatArray) -> FloatArray:
    """Return the hypervolume each point alone would add to the front.

    Args:
        points: [point, objective] candidates, 1..3 objectives.
        front: [member, objective], may be empty; dominated members do no harm.
        corner: [objective] reference point; what lies beyond it counts for nothing.

    Returns:
        [point] volumes, 0 for a dominated point; never larger for a worse point.
    """
    inside = front[(front < corner).all(axis=1)]
    corner3 = _three(corner[None], 1.0)[0]
    lower, upper = _free_boxes(_three(nondominated(inside), 0.0), corner3)
    points3 = _three(points, 0.0)
    volume = np.ones((len(points), len(lower)))
    for axis in range(MAX_OBJECTIVES):
        start = np.maximum(points3[:, axis, None], lower[:, axis])
        volume *= np.clip(upper[:, axis] - start, 0.0, None)
    return np.asarray(volume.sum(axis=1))


def hypervolume(front: FloatArray, corner: FloatArray) -> float:
    """Return the volume between the front [member, objective] and `corner`.

    All of the box from the front's best values to the corner, less what the front leaves free.
    """
    inside = front[(front < corner).all(axis=1)]
    if not len(inside):
        return 0.0
    best = inside.min(axis=0)
    return float((corner - best).prod() - gains(best[None], inside, corner)[0])
