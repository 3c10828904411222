"""Pictures of the workbench, in the project's style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from oracle.pictures.style import FAINT, INK, MUTED, OURS, OURS_TOO, PAPER, RIVALS, canvas
from oracle.sequences.cells import Floats
from oracle.sequences.series import Array
from oracle.sequences.states import LayerStates

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What lies below 0, and the cell that forgets.
WARM = "#b5573c"
#: One colour a kind of cell, the same in every picture; others take the rivals' in turn.
COLORS = {"numpy": OURS, "lstm": OURS, "gru": OURS_TOO, "rnn": WARM}
#: Share of the states that the colours tell apart.
MOST = 0.98
#: Windows whose forecasts are shown one by one.
SHOWN_WINDOWS = 3


def run_picture(
    path: str | Path,
    *,
    name: str,
    curve: tuple[Sequence[float], Sequence[float]],
    series: Array,
    start: int,
    forecast: Array,
    rolled: Array | None,
    clean: Array | None = None,
) -> None:
    """Draw a run: learning curve, test part with one-step forecasts, forecasts or roll-out.

    Args:
        path: PNG to write.
        name: of the network.
        curve: training and test losses.
        series: [time] of the target.
        start: index of the first test target.
        forecast: [window, horizon] of the test windows, in the order of their time.
        rolled: [step] forecasts that read themselves, from `start` on; None for none.
        clean: [time] without noise, where it is known.
    """
    with canvas(path, 3, width=4.2, height=3.4) as (_, (left, middle, right)):
        _curves(left, {name: curve})
        left.set_title("Learning curve")
        time = np.arange(start, len(series))
        middle.plot(time, series[start:], color=MUTED, linewidth=1.0, label="series")
        ahead = start + np.arange(len(forecast))
        middle.plot(ahead, forecast[:, 0], color=OURS, linewidth=1.4, label="one step ahead")
        middle.set(title="Test part, one step ahead", xlabel="step")
        _legend_below(middle)
        _show_far(right, series, start, forecast, rolled, clean)


def _show_far(
    axes: Axes,
    series: Array,
    start: int,
    forecast: Array,
    rolled: Array | None,
    clean: Array | None,
) -> None:
    """The roll-out, or a few forecasts of many steps."""
    horizon = forecast.shape[1]
    end = start + (len(rolled) if rolled is not None else max(4 * horizon, 60))
    shown = slice(start, min(end, len(series)))
    time = np.arange(shown.start, shown.stop)
    axes.plot(time, series[shown], color=MUTED, linewidth=1.0, label="series")
    if clean is not None:
        axes.plot(
            time, clean[shown], color=INK, linewidth=0.9, linestyle=":", label="without noise"
        )
    if rolled is not None:
        axes.plot(start + np.arange(len(rolled)), rolled, color=OURS, label="rolled out")
        axes.set(title="Reading its own forecasts", xlabel="step")
    else:
        for i in range(SHOWN_WINDOWS):
            first = start + i * (horizon + horizon // 2)
            if first - start >= len(forecast):
                break
            label = f"{horizon} steps at once" if i == 0 else None
            made = forecast[first - start]
            axes.plot(first + np.arange(horizon), made, color=OURS, label=label)
        axes.set(title="Several steps ahead", xlabel="step")
    _legend_below(axes)


def correction_picture(
    path: str | Path, original: Array, corrected: Array, clean: Array | None, name: str
) -> None:
    """Draw a series before and after its correction.

    Args:
        path: PNG to write.
        original, corrected: [time].
        clean: [time] without noise, where it is known.
        name: what corrected it.
    """
    with canvas(path, rows=2, width=9.0, height=2.6) as (_, (upper, lower)):
        time = np.arange(len(original))
        upper.plot(time, original, color=MUTED, linewidth=1.0, label="as recorded")
        upper.plot(time, corrected, color=OURS, linewidth=1.2, label="corrected")
        if clean is not None:
            upper.plot(time, clean, color=INK, linewidth=0.9, linestyle=":", label="without noise")
        upper.set_title(name)
        upper.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3)
        lower.axhline(0, color=MUTED, linewidth=0.8)
        lower.plot(time, corrected - original, color=OURS, linewidth=1.0)
        lower.set(xlabel="step", ylabel="corrected minus recorded")


def memory_picture(path: str | Path, right: Mapping[str, Mapping[int, Sequence[float]]]) -> None:
    """Draw the share of right answers by the length that must be remembered.

    Args:
        path: PNG to write.
        right: cell -> length -> share of each seed.
    """
    with canvas(path, width=7.4, height=4.4) as (_, (axes,)):
        axes.axhline(50, color=MUTED, linewidth=0.9)
        axes.axhline(75, color=FAINT, linewidth=1.4)
        rivals = iter(RIVALS * 4)
        for cell, by_length in right.items():
            color = COLORS.get(cell) or next(rivals)
            x = np.array(sorted(by_length))
            shares = [np.array(by_length[n]) for n in x]
            axes.plot(x, [100 * np.median(s) for s in shares], "o-", color=color, label=cell)
            for n, share in zip(x, shares, strict=True):
                axes.plot(np.full(len(share), n), 100 * share, ".", color=color, alpha=0.35)
        axes.set_xscale("log")
        ticks = sorted({n for by_length in right.values() for n in by_length})
        axes.set_xticks(ticks, [str(n) for n in ticks])
        axes.minorticks_off()
        axes.set(xlabel="digits, of which the first counts", ylabel="right answers, %",
                 ylim=(40, 102))  # fmt: skip
        axes.legend(loc="lower left")


def roll_out_picture(
    path: str | Path, time: Array, exact: Array, known: int, rolled: Mapping[str, Array]
) -> None:
    """Draw roll-outs of several cells beside the exact solution, one panel a cell.

    Args:
        path: PNG to write.
        time: [step].
        exact: [step] solution.
        known: steps of the first window.
        rolled: cell -> [step - known] forecasts.
    """
    with canvas(path, len(rolled), width=4.6, height=3.6) as (_, panels):
        for axes, (cell, forecast) in zip(panels, rolled.items(), strict=True):
            axes.plot(time[:known], exact[:known], color=INK, linewidth=2.6, label="what is given")
            axes.plot(time[known:], forecast, color=COLORS.get(cell, OURS), label="rolled out")
            # On top, or the better a roll-out is the less is seen of what it should be.
            axes.plot(time, exact, color=INK, linewidth=1.0, linestyle=":", label="exact")
            axes.set(title=cell, xlabel="time")
            _legend_below(axes)
        panels[0].set_ylabel("x")


def states_picture(
    path: str | Path,
    states: Sequence[LayerStates],
    inputs: Mapping[str, Floats | Sequence[float]],
    *,
    title: str,
    steps: Sequence[float] | None = None,
    step_name: str = "step",
) -> None:
    """Draw gates and states as heat maps, a row a layer, below what the network read.

    Units are sorted by their last hidden state, in the same order across a row. One input alone
    is drawn over the whole width.

    Args:
        path: PNG to write.
        states: layer by layer.
        inputs: name -> [time], drawn as lines above; as many as are worth showing.
        title: of the picture.
        steps: [time] label of each step, None numbers them from 1.
        step_name: what `steps` are.
    """
    widest = max(len(layer.parts) for layer in states)
    time = len(next(iter(states[0].parts.values())))
    labels = list(steps) if steps is not None else list(range(1, time + 1))
    every = max(1, time // 5)
    ticks = np.arange(0, time, every)
    with canvas(path, widest, rows=1 + len(states), width=2.4, height=2.1) as (figure, panels):
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        if len(inputs) == 1 and (grid := panels[0].get_gridspec()) is not None:
            panels[0].set_subplotspec(grid[0, :])
        for k in range(widest):
            axes, name = panels[k], list(inputs)[k] if k < len(inputs) else None
            if name is None:
                axes.set_axis_off()
                continue
            axes.plot(np.arange(time), inputs[name], color=INK, linewidth=1.2, marker=".")
            axes.set(title=name, xlim=(-0.5, time - 0.5))
            axes.set_xticks(ticks, [f"{labels[i]:g}" for i in ticks])
        for row, layer in enumerate(states, 1):
            order = np.argsort(-layer.parts["hidden"][-1], kind="stable")
            for k in range(widest):
                axes = panels[row * widest + k]
                if k >= len(layer.parts):
                    axes.set_axis_off()
                    continue
                part, values = list(layer.parts.items())[k]
                _heat(axes, part, values[:, order].T)
                axes.set_title(part)
                axes.set_xticks(ticks, [f"{labels[i]:g}" for i in ticks])
                if k == 0:
                    axes.set_ylabel(f"{layer.name}\nunit")
                if row == len(states):
                    axes.set_xlabel(step_name)


def _heat(axes: Axes, part: str, values: Floats) -> None:
    """[unit, time] as colours: gates from shut (pale) to open (dark), states by sign.

    The few units whose states are far larger than all others' are drawn as dark as they get.
    """
    from matplotlib.colors import LinearSegmentedColormap

    if part.endswith("gate"):
        colors, low, high = [PAPER, OURS_TOO, OURS, INK], 0.0, 1.0
    else:
        high = max(1e-9, float(np.quantile(np.abs(values), MOST)))
        colors, low = [WARM, PAPER, OURS], -high
    image = axes.imshow(
        values,
        aspect="auto",
        interpolation="nearest",
        cmap=LinearSegmentedColormap.from_list("ours", colors),
        vmin=low,
        vmax=high,
    )
    axes.grid(visible=False)
    axes.set_yticks([])
    axes.figure.colorbar(image, ax=axes, shrink=0.85, ticks=[low, (low + high) / 2, high],
                         format="%.2g")  # fmt: skip


def _curves(axes: Axes, curves: Mapping[str, tuple[Sequence[float], ...]]) -> None:
    from matplotlib.ticker import MaxNLocator

    rivals = iter(RIVALS * 4)
    for name, (train, test) in curves.items():
        color = COLORS.get(name) or next(rivals)
        epochs = range(1, len(train) + 1)
        axes.plot(
            epochs, train, color=color, linewidth=1.1, linestyle=":", label=f"{name}, training"
        )
        axes.plot(epochs, test, color=color, label=f"{name}, test")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel="loss")
    axes.legend(loc="upper right")


def _legend_below(axes: Axes) -> None:
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3)
