"""One search by NexusSOM's own code, as it is or with the hook: its generations and their cost.

The hook's lines are read from examples/nexussom_attach.py and put where it says;
`bench.nexussom_live` compares searches.
"""

from __future__ import annotations

import ast
import contextlib
import csv
import io
import json
import math
import os
import random
import re
import resource
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from collector.sources import load_table
from oracle.integrations.nexussom import planned
from oracle.integrations.nexussom_front import finish, is_marked

EXAMPLE = Path(__file__).parents[1] / "examples/nexussom_attach.py"

#: The places that the example's lines go to: its imports above the first, its own in place of the
#: second, its forecast below the third.
HEAD = "from som.som import KohonenSOM\n"
TRAINING = """\
        training_results = som.train(data, ignore_mask=ignore_mask,
                                     lstm_early_stop_fn=lstm_early_stop_fn,
                                     dynamic_schedule_fn=dynamic_schedule_fn)
"""
MEASURED = """\
        training_results['distance_map_max'] = distance_map_max
"""

#: NexusSOM's documented search; sizes and lengths follow from the table.
SPACE = {
    "map_size": {"type": "discrete_int_pair", "min": 8, "max": 10},
    "start_learning_rate": {"type": "float", "min": 0.5, "max": 1.0, "log_scale": True},
    "end_learning_rate": {"type": "float", "min": 0.01, "max": 0.3, "log_scale": True},
    "lr_decay_type": {
        "type": "categorical", "values": ["linear-drop", "exp-drop", "log-drop", "step-down"],
    },
    "start_radius_init_ratio": {"type": "float", "min": 0.5, "max": 1.0},
    "radius_decay_type": {
        "type": "categorical", "values": ["linear-drop", "exp-drop", "log-drop", "step-down"],
    },
    "start_batch_percent": {"type": "float", "min": 0.0, "max": 5.0},
    "end_batch_percent": {"type": "float", "min": 1.0, "max": 10.0},
    "batch_growth_type": {"type": "categorical", "values": ["linear-growth", "exp-growth"]},
    "epoch_multiplier": {"type": "float", "min": 1.0, "max": 5.0},
    "growth_g": {"type": "float", "min": 10.0, "max": 40.0},
    "num_batches": {"type": "int", "min": 1, "max": 4},
}  # fmt: skip
FIXED = {
    "end_radius": 1.0, "map_type": "hex", "normalize_weights_flag": False,
    "mqe_evaluations_per_run": 40, "save_checkpoints": True, "checkpoint_every_mqe": True,
    "early_stopping_window": 50000, "max_epochs_without_improvement": 50000,
}  # fmt: skip
#: Generations of a search with a budget at most; the budget ends it long before.
MANY = 500


class Generation(NamedTuple):
    """A search as it stood after one generation.

    Attributes:
        folder: its files as they were.
        seconds: CPU time so far, of the whole search and its workers.
        updates: updates of a neuron so far.
        to_finish: the same, for training the front's stopped members to their end.
    """

    folder: Path
    seconds: float
    updates: float
    to_finish: float


class Search(NamedTuple):
    """One search that was run: its generations, and how it evaluates."""

    generations: list[Generation]
    ea: ModuleType
    fixed: dict[str, Any]
    data: Any
    mask: Any


def nexussom(code: Path, *, watched: bool) -> ModuleType:
    """Load NexusSOM's search, as it is or with the documented lines.

    Raises:
        SystemExit: where the places that they go to are not found.
    """
    app = code / "app"
    file = app / "ea" / "ea.py"
    if not file.is_file():
        raise SystemExit(f"bench.nexussom_live: {code} must be a clone of NexusSOM")
    if str(app) not in sys.path:
        sys.path.insert(0, str(app))
    text = file.read_text(encoding="utf-8")
    if watched:
        for place in (HEAD, TRAINING, MEASURED):
            if text.count(place) != 1:
                raise SystemExit(f"bench.nexussom_live: {file} must hold once:\n{place}")
        head, watch, forecast, *_ = documented()
        text = text.replace(HEAD, textwrap.dedent(head) + HEAD)
        text = text.replace(TRAINING, watch).replace(MEASURED, MEASURED + forecast)
    name = f"nexussom_{'watched' if watched else 'plain'}"
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module  # its workers are forked, and find it there
    exec(compile(text, str(file), "exec"), module.__dict__)
    return module


def documented() -> list[str]:
    """Read the indented blocks of the example's own text, as deep as in `evaluate_individual`."""
    text = ast.get_docstring(ast.parse(EXAMPLE.read_text(encoding="utf-8"))) or ""
    blocks = re.findall(r"(?:^(?: {4}.*)?\n)+", f"{text}\n", re.M)
    return [textwrap.indent(block.strip("\n") + "\n", " " * 4) for block in blocks if block.strip()]


