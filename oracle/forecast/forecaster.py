"""Oracle: a loaded model that turns a history into a forecast.

The same few steps for one history and for a thousand:
features -> network -> conformal correction -> joint draws -> `Forecast`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from oracle.errors import ArtifactIncompatible, InvalidHistory, must_be
from oracle.forecast import knowledge, self_test
from oracle.forecast.answers import answers
from oracle.forecast.calibration import KNOTS, Calibration
from oracle.forecast.explanation import explanation_of
from oracle.forecast.quantiles import quantiles_of
from oracle.forecast.residuals import (
    SHARES,
    Residuals,
    corrected,
    deviations_of,
    doubt_of,
    inputs_of,
)
from oracle.forecast.score_calibration import QualityCalibration
from oracle.forecast.support import Support
from oracle.forks import UncutLock, cached_property, uncut
from oracle.history.columns import Array, Columns, thin
from oracle.history.features import Float32, see
from oracle.history.quality_score import scores_of_draws, weights_of
from oracle.history.targets import HORIZONS, decode, finals_of, last_anchors
from oracle.model.artifact import Artifact, read_artifact, resolve
from oracle.model.runtime import open_artifact
from oracle.types import (
    LEVELS,
    TARGETS,
    Certificate,
    Explanation,
    Forecast,
    History,
    Learned,
    ModelInfo,
    Outcome,
    RunContext,
)

#: Runs that are answered at once: what that takes stays small.
AT_ONCE = 256
#: Runs whose draws are made at once: what they need still fits into a core's cache.
TOGETHER = 16


class Oracle:
    """Forecasts how runs will end. Thread-safe; load it once a process.

    Use `Oracle.load()`; the constructor takes an artifact that was already verified.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.info: ModelInfo = artifact.info
        self._folder = artifact.path
        self.manifest, self.card = artifact.manifest, artifact.card
        self.certificates: tuple[Certificate, ...] = artifact.certificates
        self._session = open_artifact(artifact)
        self._scaling = artifact.manifest.scaling
        numbers = artifact.calibration
        try:
            self._calibration = Calibration.from_json(numbers["calibration"])
            self._quality = QualityCalibration.from_json(numbers["quality"])
            self._support = Support.from_json(numbers["support"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ArtifactIncompatible(
                must_be("calibration.json", "as this version writes it", str(error), "Train again.")
            ) from error
        self_test.check(self.forecast_many, artifact.golden.forecasts)

    @classmethod
    def load(cls, path: str | Path | None = None) -> Self:
        """Load and verify a model folder.

        Args:
            path: a model folder. None: the one that ORACLE_MODEL names, else the activated one,
                else the shipped default.

        Raises:
            ArtifactNotFound: nothing is there.
            ArtifactCorrupt: a file is missing or altered, or the self-test fails.
            ArtifactIncompatible: made for another version.
        """
        return cls(read_artifact(resolve(path)))

    def __repr__(self) -> str:
        return f"Oracle({self.info.name!r}, version={self.info.version!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # No pool can carry what runs the networks: an oracle travels as its folder.
        return _arrived, (str(self._folder.absolute()), self.info.sha256)

    @uncut()
    def forecast(
        self,
        history: History | None = None,
        *,
        context: RunContext | None = None,
        total_epochs: float | None = None,
        known: Residuals | Learned | None = None,
    ) -> Forecast:
        """Forecast the three final values of one run from its plan and its checkpoints so far.

        Args:
            history: the run so far.
            context, total_epochs: instead of a history, the plan of a run that has not begun.
            known: what runs of its table that ended teach, from `residuals`; or what an earlier
                forecast had learned of them, which gives it again.

        Raises:
            InvalidHistory: no checkpoint yet, and `context.mqe_of_mean` is unknown.
        """
        if history is None:
            history = History.parse({"context": context or {}, "total_epochs": total_epochs})
        elif context is not None or total_epochs is not None:
            advice = "It is a member of the history."
            raise InvalidHistory(must_be("context", "left out beside a history", context, advice))
        return self._forecasts([history], [known])[0]

    @uncut()
    def forecast_many(
        self,
        histories: Sequence[History],
        known: Sequence[Residuals | Learned | None] | None = None,
    ) -> list[Forecast]:
        """Forecast many runs at once: the same answers as one by one, several times faster.

        `support` is the same to the last bit; a number of the rest may differ in its last digits
        (relative 1e-12), because sums of many are added up in another order.

        Args:
            histories: the runs.
            known: of each what `forecast` takes, as many as histories; None = nothing of any.

        Raises:
            InvalidHistory: as `forecast`, or `known` has another length.
        """
        forecasts: list[Forecast] = []
        known = [None] * len(histories) if known is None else known
        if len(known) != len(histories):
            rule = f"as long as histories ({len(histories)})"
            raise InvalidHistory(must_be("known", rule, len(known), "Give None where none is."))
        for at in range(0, len(histories), AT_ONCE):
            part = slice(at, at + AT_ONCE)
            forecasts += self._forecasts(histories[part], known[part])
        return forecasts

    @uncut()
    def residuals(self, history: History, outcome: Outcome | None = None) -> Residuals | None:
        """Tell what a run teaches of the next ones on its table, by what was forecast of it.

        Args:
            history: the run, as far as it went.
            outcome: its final values; None, or a censored one: it was stopped, and its last
                forecast stands in.

        Returns:
            None where it teaches nothing: its scale or its budget is not known.
        """
        scale = history.context.mqe_of_mean
        progress = None if history.total_epochs is None else history.progress
        if scale is None or progress is None:
            return None
        ended = outcome is not None and not outcome.censored
        shares = [s for s in SHARES if ended or s < progress]
        prefixes = {s: h for s in shares if (h := history.at(s)) is not None}
        if not prefixes:
            return None
        asked = [*prefixes.values(), history]
        seen = self._see(asked)
        inputs, knots = self._placed(seen, self._knots(seen))
        at = [SHARES.index(share) for share in prefixes]
        unit = np.array([scale, 1.0, 1.0])
        finals = finals_of([outcome])[0] / unit if ended else knots[:, -1, KNOTS.index(0.5)]
        found = Residuals.nothing()
        found.inputs[0, at] = inputs[:-1]
        found.deviations[0, at] = deviations_of(knots[:, :-1], np.tile(finals, (len(at), 1)))
        found.doubt[0, at] = 0.0 if ended else doubt_of(knots)
        return found

    def explain(self, history: History) -> Explanation:
        """Tell what each checkpoint and each part of the plan contributed to a run's forecast.

        Each is hidden once and the forecast asked again, some thirty at once.

        Raises:
            InvalidHistory: no checkpoint yet, and `context.mqe_of_mean` is unknown.
        """
        found = explanation_of(self.forecast_many, history)
        return found.model_copy(update={"attention": self._attention(history)})

    @uncut()
    def _attention(self, history: History) -> tuple[tuple[float | None, float], ...]:
        """Give (epoch, weight) of each row that the networks looked at, the plan's first."""
        if not self._session.attends:
            return ()
        seen = self._see([history])
        lengths = seen.columns.length.astype(np.int32)
        weights = self._session.attention(self._scaling.apply(seen.rows), lengths)[0]
        return tuple(zip((None, *thin(history).epochs), weights.tolist(), strict=False))

    def _see(self, histories: Sequence[History]) -> _Seen:
        for history in histories:
            history.check_forecastable()
        return _Seen(list(histories), *see(histories))

    def _knots(self, seen: _Seen) -> Array:
        """Ask the network and calibrate its answers: [output, run, knot] changes."""
        lengths = seen.columns.length.astype(np.int32)
        quantiles = self._session.run_padded(self._scaling.apply(seen.rows), lengths)
        return self._calibration.knots(quantiles.astype(np.float64), seen.known)

    def _support_of(self, seen: _Seen) -> list[float]:
        rows = [seen.rows[i, :n] for i, n in enumerate(seen.columns.length)]
        return self._support.score(rows, seen.histories)

    def _placed(self, seen: _Seen, changes: Array) -> tuple[Array, Array]:
        """Tell where runs lie, for what others teach of them.

        Returns:
            inputs [run, input], and the final values [3, run, knot] on the scale of the table.
        """
        values, floor = seen.anchors
        knots = decode(changes[: len(TARGETS)], values, floor)
        knots[0] /= seen.unit[:, None]
        last = values[..., 0].T.copy()
        last[:, 0] /= seen.unit
        plan = self._scaling.apply(seen.rows[:, :1])[:, 0]
        return inputs_of(plan, last, knots), knots

    def _learn(
        self, seen: _Seen, changes: Array, known: Sequence[Residuals | Learned | None]
    ) -> list[Learned | None]:
        """Find what each run's ended fellows teach, and move its changes by it, in place."""
        found: list[Learned | None] = [k if isinstance(k, Learned) else None for k in known]
        inputs: Array | None = None
        for i, (of, history) in enumerate(zip(known, seen.histories, strict=True)):
            told = history.context.mqe_of_mean is not None and history.progress is not None
            if isinstance(of, Residuals) and told:
                inputs = self._placed(seen, changes)[0] if inputs is None else inputs
                found[i] = of.learned(inputs[i], history.progress or 0.0)
        for i, learned in enumerate(found):
            if learned is not None:
                changes[:, i] = corrected(changes[:, i], learned)
        return found

    def _forecasts(
        self, histories: Sequence[History], ended: Sequence[Residuals | Learned | None]
    ) -> list[Forecast]:
        """Forecast runs, AT_ONCE of them at most."""
        seen = self._see(histories)
        changes = self._knots(seen)
        learned = self._learn(seen, changes, ended)
        values, floor = seen.anchors
        # [target, horizon, run, knot]
        by_horizon = changes.reshape(len(HORIZONS), len(TARGETS), *changes.shape[1:])
        knots = decode(by_horizon.swapaxes(0, 1), values[:, None], floor)
        draws, quality = self._drawn(seen, changes[: len(TARGETS)])
        return answers(
            seen.histories,
            info=self.info,
            knots=knots,
            quality=quality,
            draws=draws,
            support=self._support_of(seen),
            learned=learned,
        )

    def _drawn(self, seen: _Seen, changes: Array) -> tuple[list[Array], Array]:
        """Draw the final values of runs jointly, from their changes [3, run, knot].

        Returns:
            Of each run its draws [3, draw], raw units; and quantiles of the quality score
            [2, run, level], raw and relative.
        """
        values, floor = seen.anchors
        raw, relative = weights_of(np.ones_like(seen.unit)), weights_of(seen.unit)
        draws: list[Array] = []
        quality: list[Array] = []
        for at in range(0, len(seen.histories), TOGETHER):
            part = slice(at, at + TOGETHER)
            drawn = self._calibration.draws(changes[:, part])
            drawn = decode(drawn, values[:, part], floor[part])
            drawn = self._quality.adjust(drawn, seen.unit[part], seen.known[part])
            # A copy each: whoever keeps one forecast would keep the draws of all made with it.
            draws.extend(run.copy() for run in drawn.swapaxes(0, 1))
            scores = scores_of_draws(drawn, raw[:, part], relative[:, part])
            quality.append(quantiles_of(scores, LEVELS))
        return draws, np.concatenate(quality).swapaxes(0, 1)


@dataclass(frozen=True)
class _Seen:
    """Histories as the network sees them.

    Attributes:
        histories: as they came.
        columns: thinned.
        rows: [run, time, feature] unscaled.
    """

    histories: list[History]
    columns: Columns
    rows: Float32

    @cached_property
    def known(self) -> Array:
        """[run, knowledge] what is known of each run now."""
        run, last = np.arange(len(self.histories)), self.columns.length - 1
        return knowledge.weights_of(self.rows[run, last], [h.progress for h in self.histories])

    @cached_property
    def unit(self) -> Array:
        """[run] of mqe inside the quality score: mqe_of_mean, or 1 where it is unknown."""
        return np.array([h.context.mqe_of_mean or 1.0 for h in self.histories])

    @cached_property
    def anchors(self) -> tuple[Array, Array]:
        """What each run's forecast is a change from: values [3, run, 1], floor [run, 1]."""
        return last_anchors(self.columns)


_travelled: dict[tuple[str, str], Oracle] = {}
_travelled_lock = UncutLock()


def _arrived(folder: str, sha256: str) -> Oracle:
    """Open an oracle that was sent to this process, once for all that is sent with it.

    Raises:
        OracleError: as `Oracle.load`; ArtifactIncompatible where the folder holds another by now.
    """
    with _travelled_lock:
        if (folder, sha256) not in _travelled:
            found = Oracle.load(folder)
            if found.info.sha256 != sha256:
                rule = f"the oracle {sha256[:12]} that was sent"
                advice = f"{folder} has changed since: load it again."
                raise ArtifactIncompatible(must_be("model", rule, found.info.sha256[:12], advice))
            _travelled[folder, sha256] = found
        return _travelled[folder, sha256]
