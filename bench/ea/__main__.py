"""What the hook saves an evolutionary search: quality against epochs and time, overhead counted.

    python -m bench.ea                 # run what is missing in the journal, then print the table
    python -m bench.ea --write-docs    # ... and write docs/savings.md with its picture
    python -m bench.ea --libraries xpysom      # ... of one library's maps alone
    python -m bench.ea --quick         # one table, one seed, to see it work

Searches run in worker processes, one a core (`--workers`); an interrupted bench goes on where it
stopped, from its journal in build/bench/. With the page the searches are kept in docs/savings/, so
that a later bench runs what they lack: more seeds or tables, what another model or policy changes.
Times of several machines are told at one pace (bench/ea/pace.py); `--retime "none;oracle"` runs
again what was run before the pace was measured.

Every search has the same budget of epochs, on tables that no oracle was trained on. Single
objective: DEAP's (mu + lambda) on the quality score, with nothing, the oracle, Optuna's median
pruner or successive halving saying when to stop; they differ in nothing else; and searches that
learn from what they trained, Optuna's TPE and a random forest, with nothing and with the oracle.
Two objectives: pymoo's NSGA-II on mqe and topographic error, with nothing or the oracle. Screened:
the oracle chooses, too, what is trained. Only finished runs count as found. Time is CPU time of the
process (wall-clock on an idle machine) and includes the loading of the model, the metrics, the
forecasts and the population file.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

# Before NumPy is imported, here and in the workers.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from bench.ea.algorithms import CHOOSING, SCREENED, run
from bench.ea.libraries import LIBRARIES, LOOKS
from bench.ea.report import JUDGES, figures, page, picture, picture_name, table_of
from bench.ea.search import RUNS, SEARCHES
from bench.second_look import BEGIN, SAVINGS
from collector.journal import Journal
from oracle.forecast.forecaster import Oracle
from oracle.history.tables import role_of
from oracle.hook import policy_for

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
JOURNAL = ROOT / "build" / "bench" / "ea.journal"
KEPT = DOCS / "savings" / "searches.jsonl.gz"


class Key(NamedTuple):
    """Which search."""

    kind: str
    judge: str
    table: str
    seed: int
    library: str


#: Of entries that were written before there were several.
FIRST_LIBRARY = "minisom"
TABLES = (
    *("wine-standard", "macrodata-standard", "friedman1-minmax"),
    *("breast_cancer-standard", "modechoice-minmax", "grunfeld-standard"),
)
SEEDS = range(10)
#: Settings of the policy other than `policy_for` gives to users' searches, by kind of search: none.
#: Those were chosen with four seeds on calibrate tables, by commands such as
#: `python -m bench.ea --seeds 4 --tables iris-standard,fertility-minmax,friedman2-standard
#: --policy '{"single": {"good": 0.03, "risk": 0.1}, "multi": {"risk": 0.35}}'`; the others tried:
#: one objective, good .01, .03, .1 and risk .02 to .35; several, risk .02 to .5.
POLICY: dict[str, dict[str, Any]] = {"single": {}, "multi": {}}


def conditions(
    key: Key, budget: int, model: str, settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What an entry of the journal holds for; a search without the oracle: for every model."""
    kind, judge, library = key.kind, key.judge, LIBRARIES[key.library]
    about: dict[str, Any] = {"budget": budget, "updates": library.updates, "looks": list(LOOKS)}
    if "screened" in judge:
        about["screened"] = list(SCREENED)
    if judge in CHOOSING:
        about["learns"] = True
    if "screened" in judge or "oracle" in judge:
        policy = policy_for(SEARCHES[kind], screened=judge in CHOOSING, **settings[kind])
        about |= {"model": model, "policy": policy.model_dump(mode="json")}
    return about


