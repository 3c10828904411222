"""The long form of the workbench: `make sequences` writes the results of docs/sequences.md anew.

    python -m bench.sequences [PART...] [--seeds 5] [--fresh]

Parts are compare, memory, correction, speed. What was measured is kept in docs/sequences/marks.json
after every network, so that an interrupted call goes on where it was; `--fresh` begins anew.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from oracle.commands.sequences import architectures, on_one_core
from oracle.sequences import battery, corrected
from oracle.sequences.battery import CELLS, TASKS, Mark, Table, examine, may_try
from oracle.sequences.config import read_config
from oracle.sequences.pictures import memory_picture
from oracle.sequences.run import run

ROOT = Path(__file__).parents[1]
PAGE, MARKS = ROOT / "docs/sequences.md", ROOT / "docs/sequences/marks.json"
PICTURE = ROOT / "docs/img/sequences-memory.png"
LENGTHS = (10, 20, 50, 100)
#: These go through all tasks with every seed; the others with one, to see that they can.
EVERY_SEED = ("numpy", *CELLS)
CORRECTION_SEEDS = 10
PARTS = ("compare", "memory", "correction", "speed")
#: The LSTM in NumPy and Keras' on the same file, which says how large both are.
SPEED = ("numpy", "lstm")
FILE = ROOT / "examples/sine.yaml"

Key = tuple[str, ...]


class Marks:
    """What was measured: key -> numbers, written to disk after each."""

    def __init__(self, fresh: bool) -> None:
        read = not fresh and MARKS.exists()
        self.found: dict[str, list[float]] = json.loads(MARKS.read_text()) if read else {}

    def get(self, key: Key, measure: Callable[[], list[float]]) -> None:
        """Measure what is not there yet."""
        name = "|".join(key)
        if name not in self.found:
            self.found[name] = [float(f"{value:.5g}") for value in measure()]
            MARKS.parent.mkdir(exist_ok=True)
            MARKS.write_text(json.dumps(self.found, indent=0, sort_keys=True) + "\n")

    def of(self, *begin: str) -> Iterator[tuple[Key, list[float]]]:
        """Those whose key begins so."""
        for name, values in self.found.items():
            key = tuple(name.split("|"))
            if key[: len(begin)] == begin:
                yield key[len(begin) :], values


def main() -> None:
    """Measure what is missing, then write the page's results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    if unknown := [part for part in options.parts if part not in PARTS]:
        parser.error(f"`parts` must be of {', '.join(PARTS)}, but got {unknown[0]!r}.")
    on_one_core()
    marks = Marks(options.fresh)
    wanted = list(_plan(options.parts or list(PARTS), options.seeds))
    for key, measure in tqdm(wanted, unit="network"):
        marks.get(key, measure)
        if "keras" in sys.modules:  # it keeps every network, and each costs the next ones time
            sys.modules["keras"].utils.clear_session()
    write(marks)


def _plan(parts: list[str], seeds: int) -> Iterator[tuple[Key, Callable[[], list[float]]]]:
    if "compare" in parts:
        others = [name for name in architectures() if name not in EVERY_SEED]
        for seed, names in [*((seed, EVERY_SEED) for seed in range(seeds)), (0, others)]:
            for name, task in product(names, TASKS):
                if may_try(name, task):
                    yield (
                        (task, name, str(seed)),
                        lambda task=task, name=name, seed=seed: list(examine(task, name, seed)),
                    )
    if "memory" in parts:
        for seed in range(seeds):
            for n in LENGTHS:
                for name in CELLS:
                    yield (
                        (f"memory {n}", name, str(seed)),
                        lambda name=name, n=n, seed=seed: list(battery.remembers(name, n, seed)),
                    )
    if "correction" in parts:
        for seed in range(max(seeds, CORRECTION_SEEDS)):
            for series in corrected.SERIES:
                for kind in corrected.ALL:
                    yield (
                        ("correction", series, kind, str(seed)),
                        lambda s=series, k=kind, i=seed: list(corrected.errors("lstm", s, k, i)),
                    )
    if "speed" in parts:
        for seed in range(seeds):
            for name in SPEED:
                yield ("speed", name, str(seed)), lambda name=name: [epoch_seconds(name)]


def epoch_seconds(architecture: str) -> float:
    """Seconds of one core that an epoch takes, without what compiling takes before the first."""
    setting = read_config(FILE)
    model = setting.model.model_copy(update={"architecture": architecture})
    logging = setting.logging.model_copy(update={"file": None})
    at: list[float] = []
    run(
        setting.model_copy(update={"model": model, "logging": logging}),
        lambda epoch, train, test: at.append(time.process_time()),
    )
    return (at[-1] - at[0]) / (len(at) - 1)


def write(marks: Marks) -> None:
    """Put tables between the page's marks, and draw the picture of memory."""
    by: dict[str, dict[str, list[Mark]]] = {}
    for task in TASKS:
        for (name, _), values in marks.of(task):
            by.setdefault(name, {}).setdefault(task, []).append(Mark(*values))
    seeds = {name: max(map(len, each.values())) for name, each in by.items()}
    parts = {}
    if by:
        counts = ", ".join(f"{name} {n}" for name, n in seeds.items())
        parts["compare"] = f"{Table(TASKS, by).text()}\nseeds: {counts}"
    right: dict[str, dict[int, list[float]]] = {}
    for n in LENGTHS:
        for (name, _), values in marks.of(f"memory {n}"):
            if name in CELLS:
                right.setdefault(name, {}).setdefault(n, []).append(values[0])
    if right:
        memory_picture(PICTURE, right)
        parts["memory"] = battery.memory_text(right)
    table: dict[str, Any] = {}
    for (series, kind, _), values in marks.of("correction"):
        table.setdefault(series, {}).setdefault(kind, []).append(values)
    # An interval over few seeds says nothing; a series is told when all its networks are there.
    table = {
        series: by_kind
        for series, by_kind in table.items()
        if len(by_kind) == len(corrected.ALL)
        and all(len(found) >= CORRECTION_SEEDS for found in by_kind.values())
    }
    if table:
        parts["correction"] = corrected.text(table)
    speed = {
        name: median(values[0] for (_, values) in marks.of("speed", name))
        for name in SPEED
        if any(marks.of("speed", name))
    }
    if len(speed) == len(SPEED):
        ours, theirs = speed.values()
        parts["speed"] = (
            f"an epoch of {FILE.name}, one core: NumPy {ours:.3f} s, Keras {theirs:.3f} s, "
            f"{ours / theirs:.2f} times as long"
        )
    page = PAGE.read_text(encoding="utf-8")
    for name, text in parts.items():
        begin, end = f"<!-- {name}: written by `make sequences` -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n```text\n{text}\n```\n\n{end}{rest.partition(end)[2]}"
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
