"""Who answers a watched run: the oracle in this process, or the service.

A judge takes what fails in its parts to the run's problems and answers with what is left;
only what it cannot answer at all is raised, and the watched run then abstains.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from oracle.decision.log_writer import DecisionLog
from oracle.decision.policy import decide, outcome_of
from oracle.decision.rules import spreads_of
from oracle.errors import InvalidHistory, StoreUnavailable, must_be
from oracle.forks import UncutLock
from oracle.hook.circuit import circuit_of
from oracle.hook.foreign import check_forecast
from oracle.hook.population import Population
from oracle.hook.verdicts import Verdicts
from oracle.hook.warn_once import Problems
from oracle.types import About, Decision, Forecast, History, Outcome, Policy, Reason, Reference

if TYPE_CHECKING:
    from oracle.forecast.forecaster import Oracle

T = TypeVar("T")
#: Of a watched run; its judge is told of one that has diverged by that word.
State = Literal["live", "finished", "stopped", "left", "abandoned", "diverged"]


class Judge(Protocol):
    """Answers for one run, from its start to its end.

    Attributes:
        search: what it has in common with the judges of the same search.
        is_alone: nothing is known of others whose values it could be compared with.
    """

    search: Hashable
    is_alone: bool

    def start(self) -> None:
        """Announce the run."""

    def decide(self, history: History, previous: int) -> Decision:
        """Answer for the run so far; `previous` is the last decision's `below_risk`."""

    def rewind(self, epoch: float) -> None:
        """Take note that the training went back to the map of `epoch`."""

    def end(
        self,
        state: State,
        outcome: Outcome | None,
        history: History | None,
        verdicts: Verdicts,
    ) -> None:
        """Say how the run ended; no outcome where it was given up and tells nothing.

        Args:
            state: how.
            outcome: its values, or its forecast where it was stopped.
            history: the whole of it.
            verdicts: what was decided on the way.
        """


class Forecaster(Protocol):
    """The part of an `Oracle` that a judge needs."""

    def forecast(self, history: History) -> Forecast:
        """Forecast the final values."""


