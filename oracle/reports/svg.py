"""Charts as SVG without a library: text stays text, colours follow the page's theme."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from math import asinh, floor, isfinite, log10

from oracle.reports.words import short

#: Around the axes, pixels: right, top, bottom; a letter's width.
RIGHT, TOP, BOTTOM, LETTER = 18, 12, 42, 7.2
#: Charts beside each other on a screen, one below the other on a phone; and one alone.
SMALL, WIDE = (336, 250), (720, 380)
Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """One direction of a chart.

    Attributes:
        low, high: its ends, low < high.
        label: with its unit.
        form: how a tick is written.
        log: by powers of ten; both ends above 0.
        knee: where it turns from linear to logarithmic; None = it does not.
        ticks: (value, text) instead of round ones.
    """

    low: float
    high: float
    label: str = ""
    form: Callable[[float], str] = short
    log: bool = False
    knee: float | None = None
    ticks: tuple[tuple[float, str], ...] | None = None

    def at(self, value: float) -> float:
        """Place a value, 0..1 within the ends and no further."""
        low, high, here = self._bent(self.low), self._bent(self.high), self._bent(value)
        return min(1.0, max(0.0, (here - low) / ((high - low) or 1.0)))

    def _bent(self, value: float) -> float:
        if self.log:
            return log10(max(value, self.low))
        return asinh(value / self.knee) if self.knee else value

    def marks(self, wanted: int) -> list[tuple[float, str]]:
        """Give the ticks, about as many as wanted."""
        if self.ticks is not None:
            return [(v, text) for v, text in self.ticks if self.low <= v <= self.high]
        if self.log:
            found = [10.0**p for p in range(floor(log10(self.low)), floor(log10(self.high)) + 1)]
            if len(found) < 3:
                found = [m * p for p in found for m in (1, 2, 5)]
            return [(v, self.form(v)) for v in found if self.low <= v <= self.high * (1 + 1e-9)]
        rough = (self.high - self.low) / max(1, wanted)
        power = 10.0 ** floor(log10(rough))
        step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * (1 - 1e-9))
        first = -floor(-self.low / step + 1e-9)
        last = floor(self.high / step + 1e-9)
        values = [round(i * step, 12) for i in range(first, last + 1)]
        return [(v, self.form(v)) for v in values]


def around(
    values: Iterable[float | None],
    label: str = "",
    form: Callable[[float], str] = short,
    *,
    floor_at: float | None = None,
) -> Axis:
    """Make an axis that holds values, with room; from `floor_at` where they come near it."""
    known = [v for v in values if v is not None and isfinite(v)]
    if not known:
        return Axis(0.0, 1.0, label, form)
    low, high = min(known), max(known)
    size = (high - low) or abs(high) * 0.2 or 1.0
    bottom = low - 0.06 * size
    if floor_at is not None and (bottom < floor_at or low - floor_at < 0.35 * (high - floor_at)):
        bottom = floor_at
    return Axis(bottom, high + 0.06 * size, label, form)


@dataclass
class Chart:
    """Axes, and what is drawn on them in its order.

    Args:
        x, y: axes.
        label: what it shows, for those who do not see it.
        size: pixels.
        left, right: beside the axes, pixels; left 0 = as much as its ticks need.
    """

    x: Axis
    y: Axis
    label: str
    size: tuple[int, int] = SMALL
    left: int = 0
    right: int = RIGHT
    parts: list[str] = field(default_factory=list)
    leads: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        longest = max((len(said) for _, said in self.y.marks(5)), default=0)
        self.left = self.left or round((22 if self.y.label else 4) + LETTER * longest + 8)

    def place(self, x: float, y: float) -> Point:
        """Give the pixels of a point; what lies beyond an axis stands on its edge."""
        width, height = self.size
        top, bottom = TOP, BOTTOM
        across = self.left + self.x.at(x) * (width - self.left - self.right)
        return round(across, 1), round(height - bottom - self.y.at(y) * (height - top - bottom), 1)

    def line(self, points: Iterable[Point], ink: str, *, dashed: bool = False) -> None:
        """Draw a line through points."""
        at = [self.place(*p) for p in points]
        if at:
            way = "M" + "L".join(f"{x} {y}" for x, y in at)
            self.parts.append(f'<path class="line {ink}{" dashed" if dashed else ""}" d="{way}"/>')

    def steps(self, points: Sequence[Point], ink: str) -> None:
        """Draw a line that holds each value to the next point."""
        held = [q for a, b in pairwise(points) for q in (a, (b[0], a[1]))]
        self.line([*held, *points[-1:]], ink)

    def band(self, points: Sequence[tuple[float, float, float]], ink: str) -> None:
        """Fill between (x, low, high)."""
        if points:
            there = [self.place(x, high) for x, _, high in points]
            back = [self.place(x, low) for x, low, _ in reversed(points)]
            way = "M" + "L".join(f"{x} {y}" for x, y in there + back) + "Z"
            self.parts.append(f'<path class="band {ink}" d="{way}"/>')

    def bar(self, x: float, low: float, high: float, ink: str, *, thick: bool = False) -> None:
        """Draw an interval upright."""
        (at, bottom), (_, top) = self.place(x, low), self.place(x, high)
        kind = "bar thick" if thick else "bar"
        self.parts.append(f'<path class="{kind} {ink}" d="M{at} {bottom}V{top}"/>')

    def lying(self, y: float, low: float, high: float, ink: str, *, thick: bool = False) -> None:
        """Draw an interval from left to right."""
        (left, at), (right, _) = self.place(low, y), self.place(high, y)
        kind = "bar thick" if thick else "bar"
        self.parts.append(f'<path class="{kind} {ink}" d="M{left} {at}H{right}"/>')

    def dot(
        self,
        x: float,
        y: float,
        ink: str,
        said: str = "",
        *,
        mark: str = "o",
        size: float = 3.5,
        href: str = "",
    ) -> None:
        """Draw a point: `o`, a cross `x`, or `O`, open; `said` when it is pointed at."""
        at, up = self.place(x, y)
        title = f"<title>{escape(said)}</title>" if said else ""
        if mark == "x":
            s = size * 0.9
            way = f"M{at - s:.1f} {up - s:.1f}l{2 * s:.1f} {2 * s:.1f}m0 {-2 * s:.1f}"
            drawn = f'<path class="cross {ink}" d="{way}l{-2 * s:.1f} {2 * s:.1f}">{title}</path>'
        else:
            kind = "ring" if mark == "O" else "dot"
            drawn = (
                f'<circle class="{kind} {ink}" cx="{at}" cy="{up}" r="{size:g}">{title}</circle>'
            )
        name = f' aria-label="{escape(said)}"' if said else ""
        self.parts.append(f'<a href="{escape(href)}"{name}>{drawn}</a>' if href else drawn)
        self.leads = self.leads or bool(href)

    def level(self, value: float, ink: str, said: str = "", *, across: bool = True) -> None:
        """Draw a thin dashed line at a value of y, or of x, its name above its right end."""
        top, bottom = TOP, BOTTOM
        if across:
            _, y = self.place(self.x.low, value)
            way = f"M{self.left} {y}H{self.size[0] - self.right}"
            at = (self.size[0] - self.right - 2.0, y - 5 if y > top + 16 else y + 14)
        else:
            x, _ = self.place(value, self.y.low)
            way, at = f"M{x} {top}V{self.size[1] - bottom}", (x - 4, top + 11.0)
        self.parts.append(f'<path class="level {ink}" d="{way}"/>')
        if said:
            self.text(at[0], at[1], said, ink, end=True)

    def text(self, x: float, y: float, said: str, ink: str = "ink", *, end: bool = False) -> None:
        """Write at pixels."""
        anchor = ' text-anchor="end"' if end else ""
        self.parts.append(f'<text class="said {ink}" x="{x}" y="{y}"{anchor}>{escape(said)}</text>')

    def middle(self, x: float, y: float, said: str, ink: str = "ink") -> None:
        """Write at pixels, about the middle of the words."""
        self.parts.append(
            f'<text class="said {ink}" x="{x}" y="{y}" text-anchor="middle">{escape(said)}</text>'
        )

    def svg(self) -> str:
        """Give the whole as one element."""
        width, height = self.size
        top, bottom = TOP, BOTTOM
        base, end = height - bottom, width - self.right
        lines = []
        for value, said in self.y.marks(5):
            _, y = self.place(self.x.low, value)
            lines.append(f'<path class="grid" d="M{self.left} {y}H{end}"/>')
            lines.append(f'<text class="tick" x="{self.left - 7}" y="{y + 4}"'
                         f' text-anchor="end">{escape(said)}</text>')  # fmt: skip
        last = -1e9
        for value, said in self.x.marks(max(3, (end - self.left) // 90)):
            x, _ = self.place(value, self.y.low)
            half = LETTER * len(said) / 2
            if x - half < last + 6:
                continue  # names do not run into each other
            last = x + half
            at = min(x, width - half - 1)
            lines.append(f'<path class="grid" d="M{x} {top}V{base}"/>')
            lines.append(f'<text class="tick" x="{at:.1f}" y="{base + 17}"'
                         f' text-anchor="middle">{escape(said)}</text>')  # fmt: skip
        lines.append(f'<path class="axis" d="M{self.left} {base}H{end}"/>')
        middle = (self.left + end) / 2
        lines.append(f'<text class="label" x="{middle:g}" y="{height - 6}"'
                     f' text-anchor="middle">{escape(self.x.label)}</text>')  # fmt: skip
        if self.y.label:
            up = (top + base) / 2
            lines.append(f'<text class="label" transform="translate(13 {up:g})rotate(-90)"'
                         f' text-anchor="middle">{escape(self.y.label)}</text>')  # fmt: skip
        # An image has nothing in it that could be gone to.
        role = "group" if self.leads else "img"
        return (
            f'<svg role="{role}" aria-label="{escape(self.label)}" viewBox="0 0 {width} {height}"'
            f' width="{width}" height="{height}">{"".join(lines)}{"".join(self.parts)}</svg>'
        )
