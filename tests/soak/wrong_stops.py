"""T15: complete runs of tables that nothing was fitted to, played through the service.

Every run was trained to its end, so a stop can be told to be wrong. The service must stop the same
runs at the same checks as a replay does that learns of ended runs as it does: what a replay
promises is then true of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from inprocess import App
from reliability import ROOT, Result
from serving import MODEL, body

from oracle.decision.wrong_stops import upper_bound
from oracle.evaluation.recorded_runs import CHECKS, RecordedRuns, at_checks, by_table, populations
from oracle.evaluation.replay import by_decide
from oracle.forecast.forecaster import Oracle
from oracle.history.dataset import read_dataset
from oracle.types import History, Policy, Run

#: `oracle collect run --preset test --seed 0` writes it; git holds a small one for the short form.
RUNS = Path(os.environ.get("RUNS", ROOT / "data/test.csv.gz"))
FEW = ROOT / "tests/data/search.csv.gz"
POPULATION_SIZE = 45
#: Wrong stops among the truly best tenth that are promised at most.
PROMISED = 0.02
#: Fewer good runs than this say nothing about such a rate.
ENOUGH_GOOD = 100
POLICY = Policy(name="population", control=0.0)
_COLUMNS = (
    "epochs", "mqe", "topographic_error", "dead_neuron_ratio", "learning_rate", "radius",
)  # fmt: skip


def wrong_stops(folder: Path, n: int) -> Result:
    """Play about `n` runs, whole populations of them; one population comes from the small file."""
    result = Result()
    runs = FEW if n <= POPULATION_SIZE else RUNS
    oracle = Oracle.load(MODEL or None)
    lost = good = played = 0
    saved = 0.0
    with App(
        folder, policy=POLICY.model_dump_json(), rate_limit_per_s=1e9, rate_limit_burst=10**9
    ) as app:
        for members in by_table(read_dataset(runs), POPULATION_SIZE)[0]:
            if played >= n:
                break
            for k, population in enumerate(
                populations(at_checks(members, oracle), POPULATION_SIZE)
            ):
                stops = _served(app, population, f"{population.table}-{k}")
                expected = by_decide(POLICY, oracle)(population)
                for run, stop, promised in zip(population.runs, stops, expected, strict=True):
                    result.check(stop == promised, f"{run.run_id}: {stop}, replay {promised}")
                stopped = stops < len(CHECKS)
                lost += int((population.is_good & stopped).sum())
                good += int(population.is_good.sum())
                saved += float((1.0 - np.array([*CHECKS, 1.0])[stops]).sum())
                played += len(stops)
    if good >= ENOUGH_GOOD:
        result.check(lost <= PROMISED * good, f"{lost} of {good} good runs were stopped")
    result.bound = f"{upper_bound(lost, good):.2g} of the good"
    result.seen |= {
        "runs": f"{played:,}",
        "wrong stops": f"{lost} of {good} good runs ({lost / good:.1%})",
        "epochs saved": f"{saved / played:.0%}",
    }
    return result


def _served(app: App, population: RecordedRuns, name: str) -> Any:
    """[run] check at which the service stops each run of a search, as RecordedRuns counts them."""
    stops = np.full(population.n_runs, len(CHECKS))
    for i, run in enumerate(population.runs):
        seen = 0
        for c, prefixes in enumerate(population.prefixes):
            prefix = prefixes[i]
            if prefix is None:
                continue
            if _append(app, run, name, population.n_runs, seen, len(prefix)) == "stop":
                stops[i] = c
                break
            seen = len(prefix)
        else:
            if seen < len(run.history):
                _append(app, run, name, population.n_runs, seen, len(run.history))
            finals = {
                "final_mqe": run.final_mqe,
                "final_topographic_error": run.final_topographic_error,
                "final_dead_neuron_ratio": run.final_dead_neuron_ratio,
            }
            answer = app.run(app.call("POST", f"/v1/runs/{_name(run)}/finish", body(finals)))
            assert answer.status == 200, answer.body
    return stops


def _append(app: App, run: Run, population: str, size: int, start: int, end: int) -> str:
    """Send the checkpoints from `start` on; returns the action."""
    history: History = run.history
    piece: dict[str, Any] = {
        name: column[start:end]
        for name in _COLUMNS
        if (column := getattr(history, name)) is not None
    }
    if not start:
        piece |= {
            "total_epochs": history.total_epochs,
            "population": population,
            "population_size": size,
            "context": history.context.model_dump(mode="json", exclude_none=True),
        }
    answer = app.run(app.call("POST", f"/v1/runs/{_name(run)}/checkpoints", body(piece)))
    assert answer.status in (200, 201), answer.body
    return str(answer.json()["action"])


def _name(run: Run) -> str:
    return run.run_id.replace(":", "-").replace("/", "-")
