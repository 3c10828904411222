"""The model in use: loaded, self-tested, and exchanged while requests go on.

Activation is a file (`oracle models activate`) or a folder that was replaced. Every worker looks
for a change by itself. A model that fails its digests, its self-test or the load is refused; the
one before goes on, and the attempt is repeated with longer and longer pauses. What a new model
cannot answer, the one before it does; a few such answers in a row, and it is taken back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from oracle.decision.policy import decide
from oracle.errors import ArtifactError, ArtifactNotFound, OracleError, must_be
from oracle.forecast.forecaster import Oracle
from oracle.forecast.residuals import Residuals
from oracle.history.features import FEATURES, encode
from oracle.model import artifact
from oracle.model.certificates import CERTIFICATE
from oracle.server.http.telemetry import Telemetry
from oracle.server.http.wire_service import (
    ActiveModel,
    AvailableModel,
    ModelCard,
    ModelFailure,
    ModelsAnswer,
)
from oracle.server.runs.lessons import Lesson, Lessons, Question, ToForecast, ToTeach
from oracle.server.runs.listing import iso
from oracle.server.settings import Settings
from oracle.types import Forecast, History, ModelInfo

log = logging.getLogger("oracle.models")

#: Every how many forecasts the inputs' drift is measured, and how slowly its mean moves.
DRIFT_EVERY, DRIFT_WEIGHT = 16, 0.02
#: Forecasts in a row that the model before had to make, after which it is taken back.
FAILURES = 3
_FIRST_RETRY_S = 1.0

T = TypeVar("T")


@dataclass(frozen=True)
class _Loaded:
    oracle: Oracle
    mark: Hashable
    at: float


@dataclass(frozen=True)
class _Refused:
    """Times to wait are on the monotonic clock: the wall clock may be set."""

    mark: Hashable
    message: str
    since: float
    pause_s: float
    next_try: float


class ModelKeeper:
    """Holds the oracle that answers now.

    `oracle` is read once a request, so a request is answered by one model from start to end.
    """

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        self._settings, self._telemetry = settings, telemetry
        self._loaded: _Loaded | None = None
        self._before: _Loaded | None = None
        self._failures = 0
        self._refused: _Refused | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._drift = np.zeros(len(FEATURES))
        self._n_forecasts = 0
        self._infos: dict[Hashable, ModelInfo] = {}
        self.changes = 0

    # Use

    @property
    def oracle(self) -> Oracle | None:
        """The oracle in use, None before the first was loaded."""
        loaded = self._loaded
        return loaded.oracle if loaded is not None else None

    def require(self) -> Oracle:
        """Give the oracle in use.

        Raises:
            ArtifactNotFound: none was loaded yet.
        """
        oracle = self.oracle
        if oracle is None:
            raise ArtifactNotFound("A model must be loaded; GET /readyz says what is wrong.")
        return oracle

    def forecast(self, history: History, lessons: Lessons | None = None) -> Forecast | None:
        """Forecast one history and measure it; None without a model."""
        oracle = self.oracle
        if oracle is None:
            return None
        began = time.perf_counter()
        forecast = self._ask(
            oracle,
            lambda one: (
                one.forecast(history)
                if lessons is None
                else one.forecast(history, known=_known(lessons, one))
            ),
        )
        self._telemetry.forecast(forecast, time.perf_counter() - began)
        self._measure_drift(oracle, history)
        return forecast

    def forecast_many(
        self,
        histories: Sequence[History],
        oracle: Oracle | None = None,
        lessons: Sequence[Lessons | None] | None = None,
    ) -> list[Forecast] | None:
        """Forecast many histories at once and measure them; None without a model.

        Args:
            histories: of one request, or of several that came together.
            oracle: that the request began with; None = the one in use.
            lessons: what each learns of; None = nothing.
        """
        oracle = oracle or self.oracle
        if oracle is None:
            return None
        if not histories:
            return []
        began = time.perf_counter()

        def question(one: Oracle) -> list[Forecast]:
            if lessons is None:
                return one.forecast_many(histories)
            return one.forecast_many(histories, [_known(each, one) for each in lessons])

        forecasts = self._ask(oracle, question)
        each = (time.perf_counter() - began) / len(histories)
        for forecast in forecasts:
            self._telemetry.forecast(forecast, each)
        self._measure_drift(oracle, histories[0])
        return forecasts

    def ask(self, question: Callable[[Oracle], T]) -> T:
        """Ask the oracle in use.

        Raises:
            ArtifactNotFound: none was loaded yet.
        """
        return self._ask(self.require(), question)

    def answer(self, questions: Sequence[Question]) -> list[Forecast | Lesson | Exception | None]:
        """Answer what the rules of stored runs ask together, see `Question`."""
        asked = [one for one in questions if isinstance(one, ToForecast)]
        forecasts = iter(
            self.forecast_each([one.history for one in asked], [one.lessons for one in asked])
        )
        return [
            next(forecasts) if isinstance(one, ToForecast) else self._lesson(one)
            for one in questions
        ]

    def _lesson(self, asked: ToTeach) -> Lesson | None:
        """Tell what a run teaches; None where that is nothing, or it fails."""
        oracle = self.oracle
        if oracle is None:
            return None
        try:
            found = oracle.residuals(asked.history, asked.outcome)
        except Exception:  # a run has ended all the same
            log.exception("what a run teaches could not be told")
            return None
        return None if found is None else (oracle.info.sha256, found.to_bytes())

    def forecast_each(
        self, histories: Sequence[History], lessons: Sequence[Lessons | None] | None = None
    ) -> list[Forecast | Exception | None]:
        """Forecast histories of several clients at once; one that fails, fails alone.

        Returns:
            A forecast each, None without a model, the error where it failed.
        """
        if len(histories) > 1:
            try:
                found = self.forecast_many(histories, lessons=lessons)
                return [None] * len(histories) if found is None else [*found]
            except Exception:
                log.exception("forecast failed")  # one is the cause: each by itself
        of = lessons or [None] * len(histories)
        return [self._alone(h, one) for h, one in zip(histories, of, strict=True)]

    def _alone(self, history: History, lessons: Lessons | None) -> Forecast | Exception | None:
        try:
            return self.forecast(history, lessons)
        except Exception as error:  # told to the one who asked
            return error

    def _ask(self, oracle: Oracle, question: Callable[[Oracle], T]) -> T:
        """Ask an oracle; what it fails at, the one before it, where there is one."""
        loaded, before = self._loaded, self._before
        if loaded is None or loaded.oracle is not oracle or before is None:
            return question(oracle)
        try:
            answer = question(oracle)
        except Exception as error:
            answer = question(before.oracle)  # fails too where the history is to blame
            self._failed(error, loaded, before)
        else:
            self._failures = 0
        return answer

    def _failed(self, error: Exception, failed: _Loaded, before: _Loaded) -> None:
        """Count a forecast that only the model before could make; take it back in the end."""
        log.warning("model failed", exc_info=error)
        self._failures += 1
        if self._failures < FAILURES or self._loaded is not failed:
            return
        self._use(before, None)
        reason = f"{type(error).__name__}: {error}"[:200]
        rule = "a model that forecasts what the one before it can"
        advice = "The one before is in use again."
        pause = self._settings.model_retry_s
        self._refuse(failed.mark, ArtifactError(must_be("model", rule, reason, advice)), pause)

    def _measure_drift(self, oracle: Oracle, history: History) -> None:
        self._n_forecasts += 1
        if self._n_forecasts % DRIFT_EVERY != 1:
            return
        last = oracle.manifest.scaling.apply(encode(history)[-1])
        self._drift += DRIFT_WEIGHT * (last - self._drift)
        for name, value in zip(FEATURES, self._drift, strict=True):
            self._telemetry.drift.labels(name).set(float(value))

    # Change

    def start(self) -> None:
        """Load the model and look for another from then on."""
        self.look()
        self._thread = threading.Thread(target=self._watch, name="oracle-models", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the looking."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(self._settings.model_poll_s):
            self.look()

    def look(self) -> None:
        """Load the model that is asked for, if it is not the one in use."""
        mark: Hashable = None
        try:
            folder = artifact.resolve(self._settings.model or None)
            mark = _mark(folder)
            if self._is_known(mark):
                return
            oracle = _load(folder)
        except (OracleError, OSError) as error:
            self._refuse(mark, error)
        except Exception as error:  # whatever a folder holds, the one in use goes on
            log.exception("model failed")
            self._refuse(mark, error)
        else:
            self._use(_Loaded(oracle, mark, time.time()), self._loaded)
            self._refused = None

    def _use(self, loaded: _Loaded, before: _Loaded | None) -> None:
        self._loaded, self._before = loaded, before
        self._failures = 0
        self._drift[:] = 0
        self.changes += 1
        info = loaded.oracle.info
        self._telemetry.model(info)
        log.info("model", extra={"model": info.name, "sha256": info.sha256})

    def _is_known(self, mark: Hashable) -> bool:
        if self._loaded is not None and self._loaded.mark == mark:
            self._refused = None  # asked for the one in use again
            return True
        refused = self._refused
        return refused is not None and refused.mark == mark and time.monotonic() < refused.next_try

    def _refuse(self, mark: Hashable, error: Exception, pause: float = _FIRST_RETRY_S) -> None:
        before, now = self._refused, time.monotonic()
        since = time.time()
        if before is not None and before.mark == mark:
            if now < before.next_try:
                return
            pause = max(pause, min(2 * before.pause_s, self._settings.model_retry_s))
            since = before.since
        ours = isinstance(error, ArtifactError)
        message = str(error) if ours else "The model folder cannot be read."
        self._refused = _Refused(mark, message, since, pause, now + pause)
        self._telemetry.model_failures.inc()
        log.warning("model refused", extra={"problem": message})

    # Report

    def active(self) -> ActiveModel | None:
        """Describe the model in use."""
        loaded = self._loaded
        if loaded is None:
            return None
        return ActiveModel(**loaded.oracle.info.model_dump(), loaded_at=iso(loaded.at))

    def failure(self) -> ModelFailure | None:
        """Describe why the model that is asked for is not in use."""
        refused = self._refused
        if refused is None:
            return None
        return ModelFailure(
            message=refused.message,
            since=iso(refused.since),
            next_try_at=iso(time.time() + refused.next_try - time.monotonic()),
        )

    def report(self) -> ModelsAnswer:
        """List what is in use and what could be: the folders that verify."""
        active = self.active()
        infos = [info for folder in artifact.list_artifacts() if (info := self._info(folder))]
        in_use = active.sha256 if active is not None else None
        return ModelsAnswer(
            active=active,
            certificates=self._loaded.oracle.certificates if self._loaded is not None else (),
            failure=self.failure(),
            available=tuple(
                AvailableModel(**info.model_dump(), active=info.sha256 == in_use) for info in infos
            ),
        )

    def card(self) -> ModelCard:
        """Show the card of the model in use and the facts of its training.

        Raises:
            ArtifactNotFound: none was loaded yet.
        """
        found, active = self.require(), self.active()
        if active is None:  # never: what was loaded once stays
            raise ArtifactNotFound("A model must be loaded; GET /readyz says what is wrong.")
        return ModelCard(
            model=active,
            created=found.manifest.created,
            architecture=found.manifest.architecture,
            training=found.manifest.training,
            card=found.card,
        )

    def _info(self, folder: Path) -> ModelInfo | None:
        """Describe a folder that verifies; remembered until it changes."""
        try:
            mark = _mark(folder)
            if mark not in self._infos:
                self._infos[mark] = artifact.read_artifact(folder).info
        except (OracleError, OSError):
            return None
        return self._infos[mark]


def _known(lessons: Lessons | None, oracle: Oracle) -> Residuals | None:
    """Give what an oracle learns of the ended runs."""
    return None if lessons is None else lessons.of(oracle.info.sha256)


def _load(folder: Path) -> Oracle:
    """Load a model that answers: digests, its self-test, and decisions on what it forecasts."""
    found = artifact.read_artifact(folder)
    oracle = Oracle(found)
    for one in found.golden.forecasts:
        decide(one.history, oracle.forecast(one.history))
    return oracle


def _mark(folder: Path) -> Hashable:
    """Tell one state of a folder from another without reading it."""
    marks = []
    for name in (artifact.MANIFEST, CERTIFICATE):
        with suppress(FileNotFoundError):
            found = (folder / name).stat()
            marks += [found.st_ino, found.st_size, found.st_mtime_ns]
    if not marks:
        raise FileNotFoundError(folder)
    return (str(folder), *marks)
