"""`oracle sequences`: the workbench of sequences."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from oracle.commands.keras import load_keras

if TYPE_CHECKING:
    from oracle.sequences.run import Result

Marked = TypeVar("Marked")

app = typer.Typer(no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

#: Steps of a roll-out that are drawn, in windows.
DRAWN_WINDOWS = 4


@app.callback()
def options() -> None:
    """Architectures on sequences whose answers are known, and forecasts of your own series."""
    on_one_core()


def on_one_core() -> None:
    """Ask the libraries for one thread each, before they are loaded.

    The matrices here are so small that a second thread mostly waits for the first.
    """
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

    _can_write(output, png, states, save)
    setting = read_config(config)
    if setting.model.architecture != "numpy":
        load_keras()
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


#: A comparison's options, the same in each verb.
Seeds = Annotated[int, typer.Option(min=1, max=100, help="Networks of each kind.")]
Cells = Annotated[
    list[str] | None, typer.Option("--architecture", help="Again for several (default: all).")
]


@app.command()
def compare(
    architecture: Cells = None,
    task: Annotated[
        list[str] | None, typer.Option(help="Again for several (default: all).")
    ] = None,
    seeds: Seeds = 5,
    quick: Annotated[
        bool, typer.Option("--quick", help="The sine alone with small layers, seconds each.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Examine architectures on tasks with known answers: medians over seeds beside the naive.

    Tasks are sine, seasonal, oscillator, memory 10 and memory 50. Exit code 1 where a median
    misses its limit.
    """
    if architecture != ["numpy"]:
        load_keras()
    from oracle.sequences import battery

    tasks = {"quick": battery.QUICK} if quick else battery.chosen(task)
    marks = {
        name: {
            key: [shown(given.epochs, battery.examine, key, name, seed) for seed in range(seeds)]
            for key, given in tasks.items()
            if battery.may_try(name, key)
        }
        for name in architecture or architectures()
    }
    table = battery.Table(tasks, marks)
    typer.echo(json.dumps(table.as_dict()) if as_json else table.text())
    raise typer.Exit(0 if table.holds else 1)


@app.command("memory")
def remember(
    length: Annotated[
        list[int] | None,
        typer.Option(help="Digits; again for several (default: 10 20 50 100 200)."),
    ] = None,
    architecture: Cells = None,
    seeds: Seeds = 5,
    png: Annotated[Path | None, typer.Option(help="Picture: right answers by length.")] = None,
    as_json: Json = False,
) -> None:
    """Ask cells whether the first of n digits was even: which length is too long for which.

    A guess is right half of the time.
    """
    _can_write(png)
    load_keras()
    from oracle.sequences.battery import CELLS, MEMORY_EPOCHS, memory_text, remembers
    from oracle.sequences.pictures import memory_picture

    lengths = sorted(length or (10, 20, 50, 100, 200))
    right = {
        name: {
            n: [shown(MEMORY_EPOCHS, remembers, name, n, seed).figure for seed in range(seeds)]
            for n in lengths
        }
        for name in architecture or CELLS
    }
    if png is not None:
        memory_picture(png, right)
    typer.echo(json.dumps(right) if as_json else memory_text(right))


@app.command()
def oscillator(
    architecture: Cells = None,
    seeds: Seeds = 5,
    png: Annotated[
        Path | None, typer.Option(help="Picture: roll-outs beside the exact solution.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Let cells roll out the driven damped oscillator from 10 points, over three periods.

    Errors are root mean squares over the amplitude, by architecture, median over seeds; drawn is
    the seed in the middle.
    """
    _can_write(png)
    load_keras()
    import numpy as np

    from oracle.sequences.battery import CELLS, config_of, rolled_out
    from oracle.sequences.oscillator import SPACING, Oscillator
    from oracle.sequences.pictures import roll_out_picture
    from oracle.sequences.run import run

    amplitude = Oscillator().amplitude
    errors, drawn = {}, {}
    exact = given = None
    for name in architecture or CELLS:
        found = []
        for seed in range(seeds):
            setting = config_of("oscillator", name, seed)
            with progress(setting.training.epochs, f"{name}, seed {seed}") as told:
                result = run(setting, told)
            rolled, exact = rolled_out(result)
            given = result.task.split.test.x[0, :, 0]
            found.append((float(np.sqrt(np.mean((rolled - exact) ** 2))) / amplitude, rolled))
        found.sort(key=lambda each: each[0])
        errors[name], drawn[name] = [error for error, _ in found], found[len(found) // 2][1]
    if png is not None and exact is not None and given is not None:
        time = SPACING * np.arange(len(given) + len(exact), dtype=np.float64)
        roll_out_picture(png, time, np.concatenate([given, exact]), len(given), drawn)
    if as_json:
        typer.echo(json.dumps(errors))
        return
    for name, each in errors.items():
        typer.echo(f"{name:16}{median(each):8.2%} of the amplitude, of {each[0]:.2%} to "
                   f"{each[-1]:.2%}")  # fmt: skip


@app.command()
def correction(
    architecture: Annotated[str, typer.Option(help="One of the registry.")] = "lstm",
    series: Annotated[
        list[str] | None, typer.Option(help="sine, seasonal, spikes; again for several.")
    ] = None,
    seeds: Seeds = 10,
    png: Annotated[
        Path | None, typer.Option(help="Picture: the last series before and after, raw.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare data correction (raw, relu, sigmoid) with none: errors against the clean signal.

    Of each kind the test error's difference from none has a 95 % interval over seeds, which share
    data and first weights.
    """
    _can_write(png)
    load_keras()
    from oracle.sequences import corrected
    from oracle.sequences.pictures import correction_picture
    from oracle.sequences.run import run

    rows = {
        name: {
            kind: [
                shown(corrected.EPOCHS, corrected.errors, architecture, name, kind, i)
                for i in range(seeds)
            ]
            for kind in corrected.ALL
        }
        for name in series or corrected.SERIES
    }
    if png is not None:
        result = run(corrected.config_of(architecture, list(rows)[-1], "raw", 0))
        own, moved = result.task.series, result.corrected
        if moved is not None:
            correction_picture(png, own.target, moved[:, 0], own.clean, f"{own.name}, raw")
    typer.echo(json.dumps(rows) if as_json else corrected.text(rows))


def architectures() -> list[str]:
    """Every architecture of the workbench, numpy first."""
    from oracle.training.architectures import ARCHITECTURES

    return ["numpy", *ARCHITECTURES]


def shown(epochs: int, examine: Callable[..., Marked], *words: Any) -> Marked:
    """Examine under a progress bar of its own, where somebody watches."""
    with progress(epochs, " ".join(map(str, words))) as told:
        return examine(*words, told=told)


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


def _can_write(*paths: Path | None) -> None:
    """Refuse a file in a folder that is not there before minutes of training, not after."""
    for path in paths:
        if path is not None and not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


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
    from oracle.sequences.states import states_of

    task = result.task
    x = task.inputs(task.split.test.x[0])
    states_picture(
        path,
        states_of(result.layers(), x),
        {name: x[:, i] for i, name in enumerate(task.series.features)},
        title=f"{result.config.model.architecture} reading {task.series.name}",
    )
