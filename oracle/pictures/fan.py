"""The picture of one forecast: what was seen, and the fan of where it may lead and end.

No pyplot: a notebook's own windows and settings are left alone, and the picture shows itself.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oracle.errors import InvalidHistory, must_be
from oracle.pictures.style import DPI, FAINT, INK, MUTED, OURS, STYLE
from oracle.types import METRICS, TARGETS, Decision, Forecast, History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = ("Mean quantization error", "Topographic error", "Dead neurons")
#: What the metrics are counted in; shares are written in percent.
UNITS = ("input units", "share of samples", "share of neurons")
#: (lower level, upper level, opacity, name) of the fan, the widest first.
BANDS = ((0.05, 0.95, 0.15, "90 %"), (0.25, 0.75, 0.30, "50 %"))
#: A picture ends so far behind the budget, so that the last point is whole.
BEYOND = 0.03


def draw(
    forecast: Forecast,
    history: History | None = None,
    *,
    came: History | None = None,
    decision: Decision | None = None,
) -> Figure:
    """Draw a forecast, one panel a target; with its history, as a fan that leaves the curve.

    Args:
        forecast: as `Oracle.forecast` gives it.
        history: the one it was made for; without it only what is to come is drawn.
        came: the same run to a later checkpoint: what was forecast is drawn beside what came.
        decision: made of the forecast; its message stands in the title.

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
        figure = figure_of(11.4, 4.5)
        panels = figure.subplots(1, len(TARGETS))
        for axes, target, metric, title, unit in zip(
            panels, TARGETS, METRICS, TITLES, UNITS, strict=True
        ):
            _panel(axes, forecast, history, came, target, metric)
            axes.set_title(title)
            axes.set_ylabel(unit)
        named: dict[str, Any] = {}
        for axes in panels:
            named |= {label: handle for handle, label in zip(*_legend(axes), strict=True)}
        figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=len(named))
        figure.suptitle(
            _told(forecast, decision), x=0.01, ha="left", fontsize=10, color=MUTED, wrap=True
        )
    return figure


def _legend(axes: Axes) -> tuple[list[Any], list[str]]:
    handles, labels = axes.get_legend_handles_labels()
    return list(handles), list(labels)


def _told(forecast: Forecast, decision: Decision | None) -> str:
    """Say what was forecast and decided, in two lines."""
    seen = "" if forecast.progress is None else f", {forecast.progress:.0%} of the budget seen"
    after = f"after {forecast.n_checkpoints} checkpoints{seen}"
    if not forecast.n_checkpoints:
        after = "from the plan alone"
    elif _is_over(forecast):
        after = "has used its budget"
    told = (
        f"{forecast.run_id or 'Forecast'} {after}; support {forecast.support:.0%}; "
        f"{forecast.model.name} {forecast.model.version}"
    )
    quality = forecast.quality[-1]
    at = dict(zip(forecast.levels, quality.values, strict=True))
    lines = [told, f"Quality score ({quality.scale.value}) {at[0.5]:.3g}"]
    if not _is_over(forecast):
        lines[1] += f" (90 %: {at[0.05]:.3g} to {at[0.95]:.3g})"
    if decision is not None:
        lines[1] += f"; {decision.message}"
    return "\n".join(lines)


def _is_over(forecast: Forecast) -> bool:
    return forecast.progress is not None and forecast.progress >= 1.0


def figure_of(width: float, height: float) -> Figure:
    """Give an empty figure, inches, that a notebook shows by itself."""
    from matplotlib.figure import Figure

    class Picture(Figure):
        def _repr_png_(self) -> bytes:
            buffer = BytesIO()
            self.savefig(buffer, format="png", dpi=DPI)
            return buffer.getvalue()

    return Picture(figsize=(width, height), layout="constrained")


def save(
    forecast: Forecast,
    history: History | None,
    path: str | Path,
    *,
    came: History | None = None,
    decision: Decision | None = None,
) -> None:
    """Write the picture as one PNG; what is drawn as in `draw`."""
    import matplotlib

    figure = draw(forecast, history, came=came, decision=decision)
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        figure.savefig(path, format="png", dpi=DPI)


def _panel(
    axes: Axes,
    forecast: Forecast,
    history: History | None,
    came: History | None,
    target: str,
    metric: str,
) -> None:
    share = target != TARGETS[0]
    at = dict(zip(forecast.levels, forecast.final[target], strict=True))
    known = _seen(history, metric)
    percent = history is None or not len(history) or history.total_epochs is not None
    later = [p for p in _seen(came, metric) if not known or p[0] >= known[-1][0]]
    if later:
        axes.plot(
            *zip(*later, strict=True), color=INK, linewidth=1.2, alpha=0.55, label="what came"
        )
    if known:
        axes.plot(
            *zip(*known, strict=True), color=INK, marker="o", markersize=3, label="seen",
            clip_on=False,
        )  # fmt: skip
    form = _percent if share else _number
    if _is_over(forecast):
        said = form(known[-1][1]) if known else "undefined"
    else:
        _fan(axes, forecast, history, target, metric, known)
        said = f"{form(at[0.5])}\n90 %: {form(at[0.05])} to {form(at[0.95])}"
    axes.annotate(
        f"at the end: {said}",
        (0.97, 0.97),
        xycoords="axes fraction",
        ha="right",
        va="top",
        fontsize=9,
        color=INK if _is_over(forecast) else OURS,
        bbox={"facecolor": "white", "edgecolor": FAINT, "boxstyle": "round,pad=0.35"},
    )
    if percent:
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axes.set_xlim(0, 1 + BEYOND)
    axes.set_xlabel("share of the budget" if percent else "epochs (budget unknown)")
    low, high = axes.get_ylim()
    axes.set_ylim(max(0.0, low) if low < 0.4 * high else low, high + 0.28 * (high - low))
    if share:
        axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.3g} %")


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _number(value: float) -> str:
    return f"{value:.3g}"


def _fan(
    axes: Axes,
    forecast: Forecast,
    history: History | None,
    target: str,
    metric: str,
    known: list[tuple[float, float]],
) -> None:
    """Draw the way to the end; of an end alone, with nothing before it, its interval there."""
    begin, end = _span(forecast, history)
    way = _way(forecast, target, metric)
    x = [begin + share * (end - begin) for share, _ in way]
    rows = [dict(zip(forecast.levels, values, strict=True)) for _, values in way]
    if known:  # the fan leaves the last value
        x, rows = [begin, *x], [dict.fromkeys(forecast.levels, known[-1][1]), *rows]
    if len(x) == 1:
        for low, high, alpha, name in BANDS:
            axes.plot(
                [end, end], [rows[0][low], rows[0][high]], color=OURS, alpha=2 * alpha,
                linewidth=3 if name == "90 %" else 8, solid_capstyle="butt", label=name,
                clip_on=False,
            )  # fmt: skip
        axes.plot([end], [rows[0][0.5]], "o", color=OURS, label="forecast", clip_on=False)
        return
    for low, high, alpha, name in BANDS:
        lower, upper = ([row[level] for row in rows] for level in (low, high))
        axes.fill_between(x, lower, upper, color=OURS, alpha=alpha, linewidth=0, label=name)
    axes.plot(x, [row[0.5] for row in rows], color=OURS, linestyle=(0, (4, 3)), label="forecast")


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
