"""Bodies that tell of populations: how runs ended, what was saved, what is worth finishing."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from oracle.server.http.wire import Final
from oracle.types import Frozen, NonNegative, Ratio, RunId
from oracle.types.about import Setting


class PopulationCount(Frozen):
    """A population in the list.

    Attributes:
        name: of the population.
        running: runs that still train.
        stopped: runs that were stopped.
        finished: runs that have finished.
        updated_at: when one of its runs last changed, UTC, ISO 8601.
    """

    name: str
    running: int
    stopped: int
    finished: int
    updated_at: str


class PopulationList(Frozen):
    """The populations last heard of.

    Attributes:
        populations: the last heard of first.
    """

    populations: tuple[PopulationCount, ...]


class Savings(Frozen):
    """Compute saved by stops, over ended runs whose budget is known.

    A run that was left by a rule of its own counts as planned up to where it ended.

    Attributes:
        runs: that are counted.
        planned_epochs: sum of their budgets.
        used_epochs: sum of what they trained.
        saved_epochs: planned without used.
        saved_share: saved of planned, 0..1.
    """

    runs: int
    planned_epochs: float
    used_epochs: float
    saved_epochs: float
    saved_share: Ratio


class WrongStops(Frozen):
    """How often a stop would have been wrong, measured on runs that were let run on.

    Attributes:
        controls: control runs that have ended.
        waiting: control runs still training.
        wrong: of the ended ones, how many are among the best share `good`.
        rate: `wrong` of `controls`, 0..1; null where no control has ended.
        upper: one-sided 95 % bound of the rate, at every look: 0 of 5 still allows 49 %.
        confidence: of the bound.
        good: the best share of the population that counts as good.
        held: runs that were let run on by the control draw.
        stops: runs that were stopped or held: held / stops should be the policy's `control`.
        share: `control` of the service's policy.
        departs: so few or so many of the stops were held that chance hardly explains it.
    """

    controls: int
    waiting: int
    wrong: int
    rate: float | None
    upper: float
    confidence: float = 0.95
    good: float
    held: int = 0
    stops: int = 0
    share: Ratio = 0.0
    departs: bool = False


class EndedRun(Final):
    """One outcome of a population with its quality score; null where a metric is undefined.

    Attributes:
        run_id: name of the run.
        quality: its quality score; null where a metric is undefined.
        control: it was drawn to run on past a stop.
    """

    run_id: RunId
    quality: float | None
    control: bool


class PopulationDetail(Frozen):
    """One population: what was saved, what was lost, how its runs ended.

    Attributes:
        name: of the population.
        running: runs that still train.
        stopped: runs that were stopped.
        finished: runs that have finished.
        mqe_of_mean: scale of its table, input-space units; null where unknown.
        updated_at: when one of its runs last changed, UTC, ISO 8601.
        savings: compute saved by stops.
        wrong_stops: how often a stop would have been wrong.
        scale: units of mqe in its quality scores: raw or relative.
        weights: of the quality score: mqe, topographic error, dead-neuron ratio.
        outcomes: how its runs ended.
    """

    name: str
    running: int
    stopped: int
    finished: int
    mqe_of_mean: float | None
    updated_at: str
    savings: Savings
    wrong_stops: WrongStops
    scale: str
    weights: tuple[float, float, float]
    outcomes: tuple[EndedRun, ...]


class PromisingRun(Frozen):
    """A stopped run, and what finishing it is worth.

    Attributes:
        run_id: name of the run.
        name: as its client named it; null where it did not.
        config: settings that its client told, to train it anew with.
        p_better: P(it ends better than every finished run), of several objectives P(their front
            gains).
        gain: expected: of one objective in its own units, of several the hypervolume, in units of
            the box between the best and the worst values.
        cost: rest of its budget, as a share of it; a run that is trained anew costs 1.
    """

    run_id: RunId
    name: str | None
    config: dict[str, Setting] | None
    p_better: Ratio
    gain: NonNegative
    cost: Ratio


class PromisingList(Frozen):
    """The stopped runs of a population that are worth finishing, the most promising first.

    Attributes:
        population: its name.
        objectives: what was compared: score, or metrics.
        stopped, finished: runs that were compared.
        runs: the most promising first.
    """

    population: str
    objectives: tuple[str, ...]
    stopped: int
    finished: int
    runs: tuple[PromisingRun, ...]


class PopulationTable(Frozen):
    """The runs of a population by column, newest first: what a page or a script draws at once.

    Attributes:
        name: of the population.
        planned: runs the whole search is planned to have, as its clients said; null: unknown.
        runs: in this answer: so many values has every column.
        columns: as in a run's summary; `quality` and each `forecast_*` are five quantiles, rounded
            to six digits, `notes` begin there; `message` and `ending` are left out.
        same: settings that all of these runs share. A setting is what the client said in `config`
            and the fields of `context`; a schedule by its ends.
        settings: those that differ, a value a run, null where it was not told.
        newest: hand it back as `after` for the runs that came since.
        next_cursor: leads to the next, older ones; null at the end.
    """

    name: str
    planned: int | None
    runs: int
    columns: dict[str, list[Any]]
    same: dict[str, Setting]
    settings: dict[str, list[Setting]]
    newest: str | None
    next_cursor: str | None


#: Three numbers of one kind: a tuple of three would be described as three kinds.
Quartiles = Annotated[tuple[float, ...], Field(min_length=3, max_length=3)]


class PopulationBand(Frozen):
    """How the latest runs of a population stood after each share of their budget.

    Attributes:
        name: of the population.
        progress: shares of the budget, increasing, at which enough runs were seen.
        runs: how many were, at each.
        mqe, topographic_error, dead_neuron_ratio: quartiles at each; null where too few had one.
    """

    name: str
    progress: tuple[float, ...]
    runs: tuple[int, ...]
    mqe: tuple[Quartiles | None, ...]
    topographic_error: tuple[Quartiles | None, ...]
    dead_neuron_ratio: tuple[Quartiles | None, ...]
