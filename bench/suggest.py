"""What plans that were suggested are worth once they are trained, on tables nothing was fitted to.

    python -m bench.suggest                       # 40 tables; minutes
    python -m bench.suggest --tables 3 --random 20

On each fresh random table the oracle suggests MiniSom plans for every objective; these, and as many
random ones of the same space as `--random`, are trained by the compiled core. Printed are the best
of the suggested against the best of the random ones, how forecasts rank the random ones, and the
luck of choosing: how much worse the suggested end than was forecast of them.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from tqdm import tqdm

from collector.fast_run import fast_run
from collector.random_tables import random_table
from collector.space import MiniSomConfiguration
from oracle.forecast.forecaster import Oracle
from oracle.history.quality_score import scores_of, weights_of
from oracle.history.targets import finals_of
from oracle.search.libraries import library_of
from oracle.search.plan import Plan
from oracle.search.reach import MIN_SUPPORT, forecasts_of
from oracle.search.suggest import (
    CAUTION,
    OBJECTIVES,
    choose,
    expected,
    plans_on,
)
from oracle.search.table import Table
from oracle.types import LEVELS, FloatArray

#: Tables of their own: no collection draws with these seeds.
FIRST_SEED = 7_000_000
MOST_ROWS, CANDIDATES = 1_000, 1_000
MIDDLE = LEVELS.index(0.5)


def trained(plan: Plan, data: FloatArray, scale: float, seed: int) -> FloatArray:
    """Train a MiniSom plan by the compiled core.

    Returns:
        [objective] after OBJECTIVES; NaN where it diverged.
    """
    made, kind = plan.make, plan.parameters["initialization"]
    configuration = MiniSomConfiguration(
        rows=made["x"],
        cols=made["y"],
        topology=made["topology"],
        neighborhood_function=made["neighborhood_function"],
        sigma=made["sigma"],
        sigma_decay_function=made["sigma_decay_function"],
        sigma_end=1.0,
        learning_rate=made["learning_rate"],
        decay_function=made["decay_function"],
        learning_rate_end=1.0,
        initialization=kind,
        random_order=True,
        use_epochs=False,
        num_iteration=plan.train["num_iteration"],
        random_seed=seed,
    )
    rng = np.random.default_rng(seed)
    run = fast_run(configuration.compiled(len(data)), data, rng, run_id="r", dataset="t")
    if run is None:
        return np.full(len(OBJECTIVES), np.nan)
    finals = finals_of([run])[0]
    relative = finals / np.array([scale, 1.0, 1.0])
    return np.array([scores_of(finals, weights_of(scale)), *relative])


def on_table(
    seed: int, n_random: int, n_told: int, passes: float, oracle: Oracle
) -> dict[str, tuple[FloatArray, FloatArray, FloatArray]]:
    """Suggest and train on one table.

    Returns:
        Of each objective: forecasts [random plan, level] and [suggested plan, level], outcomes
        of both, the random ones first.
    """
    rng = np.random.default_rng(seed)
    data = random_table(rng, MOST_ROWS)
    table = Table.of(data)
    updates = round(passes * len(data))
    plans, places = plans_on(library_of("minisom"), table, None, updates, CANDIDATES, 0)
    forecasts = forecasts_of(plans, oracle)
    known = np.flatnonzero([f.support >= MIN_SUPPORT for f in forecasts])
    told = {o: np.array([expected(f, o) for f in forecasts]) for o in OBJECTIVES}
    picked = {
        o: known[choose(values[known][:, [CAUTION]], places[known], n_told)].tolist()
        for o, values in told.items()
    }
    outcome = {
        i: trained(plans[i], data, table.scale, seed + i)
        for i in sorted({*range(n_random), *(i for chosen in picked.values() for i in chosen)})
    }
    return {
        o: (
            told[o][:n_random],
            told[o][picked[o]],
            np.array([outcome[i][k] for i in (*range(n_random), *picked[o])]),
        )
        for k, o in enumerate(OBJECTIVES)
    }


def line(objective: str, found: list[Any], n_random: int) -> str:
    """Say how the suggestions for one objective did."""
    better, first, luck, inside, ranks, bias = [], [], [], [], [], []
    for tables in found:
        of_random, of_told, came = tables[objective]
        random, told = came[:n_random], came[n_random:]
        ended = np.isfinite(random)
        best = np.nanmin(random)
        better.append(np.nanmin(told) - best)
        first.append(told[0] <= best)
        luck.append(np.nanmean(told - of_told[:, MIDDLE]))
        inside.append(np.nanmean((told >= of_told[:, 0]) & (told <= of_told[:, -1])))
        ranks.append(spearmanr(of_random[ended, MIDDLE], random[ended]).statistic)
        bias.append(np.mean(random[ended] - of_random[ended, MIDDLE]))
    error = np.std(luck) / np.sqrt(len(luck))
    gain = np.array(better)
    return (
        f"| {objective} | {gain.mean():+.3f} | {np.mean(gain <= 0):.0%} | {np.mean(first):.0%} "
        f"| {np.nanmean(ranks):.2f} | {np.mean(luck):+.3f} ± {1.96 * error:.3f} "
        f"| {np.mean(bias):+.3f} | {np.mean(inside):.0%} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=40)
    parser.add_argument("--random", type=int, default=60)
    parser.add_argument("--told", type=int, default=10)
    parser.add_argument("--passes", type=float, default=20.0)
    options = parser.parse_args()
    oracle = Oracle.load()
    found = [
        on_table(FIRST_SEED + i, options.random, options.told, options.passes, oracle)
        for i in tqdm(range(options.tables))
    ]
    print(
        f"| Objective | best of {options.told} suggested less best of {options.random} random "
        "| as good or better, of the tables | the first alone | Spearman among the random ones "
        "| outcome less forecast, suggested | ... random | suggested inside their 90 % |"
    )
    print("|" + "---|" * 8)
    for objective in OBJECTIVES:
        print(line(objective, found, options.random))


if __name__ == "__main__":
    main()
