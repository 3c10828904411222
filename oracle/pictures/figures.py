"""Pictures of evaluation and replay; every function writes one PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from oracle.pictures.style import (
    GOOD,
    INK,
    MUTED,
    OURS,
    OURS_TOO,
    PAPER,
    RIVALS,
    canvas,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]


def scatter(
    path: str | Path, true: Array, predicted: Array, names: Sequence[str], note: str
) -> None:
    """Draw forecast against outcome, one panel a target.

    Args:
        true, predicted: [run, target].
        names: [target] axis titles.
        note: what is shown, e.g. the progress the forecasts were made at.
    """
    with canvas(path, len(names), width=3.7, height=4.2) as (figure, panels):
        for i, (axes, name) in enumerate(zip(panels, names, strict=True)):
            x, y = true[:, i], predicted[:, i]
            known = np.isfinite(x) & np.isfinite(y)
            top = float(max(np.quantile(x[known], 0.995), np.quantile(y[known], 0.995))) * 1.03
            axes.plot([0, top], [0, top], color=MUTED, linewidth=0.9, zorder=1)
            axes.scatter(x, y, s=7, color=OURS, alpha=0.28, linewidths=0, zorder=2)
            axes.set(xlim=(0, top), ylim=(0, top), xlabel="outcome", title=name)
            axes.set_box_aspect(1)
            error = np.abs(x - y)[known].mean()
            axes.text(0.96, 0.05, f"MAE {error:.3f}", transform=axes.transAxes, ha="right")
        panels[0].set_ylabel("forecast")
        figure.suptitle(note, x=0.01, ha="left", fontsize=10, color=MUTED)


def residuals(path: str | Path, residual: Mapping[float, Array], name: str) -> None:
    """Draw how the error is spread at each prefix: median, central half and central 90 %.

    Args:
        residual: progress -> [run] forecast minus outcome; those where none is known are left
            out, as before the first checkpoint of runs that told no plan.
        name: what is forecast.
    """
    known = {
        p: found for p, values in residual.items() if len(found := values[np.isfinite(values)])
    }
    with canvas(path, width=6.4) as (_, (axes,)):
        axes.axhline(0, color=MUTED, linewidth=0.9)
        for i, values in enumerate(known.values()):
            low, lower, middle, upper, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
            axes.plot([i, i], [low, high], color=OURS_TOO, linewidth=2)
            axes.plot([i, i], [lower, upper], color=OURS, linewidth=9, alpha=0.9)
            axes.plot(i, middle, "o", color=PAPER, markersize=4)
        axes.set_xticks(range(len(known)), [f"{p:.0%}" for p in known])
        axes.grid(axis="x", visible=False)
        axes.set(xlabel="share of the run seen", ylabel="forecast minus outcome", title=name)


def error_by_prefix(
    path: str | Path, errors: Mapping[str, Mapping[float, float]], name: str, ours: str
) -> None:
    """Draw the mean absolute error by prefix, one line a forecaster, ours in front."""
    with canvas(path, width=7.2, height=4.6) as (_, (axes,)):
        rivals = iter(RIVALS * 4)
        ends: list[tuple[float, str, str]] = []
        for label, by_prefix in errors.items():
            x, y = np.array(list(by_prefix)), np.array(list(by_prefix.values()))
            mine = label == ours
            color = OURS if mine else next(rivals)
            axes.plot(
                x,
                y,
                color=color,
                marker="o",
                markersize=5 if mine else 3.5,
                linewidth=2.6 if mine else 1.4,
                zorder=3 if mine else 2,
            )
            ends.append((float(y[0]), label, color))
        _name_lines(axes, ends, x=float(x[0]), side="left")
        axes.set_xticks(x, [f"{p:.0%}" for p in x])
        axes.set_xlim(x[0] - 0.28 * (x[-1] - x[0]), x[-1] * 1.02)
        axes.set_ylim(bottom=0)
        axes.set(xlabel="share of the run seen", ylabel="mean absolute error", title=name)


def coverage(
    path: str | Path, pit: Array, by_prefix: Mapping[float, Mapping[float, float]]
) -> None:
    """Draw the probability integral transform and the coverage by prefix.

    Args:
        pit: [value] within 0..1; uniform where the forecast is honest.
        by_prefix: nominal coverage -> progress -> share of outcomes inside.
    """
    with canvas(path, 2) as (_, (left, right)):
        left.hist(pit, bins=20, range=(0, 1), density=True, color=OURS_TOO, edgecolor=PAPER)
        left.axhline(1.0, color=INK, linewidth=1.2)
        left.set(xlabel="probability integral transform", ylabel="density", title="Flat is honest")
        for nominal, shares in by_prefix.items():
            x, y = list(shares), [100 * v for v in shares.values()]
            right.axhline(100 * nominal, color=MUTED, linewidth=0.9)
            right.plot(x, y, color=OURS, marker="o", markersize=5)
            right.annotate(f"{nominal:.0%} interval", (x[0], y[0]), (0, 9), color=OURS,
                           textcoords="offset points", fontsize=9)  # fmt: skip
        right.set_xticks(x, [f"{p:.0%}" for p in x])
        right.set(ylim=(0, 102), xlabel="share of the run seen", ylabel="outcomes inside, %",
                  title="Coverage of the intervals")  # fmt: skip


def saved_against_lost(
    path: str | Path,
    curves: Mapping[str, Sequence[tuple[float, float]]],
    ours: Sequence[str],
    bound: float,
    note: str,
) -> None:
    """Draw what each policy saves against the good runs it loses, over its settings.

    Args:
        curves: policy -> (lost, saved) of each setting, shares 0..1.
        ours: names of our own policies, drawn in front.
        bound: saved by a clairvoyant.
        note: what was replayed.
    """
    with canvas(path, width=8.4, height=5.2) as (_, (axes,)):
        axes.axhline(100 * bound, color=GOOD, linewidth=1.1)
        axes.annotate("clairvoyant", (100, 100 * bound), (0, 4), textcoords="offset points",
                      color=GOOD, ha="right", fontsize=9)  # fmt: skip
        axes.axvspan(0, 1, color=GOOD, alpha=0.10, linewidth=0)
        colors = iter(RIVALS * 4)
        own = iter((OURS, OURS_TOO, "#16325c", "#7fb7d1"))
        for label, points in curves.items():
            ordered = sorted(points)
            x = [100 * lost for lost, _ in ordered]
            y = [100 * saved for _, saved in ordered]
            mine = label in ours
            axes.plot(
                x,
                y,
                color=next(own) if mine else next(colors),
                marker="o",
                markersize=4.5 if mine else 3.5,
                linewidth=2.6 if mine else 1.2,
                zorder=3 if mine else 2,
                label=label,
            )
        # Most of what matters happens below a few percent.
        axes.set_xscale("symlog", linthresh=2, linscale=0.9)
        ticks = (0, 1, 2, 5, 10, 20, 50, 100)
        axes.set_xticks(ticks, [f"{t} %" for t in ticks])
        axes.minorticks_off()
        axes.set(xlim=(-0.1, 105), ylim=(0, 100), xlabel="good runs lost", ylabel="epochs saved, %")
        axes.set_title(note, color=MUTED, fontsize=10)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))


def _name_lines(axes: Axes, ends: Sequence[tuple[float, str, str]], x: float, side: str) -> None:
    """Write each line's name beside its end, apart from each other."""
    low, high = axes.get_ylim()
    gap = (high - low) * 0.05
    last = -np.inf
    for y, label, color in sorted(ends):
        place = max(y, last + gap)
        last = place
        axes.annotate(label, (x, y), xytext=(-8 if side == "left" else 8, 0), color=color,
                      xycoords="data", textcoords="offset points", fontsize=9, va="center",
                      ha="right" if side == "left" else "left").xyann = (
            -8 if side == "left" else 8,
            (place - y) / (high - low) * axes.bbox.height * 72 / axes.figure.dpi,
        )  # fmt: skip