def run_missing(
    journal: Path,
    wanted: Mapping[Key, dict[str, Any]],
    settings: Mapping[str, Mapping[str, Any]],
    workers: int,
    *,
    retimed: Sequence[str] = (),
    quiet: bool,
) -> list[dict[str, Any]]:
    """Run the searches that the journal lacks, and give the entries of all.

    Args:
        journal: file of what was done before, and is done now.
        wanted: the searches, with the conditions of their entries.
        settings: of the policy, by kind of search.
        workers: searches at a time.
        retimed: judges whose searches are run again where their machine's pace is not known.
        quiet: print no progress.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    names = {json.dumps(key): key for key in wanted}
    # Spawned: no search begins with what another one, or this process, has loaded.
    with (
        Journal(journal, {"bench": "ea"}) as kept,
        ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool,
    ):
        entries = {name: entry for name, entry in _before(kept) if name in names}
        done = {
            names[name]: entry
            for name, entry in entries.items()
            if entry["conditions"] == wanted[names[name]]
            and (entry["judge"] not in retimed or entry.get("pace_s"))
        }
        missing = [key for key in wanted if key not in done]
        running = {
            pool.submit(run, key.library, *key[:-1], wanted[key]["budget"], settings[key.kind]): key
            for key in missing
        }
        for i, future in enumerate(as_completed(running)):
            key = running[future]
            done[key] = {**future.result(), "conditions": wanted[key]}
            kept.append(json.dumps(key), json.dumps(done[key]))
            if not quiet:
                name, seconds = " ".join(map(str, key)), done[key]["cpu_s"][-1]
                print(f"{i + 1}/{len(missing)} {name}: {seconds:.1f} s", flush=True)
    return [done[key] for key in wanted]


def _before(journal: Journal) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give name and entry of the searches that were run before, the latest last."""
    yield from _kept()
    for _, text in journal.read():
        yield _named(text)


def _kept() -> Iterator[tuple[str, dict[str, Any]]]:
    if KEPT.exists():
        with gzip.open(KEPT, "rt", encoding="utf-8") as lines:
            yield from map(_named, lines)


def _named(text: str) -> tuple[str, dict[str, Any]]:
    entry = {"library": FIRST_LIBRARY, **json.loads(text)}
    policy = entry["conditions"].get("policy", {})
    if policy.get("name") == "population":
        policy.setdefault("goal", "good")  # as it was before there were two
    return json.dumps([entry[part] for part in Key._fields]), entry


def _keep(journal: Path) -> None:
    """Write all searches that were run, the page's and more; the same bytes for the same ones."""
    KEPT.parent.mkdir(exist_ok=True)
    with Journal(journal, {"bench": "ea"}) as run_here:
        texts = dict(_before(run_here))
    lines = "".join(json.dumps(texts[name]) + "\n" for name in sorted(texts))
    KEPT.write_bytes(gzip.compress(lines.encode("utf-8"), mtime=0))


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ea",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--journal", type=Path, default=JOURNAL)
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="searches of each kind")
    parser.add_argument("--libraries", default=",".join(LIBRARIES), help="by comma")
    parser.add_argument(
        "--retime",
        default="",
        help="judges, by semicolon, to run again where the pace is not known",
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="searches at a time")
    parser.add_argument("--quick", action="store_true", help="one table, one seed, 24 runs")
    parser.add_argument("--tables", help="other datasets, by comma, to choose the policy on")
    parser.add_argument("--policy", type=json.loads, default=POLICY, help="like POLICY, as JSON")
    parser.add_argument("--write-docs", action="store_true", help="write docs/savings.md and .png")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    tables = tuple(options.tables.split(",")) if options.tables else TABLES
    if options.write_docs and (options.quick or any(role_of(t) != "test" for t in tables)):
        parser.error("the page is written from whole searches on test tables only")
    info = Oracle.load().info
    seeds, budget = range(options.seeds), RUNS
    if options.quick:
        tables, seeds, budget = tables[:1], range(1), 24
    libraries = options.libraries.split(",")
    if unknown := set(libraries) - set(LIBRARIES):
        parser.error(f"--libraries must be of {', '.join(LIBRARIES)}, got {', '.join(unknown)}")
    keys = [
        Key(kind, judge, table, seed, library)
        for seed in seeds
        for library in libraries
        for kind in SEARCHES
        for judge in JUDGES[kind]
        for table in tables
    ]
    wanted = {key: conditions(key, budget, info.sha256, options.policy) for key in keys}
    retimed = [judge.strip() for judge in options.retime.split(";") if judge.strip()]
    entries = run_missing(
        *(options.journal, wanted, options.policy, options.workers),
        retimed=retimed,
        quiet=options.json,
    )
    rows = figures(entries)
    print(json.dumps(rows, indent=1) if options.json else table_of(rows))
    if options.write_docs:
        _keep(options.journal)
        for library in libraries:
            its = [e for e in entries if e["library"] == library]
            picture(its, DOCS / "img" / picture_name(library))
        about = {
            "model": f"{info.name} {info.version} ({info.sha256[:12]})",
            "budget": budget,
            "policies": {k: policy_for(o, **options.policy[k]) for k, o in SEARCHES.items()},
            "screened": SCREENED,
            "command": " ".join(["python -m bench.ea", *sys.argv[1:]]),
        }
        text = page(entries, rows, about)
        _, begin, look = SAVINGS.read_text(encoding="utf-8").partition(BEGIN)
        SAVINGS.write_text(f"{text}\n{begin}{look}" if begin else text, encoding="utf-8")


if __name__ == "__main__":
    main()
