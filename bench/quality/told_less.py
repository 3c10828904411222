"""Parts of docs/quality.md: users who tell less, and searches that others recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.quality.aims import IN_STEP, ONE_BY_ONE, by_forecaster

#: What is left out of the test tables' runs: what it is called -> parts of `oracle evaluate`.
LEFT_OUT = {
    "the four arrays and the budget alone": "plan,kind,table,sizes",
    "no plan: what can be read from a map and its table": "plan",
    "no table: no scale, no geometry": "table",
    "no geometry": "geometry",
    "no budget": "budget",
    "no topographic error": "topographic_error",
    "no dead neurons": "dead_neuron_ratio",
    "neither ratio": "topographic_error,dead_neuron_ratio",
}
#: Of these the baselines are fitted too: minutes each.
WITH_BASELINES = ("the four arrays and the budget alone",)
#: What is left out of others' runs.
OF_OTHERS = ("plan", "plan,kind,table,sizes")
SHARES = (0.1, 0.2, 0.5, 0.7)
#: Files in data/foreign/ that begin so hold whole searches, to be replayed.
SEARCH = "search-"
#: Of the policy's default, and of the bolder ones that a user may choose.
RISKS = (0.01, 0.02, 0.05)

Ask = Callable[..., dict[str, Any]]


def measure_told_less(
    oracle: Ask, model: Sequence[str], test: Path, baselines: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Evaluate the test tables' runs without each of LEFT_OUT; name -> what was found."""
    return {
        name: oracle(
            "evaluate", *model, "--dataset", str(test), "--hide", parts,
            *(baselines if name in WITH_BASELINES else ()),
        )
        for name, parts in LEFT_OUT.items()
    }  # fmt: skip


def measure_others(
    oracle: Ask, model: Sequence[str], recorded: dict[str, Path]
) -> dict[str, dict[str, Any]]:
    """Evaluate others' runs without each of OF_OTHERS."""
    return {
        f"{name} without {parts}": oracle(
            "evaluate", *model, "--dataset", str(path), "--hide", parts
        )
        for name, path in recorded.items()
        for parts in OF_OTHERS
    }


def replay_searches(
    oracle: Ask, model: Sequence[str], recorded: dict[str, Path]
) -> dict[str, dict[str, Any]]:
    """Replay the searches among others' runs, each as one population."""
    return {
        name: oracle(
            "replay", *model, "--dataset", str(path), "--population-size", "80",
            "--risks", ",".join(f"{risk:g}" for risk in RISKS),
        )
        for name, path in recorded.items()
        if name.startswith(SEARCH)
    }  # fmt: skip


def told_less_table(found: dict[str, dict[str, Any]]) -> str:
    """Error, coverage and refusals by what is told."""
    shown = ", ".join(f"{share:.0%}" for share in SHARES)
    told = [
        f"Each cell: at {shown} of the run.",
        "",
        "| told | error | boosting, told the same | inside 90 % | inside 50 % | refused |",
        "|---|---|---|---|---|---|",
    ]
    for name, result in found.items():
        errors = by_forecaster(result)
        boosting = _errors(errors["boosting"]) if "boosting" in errors else "-"
        row = (
            name,
            _errors(errors["oracle"]),
            boosting,
            _covered(result, "90%"),
            _covered(result, "50%"),
            _refused(result),
        )
        told.append(f"| {' | '.join(row)} |")
    return "\n".join(told)


def _errors(rows: dict[float, dict[str, Any]]) -> str:
    return ", ".join(f"{rows[share]['mae']:.3f}" for share in SHARES if share in rows)


def _covered(result: dict[str, Any], level: str) -> str:
    rows = {r["progress"]: r for r in result["coverage"] if r["score"] == result["main_score"]}
    return ", ".join(f"{rows[s][f'coverage_{level}']:.0%}" for s in SHARES if s in rows)


def _refused(result: dict[str, Any]) -> str:
    rows = {row["progress"]: row["no_support"] for row in result["refused"]}
    return ", ".join(f"{rows[share]:.1%}" for share in SHARES if share in rows)


def searches_table(found: dict[str, dict[str, Any]]) -> str:
    """Saved and lost in each recorded search, by the risk allowed."""
    told = [
        "| search | policy | risk | epochs saved | good lost |",
        "|---|---|---|---|---|",
    ]
    for name, result in found.items():
        for policy in (ONE_BY_ONE, IN_STEP):
            for row in result["curves"].get(policy, ()):
                told.append(
                    f"| {name.removeprefix(SEARCH)} | {policy.removeprefix('oracle, ')} "
                    f"| {row['setting']:g} | {row['saved']['value']:.1%} "
                    f"| {row['lost']['value']:.1%} |"
                )
    return "\n".join(told)
