"""What a second look at stopped runs is worth, replayed on recorded populations.

    python -m bench.second_look                       # on the test tables
    python -m bench.second_look --choose              # what LEAST is chosen by, on random tables
    python -m bench.second_look --write-docs          # write docs/savings.md's section

    oracle collect run --preset broad --seed 11 --out data/broad-11.csv.gz
    oracle collect run --preset choose --runs 1800 --seed 4242 --out data/choose-4242.csv.gz

Runs are stopped one after another by the cautious policy and by the daring one that `policy_for`
gives to searches; then the most promising stopped ones are finished. Found is what a search holds
at its end: finished maps alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from oracle.evaluation.recorded_runs import RecordedRuns, at_checks, by_table, populations
from oracle.evaluation.replay import StopPolicy, by_decide, one_after_another
from oracle.evaluation.second_look import SecondLook, look_again
from oracle.forecast.forecaster import Oracle
from oracle.history.dataset import read_dataset
from oracle.history.tables import role_of
from oracle.hook import policy_for
from oracle.types import Policy, PopulationPolicy, Run

ROOT = Path(__file__).resolve().parent.parent
TEST, CHOOSE = ROOT / "data" / "broad-11.csv.gz", ROOT / "data" / "choose-4242.csv.gz"
SAVINGS = ROOT / "docs" / "savings.md"
#: The section begins here; it is the page's last.
BEGIN = "<!-- a second look: written by `python -m bench.second_look --write-docs` -->"
SIZE = 40
TWO = ("mqe", "topographic_error")
Bounds = dict[str, float]
#: What is finished -> bounds; None = nothing.
LOOKS: dict[str, Bounds | None] = {"nothing": None, "what is worth it": {}}
#: What LEAST is chosen among, and how many are finished without it.
TRIED: dict[str, Bounds | None] = {
    "nothing": None,
    **{f"least {least:g}": {"least": least} for least in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)},
    **{f"k {k}": {"least": 0.0, "k": k} for k in (1, 3, 6)},
}


def searches() -> dict[tuple[str, str], tuple[StopPolicy, tuple[str, ...]]]:
    """Name each search: what it minimises and its policy -> where its runs stop."""
    one = policy_for("score")
    cautious = Policy(name="population")
    if not isinstance(one, PopulationPolicy) or not isinstance(cautious, PopulationPolicy):
        raise TypeError("one objective is ranked by the population policy")
    return {
        ("quality score", "daring"): (one_after_another(one), ("score",)),
        ("quality score", "cautious"): (one_after_another(cautious), ("score",)),
        ("mqe and topographic error", "daring"): (by_decide(policy_for(TWO)), TWO),
        ("mqe and topographic error", "cautious"): (
            by_decide(Policy(name="pareto", objectives=TWO)), TWO,
        ),
    }  # fmt: skip


def seen(tables: list[list[Run]], oracle: Oracle, size: int) -> Iterator[RecordedRuns]:
    """Forecast runs at every check, population by population."""
    for runs in tqdm(tables):
        yield from populations(at_checks(runs, oracle), size)


def replayed(
    seen: Iterable[RecordedRuns], looks: dict[str, Bounds | None]
) -> dict[tuple[str, str, str], list[SecondLook]]:
    """Look again at every population, by search, policy and bounds."""
    found: dict[tuple[str, str, str], list[SecondLook]] = {}
    stopping = searches()
    for population in seen:
        for (search, policy), (stops, objectives) in stopping.items():
            ended = stops(population)
            for name, bounds in looks.items():
                look = look_again(
                    population, ended, objectives, again=bounds is not None, **(bounds or {})
                )
                found.setdefault((search, policy, name), []).append(look)
    return found


def table_of(found: dict[tuple[str, str, str], list[SecondLook]]) -> str:
    """Render what was found as Markdown."""
    lines = [
        "| search | policy | finished afterwards | runs | epochs used | ... trained anew "
        "| best of all found | its rank, mean | missing, mean | worst |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (search, policy, name), looks in found.items():
        missing = np.array([one.found for one in looks])
        ranks = np.array([one.rank for one in looks])
        several = bool(np.isnan(ranks).any())
        rank = " | " if several else f"{(ranks == 0).mean():.0%} | {ranks.mean():.2f}"
        unit = ".1%" if several else ".4f"
        lines.append(
            f"| {search} | {policy} | {name} | {np.mean([one.finished for one in looks]):.1f} "
            f"| {np.mean([one.epochs for one in looks]):.1%} "
            f"| {np.mean([one.anew for one in looks]):.1%} | {rank} | {missing.mean():{unit}} "
            f"| {missing.max():{unit}} |"
        )
    return "\n".join(lines)


def section(found: dict[tuple[str, str, str], list[SecondLook]], tables: int, model: str) -> str:
    """Write the section of docs/savings.md."""
    n = len(next(iter(found.values())))
    return f"""{BEGIN}

## A second look

Written by `python -m bench.second_look --write-docs`, of the model {model}: {n} populations
of {SIZE} random configurations each (the last of a table has fewer), on {tables} tables that no
oracle was trained, calibrated or chosen on (`oracle collect run --preset broad --seed 11`),
replayed one run after another with looks at 10, 20, 30, 50 and 70 %. At the end the stopped runs
that are worth it are trained to theirs ([policies.md](policies.md#a-second-look)); what is found
are finished maps alone. Daring is what `policy_for` gives to searches, cautious are a policy's
defaults.

{table_of(found)}

"Missing" is the quality score of the best finished run less that of the best there is, of two
objectives the share of the whole front's hypervolume. "Trained anew" is what the epochs are where
a finished run begins again and does not go on from its stop. How few runs are worth it was chosen
on 40 other tables, random ones (`python -m bench.second_look --choose`).
"""


def main() -> None:
    """Replay, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, help="recorded runs, in place of the usual ones")
    parser.add_argument("--size", type=int, default=SIZE, help="runs of a population")
    parser.add_argument("--choose", action="store_true", help="try more bounds, on other tables")
    parser.add_argument("--write-docs", action="store_true", help="write into docs/savings.md")
    options = parser.parse_args()
    dataset = options.dataset or (CHOOSE if options.choose else TEST)
    if options.write_docs and (options.choose or options.size != SIZE):
        parser.error("the page is written from populations of test tables, of the usual size")
    oracle = Oracle.load()
    tables, _ = by_table(read_dataset(dataset), options.size)
    names = {run.dataset for runs in tables for run in runs}
    if options.write_docs and any(role_of(name) != "test" for name in names):
        parser.error("the page is written from runs on test tables only")
    looks = TRIED if options.choose else LOOKS
    found = replayed(seen(tables, oracle, options.size), looks)
    print(table_of(found))
    if options.write_docs:
        model = f"{oracle.info.name} {oracle.info.version} ({oracle.info.sha256[:12]})"
        rest, _, _ = SAVINGS.read_text(encoding="utf-8").partition(BEGIN)
        told = section(found, len(names), model)
        SAVINGS.write_text(f"{rest.rstrip()}\n\n{told}", encoding="utf-8")


if __name__ == "__main__":
    main()
