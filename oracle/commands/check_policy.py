"""`oracle check-policy`: refuse a policy that would have stopped past bests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.errors import OracleError, must_be


def check_policy(
    dataset: Annotated[Path, typer.Option(help="Past runs, trained to their end.")],
    policy: Annotated[
        str, typer.Option(help='Name, or settings as JSON: \'{"name": "population", ...}\'.')
    ] = "population",
    model: Annotated[Path | None, typer.Option(help="Model folder (default: the active).")] = None,
    population_size: Annotated[int, typer.Option(min=2, help="Runs of a population.")] = 45,
    checks: Annotated[str, typer.Option(help="Progress of the checks.")] = "0.1,0.2,0.3,0.5,0.7",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Replay a policy on past runs; exit 1 where it would have stopped the best of one."""
    from oracle.commands.replay import numbers
    from oracle.evaluation.recorded import by_table, populations, record
    from oracle.evaluation.replay import by_decide, tally
    from oracle.evaluation.savings import figures
    from oracle.forecast.forecaster import Oracle
    from oracle.history.dataset import read_dataset
    from oracle.types import Policy

    settings: Any = {"name": policy}
    if policy.lstrip().startswith("{"):
        try:
            settings = json.loads(policy)
        except json.JSONDecodeError as error:
            raise OracleError(must_be("--policy", f"valid JSON ({error.msg})", policy)) from None
    rule = Policy.model_validate(settings)
    oracle = Oracle.load(model)
    tables, excluded = by_table(read_dataset(dataset), population_size)
    stops, refused, counts, names = by_decide(rule), [], [], []
    when, weights = numbers("--checks", checks), rule.quality_weights
    for runs in tables:
        table = record(runs, oracle, when, rule.good_share, weights)
        for population in populations(table, population_size):
            stopped = stops(population)
            counts.append(tally(population, stopped))
            names.append(population.table)
            best = int(population.final.argmin())
            if stopped[best] < population.n_checks:
                refused.append(
                    {
                        "table": population.table,
                        "run_id": population.runs[best].run_id,
                        "progress": population.checks[stopped[best]],
                        "score": float(population.final[best]),
                    }
                )
    import numpy as np

    found = figures(np.array(counts), names)
    if as_json:
        result = {
            "policy": rule.model_dump(mode="json"),
            "populations": len(counts),
            "excluded": excluded,
            "figures": {name: estimate._asdict() for name, estimate in found.items()},
            "bests_stopped": refused,
            "accepted": not refused,
        }
        print(json.dumps(result, indent=2))
    else:
        print(
            f"{rule.name}: saves {found['saved'].value:.1%} of the epochs and loses "
            f"{found['lost'].value:.1%} of the good runs over {len(counts)} populations."
        )
        for reason, count in excluded.items():
            print(f"  left out: {count} runs, {reason}")
        for row in refused:
            print(
                f"  stops the best of {row['table']}: {row['run_id']} at {row['progress']:.0%} "
                f"(quality score {row['score']:.3f})"
            )
        print(
            f"Refused: it would have stopped the best run of {len(refused)} populations."
            if refused
            else "Accepted: no best run would have been stopped."
        )
    if refused:
        raise typer.Exit(1)