def search(
    code: Path,
    folder: Path,
    table: str,
    seed: int,
    *,
    rows: int,
    population: int,
    generations: int = MANY,
    seconds: float | None = None,
) -> Search:
    """Run NexusSOM's `main` on a table, for so many generations or as long as its budget lasts.

    Args:
        code: a clone of its repository.
        folder: a new one, for its files.
        table: a name of `collector.sources`.
        seed: of its first generation and all that follows.
        rows: of the table at most, drawn alike for every seed.
        population: maps a generation.
        generations: at most.
        seconds: budget of CPU time; with it the hook is there, without it is not.
    """
    folder.mkdir(parents=True)
    source = _sample(folder, table, rows)
    settings = {"population_size": population, "generations": generations, "seeds": [seed]}
    (folder / "config.json").write_text(json.dumps(_config(settings)), encoding="utf-8")
    before = cpu_seconds()
    ea: Any = nexussom(code, watched=seconds is not None)
    kept: list[Generation] = []
    seen: dict[str, Any] = {}
    log_front, run_evolution = ea.log_pareto_front, ea.run_evolution

    def logged(number: int, space: dict[str, Any]) -> None:
        log_front(number, space)
        spent = cpu_seconds() - before
        kept.append(_generation(Path(ea.WORKING_DIR), folder, number, spent, seen))
        last = spent - (kept[-2].seconds if len(kept) > 1 else seen["begun"])
        if seconds is not None and spent + last > seconds:  # another one would not fit
            raise KeyboardInterrupt  # so a user ends it, and it takes that well

    def evolved(ea_config: dict[str, Any], data: Any, mask: Any) -> None:
        seen.update(fixed=ea_config["FIXED_PARAMS"], data=data, mask=mask)
        seen["begun"] = cpu_seconds() - before
        run_evolution(ea_config, data, mask)

    random.seed(seed)
    np.random.seed(seed)
    arguments = ["ea", "-i", str(source), "-c", str(folder / "config.json")]
    with _replaced(ea, log_pareto_front=logged, run_evolution=evolved), _told(arguments):
        ea.main()
    return Search(kept, ea, seen["fixed"], seen["data"], seen["mask"])


def finished(made: Search, at: Generation) -> tuple[int, float]:
    """Train the stopped members of a search's front, as it stood, to their end.

    Returns:
        How many they were, and the CPU time that it took.
    """
    before = cpu_seconds()

    def evaluate(genes: dict[str, Any]) -> Any:
        whole = {**made.fixed, "ds_censored": False}
        where = str(at.folder)
        return made.ea.evaluate_individual(genes, 0, 0, whole, made.data, made.mask, where)

    with _told(sys.argv):
        members = finish(at.folder, evaluate)
    return len(members), cpu_seconds() - before


def _sample(folder: Path, table: str, most: int) -> Path:
    rows = load_table(table)
    rows = rows[np.random.default_rng(0).permutation(len(rows))[:most]]
    source = folder / f"{table}.csv"
    header = ",".join(["id", *(f"f{i}" for i in range(rows.shape[1]))])
    numbered = np.column_stack([np.arange(len(rows)), rows])
    np.savetxt(source, numbered, delimiter=",", header=header, comments="", fmt="%.9g")
    return source


def _config(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "use_nn": False,
        "EA_SETTINGS": settings,
        "CALIBRATION": {"n_probes": 15, "probe_epoch_multiplier": 0.3},
        "SEARCH_SPACE": SPACE,
        "GENETIC_OPERATORS": {},
        "FIXED_PARAMS": FIXED,
        "PREPROCES_DATA": {
            "delimiter": ",", "primary_id": "id", "categorical_threshold_numeric": 5,
            "categorical_threshold_text": 30, "noise_threshold_ratio": 0.9,
        },
    }  # fmt: skip


def _generation(
    working: Path, folder: Path, number: int, seconds: float, seen: dict[str, Any]
) -> Generation:
    kept = folder / f"generation_{number + 1}"
    kept.mkdir()
    for name in ("results.csv", "pareto_front.csv"):
        shutil.copy2(working / name, kept / name)
    rows, front = (rows_of(kept / name) for name in ("results.csv", "pareto_front.csv"))
    latest = {row["uid"]: row for row in rows}
    members = [latest[row["uid"]] for row in front if row["generation"] == str(number + 1)]
    to_finish = sum(_whole(row, seen) for row in members if is_marked(row))
    return Generation(kept, seconds, updates_of(rows), to_finish)


def rows_of(file: Path) -> list[dict[str, str]]:
    """Read one of NexusSOM's tables."""
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def updates_of(rows: list[dict[str, str]]) -> float:
    """Count the updates of all neurons of some trainings: updates times neurons."""
    counted = ("total_weight_updates", "map_m", "map_n")
    return float(sum(math.prod(float(row[name]) for name in counted) for row in rows))


def _whole(row: dict[str, str], seen: dict[str, Any]) -> float:
    """Count the updates of all neurons of a whole training, from its parameters."""
    from som.som import KohonenSOM  # type: ignore[import-not-found]

    genes = {name: _value(row[name]) for name in SPACE}
    som = KohonenSOM(dim=seen["data"].shape[1], **genes, **seen["fixed"])
    updates = planned(som, seen["data"])["total_updates"] or 0.0
    return float(updates * som.m * som.n)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def cpu_seconds() -> float:
    """Sum the CPU time of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@contextlib.contextmanager
def _replaced(module: Any, **by: Any) -> Iterator[None]:
    own = {name: getattr(module, name) for name in by}
    vars(module).update(by)
    try:
        yield
    finally:
        vars(module).update(own)


@contextlib.contextmanager
def _told(arguments: list[str]) -> Iterator[None]:
    own, sys.argv = sys.argv, arguments
    silent = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    try:
        # By descriptor: its workers print, too.
        with silent, _redirected(1, silent), _redirected(2, silent):
            yield
    finally:
        sys.argv = own


@contextlib.contextmanager
def _redirected(descriptor: int, to: io.TextIOWrapper) -> Iterator[None]:
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(descriptor)
    os.dup2(to.fileno(), descriptor)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(kept, descriptor)
        os.close(kept)
