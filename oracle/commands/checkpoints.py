"""`oracle checkpoints`: the fewest checkpoints that forecasts need, from recorded runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oracle.errors import OracleError, must_be

if TYPE_CHECKING:
    from oracle.evaluation.checkpoint_sets import Measured


def checkpoints(
    dataset: Annotated[Path, typer.Option(help="Recorded runs, .csv, .csv.gz or .parquet.")],
    model: Annotated[Path | None, typer.Option(help="Model folder (default: the active).")] = None,
    within: Annotated[
        float, typer.Option(help="Share by which the error may exceed that with all checkpoints.")
    ] = 0.02,
    checks: Annotated[
        str, typer.Option(help="Progress at which runs are forecast.")
    ] = "0.1,0.2,0.3,0.5,0.7",
    runs: Annotated[int, typer.Option(min=1, help="Runs to measure on, spread evenly.")] = 300,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    png: Annotated[Path | None, typer.Option(help="Picture of error against checkpoints.")] = None,
) -> None:
    """Find the smallest set of checkpoints that keeps the error of the forecasts."""
    from oracle.commands.replay import numbers
    from oracle.evaluation.checkpoint_sets import CheckpointSets
    from oracle.forecast.forecaster import Oracle
    from oracle.history.dataset import counted, read_dataset, usable

    if not 0.0 < within < 10.0:
        raise OracleError(must_be("--within", "above 0, e.g. 0.02 for 2 %", within))
    when = numbers("--checks", checks)
    oracle = Oracle.load(model)
    kept = usable(read_dataset(dataset))[0]
    chosen = kept if len(kept) <= runs else [kept[i * len(kept) // runs] for i in range(runs)]
    sets = CheckpointSets(chosen, oracle, when)
    grown, spaced = list(sets.greedy(within)), list(sets.spaced())
    facts: dict[str, Any] = {
        "dataset": str(dataset),
        "model": oracle.info.model_dump(),
        "runs": len(sets.runs),
        "tables": len({run.dataset for run in sets.runs}),
        "checks": when,
        "within": within,
        "error": sets.error,
    }
    if png is not None:
        from oracle.pictures.figures import error_by_checkpoints

        error_by_checkpoints(
            png,
            [(len(m.shares), m.excess) for m in grown],
            [(len(m.shares), m.excess) for m in spaced],
            [m.shares for m in grown],
            within,
            f"{facts['runs']} runs of {counted(facts['tables'], 'table')} of {dataset.name}",
        )
    if as_json:
        found: dict[str, Any] = {
            **facts,
            "grown": [m._asdict() for m in grown],
            "equally_spaced": [m._asdict() for m in spaced],
        }
        print(json.dumps(found, indent=2))
        return
    print(
        f"{facts['runs']} runs of {facts['tables']} tables, forecast at "
        f"{', '.join(f'{c:.0%}' for c in when)} of the budget; error of the quality score with "
        f"all checkpoints {sets.error:.4f}"
    )
    _print("Grown by what helps most", grown, within)
    _print("Equally spaced", spaced, within)


def _print(title: str, rows: list[Measured], within: float) -> None:
    print(f"\n{title}\n{'checkpoints':>11}{'error':>9}{'excess':>9}  {'95 %':18}measured at")
    enough = next((row for row in rows if row.excess <= within), None)
    for row in rows:
        span = "" if row.low is None else f"{row.low:+.1%} to {row.high:+.1%}"
        at = ", ".join(f"{share:.0%}" for share in row.shares)
        if len(row.shares) > 12:
            at = f"every {row.shares[0]:.1%}"
        mark = f"  <- within {within:.0%}" if row is enough else ""
        print(f"{len(row.shares):11}{row.error:9.4f}{row.excess:+9.1%}  {span:18}{at}{mark}")
    if enough is None:
        print(f"none is within {within:.0%}")
