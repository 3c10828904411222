"""`oracle suggest`: which settings are worth training, before any training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oracle.commands.collect import Without, names_in
from oracle.errors import OracleError, must_be

if TYPE_CHECKING:
    from oracle.types import FloatArray, Suggestions

#: Plans that are numbered in a picture.
SHOWN = 9


def suggest(
    table: Annotated[Path, typer.Argument(help="CSV of the samples, as a map will see them.")],
    n: Annotated[int, typer.Option("-n", help="Plans to tell.", min=1, max=1000)] = 10,
    library: Annotated[
        str, typer.Option(help="Whose parameters: minisom, nexussom, xpysom or susi.")
    ] = "minisom",
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="What is wanted low: quality (the score), mqe, topographic_error or "
            "dead_neuron_ratio; several give a front. [default: quality]"
        ),
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=WHERE",
            help="Where to look: a value, a range LOW:HIGH, a list A,B; may be repeated.",
        ),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="Sample updates of a training (default: 20 passes).")
    ] = None,
    candidates: Annotated[
        int, typer.Option(help="Plans that are forecast.", min=1, max=20_000)
    ] = 1_000,
    seed: Annotated[int, typer.Option(help="Of the drawing.", min=0)] = 0,
    model: Annotated[Path | None, typer.Option(help="Model folder (default: the active).")] = None,
    header: Annotated[
        bool | None, typer.Option(help="Whether the first line names the columns.")
    ] = None,
    without: Without = None,
    how_long: Annotated[
        bool, typer.Option("--how-long", help="Tell how long the first plan should train.")
    ] = False,
    png: Annotated[
        Path | None, typer.Option(help="Picture: the forecast over two parameters.")
    ] = None,
    plane: Annotated[
        str | None,
        typer.Option(help="Those two: NAME,NAME. [default: the first number ones of the library]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Suggest settings for maps of a table, before any is trained."""
    from oracle.history.sample_table import read_table
    from oracle.search.budgets import how_long as long
    from oracle.search.suggest import suggest as find

    samples = read_table(table, header=header, without=names_in(without)).values
    oracle = _loaded(model)
    wanted = tuple(objective or ("quality",))
    part = _space(space or [])
    found = find(
        samples, n, library=library, objectives=wanted, space=part, budget=budget,
        candidates=candidates, seed=seed, oracle=oracle,
    )  # fmt: skip
    best = found.plans[0].parameters if found.plans else None
    told = None
    if how_long and best is not None:
        told = long(
            samples, best, library=library, objective=wanted[0], budget=budget, oracle=oracle
        )
    if png is not None:
        _draw(samples, found, plane, part, budget, oracle, png)
    if as_json:
        answer = found.model_dump(mode="json")
        if told is not None:
            answer["how_long"] = told.model_dump(mode="json")
        print(json.dumps(answer, indent=2))
        return
    print(found)
    if told is not None:
        print(f"\n{told}")
    if png is not None:
        print(f"Picture: {png}")


def _loaded(model: Path | None) -> Any:
    from oracle.forecast.forecaster import Oracle

    return Oracle.load(model)


def _space(parts: list[str]) -> dict[str, Any]:
    """Read NAME=VALUE, NAME=LOW:HIGH and NAME=A,B."""
    space: dict[str, Any] = {}
    for part in parts:
        name, equals, where = part.partition("=")
        if not equals or not where:
            raise OracleError(must_be("--space", "NAME=VALUE, NAME=LOW:HIGH or NAME=A,B", part))
        between = "," if "," in where else ":"
        values = [_value(text) for text in where.split(between)]
        space[name.strip()] = values[0] if len(values) == 1 else values
    return space


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip()


def _draw(
    samples: FloatArray,
    found: Suggestions,
    names: str | None,
    space: dict[str, Any],
    budget: float | None,
    oracle: Any,
    png: Path,
) -> None:
    """Draw two parameters around the first plan.

    Raises:
        OracleError: no plan to draw around, or not two parameters.
    """
    from oracle.pictures.plane import save
    from oracle.search.libraries import library_of
    from oracle.search.plane import plane

    if not found.plans:
        raise OracleError(must_be("--png", "left out where no plan could be judged", str(png)))
    first, _, second = (names or ",".join(library_of(found.library).plane)).partition(",")
    drawn = plane(
        samples, found.plans[0].parameters, (first.strip(), second.strip()),
        library=found.library, objective=found.objectives[0], space=space, budget=budget,
        oracle=oracle,
    )  # fmt: skip
    save(drawn, found.plans[:SHOWN], png)
