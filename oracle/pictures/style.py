"""The one style of all pictures: colours, sizes, and a canvas; Matplotlib, drawn off screen.

Ours is always the same deep blue, rivals are quiet greys and
earth tones, named at the line's end rather than in a box.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from oracle.errors import OracleError, must_be

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float64]

INK, MUTED, FAINT, PAPER = "#1c2530", "#6b7684", "#e4e8ec", "#ffffff"
OURS, OURS_TOO, GOOD = "#1f4e8c", "#4f9fc4", "#2f7d5b"
RIVALS = (
    "#a8743a",
    "#7a6b8f",
    "#8a8f3c",
    "#9a9fa6",
    "#b98b9b",
    "#5f8f8a",
    "#c2a15a",
    "#77706a",
    "#d08c60",
    "#4d6b57",
)
DPI = 150

STYLE: dict[str, object] = {
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.titlesize": 11,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "text.color": INK,
    "font.size": 10,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 9,
}

#: Colours of a PNG: more than the eye tells apart here, at a third of the size.
COLORS = 128


#: Kinds of picture that are written, by the end of the name.
KINDS = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".eps", ".ps")


def check_path(path: Path, option: str) -> None:
    """Refuse a picture that cannot be written before anything is computed, not after.

    Raises:
        OracleError: a folder that is not there, a name that is one, or a kind that is unknown.
    """
    if not path.parent.is_dir() or path.is_dir():
        rule, advice = "a file in a folder that is there", "Make the folder, or name another."
        raise OracleError(must_be(option, rule, str(path), advice))
    if path.suffix.lower() not in KINDS:
        raise OracleError(must_be(option, f"a picture that ends in {', '.join(KINDS)}", str(path)))


@contextmanager
def canvas(
    path: str | Path, columns: int = 1, *, rows: int = 1, width: float = 5.2, height: float = 4.2
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Open axes in our style, row by row, and write them to `path` at the end.

    `width` and `height`, in inches, are those of one panel.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        figure, grid = pyplot.subplots(
            rows,
            columns,
            figsize=(width * columns, height * rows),
            squeeze=False,
            layout="constrained",
        )
        try:
            yield figure, list(grid.flat)
            figure.savefig(path, dpi=DPI)
            _pack(Path(path))
        finally:
            pyplot.close(figure)


def _pack(path: Path) -> None:
    """Write a PNG anew with a palette; other kinds of picture stay as they are."""
    if path.suffix.lower() != ".png":
        return
    from PIL import Image

    with Image.open(path) as image:
        packed = image.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    packed.save(path, optimize=True)
