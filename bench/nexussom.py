"""What the hook does to your own NexusSOM search: its recorded folder, played again.

    python -m bench.nexussom results/seed_42 other/seed_7        # seconds a folder
    python -m bench.nexussom results/seed_42 --seeds 50 --page         # and docs/libraries.md

A recorded run knows how it would have gone on, so the search can be played with the hook in it, run
after run as recorded and in shuffled orders. NexusSOM asks at a fifth of the run and on. Compared
are fronts of mqe ratio and topographic error by their hypervolume (the topological correlation of
a map cut short is in no folder): as the search ranks its runs, with forecasts; of finished maps
alone; with the stopped members of the front trained to their end (`finish`); and the plain search
at the same cost. Cost is counted in updates of a neuron: updates times neurons. What an evolution
does with the time it gained cannot be played from a recording, for here its runs are the same:
bench.nexussom_live evolves.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from collector.recorded.nexussom import read_runs
from collector.recorded.nexussom_files import seed_folders
from oracle.decision.hypervolume import hypervolume, nondominated
from oracle.decision.policy import decide, outcome_of
from oracle.errors import DatasetError, OracleError
from oracle.evaluation.replay import outcome_of_run
from oracle.forecast.forecaster import Oracle
from oracle.hook import policy_for
from oracle.types import Forecast, History, Outcome, Reference, Run

#: Shares of a run at which the hook is asked; NexusSOM's first is a fifth.
LOOKS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
ROWS = ("runs", "stopped", "cost", "`finish`", "front as ranked", "finished maps only",
        "with `finish`", "plain search, same cost", "gain")  # fmt: skip
PAGE = Path(__file__).parents[1] / "docs/libraries.md"
BEGIN = "<!-- recorded searches: written by `python -m bench.nexussom FOLDER... --page` -->\n"


class Looked(NamedTuple):
    """A run and what the oracle says of it at each look: history, forecast."""

    run: Run
    looks: list[tuple[History, Forecast]]

    @property
    def cost(self) -> float:
        """Updates of a neuron in the whole training."""
        context = self.run.history.context
        neurons = (context.map_rows or 1.0) * (context.map_cols or 1.0)
        return (context.total_updates or self._iterations) * neurons

    def spent(self, history: History) -> float:
        """Updates of a neuron up to the end of `history`."""
        return self.cost * history.epochs[-1] / self._iterations

    @property
    def _iterations(self) -> float:
        return self.run.history.total_epochs or self.run.history.epochs[-1]

    @property
    def first(self) -> float:
        return self.run.history.mqe[0] or 1.0

    def point(self, forecast: Forecast | None = None) -> tuple[float, float]:
        """Mqe ratio and topographic error: final, or as forecast."""
        if forecast is None:
            return self.run.final_mqe / self.first, self.run.final_topographic_error or 0.0
        mqe, error = (forecast.median(n) for n in ("final_mqe", "final_topographic_error"))
        return mqe / self.first, error


def looked_at(runs: Sequence[Run], oracle: Oracle) -> list[Looked]:
    """Forecast every run at every look, once for all orders."""
    found = []
    for run in runs:
        seen = [cut for share in LOOKS if (cut := run.history.until(share)) is not None]
        histories = [one for one in seen if len(one) >= 2]
        found.append(
            Looked(run, list(zip(histories, oracle.forecast_many(histories), strict=True)))
        )
    return found


def played(runs: Sequence[Looked]) -> dict[str, float]:
    """Play one search with the hook in it, and compare it with the plain one."""
    policy = policy_for(("score",), control=0.0)
    outcomes: list[Outcome] = []
    stopped: dict[int, Forecast] = {}
    cost = np.array([one.cost for one in runs])
    spent = cost.copy()
    for i, one in enumerate(runs):
        below = 0
        for history, forecast in one.looks:
            reference = Reference(outcomes=tuple(outcomes), population_size=len(runs))
            decision = decide(history, forecast, reference, policy, previous=below)
            below = decision.below_risk
            if decision.stop:
                stopped[i], spent[i] = forecast, one.spent(history)
                outcomes.append(outcome_of(history, forecast, policy))
                break
        else:
            outcomes.append(outcome_of_run(one.run))
    final = np.array([one.point() for one in runs])
    ranked = np.array([one.point(stopped.get(i)) for i, one in enumerate(runs)])
    corner = final.max(axis=0) * 1.01
    on_front = [i for i in stopped if any((ranked[i] == p).all() for p in nondominated(ranked))]
    whole = [i for i in range(len(runs)) if i not in stopped]
    more = cost[on_front].sum()  # from their beginning: nobody kept the unfinished maps
    budget = spent.sum() + more
    afforded = int(np.searchsorted(np.cumsum(cost), budget, side="right"))
    everything = hypervolume(final, corner)
    finished = hypervolume(final[[*whole, *on_front]], corner) / everything
    plain = hypervolume(final[:afforded], corner) / everything
    return {
        "runs": len(runs),
        "stopped": len(stopped),
        "cost": spent.sum() / cost.sum(),
        "`finish`": more / cost.sum(),
        "front as ranked": hypervolume(ranked, corner) / everything,
        "finished maps only": hypervolume(final[whole], corner) / everything,
        "with `finish`": finished,
        "plain search, same cost": plain,
        "gain": finished / plain - 1.0,
    }


def main() -> None:
    """Play every folder and print a table of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="of NexusSOM searches, or above some")
    parser.add_argument("--seeds", type=int, default=20, help="orders; the first is as recorded")
    parser.add_argument("--model", help="a model folder; none = the default one")
    parser.add_argument("--page", action="store_true", help="write docs/libraries.md, too")
    options = parser.parse_args()
    try:
        oracle = Oracle.load(options.model)
        lines = _table(options.folders, options.seeds, oracle)
    except OracleError as error:
        raise SystemExit(f"bench.nexussom: {error}") from None
    print("\n".join(lines))
    if options.page:
        text = "\n".join(["", *lines, "", "<!-- end -->"])
        told = re.sub(
            f"(?s)({re.escape(BEGIN)}).*?<!-- end -->",
            lambda match: match[1] + text,
            PAGE.read_text(encoding="utf-8"),
        )
        PAGE.write_text(told, encoding="utf-8")


