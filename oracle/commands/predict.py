"""`oracle predict`: forecast one history, or a plan, and recommend what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oracle.commands.collect import Columns, TotalEpochs, Without, names_in
from oracle.errors import OracleError, must_be

if TYPE_CHECKING:
    from oracle.forecast.forecaster import Oracle
    from oracle.types import Decision, History, Policy

#: How a command names the file of one history.
HISTORY = "One history, or a plan alone, as JSON; or a CSV with a row a checkpoint."


def predict(
    history: Annotated[Path | None, typer.Argument(help=HISTORY)] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder (default: the active).")] = None,
    threshold: Annotated[
        float, typer.Option(help="Stop above this predicted quality score.")
    ] = 1.0,
    caution: Annotated[float, typer.Option(help="Continue with a caution above this.")] = 0.5,
    relative: Annotated[
        bool, typer.Option("--relative", help="Score on the relative scale (mqe / mqe_of_mean).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell what each checkpoint and part of the plan did.")
    ] = False,
    png: Annotated[Path | None, typer.Option(help="... and draw it.")] = None,
    states: Annotated[
        Path | None,
        typer.Option(help="Picture: gates and states of the first network, step by step."),
    ] = None,
    columns: Columns = None,
    total_epochs: TotalEpochs = None,
    table: Annotated[
        Path | None,
        typer.Option(help="In place of a history, a plan: CSV of the samples, as a map sees them."),
    ] = None,
    header: Annotated[
        bool | None,
        typer.Option(help="Of a plan: whether the first line of --table names its columns."),
    ] = None,
    without: Without = None,
    size: Annotated[
        str | None, typer.Option("--map", help="Of a plan: neurons, ROWSxCOLS.")
    ] = None,
    passes: Annotated[float | None, typer.Option(help="Of a plan: times over the table.")] = None,
    batch_size: Annotated[
        float | None,
        typer.Option(help="Of a plan: samples an update averages over (1 = online)."),
    ] = None,
    learning_rate: Annotated[
        str | None, typer.Option(help="Of a plan: START:END, linear between.")
    ] = None,
    radius: Annotated[
        str | None,
        typer.Option(help="Of a plan: START:END in grid units, linear between."),
    ] = None,
) -> None:
    """Forecast how one history will end and say whether to stop it."""
    told_plan = {
        "--map": size,
        "--passes": passes,
        "--batch-size": batch_size,
        "--learning-rate": learning_rate,
        "--radius": radius,
    }
    for option, picture in (("--png", png), ("--states", states)):
        if picture is not None:
            from oracle.pictures.style import check_path

            check_path(picture, option)
    given = [option for option, value in told_plan.items() if value is not None]
    if history is not None:
        of_tables: dict[str, object] = {"--table": table, **told_plan, "--header": header}
        for option, value in (*of_tables.items(), ("--without", without or None)):
            if value is not None:
                advice = "It is a member of the history." if option in told_plan else ""
                rule = "left out beside a history"
                raise OracleError(must_be(option, rule, str(history), advice))
        seen = read(history, columns, total_epochs)
    elif table is None:
        got = given[0] if given else None
        advice = "Name the file of a history, or the samples by --table and the plan beside it."
        raise OracleError(must_be("HISTORY", "given: there is nothing to go by", got, advice))
    else:
        for option, of_history in (("--columns", columns), ("--total-epochs", total_epochs)):
            if of_history:
                rule = "left out with --table"
                raise OracleError(must_be(option, rule, str(of_history), "It tells of a history."))
        from oracle.commands.plan import plan_of
        from oracle.history.sample_table import read_table

        seen = plan_of(
            read_table(table, header=header, without=names_in(without)).values,
            size, passes, batch_size, learning_rate, radius,
        )  # fmt: skip
    oracle = loaded(model)
    decision = recommend(seen, oracle, policy_of(threshold, caution, relative))
    why = oracle.explain(seen) if explain or png is not None else None
    if why is not None and png is not None:
        from oracle.pictures.why import save

        save(why, png)
    if states is not None:
        draw_states(seen, model, states)
    if as_json:
        found = decision.model_dump(mode="json")
        if why is not None:
            found["explanation"] = why.model_dump(mode="json")
        print(json.dumps(found, indent=2))
        return
    print(told(decision))
    if why is not None:
        print(f"\n{why}")
        if png is not None:
            print(f"Picture: {png}")


def draw_states(history: History, model: Path | None, png: Path) -> None:
    """Draw what the recurrent layers of a model's first network do while it reads a history.

    Raises:
        InvalidSeries: the network has no recurrent layers.
    """
    from oracle.history.columns import thin
    from oracle.history.features import encode
    from oracle.model.artifact import read_artifact, resolve
    from oracle.model.weights import unpack
    from oracle.sequences.pictures import states_picture
    from oracle.sequences.states import layers_in, states_of
    from oracle.types import METRICS

    artifact = read_artifact(resolve(model))
    ensemble = artifact.manifest.ensemble
    layers = layers_in(ensemble.networks[0], unpack(ensemble, artifact.weights)[0])
    seen = thin(history)
    nan = float("nan")
    inputs = {
        metric: [nan, *(nan if v is None else v for v in getattr(seen, metric) or ())]
        for metric in METRICS
    }
    states_picture(
        png,
        states_of(layers, artifact.manifest.scaling.apply(encode(history))),
        {name.replace("_", " "): values for name, values in inputs.items()},
        title=f"{artifact.info.name}, network 1 of {len(ensemble.networks)}",
        steps=[0.0, *seen.epochs],
        step_name="epoch, from the plan (0) on",
    )


def read(
    path: Path, columns: list[str] | None = None, total_epochs: float | None = None
) -> History:
    """Read the file of one history, whose columns may be named by `columns`."""
    from oracle.history.records import named_columns, read_history

    return read_history(path, named_columns(columns or ()), total_epochs)


def loaded(model: Path | None) -> Oracle:
    """Load a model folder, None = the active one."""
    from oracle.forecast.forecaster import Oracle

    return Oracle.load(model)


def policy_of(threshold: float = 1.0, caution: float = 0.5, relative: bool = False) -> Policy:
    """Give the policy of a single history, which has no population."""
    from oracle.types import Policy, Scale

    scale = Scale.RELATIVE if relative else Scale.RAW
    return Policy(threshold=threshold, caution=caution, scale=scale)


def recommend(history: History, oracle: Oracle, policy: Policy) -> Decision:
    """Forecast and decide by the threshold rule."""
    from oracle.decision.policy import decide

    return decide(history, oracle.forecast(history), None, policy)


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
        rows = [("", [f"{level:.0%}" for level in LEVELS])]
        rows += [(name, [f"{v:.4f}" for v in values]) for name, values in forecast.final.items()]
        rows += [
            (f"quality score, {quality.scale.value}", [f"{v:.4f}" for v in quality.values])
            for quality in forecast.quality
        ]
        wide = max(9, *(len(cell) for _, cells in rows for cell in cells))  # of the widest number
        lines += [f"  {name:26}" + "".join(f" {c:>{wide}}" for c in cells) for name, cells in rows]
    lines.append(decision.message)
    lines.extend(decision.advice)
    return "\n".join(lines)
