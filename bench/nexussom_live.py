"""What the hook is worth in NexusSOM's own evolution at an equal budget: its real code, run whole.

    python -m bench.nexussom_live NexusSOM                   # a clone of its repository
    python -m bench.nexussom_live NexusSOM --tables iris wine --seeds 3

NexusSOM's own `main` runs on a table twice with the same seed, so that threshold and first
generation are the same: as it is, and with the lines of examples/nexussom_attach.py in its
`evaluate_individual`. The budget is what the plain search spends, in updates of a neuron (updates
times neurons), which is what large maps and tables cost. The watched search makes new generations
for as long as the budget lasts: once without a last step, and once so that its stopped front can
still be trained to its end (`finish`) within the same budget. Compared is the hypervolume of
finished maps alone, by NexusSOM's three objectives. CPU time is shown beside it: it has what goes
with each run, too, which small trainings are dominated by.
"""

from __future__ import annotations

import argparse
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
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t as student

from collector.sources import load_table
from oracle.decision.hypervolume import gains, nondominated
from oracle.integrations.nexussom import planned
from oracle.integrations.nexussom_front import finish, is_marked

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/libraries.md"
RESULT = ROOT / "docs/quality/nexussom.json"
EXAMPLE = ROOT / "examples/nexussom_attach.py"
TABLES = ("iris", "wine", "breast_cancer")
#: Rows of a table at most: NexusSOM updates one sample at a time.
MAX_ROWS = 100
OBJECTIVES = ("raw_mqe_improvement_ratio", "raw_topographic_error", "raw_topological_correlation")

#: The two places in `evaluate_individual` that the example's lines go to; the first is replaced.
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
#: Generations of a watched search at most; its budget ends it long before.
MANY = 200


class Generation(NamedTuple):
    """A search as it stood after one generation.

    Attributes:
        folder: its files as they were.
        seconds: CPU time so far.
        spent: updates of a neuron so far.
        to_finish: the same, for training the front's stopped members to their end.
    """

    folder: Path
    seconds: float
    spent: float
    to_finish: float


