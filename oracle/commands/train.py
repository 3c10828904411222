"""`oracle train`: fit an oracle on a dataset, or adapt a shipped one to one's own runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from oracle.commands.keras import load_keras
from oracle.commands.served import Served
from oracle.errors import OracleError, must_be
from oracle.history.dataset import command_line
from oracle.types import Run


def train(
    dataset: Annotated[
        list[Path] | None, typer.Option(help="Dataset CSV; may be given several times.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL|FILE",
            help="The service's store, e.g. data/oracle.db: its finished runs, beside --dataset.",
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(help="standard, bidirectional, lite, wide, rnn, gru, lstm or attention."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="At most (default: 100; 15 with --from).")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, max=65536, help="Runs a batch (default: by their number).")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of Adam at first (default: 0.002; 0.0003 with --from).")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, split, order and windows.")] = 0,
    seeds: Annotated[
        int | None, typer.Option(min=1, max=16, help="Networks averaged (default: 1).")
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.6, help="Factor on the architecture's dropout (default: 1)."),
    ] = None,
    correct: Annotated[
        str | None,
        typer.Option(
            help="Correct what checkpoints measured while training: raw, relu or sigmoid."
        ),
    ] = None,
    calibrate: Annotated[
        Path | None, typer.Option(help="Runs to calibrate on, of tables that --dataset lacks.")
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="Runs to judge on, of tables that --dataset lacks.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("models"),
    name: Annotated[
        str | None, typer.Option(help="Stem of the files (default: with a timestamp).")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the newest interrupted training.")
    ] = False,
    from_: Annotated[
        str | None, typer.Option("--from", help="Artifact to fine-tune, e.g. shipped.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="shipped: make models/shipped-* again, one or all (see --name)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train an oracle on a dataset.

    Runs are split 70/15/15 by run, whole tables held out where there are enough. Writes
    NAME_best.keras, NAME_final.keras, NAME_metadata.json, NAME_learning_curve.png, logs/NAME and
    the artifact NAME/ that is served.
    """
    if learning_rate is not None and not 0 < learning_rate <= 1:
        raise OracleError(must_be("--learning-rate", "within 0..1", learning_rate))
    if not dataset and store is None and preset is None:
        raise OracleError("`--dataset` or `--store` must be given. `oracle collect run` makes one.")
    if store is not None and preset is not None:
        raise OracleError(must_be("--store", "left out with --preset", preset))
    served = Served()
    found = served.read(store) if store is not None else ()
    runs = tuple(item for item in found if isinstance(item, Run))
    load_keras()
    from oracle.training.recipe import Request, run_request
    from oracle.training.shipped import train_shipped

    train = run_request if preset is None else train_shipped
    results = train(
        Request(
            runs=runs,
            weights=served.weights,
            excluded=served.skipped,
            datasets=tuple(dataset or ()),
            calibrate=calibrate,
            test=test,
            architecture=architecture,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            dropout=dropout,
            correct=correct,
            seed=seed,
            seeds=seeds,
            out=out,
            name=name,
            resume=resume,
            start_from=from_,
            preset=preset,
            command=command_line(),
            verbose=0 if as_json else (1 if sys.stderr.isatty() else 2),
        )
    )
    if as_json:
        typer.echo(json.dumps([result.as_dict() for result in results]))
        return
    for result in results:
        typer.echo(result.text())
