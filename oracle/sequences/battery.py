"""What an architecture must prove on known answers before it may become an oracle.

Four tasks, each with a figure that cannot be argued with: how near a forecast comes to the noise,
whether a first digit is still known after n, how long a roll-out follows an exact solution.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from oracle.errors import InvalidSeries, must_be
from oracle.sequences.config import Config
from oracle.sequences.forecasting import roll_out
from oracle.sequences.memory import LENGTHS, memory
from oracle.sequences.oscillator import Oscillator
from oracle.sequences.run import Result, Told, run
from oracle.sequences.series import Array

#: The cells side by side.
CELLS = ("rnn", "gru", "lstm")
#: Periods of the driving force that a roll-out must follow.
PERIODS = 3
#: Examples of the memory task that nothing was trained on.
MEMORY_TEST = 2000
MEMORY_EPOCHS = 20
#: Cross-entropy below which a memory has nothing left to learn.
KNOWN = 0.003
#: Of each recurrent layer: architectures shall differ by their shape here, not by their size.
UNITS = 32


class Mark(NamedTuple):
    """What one network got on one task.

    Attributes:
        figure: see `Task.figure`.
        naive: the same of who knows nothing better: the last value, a guess.
        seconds: of one core, with all that was asked of the network.
    """

    figure: float
    naive: float
    seconds: float


@dataclass(frozen=True)
class Task:
    """A known answer and how near to it counts as right.

    Attributes:
        figure: what is measured, for people.
        limit: that the median over seeds must keep.
        least: whether it must reach the limit, not stay below it.
        data, training: sections of the file that `oracle sequences run` would take; a task of
            memory has none.
        units: of each recurrent layer, None = the architecture's own.
    """

    figure: str
    limit: float
    least: bool = False
    data: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    units: int | None = UNITS

    @property
    def epochs(self) -> int:
        """Of one training."""
        return int(self.training.get("epochs", MEMORY_EPOCHS))

    def holds(self, figure: float) -> bool:
        """Whether a figure keeps the limit; NaN does not."""
        return figure >= self.limit if self.least else figure <= self.limit


TASKS: dict[str, Task] = {
    "sine": Task(
        "test MSE / noise variance",
        1.3,
        data={"series": "sine", "points": 2000, "periods": 40.0, "sequence_length": 20},
        training={"epochs": 20, "batch_size": 32, "learning_rate": 0.01},
    ),
    "seasonal": Task(
        "MAE, 10 steps from 50 (noise: .80)",
        1.05,
        data={
            "series": "seasonal",
            "points": 2000,
            "sequence_length": 50,
            "horizon": 10,
            "centre": True,
        },
        training={"epochs": 15, "batch_size": 64, "learning_rate": 0.01},
    ),
    "oscillator": Task(
        f"RMSE / amplitude, rolled out over {PERIODS} periods from 10 points",
        0.05,
        data={"series": "oscillator", "points": 1000, "sequence_length": 10},
        training={"epochs": 100, "batch_size": 32, "learning_rate": 0.01},
    ),
    "memory 10": Task("right answers, first of 10 digits", 0.95, least=True),
    "memory 50": Task("right answers, first of 50 digits", 0.95, least=True),
}
#: A quick look, for CI: the sine with small layers, few points and few passes.
QUICK = Task(
    "test MSE / noise variance, small",
    2.0,
    data={"series": "sine", "points": 800, "periods": 16.0, "sequence_length": 12},
    training={"epochs": 10, "batch_size": 32, "learning_rate": 0.015},
    units=16,
)


def chosen(names: Sequence[str] | None) -> dict[str, Task]:
    """Tasks by name, None = all.

    Raises:
        InvalidSeries: an unknown task.
    """
    if unknown := [name for name in names or () if name not in TASKS]:
        raise InvalidSeries(must_be("task", f"one of {', '.join(TASKS)}", unknown[0]))
    return {name: task for name, task in TASKS.items() if not names or name in names}


def may_try(architecture: str, task: str) -> bool:
    """Whether a task is one for this architecture: the NumPy LSTM forecasts values alone."""
    return architecture != "numpy" or not task.startswith("memory")


def config_of(task: str, architecture: str, seed: int) -> Config:
    """The file that a task on a series amounts to."""
    given = QUICK if task == "quick" else TASKS[task]
    model: dict[str, Any] = {"architecture": architecture}
    if given.units is not None and _is_sized(architecture):
        model["hidden_dim"] = given.units
    data = {**given.data, "random_seed": seed}
    return Config.model_validate({"data": data, "model": model, "training": given.training})


def _is_sized(architecture: str) -> bool:
    if architecture == "numpy":  # needs no Keras, which takes seconds to load
        return True
    from oracle.sequences.keras_run import is_sized

    return is_sized(architecture)


def examine(
    task: str, architecture: str, seed: int, told: Told = lambda epoch, train, test: None
) -> Mark:
    """Train one network on one task and mark it.

    Args:
        task: a key of TASKS, or quick.
        architecture: numpy or one of the registry.
        seed: of data, weights and order.
        told: called after each epoch.

    Raises:
        InvalidSeries: an unknown architecture.
    """
    if task.startswith("memory"):
        return remembers(architecture, int(task.split()[1]), seed, told=told)
    began = time.process_time()
    result = run(config_of(task, architecture, seed), told)
    scores, series = result.evaluation.scores, result.task.series
    own, naive = scores["model"], scores["last value"]
    if task == "seasonal":
        return Mark(own.mae, naive.mae, time.process_time() - began)
    if task == "oscillator":
        rolled, exact = rolled_out(result)
        stays, amplitude = result.task.split.test.x[0, -1, 0], Oscillator().amplitude
        own_error, naive_error = _rms(rolled - exact), _rms(stays - exact)
        seconds = time.process_time() - began
        return Mark(own_error / amplitude, naive_error / amplitude, seconds)
    least = series.least_mse or float("nan")
    return Mark(own.mse / least, naive.mse / least, time.process_time() - began)


def rolled_out(result: Result) -> tuple[Array, Array]:
    """A roll-out from the first test window, and the exact solution: [step] each.

    As many steps as PERIODS of the series' season, or as the series still has.
    """
    series, test = result.task.series, result.task.split.test
    start = int(test.start[0]) + test.length
    steps = min(PERIODS * (series.period or len(series)), len(series) - start)
    exact = series.target if series.clean is None else series.clean
    return roll_out(result.forecaster, test.x[0], steps), exact[start : start + steps]


def remembers(
    architecture: str,
    n: int,
    seed: int,
    *,
    examples: int = 2000,
    epochs: int = MEMORY_EPOCHS,
    told: Told = lambda epoch, train, test: None,
) -> Mark:
    """Train on sequences of `n` digits and count right answers on as many new ones.

    Gates begin as `oracle.sequences.networks.hold_state` sets them, so that the task measures what
    a cell can hold, not how long its gradient takes to find the first step.

    Raises:
        InvalidSeries: an unknown architecture, numpy (which answers values, not yes or no), or n
            out of range.
    """
    if not LENGTHS[0] <= n <= LENGTHS[1]:
        raise InvalidSeries(must_be("n", f"within {LENGTHS[0]}..{LENGTHS[1]}", n))
    from oracle.sequences.keras_run import is_sized, registered
    from oracle.sequences.networks import Examples, WindowSettings, answer, fit_windows, sized

    spec = registered(architecture)
    if is_sized(architecture):
        spec = sized(spec, UNITS, None, None)
    train, test = memory(examples, n, 2 * seed), memory(MEMORY_TEST, n, 2 * seed + 1)
    began = time.process_time()
    fitted = fit_windows(
        spec,
        Examples(train.sequence, train.even),
        Examples(test.sequence, test.even),
        WindowSettings(epochs, 0.005, 64, loss="even", enough=KNOWN, hold=n, seed=seed),
        told=told,
    )
    yes = answer(fitted.model, test.sequence)[:, 0, 0] > 0
    right = float(np.mean(yes == (test.even[:, 0] > 0)))
    share = float(test.even.mean())
    return Mark(right, max(share, 1 - share), time.process_time() - began)


def _rms(error: Array) -> float:
    return float(np.sqrt(np.mean(error**2)))


@dataclass(frozen=True)
class Table:
    """Marks of several architectures: architecture -> task -> one of each seed."""

    tasks: Mapping[str, Task]
    marks: Mapping[str, Mapping[str, Sequence[Mark]]]

    @property
    def holds(self) -> bool:
        """Whether every median keeps its limit."""
        return all(
            self.tasks[task].holds(median(mark.figure for mark in marks))
            for by_task in self.marks.values()
            for task, marks in by_task.items()
        )

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "limits": {name: task.limit for name, task in self.tasks.items()},
            "marks": {
                name: {task: [mark._asdict() for mark in marks] for task, marks in by_task.items()}
                for name, by_task in self.marks.items()
            },
            "holds": self.holds,
        }

    def text(self) -> str:
        """For people: a row an architecture, `!` where the limit is missed."""
        lines = []
        for name, task in self.tasks.items():
            bound = "at least" if task.least else "at most"
            lines.append(f"{name}: {task.figure}, {bound} {task.limit:g}")
        lines.append(f"{'median over seeds':18}" + "".join(f"{name:>14}" for name in self.tasks))
        naive: dict[str, float] = {}
        for architecture, by_task in self.marks.items():
            cells = []
            for name, task in self.tasks.items():
                if name not in by_task:
                    cells.append(f"{'-':>14}")
                    continue
                figure = median(mark.figure for mark in by_task[name])
                naive[name] = median(mark.naive for mark in by_task[name])
                cells.append(f"{figure:13.3f}" + (" " if task.holds(figure) else "!"))
            lines.append(f"{architecture:18}" + "".join(cells))
        cells = [f"{naive[name]:13.3f} " if name in naive else f"{'-':>14}" for name in self.tasks]
        lines.append(f"{'naive':18}" + "".join(cells))
        return "\n".join(lines)


def memory_text(right: Mapping[str, Mapping[int, Sequence[float]]]) -> str:
    """Medians of right answers: a row an architecture, a column a length."""
    lengths = sorted({n for by_length in right.values() for n in by_length})
    lines = [f"{'right answers, median':24}" + "".join(f"{n:>8}" for n in lengths)]
    for name, by in right.items():
        cells = [f"{median(by[n]):8.1%}" if n in by else f"{'-':>8}" for n in lengths]
        lines.append(f"{name:24}" + "".join(cells))
    return "\n".join(lines)