class Search(NamedTuple):
    """One search that was run: its generations, and how it evaluates."""

    generations: list[Generation]
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
        for place in (TRAINING, MEASURED):
            if text.count(place) != 1:
                raise SystemExit(f"bench.nexussom_live: {file} must hold once:\n{place}")
        watch, forecast, *_ = documented()
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
    ea: Any, folder: Path, table: str, seed: int, settings: dict[str, Any], budget: float | None
) -> Search:
    """Run NexusSOM's `main` on a table, for so many generations or as long as the budget lasts."""
    folder.mkdir(parents=True)
    rows = load_table(table)
    rows = rows[np.random.default_rng(0).permutation(len(rows))[:MAX_ROWS]]
    source = folder / f"{table}.csv"
    header = ",".join(["id", *(f"f{i}" for i in range(rows.shape[1]))])
    numbered = np.column_stack([np.arange(len(rows)), rows])
    np.savetxt(source, numbered, delimiter=",", header=header, comments="", fmt="%.9g")
    config = {
        "use_nn": False,
        "EA_SETTINGS": {**settings, "seeds": [seed]},
        "CALIBRATION": {"n_probes": 15, "probe_epoch_multiplier": 0.3},
        "SEARCH_SPACE": SPACE,
        "GENETIC_OPERATORS": {},
        "FIXED_PARAMS": FIXED,
        "PREPROCES_DATA": {
            "delimiter": ",", "primary_id": "id", "categorical_threshold_numeric": 5,
            "categorical_threshold_text": 30, "noise_threshold_ratio": 0.9,
        },
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    generations: list[Generation] = []
    seen: dict[str, Any] = {}
    log_front, run_evolution = ea.log_pareto_front, ea.run_evolution

    def logged(generation: int, space: dict[str, Any]) -> None:
        log_front(generation, space)
        seconds = _cpu_seconds() - before
        generations.append(_generation(Path(ea.WORKING_DIR), folder, generation, seconds, seen))
        spent = generations[-1].spent
        # Another one that costs as much as those so far would not fit.
        if budget is not None and spent * (1 + 1 / len(generations)) > budget:
            raise KeyboardInterrupt  # so a user ends it, and it takes that well

    def evolved(ea_config: dict[str, Any], data: Any, mask: Any) -> None:
        seen.update(fixed=ea_config["FIXED_PARAMS"], data=data, mask=mask)
        run_evolution(ea_config, data, mask)

    random.seed(seed)
    np.random.seed(seed)
    before = _cpu_seconds()
    arguments = ["ea", "-i", str(source), "-c", str(folder / "config.json")]
    with _replaced(ea, log_pareto_front=logged, run_evolution=evolved), _told(arguments):
        ea.main()
    return Search(generations, **seen)


def _generation(
    working: Path, folder: Path, number: int, seconds: float, seen: dict[str, Any]
) -> Generation:
    kept = folder / f"generation_{number + 1}"
    kept.mkdir()
    for name in ("results.csv", "pareto_front.csv"):
        shutil.copy2(working / name, kept / name)
    rows, front = (_rows(kept / name) for name in ("results.csv", "pareto_front.csv"))
    latest = {row["uid"]: row for row in rows}
    members = [latest[row["uid"]] for row in front if row["generation"] == str(number + 1)]
    to_finish = sum(_whole(row, seen) for row in members if is_marked(row))
    return Generation(kept, seconds, _updates(rows), to_finish)


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def _updates(rows: list[dict[str, str]]) -> float:
    """Count the updates of all neurons of some trainings."""
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


def _cpu_seconds() -> float:
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


def compared(code: Path, folder: Path, table: str, seed: int, settings: dict[str, Any]) -> Any:
    """Run both searches of one table and seed, and give the finished maps of each arm."""
    plain_ea, watched_ea = (nexussom(code, watched=w) for w in (False, True))
    plain = search(plain_ea, folder / "plain", table, seed, settings, None).generations[-1]
    budget, many = plain.spent, {**settings, "generations": MANY}
    watched = search(watched_ea, folder / "watched", table, seed, many, budget)
    stops = watched.generations[-1]
    affordable = [g for g in watched.generations if g.spent + g.to_finish <= budget]
    chosen = (affordable or watched.generations[:1])[-1]
    begun, before = _rows(chosen.folder / "results.csv"), _cpu_seconds()

    def evaluate(genes: dict[str, Any]) -> Any:
        whole = {**watched.fixed, "ds_censored": False}
        where = str(chosen.folder)
        return watched_ea.evaluate_individual(genes, 0, 0, whole, watched.data, watched.mask, where)

    with _told(sys.argv):
        members = finish(chosen.folder, evaluate)
    seconds = chosen.seconds + _cpu_seconds() - before
    finished = _rows(chosen.folder / "results.csv")
    arms = {
        "plain": (_rows(plain.folder / "results.csv"), plain.spent, plain.seconds),
        "stops": (_rows(stops.folder / "results.csv"), stops.spent, stops.seconds),
        "stops, finish": (finished, _updates(finished), seconds),
    }
    return {
        "table": table,
        "seed": seed,
        "finished": len(members),
        "finish": (_updates(finished) - chosen.spent) / budget,
        "arms": {
            name: {
                "runs": len(begun if name == "stops, finish" else rows),
                "stopped": sum(map(is_marked, begun if name == "stops, finish" else rows)),
                "budget": spent / budget,
                "seconds": seconds / plain.seconds,
                "points": [point for row in rows if (point := _point(row)) is not None],
            }
            for name, (rows, spent, seconds) in arms.items()
        },
    }


def _point(row: dict[str, str]) -> list[float] | None:
    """Give the objectives of a finished, feasible map, all to be small; None of any other."""
    if is_marked(row) or float(row["constraint_violation"] or 0) > 0:
        return None
    ratio, error, correlation = (float(row[name]) for name in OBJECTIVES)
    return [ratio, error, 1.0 - correlation]


def volume(points: Any, corner: Any) -> float:
    """Compute the hypervolume of some points [point, 3] below a corner."""
    total, front = 0.0, np.empty((0, 3))
    for point in nondominated(np.asarray(points, dtype=float).reshape(-1, 3)):
        if (point >= corner).any():
            continue
        alone = float(np.prod(corner - point))
        total += float(gains(point[None], front, corner)[0]) if len(front) else alone
        front = np.vstack([front, point])
    return total


def judged(pairs: list[dict[str, Any]]) -> None:
    """Add each arm's hypervolume: in the range of all finished maps of the table, to 1.1."""
    for table in {pair["table"] for pair in pairs}:
        own = [pair for pair in pairs if pair["table"] == table]
        every = np.array(
            [p for pair in own for arm in pair["arms"].values() for p in arm["points"]]
        )
        low, high = every.min(axis=0), every.max(axis=0)
        span = np.where(high > low, high - low, 1.0)
        for pair in own:
            for arm in pair["arms"].values():
                points = (np.array(arm["points"]).reshape(-1, 3) - low) / span
                arm["volume"] = volume(points, np.full(3, 1.1))


def interval(values: list[float]) -> tuple[float, float, float]:
    """Give the mean and its 95 % interval (Student's)."""
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return mean, float("nan"), float("nan")
    half = float(student.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def table_of(pairs: list[dict[str, Any]]) -> str:
    """Give the page's table."""
    lines = [
        "| table | search | runs | stopped | budget | CPU time | hypervolume of finished maps, "
        "against the plain search |",
        "|---|---|---|---|---|---|---|",
    ]
    tables = list(dict.fromkeys(pair["table"] for pair in pairs))
    for table in [*tables, "all"]:
        own = [pair for pair in pairs if table in (pair["table"], "all")]
        for name in own[0]["arms"]:
            arms = [pair["arms"][name] for pair in own]
            runs, stopped, budget, seconds = (
                float(np.mean([arm[column] for arm in arms]))
                for column in ("runs", "stopped", "budget", "seconds")
            )
            plain = [pair["arms"]["plain"]["volume"] for pair in own]
            gains_ = [arm["volume"] / of - 1 for arm, of in zip(arms, plain, strict=True)]
            mean, low, high = interval(gains_)
            sure = f" ({low:+.1%}..{high:+.1%})" if len(own) > 1 else ""
            told = "" if name == "plain" else f"{mean:+.1%}{sure}"
            lines.append(
                f"| {table} | {name} | {runs:.0f} | {stopped:.0f} | {budget:.0%} | {seconds:.0%} | "
                f"{told} |"
            )
    finished, cost = (float(np.mean([pair[of] for pair in pairs])) for of in ("finished", "finish"))
    seeds = len({pair["seed"] for pair in pairs})
    lines += [
        "",
        f"{len(pairs)} pairs of searches, {seeds} seeds; means, and in brackets the 95 % interval "
        f"of the mean. `finish` trains {finished:.0f} maps for {cost:.0%} of the budget.",
    ]
    return "\n".join(lines)


def write(pairs: list[dict[str, Any]]) -> None:
    """Write the page's table and what it is made of, without the single maps."""
    kept = [
        {
            **pair,
            "arms": {
                name: {column: value for column, value in arm.items() if column != "points"}
                for name, arm in pair["arms"].items()
            },
        }
        for pair in pairs
    ]
    RESULT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    begin = "<!-- a live search: written by `python -m bench.nexussom_live` -->\n"
    new = re.sub(
        f"(?s)({re.escape(begin)}).*?(<!-- end -->)",
        lambda match: f"{match[1]}\n{table_of(pairs)}\n\n{match[2]}",
        PAGE.read_text(encoding="utf-8"),
    )
    PAGE.write_text(new, encoding="utf-8")


def main() -> None:
    """Run every pair of searches and write what they came to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("code", type=Path, help="a clone of NexusSOM's repository")
    parser.add_argument("--tables", nargs="+", default=list(TABLES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--population", type=int, default=20)
    parser.add_argument("--generations", type=int, default=4, help="of the plain search")
    parser.add_argument("--keep", type=Path, help="a new folder for the searches' own files")
    parser.add_argument("--print", action="store_true", help="leave the page as it is")
    options = parser.parse_args()
    settings = {"population_size": options.population, "generations": options.generations}
    pairs = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        for seed in range(1, options.seeds + 1):
            for table in options.tables:
                where = folder.resolve() / f"{table}_{seed}"
                pair = compared(options.code.resolve(), where, table, seed, settings)
                pairs.append(pair)
                judged(pairs)
                print(f"== {table}, seed {seed}\n{table_of([pair])}", flush=True)
                if not options.print:
                    write(sorted(pairs, key=lambda p: options.tables.index(p["table"])))
    print(table_of(pairs))


if __name__ == "__main__":
    main()
