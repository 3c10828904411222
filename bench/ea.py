"""What the hook saves an evolutionary search: quality against epochs and time, overhead counted.

    python -m bench.ea                 # run what is missing in the journal, then print the table
    python -m bench.ea --write-docs    # ... and write docs/savings.md with its picture
    python -m bench.ea --quick         # one table, one seed, to see it work

Searches run in worker processes, one a core (`--workers`); an interrupted bench goes on where it
stopped, from its journal in build/bench/.

Every search has the same budget of epochs, on tables that no oracle was trained on. Single
objective: DEAP's (mu + lambda) on the quality score, with nothing, the oracle, Optuna's median
pruner or successive halving saying when to stop; they differ in nothing else. Two objectives:
pymoo's NSGA-II on mqe and topographic error, with nothing or the oracle. Only finished runs
count as found. Time is CPU time of the process (wall-clock on an idle machine) and includes
the loading of the model, the metrics, the forecasts and the population file.
"""

# ruff: noqa: E402  (the path and the threads are set before anything is imported)
from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Run as a script, this folder would come first, and its http.py hide the standard library's.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np
import optuna
from deap import base, creator, tools
from minisom import MiniSom
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.evaluator import Evaluator
from pymoo.core.termination import NoTermination

from bench.ea_report import JUDGES, figures, page, picture, table_of
from collector.journal import Journal
from collector.sources import load_dataset
from oracle.decision.hypervolume import hypervolume
from oracle.forecast.forecaster import Oracle
from oracle.history.context import context_of
from oracle.history.metrics import measure
from oracle.history.tables import role_of
from oracle.hook import WatchedRun, policy_for, watch
from oracle.hook.fitness import Fitness
from oracle.integrations import minisom
from oracle.integrations.pymoo import WatchedProblem
from oracle.search.screen import screen
from oracle.search.table import Table
from oracle.types import RunContext

ROOT = Path(__file__).resolve().parent.parent
JOURNAL = ROOT / "build" / "bench" / "ea.journal"
Key = tuple[str, str, str, int]  # kind of search, judge, table, seed
DOCS = ROOT / "docs"

TABLES = ("wine-standard", "macrodata-standard", "friedman1-minmax")
SEEDS = range(5)
#: Updates of a whole run, and runs that the budget of a search pays for.
UPDATES, RUNS = 5000, 60
#: Shares of a run at which a watched run is measured.
LOOKS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
POPULATION = 12
#: Settings of the policy other than `policy_for` gives to users' searches, by kind of search: none.
#: Those were chosen with four seeds on calibrate tables, by commands such as
#: `python -m bench.ea --seeds 4 --tables iris-standard,fertility-minmax,friedman2-standard
#: --policy '{"single": {"good": 0.03, "risk": 0.1}, "multi": {"risk": 0.35}}'`; the others tried:
#: one objective, good .01, .03, .1 and risk .02 to .35; several, risk .02 to .5.
POLICY: dict[str, dict[str, Any]] = {"single": {}, "multi": {}}
OBJECTIVES = ("mqe", "topographic_error")
#: Times as many of the first generation, and of the offspring, as the oracle then chooses from.
SCREENED = (25, 5)
#: Kind of search -> what it minimises.
SEARCHES: dict[str, tuple[str, ...]] = {"single": ("score",), "multi": OBJECTIVES}
#: Corner of the hypervolume: mqe_of_mean, and all samples out of order.
CORNER = np.array([1.0, 1.0])

RATES, RADII = minisom.RATES, minisom.RADII
GENES = 7


@dataclass
class Trace:
    """How a search went, one entry a run: what was spent so far and the best found so far."""

    epochs: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    stopped: int = 0


