"""`oracle runs`: how the searches of a population file went."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.errors import InvalidHistory, StoreUnavailable, must_be
from oracle.hook.population import Population
from oracle.hook.population_file import place_of
from oracle.hook.second_look import promising as worth_finishing
from oracle.types.fields import one_form


def runs(
    file: Annotated[
        str,
        typer.Argument(help="The population file that the workers shared, or postgresql://..."),
    ],
    population: Annotated[
        str | None, typer.Option(help="One population in it (default: all).")
    ] = None,
    promising: Annotated[
        bool, typer.Option("--promising", help="List stopped runs that are worth finishing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print counts and every run as JSON.")
    ] = False,
) -> None:
    """Tell how searches went: stops, savings, the best run, why nothing was stopped."""
    shared, names = opened(file)
    population = one_form(population)
    if population is not None and population not in names:
        raise InvalidHistory(must_be("population", f"one of {', '.join(names)}", population))
    chosen = names if population is None else (population,)
    if as_json:
        print(json.dumps([told_of(shared, name, promising) for name in chosen], indent=2))
        return
    for name in chosen:
        print(shared.summary(name))
        print(f"  {shared.wrong_stops(name)}")
        if promising:
            _print_promising(shared, name)
    if not chosen:
        print(shared.summary())


def opened(file: str | Path) -> tuple[Population, tuple[str, ...]]:
    """Open a population that is there, and name the populations in it.

    Raises:
        InvalidHistory: it is none.
        StoreUnavailable: it is locked.
        OSError: there is no such file.
    """
    place = place_of(file)
    if isinstance(place, Path):
        place.stat()  # asking makes no file
    shared = Population(place)
    try:
        return shared, shared.names()
    except StoreUnavailable as error:
        if "locked" in str(error) or not isinstance(place, Path):
            raise
        from oracle.server.storage.whose import in_file  # only where something is wrong

        if in_file(place).kind == "store":
            rule = "a population file, not a store of the service"
            advice = f"`oracle report NAME --from {place.name}` reads that, and the page shows it."
            raise InvalidHistory(must_be("file", rule, str(file), advice)) from None
        raise InvalidHistory(str(error)) from None


def _print_promising(shared: Population, name: str) -> None:
    worth = worth_finishing(shared, name)
    print("  worth training anew, to the end: " + ("" if worth else "none"))
    for one in worth:
        print(
            f"    {one.run_id}: P(better than all) {one.p_better:.0%}, expected gain {one.gain:.4g}"
        )


def told_of(shared: Population, name: str, promising: bool = False) -> dict[str, Any]:
    """Give a population's counts and every run of it as JSON values."""
    counts = dataclasses.asdict(shared.tally(name))
    del counts["others"]
    worth = worth_finishing(shared, name) if promising else []
    told = {"promising": [dataclasses.asdict(one) for one in worth]} if promising else {}
    return {
        **counts,
        "wrong_stops": dataclasses.asdict(shared.wrong_stops(name)),
        **told,
        "runs": [member.as_json() for member in shared.members(name)],
    }
