"""The picture of a plane of two parameters: the forecast as colour, the suggested plans as dots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from oracle.pictures.style import INK, MUTED, PAPER, canvas
from oracle.types import Plane, Suggestion


def save(plane: Plane, plans: Sequence[Suggestion], path: str | Path) -> None:
    """Draw a plane, with the plans that were suggested numbered on it.

    Args:
        plane: as `oracle.search.plane.plane` gives it.
        plans: best first; they differ in the other parameters too.
        path: PNG to write.
    """
    first, second = plane.names
    values = np.array([[np.nan if v is None else v for v in row] for row in plane.values])
    with canvas(path, width=6.4, height=5.0) as (figure, (axes,)):
        axes.grid(visible=False)
        drawn = axes.pcolormesh(plane.across, plane.up, values, cmap="YlGnBu_r", shading="nearest")
        levels = np.nanquantile(values, [0.02, 0.1, 0.25, 0.5])
        if min(values.shape) > 1 and len(np.unique(levels)) == len(levels):
            axes.contour(plane.across, plane.up, values, levels, colors=INK, linewidths=0.6)
        for axis, log in ((axes.set_xscale, plane.log[0]), (axes.set_yscale, plane.log[1])):
            axis("log" if log else "linear")
        for number, plan in enumerate(plans, 1):
            at = float(str(plan.parameters[first])), float(str(plan.parameters[second]))
            axes.plot(*at, "o", color=PAPER, markeredgecolor=INK, markersize=11)
            axes.annotate(str(number), at, ha="center", va="center", fontsize=6.5, color=INK)
        bar = figure.colorbar(drawn, ax=axes, pad=0.02)
        bar.outline.set_visible(False)
        bar.set_label(f"{plane.objective}, forecast before any training")
        axes.set(xlabel=first, ylabel=second, title=f"{plane.objective}: lower is better")
        if plans:
            figure.supxlabel(
                "numbered: the suggested plans, which differ in the other settings too",
                fontsize=8,
                color=MUTED,
            )
