"""`oracle predict`: forecast one history and recommend what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oracle.types import Decision, History

#: How a command names the file of one history.
HISTORY = "One history, or a plan alone, as JSON; or a CSV with a row a checkpoint."


def predict(
    history: Annotated[Path, typer.Argument(help=HISTORY)],
    model: Annotated[Path | None, typer.Option(help="Model folder (default: the active).")] = None,
    threshold: Annotated[
        float, typer.Option(help="Stop above this predicted quality score.")
    ] = 1.0,
    caution: Annotated[float, typer.Option(help="Continue with a caution above this.")] = 0.5,
    relative: Annotated[
        bool, typer.Option("--relative", help="Score on the relative scale (mqe / mqe_of_mean).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
) -> None:
    """Forecast how one history will end and say whether to stop it."""
    _, decision = recommend(history, model, threshold, caution, relative)
    if as_json:
        print(json.dumps(decision.model_dump(mode="json"), indent=2))
    else:
        print(told(decision))


def recommend(
    path: Path, model: Path | None, threshold: float, caution: float, relative: bool = False
) -> tuple[History, Decision]:
    """Read, forecast and decide by the threshold rule."""
    from oracle.decision.policy import decide
    from oracle.forecast.forecaster import Oracle
    from oracle.history.records import read_history
    from oracle.types import Policy, Scale

    policy = Policy(
        threshold=threshold, caution=caution, scale=Scale.RELATIVE if relative else Scale.RAW
    )
    seen = read_history(path)
    return seen, decide(seen, Oracle.load(model).forecast(seen), None, policy)


def told(decision: Decision) -> str:
    """Tell a decision and its forecast in a few lines."""
    from oracle.types import LEVELS

    lines = []
    forecast = decision.forecast
    if forecast is not None:
        seen = "unknown progress" if decision.progress is None else f"{decision.progress:.0%} seen"
        after = f"after {forecast.n_checkpoints} checkpoints ({seen}, "
        if not forecast.n_checkpoints:
            after = "from the plan alone ("
        lines.append(
            f"Forecast {after}support {forecast.support:.2f}) "
            f"by {forecast.model.name} {forecast.model.version}"
        )
        lines.append(f"  {'':26}" + "".join(f"{level:>10.0%}" for level in LEVELS))
        for target, values in forecast.final.items():
            lines.append(f"  {target:26}" + "".join(f"{v:10.4f}" for v in values))
        for quality in forecast.quality:
            name = f"quality score, {quality.scale.value}"
            lines.append(f"  {name:26}" + "".join(f"{v:10.4f}" for v in quality.values))
    lines.append(decision.message)
    lines.extend(decision.advice)
    return "\n".join(lines)
