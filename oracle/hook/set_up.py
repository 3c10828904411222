"""The hook: one line in anybody's training loop that says when to stop, and never does harm.

    with watch(total_epochs=1000, context=context_of(som, data), population="runs.db") as run:
        for epoch in range(1000):
            som.train_epoch(data)
            if run.report(epoch, mqe=..., topographic_error=..., dead_neuron_ratio=...).stop:
                break
    fitness = run.fitness()

Whatever fails (a model, a file, a server, a number) gives one warning a kind and a counter, and
the training goes on: any doubt is not a stop. The hook draws no random number, and touches
neither signals nor logging nor the map.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, SupportsFloat

from pydantic import ValidationError

from oracle.errors import InvalidHistory, must_be
from oracle.hook.checkpoints import CHECK_EVERY, number
from oracle.hook.fitness import names_of
from oracle.hook.local import Forecaster, Judge, LocalJudge
from oracle.hook.places.postgresql import Database
from oracle.hook.population import Population, population_at
from oracle.hook.population_file import stray
from oracle.hook.remote import TIMEOUT_S, RemoteJudge, planned_size
from oracle.hook.warn_once import Problems
from oracle.hook.watched import WatchedRun
from oracle.types import METRICS, Policy, RunContext, Scale, about, explain
from oracle.types.policy import POLICIES, ranked_by
from oracle.types.run_names import label_of

#: Where an evolutionary search dares more than a policy's defaults: it moves on, so that the best
#: tenth of all it ever tried is soon beaten; and a stop loses it little, for the run is still
#: ranked by its forecast. Chosen by `python -m bench.ea` on calibrate tables, see POLICY there.
SEARCH_FOR_ONE = {"good": 0.03, "risk": 0.1}
SEARCH_FOR_SEVERAL = {"risk": 0.35}
#: ... and of one objective where the oracle chooses, too, what is trained: its runs are alike.
SCREENED_FOR_ONE = {**SEARCH_FOR_ONE, "goal": "gain"}
#: The population of runs that tell nothing of their table.
DEFAULT = "default"
_UNNAMED = (
    "the run names no `dataset`, and its `context` does not tell its table: it is ranked among "
    f"all such runs of the search ({DEFAULT}), whatever their data. Give `dataset=`, or "
    "`context=context_of(som, data, ...)`, which makes its forecasts better, too."
)


def watch(
    *,
    total_epochs: SupportsFloat | None = None,
    context: RunContext | dict[str, Any] | None = None,
    dataset: str | int | None = None,
    policy: str | Policy | None = None,
    population: str | os.PathLike[str] | Database | Population | None = None,
    population_name: str | int | None = None,
    population_size: int | None = None,
    run_id: str | int | None = None,
    control: float | None = None,
    model: str | os.PathLike[str] | Forecaster | None = None,
    log: str | os.PathLike[str] | None = None,
    check_every: float = CHECK_EVERY,
    url: str | None = None,
    api_key: str | None = None,
    timeout_s: float = TIMEOUT_S,
    config: Mapping[str, Any] | None = None,
    tags: Iterable[str] | str | None = None,
    notes: str | None = None,
) -> WatchedRun:
    """Watch one training run; use it as a context manager, or call `finish` at its end.

    Nothing here raises for a value that does not fit: the run goes on unwatched, and says so.

    Args:
        total_epochs: the budget, in the unit of the epochs that will be reported.
        context: what is known before the run starts, see `context_of`.
        dataset: name of the table, as the population's any text or number.
        policy: threshold, population or pareto, or a Policy with its settings. None: population
            where there is one, else threshold, on the relative scale where the context has it;
            with a url, the service's own.
        population: the file that all runs of the search share, made where it is missing; for
            workers of several machines a database, postgresql://USER@HOST/DATABASE.
        population_name: the runs within it that this one is ranked among: one table's. Default:
            the dataset, else a name made of the table's size and scale, else `default`, which
            all runs share that tell nothing of their table.
        population_size: runs the whole search is planned to have, None = open-ended.
        run_id: name of the run; None = a fresh one. What cannot be a run_id is cleaned.
        control: share of stops let run on to measure wrong stops; None = the policy's, 0.05.
        model: a model folder, an `Oracle`, or None for the default one.
        log: a file that takes every decision as a JSON line, see `replay_decision`.
        check_every: smallest share of the budget between two decisions; without a budget they
            grow apart, unless it is 0.
        url: the service that decides instead of this process.
        api_key: for the service.
        timeout_s: of one request to the service.
        config: free settings of the run, nested or not, kept with it: nothing is decided by them.
        tags, notes: likewise.
    """
    run = WatchedRun(check_every=check_every)
    with run._protected("settings", "set up the watch"):
        check_given(
            *(population_size, check_every, url, timeout_s),
            *(config, tags, log, model, population),
        )
        known = context_given(context)
        dataset = None if dataset is None else label_of(dataset)
        named = _population_name(population_name, dataset, known)
        name = named or DEFAULT
        chosen = policy_of(policy, control, population is not None, known)
        is_scaled = known.mqe_of_mean is not None  # by which other tables are told apart
        if not (named or is_scaled) and chosen.name != "threshold" and (population or url):
            run.problems.note("unnamed", _UNNAMED)
        run._describe(run_id, dataset, name, total_epochs, known, chosen)
        said = about(None if run.name == run.run_id else run.name, config, tags, notes)
        judge: Judge
        if url is not None:
            own = None if policy is None and control is None else chosen
            judge = RemoteJudge(
                url,
                run.run_id,
                own,
                population=name,
                api_key=api_key,
                timeout_s=timeout_s,
                about=said,
                size=population_size,
                problems=run.problems,
            )
        else:
            _note_what_stops_nothing(run.problems, chosen, population is not None, total_epochs)
            judge = LocalJudge(
                run.run_id,
                chosen,
                run.problems,
                model=model,
                population=_opened(population, run.problems),
                name=name,
                size=population_size,
                about=said,
                log=log,
            )
        run._begin(judge)
    return run


def check_given(
    population_size: object = None,
    check_every: object = CHECK_EVERY,
    url: object = None,
    timeout_s: object = TIMEOUT_S,
    config: object = None,
    tags: object = None,
    log: object = None,
    model: object = None,
    population: object = None,
) -> None:
    """Check the settings of `watch` that have a rule of one value.

    Raises:
        InvalidHistory: for the first that breaks it.
    """
    if population_size is not None:
        planned_size(population_size)
    path = (str, os.PathLike)
    rules: tuple[tuple[str, object, bool, str], ...] = (
        ("check_every", check_every, _at_least(check_every, 0.0), "a share of the budget >= 0"),
        ("timeout_s", timeout_s, _at_least(timeout_s, 1e-9), "seconds > 0"),
        ("url", url, str(url).startswith(("http://", "https://")), "http:// or https:// and host"),
        ("config", config, isinstance(config, Mapping), "names with their values"),
        ("tags", tags, isinstance(tags, Iterable), "words"),
        ("log", log, isinstance(log, path), "the path of a file"),
        ("model", model, isinstance(model, path) or hasattr(model, "forecast"),
         "the folder of a model, or an Oracle"),
        ("population", population, isinstance(population, (*path, Database, Population)),
         "the path of a file, an address of PostgreSQL or a Population"),
    )  # fmt: skip
    for name, value, holds, rule in rules:
        if value is not None and not holds:
            raise InvalidHistory(must_be(name, rule, value))


def _at_least(value: object, least: float) -> bool:
    given = number(value)  # type: ignore[arg-type]
    return given is not None and given >= least


def context_given(given: RunContext | dict[str, Any] | None) -> RunContext:
    """Take what is known before a run starts.

    Raises:
        InvalidHistory: it cannot be.
    """
    try:
        return RunContext.model_validate({} if given is None else given)
    except ValidationError as error:
        raise InvalidHistory(explain(error)) from None


def policy_of(
    policy: str | Policy | None, control: float | None, has_population: bool, context: RunContext
) -> Policy:
    """Choose the policy of a run, by what was given and what is known.

    Raises:
        InvalidHistory: there is no such policy, or no such share of controls.
    """
    settings: dict[str, Any] = {} if control is None else {"control": control}
    if policy is None and not has_population and context.mqe_of_mean is not None:
        settings["scale"] = Scale.RELATIVE  # a raw threshold fits no scale but its own
    name = ("population" if has_population else "threshold") if policy is None else policy
    own = policy.model_dump() if isinstance(policy, Policy) else {"name": name}
    if own["name"] not in POLICIES:
        raise InvalidHistory(must_be("policy", f"{', '.join(POLICIES)} or a Policy", policy))
    try:
        return Policy.model_validate(own | settings)
    except ValidationError as error:
        raise InvalidHistory(explain(error)) from None


def _note_what_stops_nothing(
    problems: Problems, policy: Policy, has_population: bool, total_epochs: SupportsFloat | None
) -> None:
    """Say at once what no report of the run can change."""
    if policy.name == "threshold":
        return
    if not has_population:
        message = f"the {policy.name} policy stops nothing without `population=`, a file of runs."
        problems.note("no_population", message)
    if total_epochs is None:
        message = f"the {policy.name} policy stops nothing without `total_epochs=`, the budget."
        problems.note("no_progress", message)
    unknown = [name for name in getattr(policy, "objectives", ()) if name not in METRICS]
    if policy.name == "pareto" and unknown:
        message = f"the pareto policy stops nothing: no oracle forecasts `{unknown[0]:.40}`."
        problems.note("unknown_objective", message)


def _opened(
    population: str | os.PathLike[str] | Database | Population | None, problems: Problems
) -> Population | None:
    if population is None or isinstance(population, Population):
        return population
    if not isinstance(population, Database) and (word := stray(population)) is not None:
        problems.note("relative_population", word)
    return population_at(population)


def _population_name(
    population_name: str | int | None, dataset: str | int | None, context: RunContext
) -> str | None:
    """Name the runs that a run is ranked among, by the first that is told."""
    told = (population_name, dataset, _table_name(context))
    return next((label for one in told if one is not None and (label := label_of(one))), None)


def _table_name(context: RunContext) -> str | None:
    """Tell tables apart by what is known of them: mixing their scales is the classic error."""
    if context.n_samples is None or context.mqe_of_mean is None:
        return None
    return f"{context.n_samples:g}x{context.n_features or 0:g}-{context.mqe_of_mean:.6g}"


def policy_for(
    objectives: tuple[str, ...] | str, *, screened: bool = False, **settings: Any
) -> Policy:
    """Choose the policy of a search that ranks stopped runs by their forecast.

    Args:
        objectives: what it minimises: names after METRICS, or `score`.
        screened: whether the oracle chooses, too, what is trained (`oracle.Screen`); of one
            objective a run must then have a chance of a gain. Of several it always must.
        settings: of the policy, in place of those chosen here, e.g. risk.

    Returns:
        For one objective `population`, ranking by it; for several `pareto`.

    Raises:
        InvalidHistory: none, or one alone that no oracle forecasts; a setting that is none.
    """
    objectives = names_of(objectives)
    one = SCREENED_FOR_ONE if screened else SEARCH_FOR_ONE
    dares = SEARCH_FOR_SEVERAL if len(objectives) > 1 else one
    try:
        return Policy.model_validate({**ranked_by(objectives), **dares, **settings})
    except ValidationError as error:
        raise InvalidHistory(explain(error)) from None
