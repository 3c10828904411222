"""`oracle sequences`: the workbench of sequences."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oracle.sequences.run import Result

app = typer.Typer(no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

#: Steps of a roll-out that are drawn, in windows.
DRAWN_WINDOWS = 4


@app.callback()
def options() -> None:
    """Architectures on sequences whose answers are known, and forecasts of your own series."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # The matrices here are so small that a second thread mostly waits for the first.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ.setdefault(name, "1")


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="YAML file, e.g. examples/sine.yaml.")],
    output: Annotated[
        Path | None, typer.Option(help="JSON file to write losses and scores into.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option(help="Picture: learning curve, forecasts, roll-out.")
    ] = None,
    states: Annotated[
        Path | None, typer.Option(help="Picture: gates and states over the first test window.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="File for the network: .npz for numpy, else .keras.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train one network on one series as a file says, and score its forecasts.

    The file's sections are logging, data, model and training; docs/sequences.md lists the keys.
    RANDOM_SEED in the environment overrides data.random_seed.
    """
    from oracle.sequences.config import read_config
    from oracle.sequences.run import run

    setting = read_config(config)
    with progress(setting.training.epochs, setting.model.architecture) as told:
        result = run(setting, told)
    if save is not None:
        result.model.save(save)
    if png is not None:
        _draw(result, png)
    if states is not None:
        _draw_states(result, states)
    if output is not None:
        output.write_text(json.dumps(result.as_dict(), indent=2) + "\n", encoding="utf-8")
    typer.echo(json.dumps(result.as_dict()) if as_json else result.text())


@contextmanager
def progress(epochs: int, name: str) -> Iterator[Callable[[int, float, float], None]]:
    """Show a bar of epochs on stderr, where somebody watches."""
    if not sys.stderr.isatty():
        yield lambda epoch, train, test: None
        return
    with typer.progressbar(length=epochs, label=name, file=sys.stderr, show_pos=True) as bar:

        def told(epoch: int, train: float, test: float) -> None:
            bar.label = f"{name}, training {train:.5f}, test {test:.5f}"
            bar.update(1)

        yield told


def _draw(result: Result, path: Path) -> None:
    from oracle.sequences.forecasting import roll_out
    from oracle.sequences.pictures import run_picture

    test, series = result.task.split.test, result.task.series
    start = int(test.start[0]) + test.length
    rolled = None
    if test.horizon == 1 and series.values.shape[1] == 1:
        steps = min(DRAWN_WINDOWS * test.length, len(series) - start)
        rolled = roll_out(result.forecaster, test.x[0], steps)
    run_picture(
        path,
        name=result.config.model.architecture,
        curve=(result.train_losses, result.test_losses),
        series=series.target,
        start=start,
        forecast=result.evaluation.forecast,
        rolled=rolled,
        clean=series.clean,
    )


def _draw_states(result: Result, path: Path) -> None:
    from oracle.sequences.pictures import states_picture
    from oracle.sequences.states import layers_of, states_of

    task = result.task
    x = task.inputs(task.split.test.x[0])
    states_picture(
        path,
        states_of(layers_of(result.model), x),
        {name: x[:, i] for i, name in enumerate(task.series.features)},
        title=f"{result.config.model.architecture} reading {task.series.name}",
    )