class LocalJudge:
    """Forecast and decide in this process, against the population in a shared file.

    Args:
        run_id: name of the run.
        policy: rule and settings.
        problems: where failures are told.
        model: a model folder's path, an `Oracle`, or None for the default.
        population: the shared file, None = the run has no population.
        name: of the population within the file.
        size: runs the whole search is planned to have, None = open-ended.
        about: what is said of the run.
        log: a file that takes every decision, None = none.
    """

    def __init__(
        self,
        run_id: str,
        policy: Policy,
        problems: Problems,
        *,
        model: str | os.PathLike[str] | Forecaster | None = None,
        population: Population | None = None,
        name: str = "default",
        size: int | None = None,
        about: About | None = None,
        log: str | os.PathLike[str] | None = None,
    ) -> None:
        self._run_id, self._policy, self._problems = run_id, policy, problems
        self._model, self._population, self._name, self._size = model, population, name, size
        self._about = about
        self.search: Hashable = (population.path, name) if population else policy.name
        self.is_alone = population is None
        self._log = DecisionLog(log) if log is not None else None
        self._forecast: Forecast | None = None
        self._held = False
        self._told = population.healed if population is not None else None
        self._converged_at: float | None = None
        # A file that hangs is left alone for a while, as a server is.
        self._circuit = circuit_of(f"population {population.path}") if population else None

    def start(self) -> None:
        """Enter the run into its population."""
        earlier = self._shared(
            "read the population", lambda shared: shared.earlier_search(self._name, self._policy)
        )
        if earlier is not None:
            self._problems.note("earlier_search", earlier)
        was_whole = self._shared(
            "enter the run",
            lambda shared: shared.start(
                self._name, self._run_id, about=self._about, policy=self._policy
            ),
        )
        if was_whole:
            self._problems.note(
                "begun_anew",
                f"the run {self._run_id} of {self._name} had gone to its end, and is begun anew: "
                "what it reached counts no more. A search that goes on names its runs otherwise, "
                "or takes a population of its own.",
            )

    def decide(self, history: History, previous: int) -> Decision:
        """Forecast, read the population, decide, log."""
        forecast = self._forecast_of(history)
        self._forecast = forecast or self._forecast
        reference = self._shared("read the population", self._reference)
        self.is_alone = reference is None
        decision = decide(history, forecast, reference, self._policy, previous=previous)
        if decision.reason is Reason.CONTROL and not self._held:
            self._held = True
            self._shared(
                "note a held stop",
                lambda shared: shared.hold(self._name, self._run_id, history.progress),
            )
        self._converged_at = decision.progress if decision.converged else None
        if self._log is not None:
            try:
                self._log.append(history, reference, previous, decision)
            except Exception as error:
                self._problems.note_error("log", "write the decision log", error)
        return decision

    def rewind(self, epoch: float) -> None:
        """Forget the forecast of a map that is no more; the log keeps what was decided."""
        self._forecast = None

    def end(
        self,
        state: State,
        outcome: Outcome | None,
        history: History | None,
        verdicts: Verdicts,
    ) -> None:
        """Enter how the run ended; a stopped one with the spread of its forecast."""
        if outcome is None or history is None:
            self._shared(
                "enter how the run ended",
                lambda shared: shared.abandon(
                    self._name,
                    self._run_id,
                    spent=(history.progress if history is not None else None) or 0.0,
                    diverged=state == "diverged",
                ),
            )
        else:
            scale, spreads = history.context.mqe_of_mean, None
            if outcome.censored and self._forecast is not None:
                estimate = outcome_of(history, self._forecast, self._policy, mqe_of_mean=scale)
                outcome = outcome.model_copy(update={"spread": estimate.spread})
                spreads = spreads_of(self._forecast)
            progress = history.progress
            if state == "finished":
                progress = 1.0 if self._converged_at is None else self._converged_at
            teaches = self._lesson(history, outcome, state)
            self._shared(
                "enter how the run ended",
                lambda shared: shared.end(
                    self._name,
                    outcome,
                    progress=progress,
                    mqe_of_mean=scale,
                    left=state == "left",
                    reason=verdicts.told(outcome.censored),
                    spreads=spreads,
                    teaches=teaches,
                ),
            )

    def _lesson(self, history: History, outcome: Outcome, state: State) -> tuple[str, bytes] | None:
        """Give what the run teaches others; one that left or has converged shows no end."""
        if self._population is None or state not in ("finished", "stopped"):
            return None
        if not self._policy.learn or self._converged_at is not None:
            return None
        try:
            oracle = learner(loaded(self._model))
            found = None if oracle is None else oracle.residuals(history, outcome)
            return (
                None if oracle is None or found is None else (oracle.info.sha256, found.to_bytes())
            )
        except Exception as error:
            self._problems.note_error("learning", "tell what the run teaches", error)
            return None

    def _forecast_of(self, history: History) -> Forecast | None:
        try:
            model = loaded(self._model)
            forecast = self._learned(model, history) or model.forecast(history)
            # A model of the caller's own may answer anything.
            if not forecast.is_drawn:
                raise InvalidHistory(must_be("forecast.draws", "finite numbers", forecast.draws))
            check_forecast(forecast)
            return forecast
        except Exception as error:
            self._problems.note_error("model", "forecast", error)
            return None

    def _learned(self, model: Forecaster, history: History) -> Forecast | None:
        """Forecast by what the ended runs teach; None where they teach nothing, or it fails."""
        oracle = learner(model) if self._policy.learn and self._population is not None else None
        if oracle is None:
            return None
        digest = oracle.info.sha256
        known = self._shared(
            "read what its runs teach",
            lambda shared: shared.known(self._name, digest, without=self._run_id),
        )
        try:
            return None if known is None else oracle.forecast(history, known=known)
        except Exception as error:
            self._problems.note_error("learning", "learn of the runs that ended", error)
            return None

    def _reference(self, shared: Population) -> Reference:
        return shared.reference(self._name, without=self._run_id, population_size=self._size)

    def _shared(self, doing: str, act: Callable[[Population], T]) -> T | None:
        """Use the population; None where there is none, or where it fails."""
        if self._population is None or self._circuit is None:
            return None
        if not self._circuit.closed():
            message = f"could not {doing}: the population file is left alone after failures."
            self._problems.note("population_left_alone", message)
            return None
        try:
            result = act(self._population)
        except Exception as error:
            if isinstance(error, StoreUnavailable):  # else it is this run's own mistake
                self._circuit.failed()
            self._problems.note_error("population", doing, error)
            return None
        self._circuit.succeeded()
        if (word := self._population.healed) is not None and word != self._told:
            self._told = word
            self._problems.note("population_replaced", word)
        return result


def learner(model: Forecaster) -> Oracle | None:
    """Give an oracle that learns of ended runs; a model of the caller's own does not."""
    from oracle.forecast.forecaster import Oracle  # as in `loaded`

    return model if isinstance(model, Oracle) else None


_models: dict[Path | None, Oracle | Exception] = {}
_models_lock = UncutLock()


def loaded(model: str | os.PathLike[str] | Forecaster | None) -> Forecaster:
    """Give the model, loaded once a process; one that failed to load is not tried again."""
    if model is not None and not isinstance(model, str | os.PathLike):
        return model
    path = None if model is None else Path(model).absolute()
    with _models_lock:
        # onnxruntime: only where this process forecasts; here, for an import has locks, too.
        from oracle.forecast.forecaster import Oracle

        if path not in _models:
            try:
                _models[path] = Oracle.load(path)
            except Exception as error:
                _models[path] = error
        found = _models[path]
    if isinstance(found, Exception):
        raise found
    return found
