"""Ray Tune: the oracle as a stopper that a restored experiment finds as it was.

    oracle = OracleStopper(total_epochs=100, population="/data/runs.db", dataset="wine")
    tuner = tune.Tuner(
        trainable,  # tune.report({"mqe": ..., "topographic_error": ..., "dead_neuron_ratio": ...})
        run_config=tune.RunConfig(stop=oracle, callbacks=[oracle]),
    )
    results = tuner.fit()
    print(oracle.summary(), oracle.finished(results))

It is given twice: as `stop` it judges every result, as a callback Tune keeps its state with the
experiment and gives it back to `Tuner.restore`, which it does for no scheduler, its ASHA included.
Results are judged where `fit` was called, so that the population may be a file there, whatever
number of machines the trials are on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from ray.tune import Callback, Stopper

from oracle.hook import WatchedRun, watch
from oracle.hook.fitness import Fitness, names_of
from oracle.hook.search import settings_of, summary_of
from oracle.hook.warn_once import Problems

#: What of a result is reported, besides its epoch.
_REPORTED = ("mqe", "topographic_error", "dead_neuron_ratio", "learning_rate", "radius")


@dataclass
class _Experiment:
    """What is known of an experiment: `told` of trials that live, to make their runs of again."""

    told: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    runs: dict[str, WatchedRun] = field(default_factory=dict)
    fitness: dict[str, Fitness] = field(default_factory=dict)
    is_callback: bool = False
    problems: Problems = field(default_factory=Problems)


#: Tune copies the stopper and the callback, each by itself: copies of one know the same experiment.
_EXPERIMENTS: dict[str, _Experiment] = {}


class OracleStopper(Stopper, Callback):  # type: ignore[misc]
    """Stop the trials of an experiment that will not be among its best.

    Args:
        total_epochs: the budget of a trial, in the unit of `epochs`.
        objectives: what is minimised, after METRICS, or `score`.
        epochs: the result's own counter.
        settings: of `oracle.watch`, population first of all. A trial that has `context` in its
            first result is judged by that one.

    Raises:
        InvalidHistory: an objective or a setting that no run of a search can have.
    """

    def __init__(
        self,
        total_epochs: float,
        *,
        objectives: tuple[str, ...] | str = ("score",),
        epochs: str = "training_iteration",
        **settings: Any,
    ) -> None:
        self._epochs = epochs
        self._settings = settings_of(
            names_of(objectives), {"total_epochs": total_epochs, **settings}
        )
        self._key = uuid4().hex
        self._now = _EXPERIMENTS.setdefault(self._key, _Experiment())

    @property
    def fitness(self) -> dict[str, Fitness]:
        """How the trials ended, by their id; a stopped one's is its forecast."""
        return self._now.fitness

    def setup(self, *_: Any, **__: Any) -> None:
        """Take note that Tune will say how trials end."""
        self._now.is_callback = True

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Judge a result; whatever fails, the trial goes on."""
        if not self._now.is_callback:
            message = "the stopper learns how trials end as a callback: `callbacks=[...]`, too."
            self._now.problems.note("no_callback", message)
        try:
            return self._judged(trial_id, result)
        except Exception as error:
            self._now.problems.note_error("result", f"judge a result of {trial_id}", error)
            return False

    def _judged(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        row = {name: result[name] for name in _REPORTED if name in result}
        row["epoch"] = float(result[self._epochs])
        now = self._now
        told = now.told.setdefault(trial_id, [])
        # A trial may go on from an earlier checkpoint: what came after it is of a map no more.
        known = [one for one in told if one["epoch"] < row["epoch"]]
        if not known:
            row |= {name: result[name] for name in ("context", "config") if name in result}
        run = now.runs.get(trial_id)
        if run is None or (told and not known):
            run = now.runs[trial_id] = self._begun(trial_id, known or [row])
            for one in known:
                self._report(run, one)
        elif len(known) < len(told):
            run.rewind(known[-1]["epoch"])
        told[:] = [*known, row]
        return self._report(run, row)

    def stop_all(self) -> bool:
        """Leave the experiment as a whole alone."""
        return False

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """Enter how a trial ended, stopped or not."""
        run = self._forgotten(trial.trial_id)
        if run is not None:
            self.fitness[trial.trial_id] = run.finish()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """Give up a trial that failed: it says nothing about how others end."""
        run = self._forgotten(trial.trial_id)
        if run is not None:
            run.__exit__(RuntimeError, None, None)

    def get_state(self) -> dict[str, Any]:
        """Give what Tune keeps with the experiment."""
        told = {trial: list(rows) for trial, rows in self._now.told.items()}
        return {"told": told, "fitness": dict(self._now.fitness)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what Tune kept."""
        self._now.told, self._now.fitness, self._now.runs = state["told"], state["fitness"], {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_now"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._now = _EXPERIMENTS.setdefault(self._key, _Experiment())

    def finished(self, results: Iterable[Any]) -> list[Any]:
        """Give the results that are of whole maps: behind a forecast stands none."""
        stopped = {trial for trial, fitness in self.fitness.items() if fitness.censored}
        return [
            one for one in results
            if one.error is None and one.metrics and one.metrics.get("trial_id") not in stopped
        ]  # fmt: skip

    def summary(self) -> str:
        """Tell in a line how the experiment went."""
        return summary_of(self._settings)

    def _begun(self, trial_id: str, told: list[dict[str, Any]]) -> WatchedRun:
        given = {name: told[0][name] for name in ("context", "config") if name in told[0]}
        settings = self._settings | given
        return watch(**settings, run_id=trial_id)

    def _report(self, run: WatchedRun, row: dict[str, Any]) -> bool:
        values = {name: row[name] for name in _REPORTED if name in row}
        return run.report(row["epoch"], **values).stop

    def _forgotten(self, trial_id: str) -> WatchedRun | None:
        self._now.told.pop(trial_id, None)
        return self._now.runs.pop(trial_id, None)
