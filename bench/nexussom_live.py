"""What the hook is worth in NexusSOM's own evolution at an equal budget: its real code, run whole.

    python -m bench.nexussom_live NexusSOM                   # a clone of its repository
    python -m bench.nexussom_live NexusSOM --tables wine --seeds 1 --print

NexusSOM's own `main` runs on a table twice with the same seed, so that threshold and first
generation are the same: as it is, and with the lines of examples/nexussom_attach.py. The budget is
the CPU time of the plain search: of all that it does, as the hook's is of all that it costs. The
watched search makes new generations for as long as that lasts: once without a last step, and once
so that its stopped front can still be trained to its end (`finish`) within the same budget.
Compared is the hypervolume of finished maps alone, by NexusSOM's three objectives. A pair of
searches that was run is kept in data/nexussom, and not run again.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from bench.nexussom_search import finished, nexussom, rows_of, search, updates_of
from oracle.decision.hypervolume import box_of, hypervolume
from oracle.integrations.nexussom_front import FORECAST, is_marked

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/libraries.md"
RESULT = ROOT / "docs/quality/nexussom.json"
KEPT = ROOT / "data/nexussom"
TABLES = ("iris", "wine", "breast_cancer")
OBJECTIVES = ("raw_mqe_improvement_ratio", "raw_topographic_error", "raw_topological_correlation")
Pair = dict[str, Any]


def compared(code: Path, folder: Path, settings: dict[str, Any]) -> Pair:
    """Run both searches of one table and seed, and give the finished maps of each arm.

    Args:
        code: a clone of NexusSOM.
        folder: an empty one, for the searches' files.
        settings: table, seed, rows, population and generations (of the plain search).
    """
    given = {name: settings[name] for name in ("table", "seed", "rows", "population")}
    plain = search(code, folder / "plain", **given, generations=settings["generations"])
    whole = plain.generations[-1]
    watched = search(code, folder / "watched", **given, seconds=whole.seconds)
    stops, cost = watched.generations[-1], whole.seconds / whole.updates
    affordable = [
        one for one in watched.generations if one.seconds + one.to_finish * cost <= whole.seconds
    ]
    chosen = (affordable or watched.generations[:1])[-1]
    begun = rows_of(chosen.folder / "results.csv")
    members, seconds = finished(watched, chosen)
    ended = rows_of(chosen.folder / "results.csv")

    def arm(rows: list[dict[str, str]], spent: float, runs: list[dict[str, str]]) -> dict[str, Any]:
        return {
            "runs": len(runs),
            "stopped": sum(map(is_marked, runs)),
            "seconds": spent / whole.seconds,
            "updates": updates_of(rows) / whole.updates,
            "points": [point for row in rows if (point := _point(row)) is not None],
        }

    own, free = (rows_of(one.folder / "results.csv") for one in (whole, stops))
    return {
        **settings,
        "budget": whole.seconds,
        "finished": members,
        "finish": seconds / whole.seconds,
        "arms": {
            "plain": arm(own, whole.seconds, own),
            "stops": arm(free, stops.seconds, free),
            "stops, finish": arm(ended, chosen.seconds + seconds, begun),
        },
    }


def _point(row: dict[str, str]) -> list[float] | None:
    """Give the objectives of a finished, feasible map, all to be small; None of any other."""
    if is_marked(row) or float(row["constraint_violation"] or 0) > 0:
        return None
    ratio, error, correlation = (float(row[name]) for name in OBJECTIVES)
    return [ratio, error, 1.0 - correlation]


def judged(pairs: list[Pair]) -> None:
    """Add each arm's hypervolumes, in the box of all finished maps of the table.

    They are by all three objectives, and by those alone that are forecast.
    """
    for table in {pair["table"] for pair in pairs}:
        own = [pair for pair in pairs if pair["table"] == table]
        arms = [arm for pair in own for arm in pair["arms"].values()]
        best, span, corner = box_of(np.array([p for arm in arms for p in arm["points"]]))
        for arm in arms:
            points = (np.array(arm["points"]).reshape(-1, len(OBJECTIVES)) - best) / span
            arm["volumes"] = [hypervolume(points[:, :n], corner[:n]) for n in (3, FORECAST)]


def interval(values: list[float]) -> tuple[float, float, float]:
    """Give the mean and its 95 % interval (Student's)."""
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return mean, float("nan"), float("nan")
    half = float(student.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def table_of(pairs: list[Pair]) -> str:
    """Give the page's table."""
    lines = [
        "| table | search | runs | stopped | CPU time | updates | hypervolume of finished maps, "
        "against the plain search | by the two objectives that are forecast |",
        "|---|---|---|---|---|---|---|---|",
    ]
    tables = list(dict.fromkeys(pair["table"] for pair in pairs))
    for table in [*tables, "all"]:
        own = [pair for pair in pairs if table in (pair["table"], "all")]
        for name in own[0]["arms"]:
            arms = [pair["arms"][name] for pair in own]
            plain = [pair["arms"]["plain"] for pair in own]
            runs, stopped, seconds, updates = (
                float(np.mean([arm[column] for arm in arms]))
                for column in ("runs", "stopped", "seconds", "updates")
            )
            gains = [
                _gains(
                    [
                        a["volumes"][i] / p["volumes"][i] - 1
                        for a, p in zip(arms, plain, strict=True)
                    ]
                )
                for i in range(2)
            ]
            told = " | ".join(["", ""] if name == "plain" else gains)
            lines.append(
                f"| {table} | {name} | {runs:.0f} | {stopped:.0f} | {seconds:.0%} | {updates:.0%} "
                f"| {told} |"
            )
    many, cost, budget, runs = (
        float(np.mean(values))
        for values in (
            [pair["finished"] for pair in pairs],
            [pair["finish"] for pair in pairs],
            [pair["budget"] for pair in pairs],
            [pair["budget"] / pair["arms"]["plain"]["runs"] for pair in pairs],
        )
    )
    seeds, rows = len({pair["seed"] for pair in pairs}), pairs[0]["rows"]
    lines += [
        "",
        f"{len(pairs)} pairs of searches, {seeds} seeds, tables of at most {rows} rows; the plain "
        f"search takes {budget:.0f} s of CPU, {runs:.2f} s for each of its runs. Means, and in "
        f"brackets the 95 % interval of the mean. `finish` trains {many:.0f} maps for {cost:.0%} "
        "of the budget.",
    ]
    return "\n".join(lines)


def _gains(gains: list[float]) -> str:
    mean, low, high = interval(gains)
    sure = f" ({low:+.1%}..{high:+.1%})" if len(gains) > 1 else ""
    return f"{mean:+.1%}{sure}, more in {sum(gain > 0 for gain in gains)} of {len(gains)}"


def write(pairs: list[Pair]) -> None:
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


def kept_pair(code: Path, settings: dict[str, Any]) -> Pair:
    """Run a pair of searches, or read it where it was run with these settings already."""
    file = KEPT / f"{settings['table']}_{settings['seed']}.json"
    if file.is_file():
        pair: Pair = json.loads(file.read_text(encoding="utf-8"))
        if {name: pair[name] for name in settings} == settings:
            return pair
    with tempfile.TemporaryDirectory() as folder:
        pair = compared(code, Path(folder), settings)
    KEPT.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(pair), encoding="utf-8")
    fresh.replace(file)
    return pair


def main() -> None:
    """Run every pair of searches and write what they came to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("code", type=Path, help="a clone of NexusSOM's repository")
    parser.add_argument("--tables", nargs="+", default=list(TABLES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=200, help="of a table at most")
    parser.add_argument("--population", type=int, default=20)
    parser.add_argument("--generations", type=int, default=4, help="of the plain search")
    parser.add_argument("--print", action="store_true", help="leave the page as it is")
    options = parser.parse_args()
    code = options.code.resolve()
    nexussom(code, watched=False)  # what both import is no part of what either costs
    shared = {name: getattr(options, name) for name in ("rows", "population", "generations")}
    pairs = []
    for seed in range(1, options.seeds + 1):
        for table in options.tables:
            pairs.append(kept_pair(code, {"table": table, "seed": seed, **shared}))
            judged(pairs)
            print(f"== {table}, seed {seed}\n{table_of(pairs[-1:])}", flush=True)
            if not options.print:
                write(sorted(pairs, key=lambda pair: options.tables.index(pair["table"])))
    print(table_of(sorted(pairs, key=lambda pair: options.tables.index(pair["table"]))))


if __name__ == "__main__":
    main()
