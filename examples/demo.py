"""Watch a real evolutionary search on the live page: runs appear, fans narrow, bad runs stop.

    make demo                              # or: python examples/demo.py
    python examples/demo.py --url URL      # a service that runs already
    python examples/demo.py --runs 30 --workers 2 --updates 60000

A (mu + lambda) search over MiniSom's hyperparameters on the wine table. It begins with what the
oracle suggests before anything is trained. Every evaluation is one real training, watched through
the service; a run that is stopped enters with its forecast.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import numpy.typing as npt
from minisom import MiniSom

from collector.sources import load_dataset
from oracle import suggest
from oracle.hook import policy_for
from oracle.integrations import minisom
from oracle.types import Suggestion

TABLE = "wine-standard"
RATES = ("asymptotic_decay", "inverse_decay_to_zero", "linear_decay_to_zero")
RADII = ("asymptotic_decay", "inverse_decay_to_one", "linear_decay_to_one")
GENES = 7
PARENTS = 6
#: Configurations that the oracle suggests before the search proper begins.
FIRST = 10
#: Plans that are forecast to choose them from.
CANDIDATES = 400
START_DEADLINE_S = 120.0

Genes = tuple[float, ...]
Matrix = npt.NDArray[np.float64]


def evaluate(
    data: Matrix, genes: Genes, number: int, url: str, population: str, updates: int, runs: int
) -> float:
    """Train one of `runs` configurations under watch; returns its score, lower is better."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the search ends its workers itself
    rows, cols = 4 + int(genes[0] * 9.99), 4 + int(genes[1] * 9.99)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MiniSom's advice on what a search tries
        som = MiniSom(
            rows,
            cols,
            data.shape[1],
            sigma=0.3 + genes[2] * max(rows, cols) / 1.5,
            learning_rate=float(10 ** (-2.5 + 2.5 * genes[3])),
            decay_function=RATES[min(2, int(3 * genes[4]))],
            sigma_decay_function=RADII[min(2, int(3 * genes[5]))],
            neighborhood_function="bubble" if genes[6] > 0.8 else "gaussian",
            random_seed=number,
        )
        som.random_weights_init(data)
        run = minisom.train(
            som,
            data,
            updates,
            random_order=True,
            checkpoints=25,
            initialization="sample",
            run_id=f"{population}-{number:03d}",
            dataset=TABLE,
            population_name=population,
            population_size=runs,
            tags="suggested" if number <= FIRST else None,
            url=url,
            policy=policy_for(("score",)),
            timeout_s=20.0,
        )
    return run.fitness().score()


def search(data: Matrix, url: str, population: str, runs: int, workers: int, updates: int) -> None:
    """Run the search; whenever a worker is free it gets a child of the best so far."""
    rng = np.random.default_rng(7)
    space = {"x": (4, 13), "y": (4, 13), "topology": "rectangular"}
    plans = suggest(
        data, n=min(FIRST, runs), library="minisom", space=space, budget=updates,
        candidates=CANDIDATES,
    )  # fmt: skip
    first = [genes_of(plan) for plan in plans]
    found: list[tuple[float, Genes]] = []
    waiting: dict[Future[float], Genes] = {}
    begun = 0
    with ProcessPoolExecutor(workers) as pool:
        while begun < runs or waiting:
            while begun < runs and len(waiting) < workers:
                genes = first[begun] if begun < len(first) else child(rng, found)
                begun += 1
                work = pool.submit(evaluate, data, genes, begun, url, population, updates, runs)
                waiting[work] = genes
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for work in done:
                genes = waiting.pop(work)
                found.append((work.result(), genes))
                best = min(score for score, _ in found)
                print(
                    f"run {len(found)} of {runs}: score {found[-1][0]:.3f}, best {best:.3f}",
                    flush=True,
                )


def child(rng: np.random.Generator, found: list[tuple[float, Genes]]) -> Genes:
    """Draw a configuration: a mutated cross of two good ones; at random while there are none."""
    if len(found) < 2:
        return tuple(rng.random(GENES))
    parents = [genes for _, genes in sorted(found)[:PARENTS]]
    a, b = (np.array(parents[int(i)]) for i in rng.integers(len(parents), size=2))
    mixed = np.where(rng.random(GENES) < 0.5, a, b) + rng.normal(0, 0.15, GENES)
    return tuple(np.clip(mixed, 0.0, 1.0))


def genes_of(plan: Suggestion) -> Genes:
    """Write a suggested plan as genes; a radius beyond their range is the largest."""
    told: dict[str, Any] = plan.parameters
    genes = (
        (told["x"] - 3.5) / 9.99,
        (told["y"] - 3.5) / 9.99,
        (told["sigma"] - 0.3) * 1.5 / max(told["x"], told["y"]),
        (np.log10(told["learning_rate"]) + 2.5) / 2.5,
        (RATES.index(told["decay_function"]) + 0.5) / len(RATES),
        (RADII.index(told["sigma_decay_function"]) + 0.5) / len(RADII),
        0.9 if told["neighborhood_function"] == "bubble" else 0.4,
    )
    return tuple(float(gene) for gene in np.clip(genes, 0.0, 1.0))


def serve(port: int) -> subprocess.Popen[bytes]:
    """Start the service."""
    folder = ("--data-dir", "data/demo")
    return subprocess.Popen([sys.executable, "-m", "oracle", "serve", "--port", str(port), *folder])


def await_ready(service: subprocess.Popen[bytes], url: str) -> None:
    """Wait until the service has its model and its store."""
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        if service.poll() is not None:
            raise SystemExit("The service ended at once (is the port in use? --port N).")
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.1)
    raise SystemExit("The service did not get ready.")


def main() -> None:
    """Start the service where none is named, search, and leave the page open to look at."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--url", help="a service that runs already")
    parser.add_argument("--port", type=int, default=8000, help="of the service started here")
    parser.add_argument("--runs", type=int, default=120, help="trainings in all")
    parser.add_argument("--workers", type=int, default=4, help="trainings at a time")
    parser.add_argument("--updates", type=int, default=30_000, help="sample updates of a training")
    chosen = parser.parse_args()
    url = chosen.url or f"http://127.0.0.1:{chosen.port}"
    population = f"demo-{time.strftime('%H%M%S')}"
    service = None if chosen.url else serve(chosen.port)
    try:
        data = load_dataset(TABLE)  # seconds of imports, while the service starts
        if service is not None:
            await_ready(service, url)
        print(f"\n  Look at {url}/#/?population={population}\n", flush=True)
        search(data, url, population, chosen.runs, chosen.workers, chosen.updates)
        with urllib.request.urlopen(f"{url}/v1/populations/{population}", timeout=20) as answer:
            savings = json.load(answer)["savings"]
        print(f"{savings['saved_share']:.0%} of all epochs saved.", flush=True)
        if service is not None:
            print("The search is over; the page stays until Ctrl-C.")
            service.wait()
    except KeyboardInterrupt:
        print("Ended.")
    finally:
        if service is not None:
            service.terminate()
            service.wait()


if __name__ == "__main__":
    main()
