"""A second look at the runs of a population file: the stopped ones that are worth their end.

for one in promising("runs.db"):
    print(one)                          # its name, P(better than all), expected gain, cost

def train(member, watch):
    som, data, n = ... member.config    # as `watch(config=...)` was told of the run
    return minisom.train(som, data, n, watch=watch)

for one in finish_promising("runs.db", train, k=6):
    print(one.promising.run_id, one.forecast, one.final)
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from oracle.decision.second_look import Ended, Finished, Promising, ends_of, worth_finishing
from oracle.decision.second_look import finish_promising as finish
from oracle.errors import InvalidHistory, must_be
from oracle.hook.fitness import Fitness
from oracle.hook.population import Population, population_at
from oracle.hook.population_file import place_of
from oracle.hook.population_summary import Member, policy_told
from oracle.hook.search import fitness_of, settings_of, to_its_end, trained_anew
from oracle.hook.set_up import watch
from oracle.hook.watched import WatchedRun
from oracle.types import TARGETS, Policy
from oracle.types.run_names import run_id_of

#: How a run of the file ended that tells how it ends; others live, or were given up.
_ENDED = ("finished", "left", "stopped")
Train = Callable[[Member, Callable[..., WatchedRun]], WatchedRun | Fitness]


def promising(
    population: str | os.PathLike[str] | Population,
    name: str | None = None,
    *,
    least: float | None = None,
    resumes: bool = False,
) -> list[Promising]:
    """List the stopped runs of a population that are worth finishing, the most promising first.

    Args:
        population: the file that the runs of the search share.
        name: one population in it; None where there is only one.
        least: as in `finish_promising`.
        resumes: whether a run goes on from the map at its stop, which costs the rest of its budget;
            trained anew, as `finish_promising` takes it to be, it costs all of it.

    Raises:
        InvalidHistory: no such file or population.
    """
    read = _read(*_opened(population, name), resumes)
    stopped, finished = ends_of(read.runs, read.policy)
    return worth_finishing(stopped, list(finished.values()), least)


def finish_promising(
    population: str | os.PathLike[str] | Population,
    train: Train,
    name: str | None = None,
    *,
    k: int | None = None,
    budget: float | None = None,
    least: float | None = None,
    resumes: bool = False,
    **settings: Any,
) -> list[Finished]:
    """Train the most promising stopped runs of a population to their end.

    Args:
        population, name: as in `promising`.
        train: takes the run as the file keeps it and a `watch` that stops nothing, trains it to its
            end, and returns the watched run or its fitness.
        k, budget, least: see `oracle.decision.second_look.finish_promising`.
        resumes: `train` goes on from the map at the stop.
        settings: of `oracle.watch`, e.g. model, log.

    Returns:
        Those that were trained, in their order. The file has how they ended.

    Raises:
        InvalidHistory: no such file or population, a bound or a setting that cannot be.
    """
    shared, name = _opened(population, name)
    read = _read(shared, name, resumes)
    bound = {"population": shared, "population_name": name, "policy": read.policy, **settings}
    search = settings_of(("score",), bound)

    def ended(run_id: str) -> Sequence[float] | None:
        member = read.members[run_id]
        # A name is kept cut; one that was longer is no name of this run.
        own = member.name if member.name and run_id_of(member.name) == run_id else run_id
        goes_on = nullcontext(to_its_end(search))
        with goes_on if resumes else trained_anew(search, own) as whole:
            run = train(member, partial(watch, **member.said | whole | {"run_id": own}))
        fitness = fitness_of(run)
        if fitness.censored:
            return None
        values = (fitness.mqe, fitness.topographic_error, fitness.dead_neuron_ratio)
        new = Ended(run_id, values, False, 0.0, (), fitness.mqe_of_mean, 0.0)
        others = [one for one in read.runs if one.run_id != run_id]
        return ends_of([*others, new], read.policy)[1].get(run_id)

    stopped, finished = ends_of(read.runs, read.policy)
    return finish(stopped, list(finished.values()), ended, k=k, budget=budget, least=least)


def _opened(
    population: str | os.PathLike[str] | Population, name: str | None
) -> tuple[Population, str]:
    shared = population
    if not isinstance(shared, Population):
        where = place_of(shared)
        if isinstance(where, Path) and not where.is_file():
            raise InvalidHistory(must_be("population", "a file that a search wrote", str(where)))
        shared = population_at(where)
    names = shared.names()
    if name is None and len(names) == 1:
        return shared, names[0]
    if name not in names:
        rule = f"one of {', '.join(names)}" if names else "of a file that holds a run"
        raise InvalidHistory(must_be("name", rule, name))
    return shared, name


class _Read(NamedTuple):
    """The runs of a population that have ended, and the policy that ranked them."""

    policy: Policy
    members: dict[str, Member]
    runs: list[Ended]


def _read(shared: Population, name: str, resumes: bool) -> _Read:
    members = shared.members(name)
    policy = policy_told(members) or Policy(name="population")
    ended = [
        one
        for one in members
        if one.final_mqe is not None and one.state in _ENDED and not one.is_trained_anew
    ]
    return _Read(policy, {one.run_id: one for one in ended}, [_end(one, resumes) for one in ended])


def _end(member: Member, resumes: bool) -> Ended:
    mqe, topographic, dead = (getattr(member, target) for target in TARGETS)
    return Ended(
        member.run_id,
        (mqe, topographic, dead),
        member.state == "stopped",
        member.spread or 0.0,
        tuple(json.loads(member.spreads or "[0, 0, 0]")),
        member.mqe_of_mean,
        1.0 - (member.progress or 0.0) if resumes else 1.0,
    )