class Search:
    """A budget of epochs, the watch over it, and the record of what it found.

    Args:
        table: dataset, e.g. wine-standard.
        seed: of the search and its runs.
        objectives: what is minimised.
        budget: runs' worth of epochs.
    """

    def __init__(self, table: str, seed: int, objectives: tuple[str, ...], budget: int) -> None:
        self.data = load_dataset(table)
        self.table = Table.of(self.data)
        self.seed, self.objectives, self.budget = seed, objectives, budget
        self.context: RunContext | None = None
        self.trace, self._found = Trace(), list[Fitness]()
        self._epochs, self._start = 0.0, (time.process_time(), time.perf_counter())

    @property
    def left(self) -> bool:
        """Whether there is budget for another run."""
        return self._epochs < self.budget

    def som(self, genes: Sequence[float]) -> tuple[MiniSom, str]:
        """Build the map of a genome in 0..1, and tell how it was initialised."""
        g = np.clip(np.asarray(genes, dtype=float), 0.0, 1.0)
        rows, cols = 4 + int(g[0] * 10.99), 4 + int(g[1] * 10.99)
        rng = np.random.default_rng([self.seed, *(g * 1e6).astype(int)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MiniSom's advice on what the search tries
            som = MiniSom(
                rows,
                cols,
                self.data.shape[1],
                sigma=0.3 + g[2] * 0.6 * min(rows, cols),
                learning_rate=10 ** (-2.5 + 2.5 * g[3]),
                decay_function=RATES[min(2, int(g[4] * 3))],
                sigma_decay_function=RADII[min(2, int(g[5] * 3))],
                random_seed=int(rng.integers(2**31)),
            )
        kind = ("random", "sample", "pca")[min(2, int(g[6] * 3))]
        if kind == "sample":
            som.random_weights_init(self.data)
        elif kind == "pca":
            som.pca_weights_init(self.data)
        return som, kind

    def record(self, fitness: Fitness, spent: float) -> Fitness:
        """Enter a run that used the share `spent` of its epochs."""
        self._epochs += spent
        if not fitness.censored:
            self._found.append(fitness)
        trace = self.trace
        trace.stopped += fitness.censored
        trace.epochs.append(round(self._epochs / self.budget, 5))
        trace.best.append(round(self._best(), 6))
        trace.cpu_s.append(round(time.process_time() - self._start[0], 4))
        trace.wall_s.append(round(time.perf_counter() - self._start[1], 4))
        return fitness

    def _best(self) -> float:
        """Lowest score found, or hypervolume found."""
        if len(self.objectives) == 1:
            return min((f.objectives(self.objectives)[0] for f in self._found), default=np.inf)
        points = [(f.mqe / (f.mqe_of_mean or 1.0), f.topographic_error or 0.0) for f in self._found]
        inside = np.array([p for p in points if (np.array(p) < CORNER).all()]).reshape(-1, 2)
        return hypervolume(inside, CORNER) if len(inside) else 0.0


# -- who says when to stop: each trains one run and gives its fitness ---------------------------

Train = Callable[[Sequence[float]], Fitness]


def unwatched(search: Search) -> Train:
    """Train every run to its end with MiniSom's own train, and measure once."""

    def train(genes: Sequence[float]) -> Fitness:
        som, _ = search.som(genes)
        som.train(search.data, UPDATES, random_order=True)
        metrics = measure(som.get_weights(), search.data)
        scale = context_of(som, search.data).mqe_of_mean
        return search.record(Fitness(*metrics, censored=False, mqe_of_mean=scale), 1.0)

    return train


def by_oracle(search: Search, folder: str, settings: Mapping[str, Any]) -> Train:
    """Train under the hook; `settings` are the policy's."""
    bound = partial(
        watch,
        policy=policy_for(search.objectives, **settings),
        population=f"{folder}/runs.db",
        model=Oracle.load(),
    )

    def train(genes: Sequence[float]) -> Fitness:
        som, kind = search.som(genes)
        run = minisom.train(
            som,
            search.data,
            UPDATES,
            random_order=True,
            checkpoints=[round(UPDATES * share) for share in LOOKS],
            initialization=kind,
            watch=bound,
            run_id=f"r{search.seed}-{len(search.trace.epochs)}",
        )
        return search.record(run.fitness(), _spent(run))

    return train


def _spent(run: WatchedRun) -> float:
    progress = run.decision.progress if run.decision is not None else None
    return 1.0 if progress is None else progress


def parameters_of(search: Search, genes: Sequence[float]) -> dict[str, Any]:
    """Tell a genome by the parameters of `oracle.search.minisom`."""
    g = np.clip(np.asarray(genes, dtype=float), 0.0, 1.0)
    x, y = 4 + int(g[0] * 10.99), 4 + int(g[1] * 10.99)
    return {
        "x": x,
        "y": y,
        "sigma": 0.3 + g[2] * 0.6 * min(x, y),
        "learning_rate": 10 ** (-2.5 + 2.5 * g[3]),
        "decay_function": RATES[min(2, int(g[4] * 3))],
        "sigma_decay_function": RADII[min(2, int(g[5] * 3))],
        "neighborhood_function": "gaussian",
        "topology": "rectangular",
        "initialization": ("random", "sample", "pca")[min(2, int(g[6] * 3))],
    }


@cache
def shipped() -> Oracle:
    """Load the oracle once a process."""
    return Oracle.load()


def screened(search: Search, keep: int, drawn: list[Any]) -> list[Any]:
    """Keep of the genomes that were drawn those that the oracle expects most of."""
    candidates = [parameters_of(search, genes) for genes in drawn]
    best = screen(search.table, candidates, keep, budget=UPDATES, oracle=shipped())
    return [drawn[i] for i in best]


def by_pruner(search: Search, pruner: optuna.pruners.BasePruner) -> Train:
    """Train with one of Optuna's pruners, asked at the same looks; a pruned run keeps its score."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(pruner=pruner)

    def train(genes: Sequence[float]) -> Fitness:
        som, _ = search.som(genes)
        scale = context_of(som, search.data).mqe_of_mean
        looks = {round(UPDATES * share): share for share in LOOKS}
        trial = study.ask()
        fitness, share = Fitness(np.inf, None, None, censored=True), 0.0
        for done in minisom.steps(som, search.data, UPDATES, random_order=True):
            if done not in looks:
                continue
            share = looks[done]
            metrics = measure(som.get_weights(), search.data)
            fitness = Fitness(*metrics, censored=share < 1.0, mqe_of_mean=scale)
            trial.report(fitness.score(), done)
            if share < 1.0 and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, fitness.score())
        return search.record(fitness, share)

    return train


# -- the searches ---------------------------------------------------------------------------------


def evolve(search: Search, train: Train, most: tuple[int, int] = (1, 1)) -> None:
    """DEAP: (mu + lambda) with tournaments, blend crossover and Gaussian steps.

    Args:
        search: its budget and its record.
        train: a run.
        most: times as many of the first generation, and of the offspring, are drawn as are
            trained; the oracle chooses.
    """
    rng = random.Random(search.seed)
    random.seed(search.seed)  # DEAP's operators draw from the global generator
    if not hasattr(creator, "Lowest"):
        creator.create("Lowest", base.Fitness, weights=(-1.0,))
        creator.create("Genome", list, fitness=creator.Lowest)

    def evaluated(genomes: list[Any]) -> Iterator[Any]:
        for genome in genomes:
            if search.left:
                genome.fitness.values = (train(genome).score(),)
                yield genome

    def chosen(genomes: list[Any]) -> list[Any]:
        many = len(genomes) > POPULATION
        return screened(search, POPULATION, genomes) if many else genomes

    first = range(most[0] * POPULATION)
    drawn = [creator.Genome(rng.random() for _ in range(GENES)) for _ in first]
    parents = list(evaluated(chosen(drawn)))
    while search.left:
        children = []
        while len(children) < most[1] * POPULATION:
            pair = [creator.Genome(g) for g in tools.selTournament(parents, 2, tournsize=3)]
            tools.cxBlend(*pair, alpha=0.3)
            for child in pair:
                tools.mutGaussian(child, mu=0.0, sigma=0.15, indpb=0.4)
                child[:] = [min(1.0, max(0.0, gene)) for gene in child]
            children += pair
        parents = tools.selBest(parents + list(evaluated(chosen(children))), POPULATION)


def nsga2(search: Search, train: Train) -> None:
    """pymoo: NSGA-II on OBJECTIVES."""
    problem = WatchedProblem(
        lambda genes, _: train(genes), objectives=OBJECTIVES, n_var=GENES, xl=0.0, xu=1.0
    )
    algorithm = NSGA2(pop_size=POPULATION)
    algorithm.setup(problem, termination=NoTermination(), seed=search.seed, verbose=False)
    while search.left:
        offspring = algorithm.ask()
        for individual in offspring:
            if search.left:
                Evaluator().eval(problem, individual)
        if search.left:
            algorithm.tell(infills=offspring)


def run(
    kind: str, judge: str, table: str, seed: int, budget: int, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Run one search and give its journal entry."""
    search = Search(table, seed, SEARCHES[kind], budget)
    with tempfile.TemporaryDirectory() as folder:
        trains: dict[str, Callable[[], Train]] = {
            "none": lambda: unwatched(search),
            "oracle": lambda: by_oracle(search, folder, settings),
            "screened": lambda: by_oracle(search, folder, settings),
            "median": lambda: by_pruner(search, optuna.pruners.MedianPruner(n_startup_trials=8)),
            "halving": lambda: by_pruner(
                search, optuna.pruners.SuccessiveHalvingPruner(min_resource=UPDATES // 20)
            ),
        }
        if kind == "single":
            evolve(search, trains[judge](), SCREENED if judge == "screened" else (1, 1))
        else:
            nsga2(search, trains[judge]())
    return {"kind": kind, "judge": judge, "table": table, "seed": seed, **vars(search.trace)}


# -- all of them ----------------------------------------------------------------------------------


def conditions(
    key: Key, budget: int, model: str, settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What an entry of the journal holds for; a search without the oracle: for every model."""
    kind, judge, _, _ = key
    about: dict[str, Any] = {"budget": budget, "updates": UPDATES, "looks": list(LOOKS)}
    if judge == "screened":
        about["screened"] = list(SCREENED)
    if judge in ("oracle", "screened"):
        policy = policy_for(SEARCHES[kind], **settings[kind])
        about |= {"model": model, "policy": policy.model_dump(mode="json")}
    return about


def run_missing(
    journal: Path,
    wanted: Mapping[Key, dict[str, Any]],
    settings: Mapping[str, Mapping[str, Any]],
    workers: int,
    *,
    quiet: bool,
) -> list[dict[str, Any]]:
    """Run the searches that the journal lacks, and give the entries of all.

    Args:
        journal: file of what was done before, and is done now.
        wanted: the searches, with the conditions of their entries.
        settings: of the policy, by kind of search.
        workers: searches at a time.
        quiet: print no progress.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    names = {json.dumps(key): key for key in wanted}
    # Spawned: no search begins with what another one, or this process, has loaded.
    with (
        Journal(journal, {"bench": "ea"}) as kept,
        ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool,
    ):
        entries = {name: json.loads(text) for name, text in kept.read() if name in names}
        done = {
            names[name]: entry
            for name, entry in entries.items()
            if entry["conditions"] == wanted[names[name]]
        }
        missing = [key for key in wanted if key not in done]
        running = {
            pool.submit(run, *key, wanted[key]["budget"], settings[key[0]]): key for key in missing
        }
        for i, future in enumerate(as_completed(running)):
            key = running[future]
            done[key] = {**future.result(), "conditions": wanted[key]}
            kept.append(json.dumps(key), json.dumps(done[key]))
            if not quiet:
                name, seconds = " ".join(map(str, key)), done[key]["cpu_s"][-1]
                print(f"{i + 1}/{len(missing)} {name}: {seconds:.1f} s", flush=True)
    return [done[key] for key in wanted]


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--journal", type=Path, default=JOURNAL)
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="searches of each kind")
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
    keys: list[Key] = [
        (kind, judge, table, seed)
        for seed in seeds
        for table in tables
        for kind in SEARCHES
        for judge in JUDGES[kind]
    ]
    wanted = {key: conditions(key, budget, info.sha256, options.policy) for key in keys}
    entries = run_missing(
        options.journal, wanted, options.policy, options.workers, quiet=options.json
    )
    rows = figures(entries)
    print(json.dumps(rows, indent=1) if options.json else table_of(rows))
    if options.write_docs:
        picture(entries, DOCS / "img" / "savings.png")
        about = {
            "model": f"{info.name} {info.version} ({info.sha256[:12]})",
            "budget": budget,
            "updates": UPDATES,
            "looks": len(LOOKS),
            "policies": {k: policy_for(o, **options.policy[k]) for k, o in SEARCHES.items()},
            "screened": SCREENED,
        }
        text = page(entries, rows, about)
        (DOCS / "savings.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
