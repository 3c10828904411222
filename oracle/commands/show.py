"""`oracle show`: draw one history and its forecast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from oracle.commands.collect import Columns, TotalEpochs
from oracle.commands.predict import HISTORY, loaded, policy_of, read, recommend, told


def show(
    history: Annotated[Path, typer.Argument(help=HISTORY)],
    columns: Columns = None,
    total_epochs: TotalEpochs = None,
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

    seen = read(history, columns, total_epochs)
    decision = recommend(seen, loaded(model), policy_of())
    forecast = decision.forecast
    picture = png or history.with_suffix(".png")
    if forecast is not None:
        save(forecast, seen, picture)
    if report is not None:
        from oracle.pictures.report import Section, picture_of, text, write_report

        name = forecast.run_id if forecast and forecast.run_id else history.stem
        body = (picture_of(picture, "history and forecast") if forecast else "") + text(
            told(decision)
        )
        write_report(report, name, decision.message, [Section("Forecast", "", body)])
    if as_json:
        print(json.dumps(decision.model_dump(mode="json"), indent=2))
    else:
        print(told(decision))
        if forecast is not None:
            print(f"Picture: {picture}")
        if report is not None:
            print(f"Report: {report}")