def _table(folders: Sequence[Path], seeds: int, oracle: Oracle) -> list[str]:
    lines = [
        f"| search | {' | '.join(ROWS)} |", "|---|" + "---|" * len(ROWS),
    ]  # fmt: skip
    for folder in (found for given in folders for found in seed_folders(given)):
        items = list(read_runs(folder))
        runs = [i for i in items if isinstance(i, Run) and not i.censored]
        left_out = sum(isinstance(item, DatasetError) for item in items)
        if len(runs) < 10:
            lines.append(f"| {folder} | {len(runs)} whole runs, {left_out} left out: too few |")
            continue
        looked = looked_at(runs, oracle)
        orders = [list(range(len(runs)))]
        orders += [
            np.random.default_rng(s).permutation(len(runs)).tolist() for s in range(1, seeds)
        ]
        results = [played([looked[i] for i in order]) for order in orders]
        cells = []
        for name in ROWS:
            values = np.array([one[name] for one in results])
            if name in ("runs", "stopped"):
                cells.append(f"{values.mean():.0f}")
            else:
                low, high = np.quantile(values, (0.025, 0.975))
                form = "+.1%" if name == "gain" else ".0%"
                cells.append(f"{values.mean():{form}} ({low:{form}}..{high:{form}})")
        lines.append(f"| {runs[0].dataset} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Means of {seeds} orders, between 2.5 and 97.5 % of them in brackets; cost and `finish` "
        "as shares of the cost of all runs trained whole, hypervolumes as shares of theirs; gain "
        "is of `finish` over the plain search.",
    ]
    return lines


if __name__ == "__main__":
    main()
