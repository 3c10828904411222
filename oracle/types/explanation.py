"""Explanation: what each checkpoint and each part of the plan contributed to a forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oracle.types.fields import LEVELS, Finite, Frozen, NonNegative, Ratio, RunId
from oracle.types.forecast import ModelInfo, Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Rows that are named of those that a network looked at.
MOST_LOOKS = 5


class Contribution(Frozen):
    """A part of what a forecast rests on, and the forecast without it.

    Attributes:
        part: what was hidden, in words.
        epochs: first and last checkpoint of a stretch that was hidden; None for a part of the plan.
        without: the quality score at each level, had it not been told.
        shift: what it did to the median: negative where it made the forecast better.
        width: width of the 90 % interval with it over that without; 1 = it told nothing about that.
        moved: mean distance of the two forecasts over their levels, quality score.
    """

    part: str
    epochs: tuple[NonNegative, NonNegative] | None = None
    without: tuple[Finite, ...]
    shift: Finite
    width: NonNegative
    moved: NonNegative


class Explanation(Frozen):
    """Why a forecast is what it is: each part hidden, and the oracle asked again.

    Parts that tell the same stand in for each other, so that contributions do not add up, and
    a part can be of no account because another says it too.

    Attributes:
        run_id: name of the run, where the history has one.
        progress: share of the budget used, 0..1; None without `total_epochs`.
        model: which model was asked.
        scale: units of mqe inside the score.
        levels: of all quantiles here.
        quality: the quality score that was forecast, at each level.
        parts: of the plan, then stretches of checkpoints in their order.
        attention: (epoch, weight) of each row that a network with attention looked at from the last
            one, the plan's first (None); empty for networks without.
    """

    run_id: RunId | None = None
    progress: float | None
    model: ModelInfo
    scale: Scale
    levels: tuple[float, ...] = LEVELS
    quality: tuple[Finite, ...]
    parts: tuple[Contribution, ...]
    attention: tuple[tuple[NonNegative | None, Ratio], ...] = ()

    @property
    def by_weight(self) -> tuple[Contribution, ...]:
        """The parts, what moved the forecast most first."""
        return tuple(sorted(self.parts, key=lambda part: -part.moved))

    def __str__(self) -> str:
        low, middle, high = self.quality[0], self.quality[self.levels.index(0.5)], self.quality[-1]
        lines = [
            f"Quality score, {self.scale.value}: {middle:.3f} (90 %: {low:.3f} to {high:.3f}). "
            "Had a part not been told, what weighs most first:"
        ]
        for part in self.by_weight:
            without = part.without
            lines.append(
                f"  without {part.part:34} {without[self.levels.index(0.5)]:.3f} "
                f"(90 %: {without[0]:.3f} to {without[-1]:.3f}): it made the forecast "
                f"{_told(part)}"
            )
        if not self.parts:
            lines.append("  nothing could be hidden: it rests on one thing alone")
        if self.attention:
            most = sorted(self.attention, key=lambda look: -look[1])[:MOST_LOOKS]
            looks = (f"{'the plan' if at is None else f'epoch {at:g}'} {w:.0%}" for at, w in most)
            lines.append(f"The network looked most at {', '.join(looks)}.")
        return "\n".join(lines)

    def plot(self) -> Figure:
        """Draw the forecast without each part beside the one with all, as a Matplotlib figure."""
        from oracle.pictures.why import draw  # a late arrow upward, see test_layers

        return draw(self)


def _told(part: Contribution) -> str:
    direction = "better" if part.shift < 0 else "worse"
    shift = (
        f"{abs(part.shift):.3f} {direction}" if abs(part.shift) >= 5e-4 else "no better or worse"
    )
    if part.width < 0.995:
        return f"{shift}, {1 - part.width:.0%} narrower"
    return f"{shift}, {part.width - 1:.0%} wider" if part.width > 1.005 else f"{shift}, as wide"
