"""A run under watch: takes reports, answers with decisions, and knows what it is worth."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf, isfinite
from types import TracebackType
from typing import Any, Self, SupportsFloat

from oracle.decision.rules import spread_of_score, spreads_of
from oracle.errors import InvalidHistory, must_be
from oracle.forks import Lock
from oracle.history.quality_score import weights_of, weights_without
from oracle.hook.checkpoints import CHECK_EVERY, Checkpoint, Checkpoints, Value, is_soon, number
from oracle.hook.fitness import Fitness
from oracle.hook.local import Judge, State
from oracle.hook.verdicts import Verdicts, never_judged
from oracle.hook.warn_once import Problems
from oracle.types import (
    METRICS,
    TARGETS,
    Action,
    Decision,
    Forecast,
    History,
    Policy,
    Reason,
    RunContext,
)
from oracle.types.run_names import run_id_of

_AFTER_STOP = (
    "the run was told to stop, so the values given to `finish` are of a map cut short: its "
    "fitness is the forecast."
)


class WatchedRun:
    """A run under watch, made by `watch`.

    Attributes:
        run_id: name of the run.
        name: the same as it was given.
        context: what is known of it since before it started.
        decision: the last one; None before the first report.
        problems: what went wrong, counted by kind.
        state: live; or how it ended: finished, stopped (as it was told), left (by a rule of the
            caller's own, before its end) or abandoned (by an exception, or diverged).
    """

    def __init__(self, *, check_every: float = CHECK_EVERY) -> None:
        self.run_id = self.name = uuid.uuid4().hex
        self.decision: Decision | None = None
        self.problems = Problems()
        self.state: State = "live"
        self._policy = Policy()
        self._judge: Judge | None = None
        self._fixed: dict[str, Any] = {}  # what every history of the run has in common
        self.context = RunContext()
        self._seen = Checkpoints(self.problems)
        self._check_every = check_every
        self._checked_at: float | None = None
        self._forecast: Forecast | None = None
        self._verdicts = Verdicts()
        self._final: Checkpoint | None = None
        self._followers: list[Callable[[WatchedRun], None]] = []
        self._lock = Lock()

    # -- what a training loop calls -------------------------------------------------------

    def report(
        self,
        epoch: SupportsFloat,
        *,
        mqe: SupportsFloat | None = None,
        topographic_error: SupportsFloat | None = None,
        dead_neuron_ratio: SupportsFloat | None = None,
        learning_rate: SupportsFloat | None = None,
        radius: SupportsFloat | None = None,
    ) -> Decision:
        """Report a checkpoint and ask whether to go on; `.stop` of the answer says it.

        Args:
            epoch: the run's own counter, larger than at the last report.
            mqe: mean quantization error, input-space units.
            topographic_error, dead_neuron_ratio: 0..1; NaN where undefined.
            learning_rate, radius: in force now, where known.
        """
        with self._lock:
            try:
                if self.state != "live":
                    message = "`report` was called after the end of the run, and is ignored."
                    self.problems.note("after_end", message)
                    return self._abstain(Reason.FINISHED, "the run has ended")
                if not self._seen.add(
                    epoch, mqe, topographic_error, dead_neuron_ratio, learning_rate, radius
                ):
                    return self._abstain(Reason.ERROR, "the report cannot be used")
                self.decision = self._decide()
            except Exception as error:
                self.problems.note_error("check", "check the run", error)
                self.decision = self._abstain(Reason.ERROR, "the check failed")
            self._verdicts.add(self.decision)
            self._tell()
            return self.decision

    def follow(self, told: Callable[[WatchedRun], None]) -> Self:
        """Call `told(run)` after each report and once at the end; what it raises harms nothing."""
        self._followers.append(told)
        return self

    def plan(self) -> Decision:
        """Ask before the first report: `.forecast` of the answer says how the run would end.

        It rests on the plan and the table alone, so that `context` must tell `mqe_of_mean`, as
        `context_of` does. Nothing is stopped here unless the policy's `min_progress` and
        `min_checkpoints` are 0, see `judges_plans`.
        """
        with self._lock:
            try:
                if self.state != "live" or self._seen.kept:
                    message = "`plan` was called after the first report, and is ignored."
                    self.problems.note("after_start", message)
                    return self.decision or self._abstain(Reason.ERROR, "the run has begun")
                if self._judge is None:
                    return self._abstain(Reason.ERROR, "the watch could not be set up")
                plan = self._seen.history(self._fixed)
                plan.check_forecastable()
                answer = self._judge.decide(plan, 0)
            except Exception as error:
                self.problems.note_error("plan", "judge the plan", error)
                return self._abstain(Reason.ERROR, "the plan could not be judged")
            self._forecast = answer.forecast
            if answer.stop:
                self.decision = answer
                self._verdicts.add(answer)
            return answer

    def rewind(self, epoch: SupportsFloat) -> None:
        """Say that the training goes on from the map of an earlier `epoch`.

        What was reported after it counts no more, a stop neither; the next report may have any
        epoch larger than this one. A decision log and the service keep what was decided before.
        """
        with self._lock, self._protected("rewind", "rewind the run"):
            at = number(epoch)
            if at is None or self.state != "live":
                rule = "a finite number, before the end of the run"
                raise InvalidHistory(must_be("epoch", rule, epoch))
            self._seen.rewind(at)
            self.decision = self._checked_at = self._forecast = None
            if self._judge is not None:
                self._judge.rewind(at)

    def finish(
        self,
        *,
        mqe: SupportsFloat | None = None,
        topographic_error: SupportsFloat | None = None,
        dead_neuron_ratio: SupportsFloat | None = None,
    ) -> Fitness:
        """End the run; leaving the `with` block does it too. Only the first call counts.

        Args:
            mqe, topographic_error, dead_neuron_ratio: measured at the end, where they are not
                those of the last report; giving mqe says that the run was finished. After a
                stop they are of a map cut short, and do not count.
        """
        with self._lock:
            values = mqe, topographic_error, dead_neuron_ratio
            if mqe is not None and self._is_stopped:
                self.problems.note("after_stop", _AFTER_STOP)
            elif mqe is not None and self.state == "live":
                if not self._seen.kept:  # its end is all that is known of it, and its budget
                    self._seen.total_epochs = self._seen.total_epochs or 1.0
                    self.report(self._seen.total_epochs, **dict(zip(METRICS, values, strict=True)))
                self._take_final(*values)
            self._end(given_up=False)
            return self.fitness()

    def fitness(self) -> Fitness:
        """Give the values of the map as it is, or, of a run that was stopped, the forecast.

        The forecast is marked censored, and so are the last values of an abandoned run. A run
        that has converged is finished; one that has diverged is worth nothing, infinite.
        """
        with self._lock:
            scale = self.context.mqe_of_mean
            last = self._final or (self._seen.kept[-1] if self._seen.kept else None)
            forecast = self._forecast if self._is_stopped else None
            if forecast is None and (last is None or self._has_diverged):
                return Fitness(inf, None, None, True, scale, run_id=self.name)
            mqe, error, dead = last[1:4] if last is not None else (inf, None, None)
            never, spreads = self._seen.never_measured, None
            if forecast is not None:
                mqe, *ratios = (forecast.median(target) for target in TARGETS)
                error, dead = (
                    None if metric in never else median
                    for metric, median in zip(METRICS[1:], ratios, strict=True)
                )
                counted = weights_of(scale or 1.0, weights_without(never))
                spreads = (*spreads_of(forecast), spread_of_score(forecast, counted))
            censored = self._is_stopped or self.state == "abandoned"
            unmeasured = self.decision is not None and self.decision.reason is Reason.NOT_MEASURED
            if unmeasured and self._judge is not None and not self._judge.is_alone:
                never = ()  # others have measured it
            return Fitness(mqe, error, dead, censored, scale, never, spreads, self.name)

    def summary(self) -> str:
        """Tell in one line what was decided, and why nothing was stopped when nothing was."""
        with self._lock:
            if self._is_stopped and self.decision is not None:
                share = self.decision.progress
                at = f" at {share:.0%} of its budget" if share is not None else ""
                head = f"stopped{at} ({self.decision.reason.value})"
            elif self._has_converged and self.decision is not None:
                share = self.decision.progress
                head = f"converged at {share:.0%} of its budget"
            elif self.decision is None:
                problem = next(iter(self.problems.messages.values()), "")
                head = "nothing was reported" + (f" ({problem.rstrip('.')})" if problem else "")
            elif self._has_diverged:
                head = f"diverged after epoch {self.epoch or 0:g}: its last mqe was not finite"
            elif self.state in ("left", "abandoned"):
                by = "an exception" if self.state == "abandoned" else "its own loop"
                share = self.decision.progress
                head = f"{self.state} by {by}" + (f" at {share:.0%} of its budget" if share else "")
            elif self._final is not None and not self._seen.is_whole:
                share = self.decision.progress
                head = "finished with values of its own" + (f" at {share:.0%}" if share else "")
            else:
                head = f"not stopped, mostly because {self._verdicts.why}"
            told = [f"run {self.name}: {head}"]
            if self._verdicts.counts:
                told.append(f"{self._verdicts.counts.total()} reports: {self._verdicts}")
            if self.problems.counts:
                told.append(f"problems: {self.problems}")
            return "; ".join(told) + "."

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            # A pruned trial leaves by an exception, too: a stop that was obeyed is an end.
            obeyed = self._is_stopped or self._has_converged
            self._end(given_up=kind is not None and not obeyed)

    # -- what happens inside --------------------------------------------------------------

    @contextmanager
    def _protected(self, kind: str, doing: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.problems.note_error(kind, doing, error)

    def _tell(self) -> None:
        for told in self._followers:
            with self._protected("follower", "tell who follows the run"):
                told(self)

    def _describe(
        self,
        name: str | int | None,
        dataset: str | None,
        population: str,
        total_epochs: SupportsFloat | None,
        context: RunContext,
        policy: Policy,
    ) -> None:
        """Take what is known before the start.

        Raises:
            InvalidHistory: for what does not fit, now rather than at every report.
        """
        name = self.name if name is None else str(name)
        fixed: dict[str, Any] = {
            "run_id": run_id_of(name),
            "dataset": dataset,
            "population": population,
            "context": context,
        }
        total = number(total_epochs)
        if total is None and total_epochs is not None:
            raise InvalidHistory(must_be("total_epochs", "a finite number > 0", total_epochs))
        probe = {"epochs": [0.0], "mqe": [0.0], "topo_error": [0.0], "dead_ratio": [0.0]}
        History.parse({**fixed, **probe, "total_epochs": total})
        self.name, self.run_id, self._fixed, self.context = name, fixed["run_id"], fixed, context
        self._seen.total_epochs, self._seen.asked, self._policy = total, policy.asks, policy

    def _begin(self, judge: Judge) -> None:
        self._judge = judge
        judge.start()

    def _decide(self) -> Decision:
        if self._judge is None:
            return self._abstain(Reason.ERROR, "the watch could not be set up")
        epoch = self._seen.kept[-1].epoch
        if self.decision is not None and is_soon(
            self._checked_at, epoch, self._seen.total_epochs, self._check_every
        ):
            return self.decision
        self._checked_at = epoch
        previous = self.decision.below_risk if self.decision is not None else 0
        decision = self._judge.decide(self._seen.history(self._fixed), previous)
        self._forecast = decision.forecast or self._forecast
        return decision

    def _abstain(self, reason: Reason, why: str) -> Decision:
        return Decision(
            run_id=self.run_id,
            progress=self.decision.progress if self.decision is not None else None,
            action=Action.ABSTAIN,
            reason=reason,
            message=f"No verdict: {why}.",
            policy=self._policy,
        )

    @property
    def epoch(self) -> float | None:
        """That of the last report; None before the first."""
        return self._seen.kept[-1].epoch if self._seen.kept else None

    @property
    def judges_plans(self) -> bool:
        """Whether its policy may stop it by `plan`, before the first report."""
        return self._policy.judges_plans

    @property
    def forecast(self) -> Forecast | None:
        """The last forecast: before the first report that of the plan, once `plan` was asked."""
        return self._forecast

    @property
    def _is_stopped(self) -> bool:
        """Whether its forecast stands for it: a run that has converged needs none."""
        if self.state == "live":
            return self.decision is not None and self.decision.stop and not self._has_converged
        return self.state == "stopped"

    @property
    def _has_diverged(self) -> bool:
        """Whether no map of finite values stands at its end: it says nothing about other runs."""
        return self._seen.diverged and not (self._is_stopped or self._has_converged)

    @property
    def _has_converged(self) -> bool:
        return self.decision is not None and self.decision.converged

    def _take_final(self, mqe: Value, error: Value, dead: Value) -> None:
        with self._protected("finish", "take the final values"):
            last = self._seen.kept[-1] if self._seen.kept else Checkpoint(0.0, 0.0, None, None)
            error = last.topographic_error if error is None else error
            dead = last.dead_neuron_ratio if dead is None else dead
            self._final = self._seen.measured(last.epoch, mqe, error, dead, None, None)

    def _end(self, *, given_up: bool) -> None:
        if self.state == "live":
            self._end_as(given_up)
            self._tell()

    def _end_as(self, given_up: bool) -> None:
        with self._protected("end", "say how the run ended"):
            fitness = self.fitness()
            reported = self._seen.kept or self._final or self._is_stopped
            if given_up or self._has_diverged or not reported:
                self.state = "abandoned"
            elif self._is_stopped:
                self.state = "stopped"
            elif self._final is not None or self._seen.is_whole or self._has_converged:
                self.state = "finished"
            else:
                self.state = "left"
            if self._judge is None:
                return
            told = self.state != "abandoned" and isfinite(fitness.mqe)
            self._judge.end(
                "diverged" if self._has_diverged else self.state,
                fitness.outcome(self.run_id) if told else None,
                self._seen.history(self._fixed) if self._seen.kept or self._is_stopped else None,
                self._verdicts,
            )
            if self._verdicts.counts and not self._policy.stops_nothing:
                word = never_judged(self._judge.search, self._verdicts, self._policy)
                if word is not None:
                    self.problems.note("never_judged", word)
