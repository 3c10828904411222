"""Suggestions: plans that nobody has begun, with what is forecast of each."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from oracle.errors import InvalidSearch
from oracle.types.fields import LEVELS, Finite, Frozen, NonNegative, Ratio
from oracle.types.forecast import ModelInfo


def learning(learned: int, not_learned: str | None) -> list[str]:
    """Say of how many ended runs was learned, or why of none; nothing where nobody asked."""
    if learned:
        return [f"Learned of {learned} {'run' if learned == 1 else 'runs'} that ended."]
    return [f"Learned of no run: {not_learned}."] if not_learned else []


class Suggestion(Frozen):
    """One plan, as its library takes it.

    Attributes:
        parameters: by the names that `space` takes.
        make: arguments of the map's constructor.
        train: arguments of its training.
        code: lines that make and train it; `data` is the table.
        expected: objective -> forecast at each of `LEVELS`; mqe over mqe_of_mean.
        support: how much the plan resembles those that the oracle was trained on, 0..1.
        cost: samples x neurons x features that its updates go through.
    """

    parameters: dict[str, JsonValue]
    make: dict[str, JsonValue]
    train: dict[str, JsonValue]
    code: str
    expected: dict[str, tuple[Finite, ...]]
    support: Ratio
    cost: NonNegative


class HowLong(Frozen):
    """One plan trained for other budgets.

    Attributes:
        parameters: of the plan, by the names that `space` takes.
        objective: what is forecast.
        levels: quantile levels of `expected`, increasing.
        updates: sample updates of each training, increasing.
        expected: [budget][level] of the objective.
        worth: of the objective, that more training must bring to be called worth it.
        enough: the smallest budget that is forecast to end within `worth` of the best one.
        learned, not_learned: as of suggestions.
    """

    parameters: dict[str, JsonValue]
    objective: str
    levels: tuple[float, ...] = LEVELS
    updates: tuple[NonNegative, ...]
    expected: tuple[tuple[Finite, ...], ...]
    worth: NonNegative
    enough: NonNegative
    learned: int = 0
    not_learned: str | None = None

    def __str__(self) -> str:
        middle = LEVELS.index(0.5)
        rows = [
            f"  {n:>12,.0f}  {v[middle]:.3f} (90 %: {v[0]:.3f} to {v[-1]:.3f})"
            for n, v in zip(self.updates, self.expected, strict=True)
        ]
        return "\n".join(
            [
                f"       updates  {self.objective}",
                *rows,
                f"{self.enough:,.0f} updates are enough: more are forecast to bring less than "
                f"{self.worth:g}.",
                *learning(self.learned, self.not_learned),
            ]
        )


class Plane(Frozen):
    """Forecasts over two number parameters, all others as they are in one plan.

    Attributes:
        names: of the parameters, across and up.
        across, up: their values.
        log: whether each runs in its logarithm.
        objective: what is forecast.
        values: [up][across] medians; None where the library would not train.
    """

    names: tuple[str, str]
    across: tuple[float, ...]
    up: tuple[float, ...]
    log: tuple[bool, bool]
    objective: str
    values: tuple[tuple[Finite | None, ...], ...]


class Suggestions(Frozen):
    """The best of many plans that were forecast, best first.

    Attributes:
        library: whose parameters they are.
        objectives: what they are the best in; of several they are a front.
        levels: quantile levels of what is `expected`, increasing.
        candidates: plans that were forecast.
        refused: those of them that the oracle knows too little of.
        unlike: what of the table or the question is why most were refused, and what to do; null
            where fewer were, or there is no one reason.
        learned: runs of the table that had ended and taught the forecasts.
        not_learned: why those of the population that was told taught nothing; null where they did,
            or none was told.
        model: which model forecast.
        plans: the best `n`; none where all were refused. To take one of none raises
            InvalidSearch, with why.
    """

    library: str
    objectives: tuple[str, ...]
    levels: tuple[float, ...] = LEVELS
    candidates: int
    refused: int
    unlike: str | None = None
    learned: int = 0
    not_learned: str | None = None
    model: ModelInfo
    plans: tuple[Suggestion, ...]

    def __iter__(self) -> Iterator[Suggestion]:  # type: ignore[override]
        return iter(self._judged)

    def __len__(self) -> int:
        return len(self.plans)

    def __getitem__(self, index: int) -> Suggestion:
        return self._judged[index]

    @property
    def _judged(self) -> tuple[Suggestion, ...]:
        """The plans.

        Raises:
            InvalidSearch: there are none, so that nothing can be unpacked or enqueued.
        """
        if not self.plans:
            raise InvalidSearch(str(self))
        return self.plans

    @property
    def _left_out(self) -> str:
        """How many could not be judged, and why."""
        many = f"{self.refused:,} of" if self.plans else "None of"
        could = "could not be judged and are left out" if self.plans else "could be judged"
        told = f"{many} {self.candidates:,} plans {could}: they are unlike any training."
        return f"{told} {self.unlike}" if self.unlike else told

    def __str__(self) -> str:
        if not self.plans:
            return self._left_out
        differing = [
            name
            for name in self.plans[0].make
            if any(plan.make[name] != self.plans[0].make[name] for plan in self.plans)
        ]
        middle, low, high = LEVELS.index(0.5), 0, len(LEVELS) - 1
        cells = [[*self.objectives, "cost", *differing]]
        least = min(plan.cost for plan in self.plans) or 1.0
        for plan in self.plans:
            told = [plan.expected[o] for o in self.objectives]
            cells.append(
                [f"{v[middle]:.3f} ({v[low]:.3f} to {v[high]:.3f})" for v in told]
                + [f"{plan.cost / least:.3g}"]
                + [str(plan.make[name]) for name in differing]
            )
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
        return "\n".join(
            [
                f"The best {len(self)} of {self.candidates} plans of {self.library}, untrained; "
                "in brackets what 90 % should end in:",
                *(line.rstrip() for line in lines),
                "The first one:",
                self.plans[0].code,
                *learning(self.learned, self.not_learned),
                *([self._left_out] if self.refused else []),
            ]
        )
