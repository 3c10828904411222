"""Fill a service with a search of many recorded runs, to see the live page with 300 or 3,000.

    oracle serve &
    python examples/fill.py --runs 300
    python examples/fill.py --url URL --population big --runs 3000 --live 12

The runs are real: 60 trainings of MiniSom from tests/data/search.csv.gz, or a dataset of your own.
Beyond them they come again, each time with its values and its schedule a little changed, so that
no two are alike. Stops are obeyed, ends are told; the last `--live` runs are left training.
"""

# ruff: noqa: E402  (the path comes before what lies on it)
from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import httpx
import numpy as np

from oracle.history.dataset import read_dataset
from oracle.types import Run

CHECKS = (0.05, 0.1, 0.17, 0.25, 0.35, 0.45, 0.6, 0.7, 0.85, 1.0)
COLUMNS = ("mqe", "topographic_error", "dead_neuron_ratio", "learning_rate", "radius")
#: Standard deviation of the logarithm of what a repeated run is changed by.
CHANGE = 0.08
PER_GENERATION = 20


def courses(runs: list[Run], n: int, seed: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Give `n` courses, each as its columns and what is fixed at its first checkpoint."""
    draw = np.random.default_rng(seed)
    for i in range(n):
        run = runs[i % len(runs)]
        history, again = run.history, i >= len(runs)
        factor = np.exp(draw.normal(0, CHANGE, len(COLUMNS))) if again else np.ones(len(COLUMNS))
        columns: dict[str, Any] = {"epochs": list(history.epochs)}
        for name, change in zip(COLUMNS, factor, strict=True):
            values = getattr(history, name)
            if values is not None:
                most = 1.0 if name in ("topographic_error", "dead_neuron_ratio") else np.inf
                columns[name] = [None if v is None else min(most, v * change) for v in values]
        context = history.context.model_dump(mode="json", exclude_none=True)
        config: dict[str, Any] = {}
        for name in ("map_rows", "map_cols", "neighborhood", "initialization"):
            if name in context:
                config[name] = context[name]
        for name in ("learning_rate", "radius"):
            if columns.get(name):
                config[f"{name}_start"] = round(columns[name][0], 5)
                config[f"{name}_end"] = round(columns[name][-1], 5)
        config["passes"] = round(history.total_epochs or 0.0, 3)
        yield columns, {
            "dataset": run.dataset, "total_epochs": history.total_epochs, "context": context,
            "config": config,
        }  # fmt: skip


def in_order(runs: list[Any], live: int, seed: int) -> list[Any]:
    """Shuffle courses, the best last: of runs like the others most would be stopped."""
    drawn = np.random.default_rng(seed).permutation(len(runs))
    ends = [runs[i][0]["mqe"][-1] + (runs[i][0]["topographic_error"][-1] or 0.0) for i in drawn]
    best = set(np.argsort(ends)[:live].tolist())
    first = [runs[i] for at, i in enumerate(drawn) if at not in best]
    return first + [runs[i] for at, i in enumerate(drawn) if at in best]


def post(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Post once; the service's own words where it refuses."""
    answer = client.post(path, json=body)
    if answer.is_error:
        raise SystemExit(f"{path}: {answer.text}")
    return dict(answer.json())


def play(
    client: httpx.Client, name: str, columns: dict[str, Any], fixed: dict[str, Any], until: float
) -> str:
    """Post one run as it would have come; gives its state."""
    epochs, sent = columns["epochs"], 0
    for check in (c for c in CHECKS if c <= until):
        n = sum(e <= check * fixed["total_epochs"] * (1 + 1e-9) for e in epochs)
        if n > sent:
            piece = {column: values[sent:n] for column, values in columns.items()}
            decision = post(client, f"/v1/runs/{name}/checkpoints", piece | fixed)
            sent = n
            if decision["action"] == "stop":
                return "stopped"
    if sent < len(epochs):
        return "running"
    post(client, f"/v1/runs/{name}/finish", {})
    return "finished"


def main() -> None:
    """Fill it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--dataset", type=Path, default=ROOT / "tests/data/search.csv.gz")
    parser.add_argument("--population", default="minisom-300")
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--live", type=int, default=6)
    parser.add_argument("--size", type=int, help="planned runs (default: a few more than --runs)")
    parser.add_argument("--key", help="API key of the service")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    key = {"Authorization": f"Bearer {given.key}"} if given.key else {}
    told = {"population": given.population, "population_size": given.size or given.runs + 20}
    states: dict[str, int] = {}
    with httpx.Client(base_url=given.url, timeout=60, headers=key) as client:
        found = list(courses(read_dataset(given.dataset), given.runs, given.seed))
        for i, (columns, fixed) in enumerate(in_order(found, given.live, given.seed)):
            left = given.runs - i
            until = 1.0 if left > given.live else 0.06 + 0.8 * left / given.live
            fixed["config"]["generation"] = i // PER_GENERATION + 1
            name = f"{given.population[:50]}-{i + 1:04d}"
            state = play(client, name, columns, fixed | told, until)
            states[state] = states.get(state, 0) + 1
            if sys.stdout.isatty():
                print(f"\r{i + 1} of {given.runs}", end="", flush=True)
    print(f"\r{given.population}: {', '.join(f'{n} {state}' for state, n in states.items())}")


if __name__ == "__main__":
    main()
