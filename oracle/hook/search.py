"""What every run of a search is watched with, bound once by the adapter that runs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from typing import Any

from oracle.errors import InvalidHistory, must_be
from oracle.hook.fitness import Fitness, names_of
from oracle.hook.population import Population, population_at
from oracle.hook.population_file import place_of
from oracle.hook.set_up import check_given, context_given, policy_for, policy_of, watch
from oracle.hook.warn_once import Problems
from oracle.hook.watched import WatchedRun
from oracle.types import METRICS, RunContext
from oracle.types.run_names import label_of, run_id_of


def settings_of(objectives: tuple[str, ...] | str, settings: dict[str, Any]) -> dict[str, Any]:
    """Complete the settings of `oracle.watch` that all runs of a search share.

    The policy follows from what the search minimises. A relative population file is taken from
    the folder of now: workers may have folders of their own.

    Raises:
        InvalidHistory: an objective or a setting that is none, a policy or a context that cannot
            be, or a name of the run, of which there are many.
    """
    objectives = names_of(objectives)
    unknown = [name for name in objectives if name not in (*METRICS, "score")]
    if unknown or not objectives:
        rule = f"of {', '.join(METRICS)} or score"
        raise InvalidHistory(must_be("objectives", rule, unknown or objectives))
    if "run_id" in settings:
        advice = "Every run of a search gets a name of its own."
        raise InvalidHistory(must_be("run_id", "left out", settings["run_id"], advice))
    if others := settings.keys() - signature(watch).parameters.keys():
        raise InvalidHistory(must_be("settings", "of `oracle.watch`", ", ".join(sorted(others))))
    settings = {"policy": policy_for(objectives), **settings}
    policy_of(settings["policy"], settings.get("control"), True, RunContext())
    context_given(settings.get("context"))
    ruled = signature(check_given).parameters
    check_given(**{name: value for name, value in settings.items() if name in ruled})
    if isinstance(settings.get("population"), str | os.PathLike):
        settings["population"] = place_of(settings["population"])
    return settings


#: Reads genes as the named parameters that they stand for, as a `Screen` does.
ReadGenes = Callable[[Any], Mapping[str, Any]]


def with_genes(
    settings: dict[str, Any],
    genes: Any,
    parameters: ReadGenes | None = None,
    problems: Problems | None = None,
) -> dict[str, Any]:
    """Keep the genes with the run that they make, as its `config`, where the search gives none.

    A report then tells which of them are good, and a stopped run can be trained anew from its file.

    Args:
        settings: of `oracle.watch`.
        genes: names -> values, or values in order; what is neither is not kept.
        parameters: reads the genes; where it fails they are kept as they are.
        problems: are told of that.

    >>> with_genes({}, [2.0, "pca"])
    {'config': {'gene 1': 2.0, 'gene 2': 'pca'}}
    >>> with_genes({}, [2.0, "pca"], lambda genes: {"sigma": genes[0]})
    {'config': {'sigma': 2.0}}
    """
    if "config" in settings:
        return settings
    if parameters is not None:
        try:
            return {**settings, "config": dict(parameters(genes))}
        except Exception as error:
            (problems or Problems()).note_error("parameters", "read the genes", error)
    if isinstance(genes, str | bytes):
        return settings
    if isinstance(genes, Mapping):
        return {**settings, "config": dict(genes)}
    try:
        values = list(genes)
    except TypeError:
        return settings
    return {**settings, "config": {f"gene {i}": value for i, value in enumerate(values, 1)}}


def fitness_of(returned: object) -> Fitness:
    """Give the fitness of what a search's own training function returned.

    Raises:
        InvalidHistory: it is neither a watched run nor a fitness.
    """
    if isinstance(returned, WatchedRun):
        return returned.fitness()
    if not isinstance(returned, Fitness):
        advice = "End the function with `return run`."
        raise InvalidHistory(
            must_be("train", "a function that returns the watched run", returned, advice)
        )
    return returned


def to_its_end(settings: dict[str, Any]) -> dict[str, Any]:
    """Change the settings of a search for a run that is trained to its end: no rule may stop it.

    It is no control, for it was not drawn by chance; its population learns how it ended.
    """
    policy = policy_of(settings["policy"], settings.get("control"), True, RunContext())
    return {**settings, "policy": policy.model_copy(update={"min_progress": 1.0})}


@contextmanager
def trained_anew(settings: dict[str, Any], run_id: str | None) -> Iterator[dict[str, Any]]:
    """Change the settings of a search for a stopped run that is trained anew to its end.

    It keeps its name, so that its population has one run of it, which finished, and not the
    stopped one beside it; what its earlier attempts used is counted with it. A run that the
    search's population does not know as stopped, or one at a service, gets a new name.

    Args:
        settings: of `oracle.watch`.
        run_id: the stopped run, as `Fitness.run_id` tells it.
    """
    bound, place = to_its_end(settings), settings.get("population")
    if run_id is None or place is None or settings.get("url"):
        yield bound
        return
    problems, named = Problems(), settings.get("population_name")
    shared, known = None, None
    try:
        shared = place if isinstance(place, Population) else population_at(place)
        known = _stopped(shared, run_id, named)
    except Exception as error:
        problems.note_error("population", "look up the stopped run", error)
    if shared is None or known is None:
        yield bound
        return
    try:
        yield {**bound, "run_id": run_id}
    finally:
        try:
            if _stopped(shared, run_id, named) is None:  # it was begun anew
                shared.trained_anew(known[0], run_id_of(run_id), known[1])
        except Exception as error:
            problems.note_error("population", "count what the stopped run had used", error)


def _stopped(shared: Population, run_id: str, named: str | int | None) -> tuple[str, float] | None:
    """Find a stopped run: its population, and the shares of its budget that it has used."""
    for name in reversed(shared.names()):
        if named is not None and name != label_of(named):
            continue
        for member in shared.members(name):
            if member.run_id == run_id_of(run_id) and member.state == "stopped":
                return name, member.spent_before + (member.progress or 0.0)
    return None


def summary_of(settings: dict[str, Any]) -> str:
    """Tell how a search went, by the file in which its workers meet."""
    population = settings.get("population")
    if settings.get("url"):
        return f"the service at {settings['url']} counts the runs: its page tells how they went."
    if population is None:
        return "no `population=` was given, a file in which the runs of the search are counted."
    shared = population if isinstance(population, Population) else population_at(population)
    return str(shared.summary())
