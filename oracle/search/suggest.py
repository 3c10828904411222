"""Which plans are worth training: thousands are drawn and forecast, the best unlike ones told.

    from oracle import suggest

    for plan in suggest(data, n=10, library="minisom"):
        som = MiniSom(**plan.make)

Of many forecasts the lowest are the luckiest, too: what is chosen is the lowest by a cautious
level of its distribution, and what is told of it is made up for the luck that choosing had on
tables which nothing was fitted to (docs/suggest.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from oracle.decision.hypervolume import nondominated
from oracle.errors import InvalidSearch, must_be
from oracle.forecast.forecaster import Oracle
from oracle.search.lessons import Place, PopulationLessons, Teacher
from oracle.search.libraries import Library, library_of
from oracle.search.parameters import as_float, draw, narrowed
from oracle.search.plan import PASSES, Plan
from oracle.search.reach import (
    FEW,
    beyond,
    forecasts_of,
    known_of,
    learned_by,
    oracle_of,
)
from oracle.search.table import Table, table_of
from oracle.types import (
    LEVELS,
    METRICS,
    FloatArray,
    Forecast,
    Scale,
    Suggestion,
    Suggestions,
)

#: What may be asked for: the quality score, or metrics.
OBJECTIVES = ("quality", *METRICS)
#: Level of a forecast that plans are compared by: above the median, for what is sure is better.
CAUTION = LEVELS.index(0.75)
#: How much worse suggested plans ended than was forecast, by objective: the mean over 40 tables
#: that `python -m bench.suggest` prints. What is told of suggestions is shifted by it.
LUCK = {"quality": 0.031, "mqe": -0.006, "topographic_error": 0.006, "dead_neuron_ratio": 0.001}
#: Plans nearer than this, root mean square over the parameters' ranges, are told once.
APART = 0.15
MOST_CANDIDATES, MOST_TOLD = 20_000, 1_000
#: Of fewer candidates nobody looks for why most are unlike any training: it takes as many again.
ENOUGH_TO_TELL = 50
#: Times that candidates are drawn, where a library takes few of them.
MOST_ROUNDS = 8


def suggest(
    data: Any,
    n: int = 20,
    *,
    library: str = "minisom",
    objectives: Sequence[str] = ("quality",),
    space: Mapping[str, Any] | None = None,
    budget: float | None = None,
    candidates: int = 1_000,
    seed: int = 0,
    oracle: Oracle | None = None,
    population: Place = None,
    population_name: str | int | None = None,
) -> Suggestions:
    """Forecast many plans of a library on a table, and give the best that are unlike each other.

    Args:
        data: samples [sample, feature] as the maps will see them; a RunContext that tells the
            table's size, its `mqe_of_mean` and, better, its `geometry`; or the `Table` that was
            read of either (`oracle.search.table.table_of`), which saves reading it again.
        n: plans wanted.
        library: whose parameters: one of `oracle.search.libraries.LIBRARIES`.
        objectives: what is wanted low: quality (the score), mqe, topographic_error,
            dead_neuron_ratio. Of several the plans are a front, spread out.
        space: parameter -> a value, a range as a tuple (low, high), or a list of choices, where
            the usual ones will not do.
        budget: sample updates of each training; None = 20 passes over the table.
        candidates: plans that are drawn.
        seed: of the drawing.
        oracle: None = the active one.
        population: where `oracle.watch` enters the runs of a search on this table, of which
            nothing is changed: those that ended teach the forecasts. None = nothing is learned.
        population_name: the runs within it, as `watch` calls them: its `population_name`, else its
            `dataset`; None = all that have ended on this table.

    Returns:
        The best plans. Where the oracle knows too little of all of them there are none: `unlike`
        and its text say why, and to take a plan of it raises InvalidSearch that says so. Where a
        population teaches nothing, `not_learned` says why.

    Raises:
        InvalidSearch: an argument breaks a rule, or nothing that was drawn fits the library.
        InvalidHistory: `data` is no table of numbers, `population` no place of runs.
        StoreUnavailable: the population cannot be read.
    """
    table = table_of(data)
    return suggest_by(
        PopulationLessons(population, population_name, table), table, n, library=library,
        objectives=objectives, space=space, budget=budget, candidates=candidates, seed=seed,
        oracle=oracle,
    )  # fmt: skip


def suggest_by(
    teacher: Teacher,
    table: Table,
    n: int,
    *,
    library: str,
    objectives: Sequence[str],
    space: Mapping[str, Any] | None,
    budget: float | None,
    candidates: int,
    seed: int,
    oracle: Oracle | None,
) -> Suggestions:
    """`suggest`, by whatever tells what the runs of the table have taught."""
    wanted = checked(objectives)
    check_count("n", n, MOST_TOLD)
    check_count("candidates", candidates, MOST_CANDIDATES)
    _check_seed(seed)
    updates = updates_of(budget, table)
    made = library_of(library)
    plans, places = plans_on(made, table, space, updates, candidates, seed)
    oracle = oracle_of(oracle)
    taught = teacher(oracle)
    forecasts = forecasts_of(plans, oracle, taught.known)
    judged = np.flatnonzero(known_of(forecasts))
    told = np.array([[expected(forecasts[i], o) for o in wanted] for i in judged])
    order = choose(told[..., CAUTION], places[judged], n) if len(judged) else []
    unlike = None
    if 2 * len(judged) < len(plans) and candidates >= ENOUGH_TO_TELL:

        def ask(table: Table, budget: float | None, own: bool) -> list[Plan]:
            part = space if own else None
            return plans_on(made, table, part, updates_of(budget, table), FEW, seed)[0]

        unlike = beyond(table, budget, ask, oracle) or None
    return Suggestions(
        library=library,
        objectives=wanted,
        candidates=len(plans),
        refused=len(plans) - len(judged),
        unlike=unlike,
        learned=learned_by(forecasts),
        not_learned=taught.why_not,
        model=oracle.info,
        plans=tuple(suggestion(plans[judged[i]], forecasts[judged[i]], wanted) for i in order),
    )


def check_count(name: str, value: object, most: int) -> None:
    """Refuse what is no whole number from 1 to `most`.

    Raises:
        InvalidSearch: naming it.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not 1 <= int(value) <= most:
        raise InvalidSearch(must_be(name, f"a whole number from 1 to {most:,}", value))


