"""The picture of an explanation: the forecast without each part beside the one with all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from oracle.pictures.fan import figure_of
from oracle.pictures.style import DPI, FAINT, GOOD, INK, MUTED, OURS, STYLE
from oracle.types import Explanation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Height of a row and of what stands around them, inches.
ROW, AROUND = 0.3, 1.3
#: Height of what a network looked at, inches; labels of its rows, at most.
LOOKS, LABELS = 1.6, 12


def draw(explanation: Explanation) -> Figure:
    """Draw a row a part: where the forecast would lie without it, over the band of the whole one.

    Parts of the plan stand above, stretches of checkpoints below, in their order.

    Returns:
        A Matplotlib figure; a notebook shows it, `figure.savefig(path)` keeps it.
    """
    import matplotlib

    levels = explanation.levels
    at = [levels.index(level) for level in (0.05, 0.25, 0.5, 0.75, 0.95)]
    low, inner_low, middle, inner_high, high = (explanation.quality[i] for i in at)
    plan = [part for part in explanation.by_weight if part.epochs is None]
    rows = [*plan, *(part for part in explanation.parts if part.epochs is not None)]
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        figure = figure_of(9.6, AROUND + ROW * max(1, len(rows)))
        if explanation.attention:
            ratios = (max(1, len(rows)) * ROW, LOOKS)
            figure.set_size_inches(9.6, AROUND + sum(ratios) + 0.6)
            axes, looks = figure.subplots(2, 1, height_ratios=ratios)
            _looks(looks, explanation.attention)
        else:
            axes = figure.subplots()
        axes.axvspan(low, high, color=OURS, alpha=0.12, linewidth=0)
        axes.axvspan(inner_low, inner_high, color=OURS, alpha=0.18, linewidth=0)
        axes.axvline(middle, color=OURS, linestyle=(0, (4, 3)), linewidth=1.4)
        for y, part in enumerate(rows):
            color = INK if part.epochs is None else GOOD
            q = [part.without[i] for i in at]
            axes.plot([q[0], q[4]], [y, y], color=color, linewidth=1.2, alpha=0.6)
            axes.plot([q[1], q[3]], [y, y], color=color, linewidth=3.2, alpha=0.6)
            axes.plot([q[2]], [y], color=color, marker="o", markersize=5)
        axes.set_yticks(range(len(rows)), [f"without {part.part}" for part in rows])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        if 0 < len(plan) < len(rows):
            axes.axhline(len(plan) - 0.5, color=FAINT, linewidth=1.0)
        axes.set_xlabel(f"quality score, {explanation.scale.value}; thick: 50 %, thin: 90 %")
        model, progress = explanation.model, explanation.progress
        seen = "" if progress is None else f", {progress:.0%} of the budget seen"
        figure.suptitle(
            f"{explanation.run_id or 'Forecast'}{seen}; {model.name} {model.version}\n"
            "Band: the forecast. Rows: what it would be without a part of what it rests on",
            x=0.01,
            ha="left",
            fontsize=10,
            color=MUTED,
        )
    return figure


def _looks(axes: Axes, attention: Sequence[tuple[float | None, float]]) -> None:
    """Draw what the network looked at, a bar a row that it saw."""
    axes.bar(range(len(attention)), [weight for _, weight in attention], color=OURS, width=0.8)
    step = -(-len(attention) // LABELS)
    labels = ["plan" if epoch is None else f"{epoch:g}" for epoch, _ in attention]
    axes.set_xticks(range(0, len(labels), step), labels[::step])
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:.0%}")
    axes.grid(axis="x", visible=False)
    axes.set(xlabel="epoch", title="What the network looked at")


def save(explanation: Explanation, path: str | Path) -> None:
    """Write the picture as one PNG."""
    import matplotlib

    figure = draw(explanation)
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        figure.savefig(path, format="png", dpi=DPI)
