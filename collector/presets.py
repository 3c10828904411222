"""Collections that the compiled core makes: which tables and configurations, run by run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from collector.broad_space import sample_broad, sample_searches
from collector.fast_run import MAX_CHECKPOINTS, MIN_CHECKPOINTS, Floats, fast_run
from collector.narrow_space import sample_of_search
from collector.random_tables import random_table
from collector.sources import dataset_names, load_dataset
from collector.space import Configuration, log_uniform, sample_wide
from oracle.history.tables import PRETRAINING_PREFIX, Role
from oracle.types import Run

#: Most work for one run (Configuration.cost), drawn log-uniform between these.
PRETRAINING_BUDGET = (5e7, 1.5e9)
WHOLE_TABLE_BUDGET = (3e8, 3e9)
#: From so many passes on a run is made cheaper by a smaller table first.
MANY_PASSES = 40


@dataclass(frozen=True)
class Preset:
    """A named collection of runs.

    Attributes:
        runs: number of runs by default.
        role: None for random tables, else the role whose whole tables are used.
        population: runs of each random table.
        sample: draws the configuration of a run on a table of so many rows.
        budget: most work for one run, drawn log-uniform between these.
    """

    runs: int
    role: Role | None
    population: int = 1
    sample: Callable[[np.random.Generator, int], Configuration] = sample_broad
    budget: tuple[float, float] = WHOLE_TABLE_BUDGET


#: Configurations a dataset in the populations of whole tables.
CALIBRATE_POPULATION, TEST_POPULATION = 60, 140
#: Random tables to choose a policy's risk on, and runs of each. Losses come by the table, so many
#: tables tell more than many runs.
CHOOSE_TABLES, CHOOSE_POPULATION = 300, 45
#: Random tables to certify a policy on, by which every bound counts, and runs of each.
CERTIFY_TABLES, CERTIFY_POPULATION = 2_000, 20
#: Searches, one a table, to learn from runs that ended: half of their runs early, half late.
SEARCH_TABLES, SEARCH_POPULATION = 200, 100


@lru_cache(maxsize=1)
def presets() -> dict[str, Preset]:
    """Name every collection that the compiled core makes."""
    return {
        "pretraining": Preset(160_000, None, budget=PRETRAINING_BUDGET),
        "searches": Preset(60_000, None, sample=sample_searches, budget=PRETRAINING_BUDGET),
        "choose": Preset(CHOOSE_TABLES * CHOOSE_POPULATION, None, CHOOSE_POPULATION),
        "certify": Preset(
            CERTIFY_TABLES * CERTIFY_POPULATION, None, CERTIFY_POPULATION, budget=PRETRAINING_BUDGET
        ),
        "populations": Preset(SEARCH_TABLES * SEARCH_POPULATION, None, SEARCH_POPULATION),
        "calibrate": Preset(CALIBRATE_POPULATION * len(dataset_names("calibrate")), "calibrate"),
        # As narrow as it always was, so that its figures compare with earlier ones; `broad` is
        # what the other presets draw, on the same tables.
        "test": Preset(TEST_POPULATION * len(dataset_names("test")), "test", sample=sample_wide),
        "broad": Preset(CALIBRATE_POPULATION * len(dataset_names("test")), "test"),
    }


@lru_cache(maxsize=4)
def _whole_table(dataset: str) -> Floats:
    return np.ascontiguousarray(load_dataset(dataset))


@lru_cache(maxsize=4)
def _random_table(seed: int, number: int) -> Floats:
    """Give a random table that several runs share; the last word tells its seed from a run's."""
    return random_table(np.random.default_rng(np.random.SeedSequence((seed, number, 1))))


@dataclass(frozen=True)
class Drawn:
    """What one run of a preset is to be: configuration, table and names."""

    configuration: Configuration
    data: Floats
    run_id: str
    dataset: str


def draw(index: int, seed: int, preset: str, rng: np.random.Generator) -> Drawn:
    """Draw run `index` of a preset.

    Args:
        index: number of the run, from 0.
        seed: seed of the collection; it names random tables.
        preset: one of `presets()`.
        rng: source of everything drawn, but for tables that runs share.
    """
    made = presets()[preset]
    own_table = made.role is None and made.population == 1
    if made.role is not None:
        names = dataset_names(made.role)
        dataset = names[index % len(names)]
        run_id = f"{dataset}-{index // len(names)}"
        data = _whole_table(dataset)
    elif own_table:
        data = random_table(rng)
        dataset = run_id = f"{PRETRAINING_PREFIX}{seed}-{index}"
    else:
        number = index // made.population
        dataset = f"{preset}-{seed}-{number}"
        run_id = f"{dataset}-{index % made.population}"
        data = _random_table(seed, number)
    if preset == "populations":
        late = index % made.population >= made.population // 2
        configuration = sample_of_search(rng, len(data), seed * 1_000_003 + number, late=late)
    else:
        configuration = made.sample(rng, len(data))
    budget = log_uniform(rng, *made.budget)
    checkpoints = (MIN_CHECKPOINTS + MAX_CHECKPOINTS) // 2
    for _ in range(60):
        if configuration.cost(data.shape[0], data.shape[1], checkpoints) <= budget:
            break
        # Many passes are paid for by a small table first.
        least, often = (60, 0.6) if configuration.passes > MANY_PASSES else (200, 0.4)
        if own_table and len(data) > least and rng.random() < often:
            kept = np.sort(rng.choice(len(data), int(len(data) * 0.7), replace=False))
            data = np.ascontiguousarray(data[kept])
        else:
            configuration = configuration.cheaper(rng)
    return Drawn(configuration, data, run_id, dataset)


def run_one(index: int, seed: int, settings: dict[str, Any]) -> Run:
    """Make run `index` of a preset; depends on (seed, index, settings) alone.

    Args:
        index: number of the run, from 0.
        seed: seed of the collection.
        settings: {"preset": name}.
    """
    rng = np.random.default_rng(np.random.SeedSequence((seed, index)))
    while True:
        d = draw(index, seed, settings["preset"], rng)
        run = fast_run(d.configuration, d.data, rng, run_id=d.run_id, dataset=d.dataset)
        if run is not None:
            return run