def _check_seed(seed: object) -> None:
    if isinstance(seed, bool) or not isinstance(seed, Integral) or int(seed) < 0:
        raise InvalidSearch(must_be("seed", "a whole number from 0 on", seed))


def suggestion(plan: Plan, forecast: Forecast, objectives: Sequence[str]) -> Suggestion:
    """Tell a chosen plan with its forecast, the luck of choosing made up for."""
    return Suggestion(
        parameters=plan.parameters,
        make=plan.make,
        train=plan.train,
        code=plan.code,
        expected={o: tuple(np.maximum(expected(forecast, o) + LUCK[o], 0.0)) for o in objectives},
        support=forecast.support,
        cost=plan.cost,
    )


def expected(forecast: Forecast, objective: str) -> FloatArray:
    """Give a forecast of an objective, [level]; mqe over mqe_of_mean."""
    if objective == "quality":
        quality = forecast.quality_on(Scale.RELATIVE)
        return np.array(quality.values if quality is not None else [np.nan] * len(LEVELS))
    values = np.array(forecast.final[f"final_{objective}"])
    return values / (forecast.mqe_of_mean or 1.0) if objective == "mqe" else values


def updates_of(budget: object, table: Table) -> int:
    """Give the sample updates of a training.

    Raises:
        InvalidSearch: no number above 0.
    """
    if budget is None:
        return PASSES * table.n_samples
    is_number = isinstance(budget, Real) and not isinstance(budget, bool)
    if not is_number or not 1 <= as_float(budget) <= 1e12:
        raise InvalidSearch(must_be("budget", "a number of sample updates from 1 to 1e12", budget))
    return round(as_float(budget))


