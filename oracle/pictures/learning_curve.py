"""The learning curve of a training as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from oracle.pictures.style import MUTED, OURS, OURS_TOO, canvas


def plot_learning_curve(
    path: str | Path, curves: Sequence[Sequence[Mapping[str, float]]], name: str
) -> None:
    """Draw loss and validation loss by epoch, one pair of lines a seed.

    Args:
        path: PNG to write.
        curves: of each seed, by epoch: `loss`, `val_loss`, `learning_rate`.
        name: title.
    """
    with canvas(path, width=7.2, height=4.2) as (_, (axes,)):
        for curve in curves:
            epochs = range(1, len(curve) + 1)
            axes.plot(epochs, [e["loss"] for e in curve], color=OURS_TOO, linewidth=1.2)
            held_out = [e["val_loss"] for e in curve]
            axes.plot(epochs, held_out, color=OURS)
            best = min(range(len(curve)), key=held_out.__getitem__)
            axes.plot(best + 1, held_out[best], "o", color=OURS, markersize=5)
            axes.axvline(best + 1, color=MUTED, linewidth=0.6, linestyle=":")
        axes.plot([], [], color=OURS_TOO, label="training windows")
        axes.plot([], [], color=OURS, label="held-out prefixes (dot: kept)")
        axes.set_yscale("log")
        axes.legend(loc="upper right")
        axes.set(xlabel="epoch", ylabel="pinball loss", title=name)
