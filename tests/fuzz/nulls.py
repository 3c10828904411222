"""T23: whatever may be null is null: throughout, at the last checkpoint, in the middle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from reliability import Result
from serving import MODEL

from fuzz.played import POLICY, played
from oracle.decision.policy import decide
from oracle.forecast.forecaster import Oracle
from oracle.types import History, RunContext
from oracle.types.fields import NULLABLE

#: Share of the checks of good runs that any kind may stop.
PROMISED = 0.02
#: Fewer checks than this say nothing about such a share.
ENOUGH = 200


def null_inputs(folder: Path, n: int) -> Result:
    """Look at the good runs of about `n` at every check, with each input left out in turn."""
    result, oracle = Result(), Oracle.load(MODEL or None)
    cases, stops, abstained = Counter[str](), Counter[str](), Counter[str]()
    for check in played(oracle, n, to_the_end=True):
        if not check.is_good:
            continue
        made = [("all told", check.history), *_left_out(check.history)]
        known = [(kind, history) for kind, history in made if history.is_forecastable]
        forecasts = oracle.forecast_many([history for _, history in known])
        for (kind, history), forecast in zip(known, forecasts, strict=True):
            decision = decide(history, forecast, check.reference, POLICY)
            cases[kind] += 1
            stops[kind] += decision.stop
            abstained[kind] += decision.action == "abstain"
    for kind, total in cases.items():
        allowed = max(PROMISED * total, 1 if total < ENOUGH else 0, stops["all told"])
        result.check(stops[kind] <= allowed, f"{kind}: {stops[kind]} of {total} stopped")
    result.bound = "-"
    some = {kind: f"{stops[kind]} of {cases[kind]}" for kind in cases if stops[kind]}
    result.seen |= {
        "kinds": len(cases),
        "checks of good runs": f"{cases['all told']:,} a kind",
        "stopped": some or "none of any kind",
        "abstained": f"{abstained.total() / cases.total():.0%}",
    }
    return result


def _left_out(history: History) -> Iterator[tuple[str, History]]:
    """Leave one input out, in every way there is."""
    last, middle = len(history) - 1, len(history) // 2
    for name in NULLABLE:
        column = getattr(history, name)
        if column is None:
            continue
        for where, places in (
            ("throughout", range(last + 1)),
            ("last", [last]),
            ("middle", [middle]),
        ):
            kept = tuple(None if i in places else value for i, value in enumerate(column))
            yield f"{name} {where}", history.model_copy(update={name: kept})
    both = dict.fromkeys(NULLABLE[:2], (None,) * (last + 1))
    yield "both ratios throughout", history.model_copy(update=both)
    yield "total_epochs", history.model_copy(update={"total_epochs": None})
    told = {name for name, value in history.context if value is not None}
    for name in sorted(told):
        without = history.context.model_copy(update={name: None})
        yield f"context.{name}", history.model_copy(update={"context": without})
    yield "the whole context", history.model_copy(update={"context": RunContext()})
