"""What of a question about plans is beyond what the oracle knows: it is asked again of less."""

from __future__ import annotations

import warnings
from bisect import bisect
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from oracle.errors import InvalidSearch, OracleWarning, callers_level, must_be
from oracle.forecast.forecaster import Oracle
from oracle.forecast.residuals import Residuals
from oracle.search.plan import PASSES, Plan
from oracle.search.table import Table
from oracle.types import Forecast, History, PopulationPolicy

#: Below this support a plan is unlike any training, as for every policy.
MIN_SUPPORT = PopulationPolicy().min_support
#: A question is within reach where so many of its plans are known.
MOST = 0.5
#: Plans that are asked of each time.
FEW = 20
#: Tables of so many rows and features are known, where any are.
_ROWS, _FEATURES = (100, 1_000), (2, 10)
#: Of what may be too much or too little: how much of it is known, and what to do about too much.
_TOLD = {
    "n_features": ("of about {:,} features", "Reduce them first, by PCA for one."),
    "n_samples": (
        "of about {:,} rows",
        "Ask of a random sample of so many rows: its plans, and a budget in updates, do for all "
        "rows too (docs/suggest.md).",
    ),
    "budget": ("about {:,} sample updates", ""),
}
_OTHER_MAPS = "`space` must be nearer to what is usual: such maps are unlike any training."
_OTHER_TABLE = "No table like it was trained on, of whatever size."


class Part(NamedTuple):
    """A question, or less of it.

    Attributes:
        own: whether the parameters are those that were asked for, not the usual ones.
        n_features, n_samples: of the table.
        budget: sample updates; None = as usual.
    """

    own: bool
    n_features: int
    n_samples: int
    budget: float | None


#: Makes the plans of a part: FEW on a table, with a budget, of own parameters or the usual ones.
Ask = Callable[[Table, float | None, bool], Sequence[Plan]]


def forecasts_of(
    plans: Sequence[Plan], oracle: Oracle, known: Residuals | None = None
) -> list[Forecast]:
    """Forecast plans that nobody has begun, by what ended runs of their table teach."""
    histories = [History.parse({"context": plan.context}) for plan in plans]
    if known is None:
        return oracle.forecast_many(histories)
    return oracle.forecast_many(histories, [known] * len(plans))


def learned_by(forecasts: Sequence[Forecast]) -> int:
    """Count the ended runs that had a say in forecasts of one table."""
    return max((one.learned.runs for one in forecasts if one.learned is not None), default=0)


def oracle_of(oracle: Oracle | None) -> Oracle:
    """Give the oracle that was passed, or the active one.

    Raises:
        InvalidSearch: what was passed forecasts nothing.
    """
    if oracle is not None and not hasattr(oracle, "forecast_many"):
        raise InvalidSearch(must_be("oracle", "an oracle.Oracle, as Oracle.load(folder)", oracle))
    return oracle or Oracle.load()


def known_of(forecasts: Sequence[Forecast]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell of each whether the oracle knows enough of such plans."""
    return np.array([forecast.support >= MIN_SUPPORT for forecast in forecasts], dtype=bool)


def beyond(table: Table, budget: float | None, ask: Ask, oracle: Oracle) -> str:
    """Tell what of a question is beyond what the oracle knows, as far as that goes, and what to do.

    All that may be too much or too little is brought to where plans are known; then each is put
    back as far as most plans stay known.

    Args:
        table, budget: that were asked of.
        ask: makes the plans that are asked of again.
        oracle: knows.
    """
    asked = Part(True, table.n_features, table.n_samples, budget)

    def known(part: Part) -> bool:
        try:
            smaller = table.sampled(part.n_samples).with_features(part.n_features)
            plans = ask(smaller, part.budget, part.own)
        except InvalidSearch:  # no plan of such a part
            return False
        return bool(known_of(forecasts_of(plans, oracle)).mean() >= MOST)

    safe = Part(
        own=False,
        n_features=int(np.clip(asked.n_features, *_FEATURES)),
        n_samples=int(np.clip(asked.n_samples, *_ROWS)),
        budget=None,
    )
    if not known(safe):
        return _OTHER_TABLE
    told: list[str] = []
    for name in Part._fields:
        wanted = getattr(asked, name)
        whole = _with(safe, name, wanted)
        if whole == safe or known(whole):
            safe = whole
            continue
        if name == "own":
            told.append(_OTHER_MAPS)
            continue
        start = getattr(safe, name) or PASSES * safe.n_samples
        steps = _steps(start, wanted)
        parts = [_with(safe, name, step) for step in steps]
        at = bisect(parts, False, key=lambda part: not known(part)) - 1
        safe = parts[at] if at >= 0 else safe
        told.append(_said(table, name, steps[max(at, 0)], wanted))
    return " ".join(told)


def warn_unlike(what: str, why: str) -> None:
    """Warn that nothing could be judged, and why."""
    warn_of(f"{what}: such plans are unlike any training. {why}".rstrip())


def warn_of(what: str) -> None:
    """Warn whoever called; where warnings are errors the search must go on all the same."""
    with suppress(OracleWarning):
        warnings.warn(f"SOM Oracle: {what}", OracleWarning, stacklevel=callers_level())


def _with(part: Part, name: str, value: Any) -> Part:
    return Part(**{**part._asdict(), name: value})


def _steps(start: float, end: float) -> list[int]:
    """Give `start`, and the 1, 2 and 5 of every power of ten on the way to `end`."""
    low, high = sorted((start, end))
    round_numbers = [m * 10**k for k in range(len(str(round(high)))) for m in (1, 2, 5)]
    between = [n for n in round_numbers if low < n < high]
    return [round(start), *(between if start < end else between[::-1])]


def _said(table: Table, name: str, limit: float, wanted: float) -> str:
    """Say one thing that is beyond, how far is known, and what to do."""
    what, advice = _TOLD[name]
    is_most = limit < wanted
    rule = f"{what.format(limit)} {'at most' if is_most else 'at least'}"
    field = name if name == "budget" else table.told_by(name)
    known = "as far as such trainings are known"
    return must_be(field, f"{rule}, {known}", wanted, advice if is_most else "")
