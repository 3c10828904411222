"""`oracle check-policy`: refuse a policy that would have stopped past bests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oracle.errors import OracleError, must_be

if TYPE_CHECKING:
    from oracle.types import Policy


def policy_in(text: str) -> Policy:
    """Read a policy from the option `--policy`: its name, or its settings as JSON.

    Raises:
        OracleError: it is no JSON.
        ValidationError: there is no such policy, or a setting is out of its range.
    """
    from oracle.types import Policy

    settings: Any = {"name": text}
    if text.lstrip().startswith("{"):
        try:
            settings = json.loads(text)
        except (ValueError, RecursionError) as error:  # too long a number, too deep
            raise OracleError(must_be("--policy", f"valid JSON ({error})", text)) from None
    return Policy.model_validate(settings)


def _named(policy: Policy) -> str:
    goal = getattr(policy, "goal", "good")
    return policy.name if goal == "good" else f"{policy.name}, goal {goal}"


def check_policy(
    dataset: Annotated[Path, typer.Option(help="Past runs, trained to their end.")],
    policy: Annotated[
        str, typer.Option(help='Name, or settings as JSON: \'{"name": "population", ...}\'.')
    ] = "population",
    model: Annotated[Path | None, typer.Option(help="Model folder (default: the active).")] = None,
    population_size: Annotated[int, typer.Option(min=2, help="Runs of a population.")] = 45,
    checks: Annotated[str, typer.Option(help="Progress of the checks.")] = "0.1,0.2,0.3,0.5,0.7",
    lost: Annotated[
        float, typer.Option(help="Share of the good runs that may be lost, to accept it.")
    ] = 0.05,
    confidence: Annotated[
        float, typer.Option(help="Of the bound on what is lost where nothing was.")
    ] = 0.8,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Replay a policy on past runs; exit 1 where it would have stopped the best of one."""
    from oracle.commands.replay import numbers
    from oracle.evaluation.recorded_runs import at_checks, by_table, populations
    from oracle.evaluation.replay import COLUMNS, by_decide, counts_of, cut_short
    from oracle.evaluation.replay_figures import figures
    from oracle.evaluation.risk_choice import too_few
    from oracle.forecast.forecaster import Oracle
    from oracle.history.dataset import counted, read_dataset

    for option, value in (("--lost", lost), ("--confidence", confidence)):
        if not 0.0 < value < 1.0:
            raise OracleError(must_be(option, "between 0 and 1", value))

    rule = policy_in(policy)
    oracle = Oracle.load(model)
    tables, excluded = by_table(read_dataset(dataset), population_size)
    stops, refused, counts, names = by_decide(rule), [], [], []
    when, weights = numbers("--checks", checks), rule.quality_weights
    for runs in tables:
        table = at_checks(runs, oracle, when, rule.good_share, weights)
        for population in populations(table, population_size):
            ended = stops(population)
            counts.append(counts_of(population, ended))
            stopped = cut_short(ended, population.n_checks)
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
    few = too_few(np.array(counts)[:, COLUMNS.index("good")].sum(), lost, confidence)
    verdict = "refused" if refused else "accepted" if few is None else "too_few_runs"
    if as_json:
        result = {
            "policy": rule.model_dump(mode="json"),
            "populations": len(counts),
            "excluded": excluded,
            "figures": {name: estimate._asdict() for name, estimate in found.items()},
            "bests_stopped": refused,
            "accepted": not refused,
            "verdict": verdict,
            "too_few": None if few is None else few._asdict(),
        }
        print(json.dumps(result, indent=2))
    else:
        low, high = found["lost"].low, found["lost"].high
        span = "" if low is None or high is None else f" ({low:.1%}..{high:.1%})"
        print(
            f"{_named(rule)}: saves {found['saved'].value:.1%} of the epochs and loses "
            f"{found['lost'].value:.1%}{span} of the good runs over "
            f"{counted(len(counts), 'population')}."
        )
        for reason, count in excluded.items():
            print(f"  left out: {counted(count, 'run')}, {reason}")
        for row in refused:
            print(
                f"  stops the best of {row['table']}: {row['run_id']} at {row['progress']:.0%} "
                f"(quality score {row['score']:.3f})"
            )
        told = {
            "refused": "Refused: it would have stopped the best run of "
            f"{counted(len(refused), 'population')}.",
            "accepted": "Accepted: no best run would have been stopped.",
            "too_few_runs": f"No best run would have been stopped, but {few} for {lost:.0%}.",
        }
        print(told[verdict])
    if refused:
        raise typer.Exit(1)