def checked(objectives: Sequence[str]) -> tuple[str, ...]:
    """Refuse what is not forecast.

    Raises:
        InvalidSearch: none, too many, or an unknown objective.
    """
    rule, advice = f"one to three of {', '.join(OBJECTIVES)}", "Nothing else is forecast."
    try:
        told = (objectives,) if isinstance(objectives, str) else tuple(objectives)
        # `score` is what searches call it (`policy_for`, `Watched`).
        wanted = tuple(dict.fromkeys("quality" if one == "score" else one for one in told))
    except TypeError:  # None, a number, a list in the list
        raise InvalidSearch(must_be("objectives", rule, objectives, advice)) from None
    unknown = [o for o in wanted if o not in OBJECTIVES]
    if unknown or not wanted or len(wanted) > len(METRICS):
        raise InvalidSearch(must_be("objectives", rule, unknown[0] if unknown else wanted, advice))
    return wanted


def plans_on(
    made: Library,
    table: Table,
    space: Mapping[str, Any] | None,
    updates: int,
    candidates: int,
    seed: int,
) -> tuple[list[Plan], FloatArray]:
    """Draw plans that the library takes, and where each lies in the space."""
    looked_in = narrowed(made.space(table, longest_side(table)), space)
    rng = np.random.default_rng(seed)
    plans: list[Plan] = []
    places: list[FloatArray] = []
    for _ in range(MOST_ROUNDS):
        parameters, where = draw(looked_in, candidates, rng)
        fitting = [i for i, one in enumerate(parameters) if made.fits(one)]
        fitting = fitting[: candidates - len(plans)]
        plans += [made.plan(parameters[i], table, updates) for i in fitting]
        places.append(where[fitting])
        if len(plans) == candidates:
            break
    if not plans:
        rule = f"a part where {made.name} would train a map"
        raise InvalidSearch(must_be("space", rule, dict(space or {}), "Ask for another part."))
    return plans, np.concatenate(places)


def complete(made: Library, table: Table, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Give all parameters of a library: those that are told, the others as is usual.

    Raises:
        InvalidSearch: a parameter or value that the library does not know, or does not train with.
    """
    space = narrowed(made.space(table, longest_side(table)), parameters, "parameters")
    whole = {name: parameter.usual for name, parameter in space.items()}
    if not made.fits(whole):
        named = {name: whole[name] for name in whole if name in re.findall(r"\w+", made.rule)}
        advice = "What is not told is as usual." if len(parameters) < len(whole) else ""
        rule = f"such that {made.name} trains as they say ({made.rule})"
        raise InvalidSearch(must_be("parameters", rule, named, advice))
    return whole


def longest_side(table: Table) -> int:
    """Give the longest side of a map that is worth a look: four times the usual neurons.

    The usual number is 5 * sqrt(samples) (Vesanto et al., SOM Toolbox for Matlab 5, 2000).
    """
    return int(np.clip(np.ceil(2 * np.sqrt(5 * np.sqrt(table.n_samples))), 6, 40))


def choose(values: FloatArray, places: FloatArray, n: int) -> list[int]:
    """Choose `n` plans by values [plan, objective], those unlike each other first."""
    fronts = _fronts(values)
    order = [i for front in fronts for i in front]
    chosen: list[int] = []
    for i in order:
        if len(chosen) == n:
            return chosen
        if all(_apart(places[i], places[j]) for j in chosen):
            chosen.append(i)
    rest = [i for i in order if i not in set(chosen)]
    return chosen + rest[: n - len(chosen)]


def _apart(one: FloatArray, other: FloatArray) -> bool:
    return bool(np.sqrt(np.mean((one - other) ** 2)) >= APART)


def _fronts(values: FloatArray) -> list[list[int]]:
    """Sort plans [plan, objective] into fronts, the first the best; of one objective by value.

    A front is told from its middle: first the plans that are good in everything.
    """
    if values.shape[1] == 1:
        return [np.argsort(values[:, 0], kind="stable").tolist()]
    left = np.arange(len(values))
    fronts: list[list[int]] = []
    spread = np.maximum(np.ptp(values, axis=0), 1e-12)
    while len(left):
        front = nondominated(values[left])
        on = (values[left][:, None] == front[None]).all(axis=2).any(axis=1)
        members = left[on]
        away = ((values[members] - values.min(axis=0)) / spread).sum(axis=1)
        fronts.append(members[np.argsort(away, kind="stable")].tolist())
        left = left[~on]
    return fronts