def error_by_checkpoints(
    path: str | Path,
    grown: Sequence[tuple[int, float]],
    spaced: Sequence[tuple[int, float]],
    sets: Sequence[Sequence[float]],
    within: float,
    note: str,
) -> None:
    """Draw what fewer checkpoints cost, and where those stand that help most.

    Args:
        grown, spaced: (number of checkpoints, error over that with all, less 1) of each set.
        sets: shares of the budget of each grown set.
        within: the excess that was asked for.
        note: what it was measured on.
    """
    from matplotlib.ticker import MaxNLocator

    with canvas(path, 2, width=5.6, height=4.2) as (figure, (left, right)):
        for points, color, label in ((spaced, RIVALS[3], "equally spaced"), (grown, OURS, "grown")):
            if points:
                x, y = zip(*points, strict=True)
                left.plot(x, y, color=color, marker="o", markersize=4, label=label)
        if grown or spaced:
            left.legend(loc="upper right")
        left.axhline(within, color=GOOD, linewidth=1.0, linestyle=(0, (4, 3)))
        left.axhline(0, color=MUTED, linewidth=0.9)
        left.set_yscale("symlog", linthresh=max(within, 0.01))
        left.yaxis.set_major_formatter(lambda y, _: f"{y:+.0%}")
        left.set(xlabel="checkpoints", ylabel="error over that with all checkpoints, less 1",
                 title=f"What fewer cost; dashed: {within:.0%}")  # fmt: skip
        for n, shares in enumerate(sets, 1):
            new = set(shares) - set(sets[n - 2] if n > 1 else ())
            right.scatter(list(shares), [n] * len(shares), s=16, color=OURS_TOO, linewidths=0)
            right.scatter(list(new), [n] * len(new), s=34, color=OURS, linewidths=0)
        right.set_ylim(len(sets) + 0.5, 0.5)
        right.yaxis.set_major_locator(MaxNLocator(integer=True))
        right.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
        right.set(xlabel="share of the budget", ylabel="checkpoints",
                  title="Where they stand; dark: the one added")  # fmt: skip
        figure.suptitle(note, x=0.01, ha="left", fontsize=10, color=MUTED)
