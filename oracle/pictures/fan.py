"""The picture of one forecast: what was seen, and the fan of where it may end.

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
    from matplotlib.figure import Figure

    if history is not None and len(history) != forecast.n_checkpoints:
        rule = f"the forecast's own, with {forecast.n_checkpoints} checkpoints"
        raise InvalidHistory(must_be("history", rule, len(history)))

    class Picture(Figure):
        def _repr_png_(self) -> bytes:
            buffer = BytesIO()
            self.savefig(buffer, format="png", dpi=DPI)
            return buffer.getvalue()

    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        figure = Picture(figsize=(11.4, 3.9), layout="constrained")
        panels = figure.subplots(1, len(TARGETS))
        for axes, target, metric, title in zip(panels, TARGETS, METRICS, TITLES, strict=True):
            _panel(axes, forecast, history, target, metric)
            axes.set_title(title)
        seen = "" if forecast.progress is None else f", {forecast.progress:.0%} of the budget seen"
        figure.suptitle(
            f"{forecast.run_id or 'Forecast'} after {forecast.n_checkpoints} checkpoints{seen}; "
            f"support {forecast.support:.0%}; {forecast.model.name} {forecast.model.version}",
            x=0.01,
            ha="left",
            fontsize=10,
            color=MUTED,
        )
    return figure


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
    begin, value = known[-1] if known else (0.0, None)
    end = 1.0 if history is None or history.total_epochs else begin * 1.3
    percent = history is None or history.total_epochs is not None
    if known:
        axes.plot(*zip(*known, strict=True), color=INK, marker="o", markersize=3)
    start = [begin, end] if value is not None else [end - 0.5, end]
    for low, high, alpha in BANDS:
        left = (value, value) if value is not None else (at[low], at[high])
        axes.fill_between(
            start, [left[0], at[low]], [left[1], at[high]], color=OURS, alpha=alpha, linewidth=0
        )
    axes.plot(
        start, [at[0.5] if value is None else value, at[0.5]], color=OURS, linestyle=(0, (4, 3))
    )
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
        axes.set_xlim(0 if known else end - 0.5, 1)
    axes.set_xlabel("share of the budget" if percent else "epochs (budget unknown)")
    low, high = axes.get_ylim()
    axes.set_ylim(max(0.0, low) if low < 0.4 * high else low, high + 0.22 * (high - low))


def _seen(history: History | None, metric: str) -> list[tuple[float, float]]:
    """Give (progress or epoch, value) of each checkpoint where the metric is defined."""
    if history is None:
        return []
    total = history.total_epochs or 1.0
    values = getattr(history, metric)
    return [(e / total, v) for e, v in zip(history.epochs, values, strict=True) if v is not None]
