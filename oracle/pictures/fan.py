"""The picture of one forecast: what was seen, and the fan of where it may lead and end.

No pyplot: a notebook's own windows and settings are left alone, and the picture shows itself.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from oracle.errors import InvalidHistory, must_be
from oracle.pictures.style import DPI, FAINT, INK, MUTED, OURS, STYLE
from oracle.types import METRICS, TARGETS, Forecast, History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = ("Mean quantization error", "Topographic error", "Dead neurons")
#: (lower level, upper level, opacity) of the fan, the widest first.
BANDS = ((0.05, 0.95, 0.15), (0.25, 0.75, 0.30))


def draw(forecast: Forecast, history: History | None = None) -> Figure:
    """Draw a forecast, one panel a target; with its history, as a fan that leaves the curve.

    Args:
        forecast: as `Oracle.forecast` gives it.
        history: the one it was made for; without it only the intervals are drawn.

    Returns:
        A Matplotlib figure; a notebook shows it, `figure.savefig(path)` keeps it.

    Raises:
        InvalidHistory: a history with another number of checkpoints than the forecast's.
    """
    import matplotlib

    if history is not None and len(history) != forecast.n_checkpoints:
        rule = f"the forecast's own, with {forecast.n_checkpoints} checkpoints"
        raise InvalidHistory(must_be("history", rule, len(history)))

    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        figure = figure_of(11.4, 3.9)
        panels = figure.subplots(1, len(TARGETS))
        for axes, target, metric, title in zip(panels, TARGETS, METRICS, TITLES, strict=True):
            _panel(axes, forecast, history, target, metric)
            axes.set_title(title)
        seen = "" if forecast.progress is None else f", {forecast.progress:.0%} of the budget seen"
        after = f"after {forecast.n_checkpoints} checkpoints{seen}"
        if not forecast.n_checkpoints:
            after = "from the plan alone"
        figure.suptitle(
            f"{forecast.run_id or 'Forecast'} {after}; "
            f"support {forecast.support:.0%}; {forecast.model.name} {forecast.model.version}",
            x=0.01,
            ha="left",
            fontsize=10,
            color=MUTED,
        )
    return figure


def figure_of(width: float, height: float) -> Figure:
    """Give an empty figure, inches, that a notebook shows by itself."""
    from matplotlib.figure import Figure

    class Picture(Figure):
        def _repr_png_(self) -> bytes:
            buffer = BytesIO()
            self.savefig(buffer, format="png", dpi=DPI)
            return buffer.getvalue()

    return Picture(figsize=(width, height), layout="constrained")


def save(forecast: Forecast, history: History | None, path: str | Path) -> None:
    """Write the picture as one PNG."""
    import matplotlib

    figure = draw(forecast, history)
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        figure.savefig(path, format="png", dpi=DPI)


def _panel(
    axes: Axes, forecast: Forecast, history: History | None, target: str, metric: str
) -> None:
    at = dict(zip(forecast.levels, forecast.final[target], strict=True))
    known = _seen(history, metric)
    percent = history is None or not len(history) or history.total_epochs is not None
    begin, end = _span(forecast, history)
    way = _way(forecast, target, metric)
    x = [begin + share * (end - begin) for share, _ in way]
    rows = [dict(zip(forecast.levels, values, strict=True)) for _, values in way]
    if known:  # the fan leaves the last value
        axes.plot(*zip(*known, strict=True), color=INK, marker="o", markersize=3)
        x, rows = [begin, *x], [dict.fromkeys(forecast.levels, known[-1][1]), *rows]
    elif len(x) == 1:
        x, rows = [end - 0.5, *x], rows * 2
    for low, high, alpha in BANDS:
        lower, upper = ([row[level] for row in rows] for level in (low, high))
        axes.fill_between(x, lower, upper, color=OURS, alpha=alpha, linewidth=0)
    axes.plot(x, [row[0.5] for row in rows], color=OURS, linestyle=(0, (4, 3)))
    axes.annotate(
        f"{at[0.5]:.3g}\n90 %: {at[0.05]:.3g} to {at[0.95]:.3g}",
        (0.97, 0.95),
        xycoords="axes fraction",
        ha="right",
        va="top",
        fontsize=9,
        color=OURS,
        bbox={"facecolor": "white", "edgecolor": FAINT, "boxstyle": "round,pad=0.35"},
    )
    if percent:
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
        axes.set_xlim(0 if known or len(way) > 1 else end - 0.5, 1)
    axes.set_xlabel("share of the budget" if percent else "epochs (budget unknown)")
    low, high = axes.get_ylim()
    axes.set_ylim(max(0.0, low) if low < 0.4 * high else low, high + 0.22 * (high - low))


def _span(forecast: Forecast, history: History | None) -> tuple[float, float]:
    """Where what is left of the run begins and ends, on the axis of the picture."""
    if history is None or not len(history):
        return forecast.progress or 0.0, 1.0
    if history.total_epochs is None:
        return history.epochs[-1], 1.3 * history.epochs[-1]
    return min(1.0, history.epochs[-1] / history.total_epochs), 1.0


def _way(forecast: Forecast, target: str, metric: str) -> list[tuple[float, tuple[float, ...]]]:
    """Give (share of the rest, values at each level) from now to the end."""
    if forecast.curve is None:
        return [(1.0, forecast.final[target])]
    return list(zip(forecast.curve.of_the_rest, getattr(forecast.curve, metric), strict=True))


def _seen(history: History | None, metric: str) -> list[tuple[float, float]]:
    """Give (progress or epoch, value) of each checkpoint where the metric is defined."""
    if history is None:
        return []
    total = history.total_epochs or 1.0
    values = getattr(history, metric)
    return [(e / total, v) for e, v in zip(history.epochs, values, strict=True) if v is not None]
