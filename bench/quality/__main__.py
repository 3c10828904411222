"""Write docs/quality.md: how good the shipped oracle's forecasts and decisions are.

    make quality                     # from data/*.csv.gz, see docs/training.md; about 20 minutes
    make quality ARGS="--quick"      # from the sample dataset alone, into a folder, in CI's time
    make quality ARGS="--foreign nexussom=runs.csv"   # beside data/foreign/*.csv, if there are any

Every table is what `oracle evaluate` and `oracle replay` print; the page names the command of
each, and their JSON is kept beside. Runs that others recorded need not be there: the page then
says how to add them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.quality import readme
from bench.quality.aims import FOREIGN
from bench.quality.fans import fans
from bench.quality.floor import floor
from bench.quality.page import BASELINE_RUNS, FOR_BASELINES, page
from bench.quality.told_less import measure_others, measure_told_less, replay_searches
from oracle.forecast.forecaster import Oracle
from oracle.history.dataset import metadata_path, read_dataset, write_dataset
from oracle.history.tables import role_of
from oracle.types import Run

ROOT = Path(__file__).parents[2]
DATA = ROOT / "data"
#: Read in full measure; docs/training.md tells the commands that collect them.
NEEDED = ("test.csv.gz", FOR_BASELINES, "choose.csv.gz")
#: Checks of the second replay: what the hook does that looks at every checkpoint.
DENSE = "0.03,0.05,0.07,0.1,0.13,0.16,0.2,0.25,0.3,0.4,0.5,0.6,0.7,0.8"


def oracle(*arguments: str) -> dict[str, Any]:
    """Run one command with --json; the answer names it."""
    command = [sys.executable, "-m", "oracle", *arguments, "--json"]
    print("oracle", *arguments, flush=True)
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=-1).stdout)
    told = " ".join(("oracle", *arguments, "--json")).replace(f"{ROOT}/", "")
    return answer | {"command": told}


def named(text: str) -> tuple[str, Path]:
    """Read NAME=FILE."""
    name, _, file = text.partition("=")
    if not name or not Path(file).is_file():
        raise argparse.ArgumentTypeError(
            f"must be NAME=FILE with an existing dataset, but got {text}."
        )
    return name, Path(file)


def of_main_score(found: dict[str, Any]) -> dict[str, Any]:
    """What is kept of an evaluation: by table and source the main score alone, for its size."""
    for name in ("by_table", "by_source"):
        for key, rows in found.get(name, {}).items():
            found[name][key] = [row for row in rows if row["score"] == found["main_score"]]
    return found


def picked(runs: Sequence[Run], count: int) -> list[Run]:
    """Every n-th run, `count` at most."""
    return list(runs[:: max(1, len(runs) // count)])[:count]


def forget(dataset: Path) -> None:
    """Remove a dataset made on the way, and what stands beside it."""
    metadata_path(dataset).unlink()
    dataset.unlink()


def main() -> None:
    """Measure, draw, write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.quality", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--model", default="shipped-default")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    parser.add_argument("--quick", action="store_true", help="sample data, no baselines")
    parser.add_argument(
        "--foreign", action="append", type=named, metavar="NAME=FILE", help="runs others recorded"
    )
    options = parser.parse_args()
    missing = [] if options.quick else [name for name in NEEDED if not (DATA / name).is_file()]
    if missing:
        parser.error(
            f"data/ must hold {', '.join(NEEDED)}, but there is no {', '.join(missing)}. "
            "docs/training.md gives the commands that collect them; --quick needs none."
        )
    recorded = {path.name.split(".")[0]: path for path in sorted((DATA / "foreign").glob("*.csv*"))}
    recorded |= dict(options.foreign or ())
    out: Path = options.out
    pictures, results = out / "img", out / "quality"
    pictures.mkdir(parents=True, exist_ok=True)
    results.mkdir(exist_ok=True)
    model = Oracle.load(options.model)

    test = DATA / ("sample.csv.gz" if options.quick else "test.csv.gz")
    runs = read_dataset(test)
    extra: list[str] = []
    if not options.quick:
        fit_on = results / "baseline-runs.csv.gz"
        write_dataset(fit_on, picked(read_dataset(DATA / FOR_BASELINES), BASELINE_RUNS), {})
        extra = ["--baselines", "--train-dataset", str(fit_on)]
    with_model = ["--model", options.model]
    measured = oracle(
        "evaluate", *with_model, "--dataset", str(test), *extra, "--png", str(pictures)
    )
    foreign: dict[str, Any] = {}
    minisom = DATA / "minisom-2000.csv.gz"
    if minisom.is_file() and not options.quick:
        unseen = results / "minisom-unseen.csv.gz"
        write_dataset(
            unseen, [r for r in read_dataset(minisom) if role_of(r.dataset) == "test"], {}
        )
        foreign = oracle("evaluate", *with_model, "--dataset", str(unseen), *extra)
        forget(unseen)
    others = {
        name: oracle(
            "evaluate", *with_model, "--dataset", str(path), *(extra if name in FOREIGN else ())
        )
        for name, path in recorded.items()
    }
    told_less = {} if options.quick else measure_told_less(oracle, with_model, test, extra)
    others_less = measure_others(oracle, with_model, recorded)
    searches = replay_searches(oracle, with_model, recorded)
    choose = ["--choose-on", str(DATA / "choose.csv.gz")]
    size = ["--population-size", "8"] if options.quick else []
    saved = pictures / "saved-against-lost.png"
    replayed = oracle(
        "replay",
        *with_model,
        "--dataset",
        str(test),
        *([] if options.quick else [*choose, *extra]),
        *size,
        "--png",
        str(saved),
    )
    dense: dict[str, Any] = {}
    if not options.quick:
        forget(fit_on)
        dense = oracle("replay", *with_model, "--dataset", str(test), *choose, "--checks", DENSE)
    luck = floor(*((20, 3) if options.quick else (400, 8)))
    fans(pictures / "fans.png", model, picked([r for r in runs if len(r.history) > 12], 5))
    for name, found in (
        ("evaluate", measured),
        ("floor", luck),
        ("evaluate-minisom", foreign),
        ("replay", replayed),
        ("replay-dense", dense),
        *((f"evaluate-foreign-{name}", found) for name, found in others.items()),
        *((f"replay-{name}", found) for name, found in searches.items()),
    ):
        if found:
            text = json.dumps(of_main_score(found), indent=1).replace(f"{ROOT}/", "")
            (results / f"{name}.json").write_text(text + "\n")
    less = told_less | others_less
    text = page(model, measured, luck, foreign, others, replayed, dense, less, searches)
    (out / "quality.md").write_text(text)
    if out == readme.KEPT.parent and not options.quick:
        readme.write()
    print(f"wrote {out / 'quality.md'}")


if __name__ == "__main__":
    main()
