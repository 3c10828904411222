"""`oracle show`: draw one history and its forecast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oracle.commands.collect import Columns, TotalEpochs
from oracle.commands.predict import HISTORY, loaded, policy_of, read, recommend, told
from oracle.errors import OracleError, must_be

if TYPE_CHECKING:
    from oracle.types import History


def cut(history: History, share: float) -> History:
    """Give what was seen of a run after a share of its budget.

    Raises:
        OracleError: a share that is none, an unknown budget, or no checkpoint by then.
    """
    if not 0.0 < share < 1.0:
        raise OracleError(must_be("--at", "between 0 and 1", share))
    if history.total_epochs is None:
        raise OracleError(must_be("--at", "given with a budget", share, "Give --total-epochs."))
    seen = history.at(share)
    if seen is None:
        raise OracleError(must_be("--at", "beyond the first checkpoint", share))
    return seen


def show(
    history: Annotated[Path, typer.Argument(help=HISTORY)],
    columns: Columns = None,
    total_epochs: TotalEpochs = None,
    at: Annotated[
        float | None,
        typer.Option(help="Forecast after this share of the budget, and draw what came beside it."),
    ] = None,
    png: Annotated[
        Path | None, typer.Option(help="Picture to write (default: beside the history).")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="HTML page to write, picture and decision in one file.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder (default: the active).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
) -> None:
    """Draw one history, the fan of its forecast, and tell the decision."""
    from oracle.pictures.fan import save

    whole = read(history, columns, total_epochs)
    seen = whole if at is None else cut(whole, at)
    came = None if seen is whole else whole
    decision = recommend(seen, loaded(model), policy_of())
    forecast = decision.forecast
    picture = png or history.with_suffix(".png")
    if forecast is not None:
        save(forecast, seen, picture, came=came, decision=decision)
    if report is not None:
        from oracle.reports.page import write_report
        from oracle.reports.run import conclude, of_decision

        name = forecast.run_id if forecast and forecast.run_id else history.stem
        sections = of_decision(decision, seen, came)
        write_report(report, name, conclude(decision), f"{history}.", sections)
    if as_json:
        print(json.dumps(decision.model_dump(mode="json"), indent=2))
    else:
        print(told(decision))
        if forecast is not None:
            print(f"Picture: {picture}")
        if report is not None:
            print(f"Report: {report}")
