"""`oracle suggest`: which settings are worth training, before any training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oracle.commands.collect import Without, names_in
from oracle.errors import InvalidSearch, OracleError, StoreUnavailable, must_be

if TYPE_CHECKING:
    from oracle.search.table import Table
    from oracle.types import Suggestions

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
            help="Where to look: a value, a range LOW:HIGH, a list A,B; one for each parameter.",
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
    population: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Learn of the runs that ended in this population file, or postgresql://...",
        ),
    ] = None,
    population_name: Annotated[
        str | None,
        typer.Option(
            help="Of those runs: their `population_name`, else their `dataset`. [default: all that "
            "have ended on this table]"
        ),
    ] = None,
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
        typer.Option(
            help="Of --png, those two: NAME,NAME. [default: the first number ones of the library]"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Suggest settings for maps of a table, before any is trained."""
    from oracle.history.sample_table import read_table
    from oracle.search.budgets import how_long as long
    from oracle.search.libraries import library_of
    from oracle.search.plane import axes_of
    from oracle.search.suggest import suggest as find
    from oracle.search.table import table_of

    part = _space(space or [])
    axes = _axes(plane, png, library_of(library).plane)
    samples = table_of(read_table(table, header=header, without=names_in(without)).values)
    if axes is not None:
        axes_of(library_of(library), samples, axes, part)
    _check_population(population, population_name)
    oracle = _loaded(model)
    wanted = tuple(objective or ("quality",))
    asked: dict[str, Any] = {
        "budget": budget, "oracle": oracle,
        "population": population, "population_name": population_name,
    }  # fmt: skip
    found = find(
        samples, n, library=library, objectives=wanted, space=part, candidates=candidates,
        seed=seed, **asked,
    )  # fmt: skip
    best = found.plans[0].parameters if found.plans else None
    told = None
    if how_long and best is not None:
        told = long(samples, best, library=library, objective=wanted[0], **asked)
    if as_json:
        answer = found.model_dump(mode="json")
        if told is not None:
            answer["how_long"] = told.model_dump(mode="json")
        print(json.dumps(answer, indent=2))
    elif best is not None:
        print("\n\n".join(map(str, filter(None, (found, told)))))
    if best is None:
        raise InvalidSearch(str(found))
    if png is not None and axes is not None:
        _draw(samples, found, axes, part, asked, png)
        if not as_json:
            print(f"Picture: {png}")


def _check_population(file: str | None, name: str | None) -> None:
    """Refuse runs that are not there.

    Raises:
        OracleError: no population file, or none of that name in it.
    """
    from oracle.hook.places.looked_at import looked_at
    from oracle.hook.population_file import place_of
    from oracle.types.run_names import label_of

    if file is None:
        return
    place = place_of(file)
    if isinstance(place, Path) and not place.is_file():
        raise OracleError(must_be("--population", "a file that a search wrote", file))
    try:
        with looked_at(place) as looked:
            names = looked.names()
    except StoreUnavailable as error:
        if "locked" in str(error) or not isinstance(place, Path):
            raise
        raise OracleError(str(error)) from None  # of another program, or of a later version
    if name is not None and label_of(name) not in names:
        rule = f"one of {', '.join(names)}" if names else "of a file in which a run has ended"
        raise OracleError(must_be("--population-name", rule, name))


def _loaded(model: Path | None) -> Any:
    from oracle.forecast.forecaster import Oracle

    return Oracle.load(model)


def _space(parts: list[str]) -> dict[str, Any]:
    """Read NAME=VALUE, NAME=LOW:HIGH (a tuple of two) and NAME=A,B (a list)."""
    space: dict[str, Any] = {}
    for part in parts:
        name, equals, where = part.partition("=")
        if not equals or not where:
            raise OracleError(must_be("--space", "NAME=VALUE, NAME=LOW:HIGH or NAME=A,B", part))
        name = name.strip()
        if name in space:
            advice = f"A list of them is {name}=A,B."
            raise OracleError(must_be("--space", "told once for a parameter", part, advice))
        if "," in where:
            space[name] = [_value(text) for text in where.split(",")]
        else:
            ends = tuple(_value(text) for text in where.split(":"))
            space[name] = ends[0] if len(ends) == 1 else ends
            if len(ends) > 2:
                raise OracleError(must_be("--space", "a range LOW:HIGH", part))
    return space


def _axes(plane: str | None, png: Path | None, usual: tuple[str, str]) -> tuple[str, ...] | None:
    """Give the two parameters of the picture; None where none is drawn.

    Raises:
        OracleError: no picture shows the plane; the picture cannot be written.
    """
    from oracle.pictures.style import check_path

    if png is None:
        if plane is not None:
            advice = "Say by --png where its picture goes."
            raise OracleError(must_be("--plane", "left out without --png", plane, advice))
        return None
    check_path(png, "--png")
    return usual if plane is None else tuple(name.strip() for name in plane.split(","))


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip()


def _draw(
    samples: Table,
    found: Suggestions,
    axes: tuple[str, ...],
    space: dict[str, Any],
    asked: dict[str, Any],
    png: Path,
) -> None:
    """Draw two parameters around the first plan."""
    from oracle.pictures.plane import save
    from oracle.search.plane import plane

    drawn = plane(
        samples, found[0].parameters, (axes[0], axes[1]),
        library=found.library, objective=found.objectives[0], space=space, **asked,
    )  # fmt: skip
    save(drawn, found.plans[:SHOWN], png)
