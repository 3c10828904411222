"""The pruner inside real studies of Optuna: in memory, SQLite and journals, one and several."""

from __future__ import annotations

import math
import pickle
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from made_up import StandIn
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import TrialState

from oracle.errors import InvalidHistory, OracleWarning
from oracle.hook import Population
from oracle.integrations import optuna_trials
from oracle.integrations.optuna import (
    HISTORY,
    OraclePruner,
    best_trials,
    finished,
    report,
    watched,
)
from oracle.types import Policy

EPOCHS = 10
RANDOM = optuna.samplers.RandomSampler


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


def pruner(**settings: Any) -> OraclePruner:
    return OraclePruner(model=StandIn(), **settings)  # type: ignore[arg-type]


def trains(
    value: Callable[[float, float], float], scale: float = 1.0, te: Callable[[float], float] = float
) -> Callable[[optuna.Trial], float]:
    """An objective: maps whose mqe levels off at x, and what a study makes of (mqe, te)."""

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.1, 1)
        for epoch in range(1, EPOCHS + 1):
            mqe = scale * x * (1 + 0.3 * math.exp(-epoch))
            report(
                trial,
                epoch,
                mqe=mqe,
                topographic_error=te(x),
                dead_neuron_ratio=0.1,
                total_epochs=EPOCHS,
                context={"mqe_of_mean": 2.0 * scale},
            )
            if trial.should_prune():
                raise optuna.TrialPruned
        return value(mqe, te(x))

    return objective


def states(study: optuna.Study) -> str:
    return "".join(t.state.name[0] for t in study.trials)


def search(one: OraclePruner, objective: Callable[[optuna.Trial], float], n: int = 30) -> str:
    study = optuna.create_study(pruner=one, sampler=RANDOM(seed=1), study_name="same")
    study.optimize(objective, n_trials=n)
    return states(study)


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_a_pruner_that_is_used_again_begins_anew(factor: float) -> None:
    shared = pruner()
    first = search(shared, trains(lambda mqe, te: mqe))
    again = search(shared, trains(lambda mqe, te: mqe, scale=factor))
    assert again == search(pruner(), trains(lambda mqe, te: mqe, scale=factor))
    assert 5 <= first.count("P") < 30
    assert not shared.problems.counts


def test_studies_of_one_storage_and_one_pruner_stay_apart(tmp_path: Path) -> None:
    shared, seen = pruner(), []
    for name, factor in (("a", 1.0), ("b", 1e4)):
        study = optuna.create_study(
            storage=f"sqlite:///{tmp_path}/s.db", study_name=name, pruner=shared, sampler=RANDOM(1)
        )
        study.optimize(trains(lambda mqe, te: mqe, scale=factor), n_trials=12)
        seen.append(study)
    for study in seen:
        assert f"study {study.study_name}: " in shared.summary(study)
        assert 0 < states(study).count("P") < 10
        assert len(shared.judged(study)._ended) == 12


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (lambda mqe, te: mqe, min),
        (lambda mqe, te: te, max),
        (lambda mqe, te: 3 * te + 1, max),  # goes with it, but is not the same
    ],
    ids=["mqe", "topographic error", "of the topographic error"],
)
def test_the_studys_objective_is_followed(
    value: Callable[[float, float], float], kept: Callable[..., float]
) -> None:
    """mqe and topographic error pull in opposite directions, as they do in small maps."""
    one = pruner()
    study = optuna.create_study(pruner=one, sampler=RANDOM(seed=3))
    study.optimize(trains(value, te=lambda x: 1 - x), n_trials=40)
    assert states(study).count("P") >= 5
    assert study.best_params["x"] == kept(t.params["x"] for t in study.trials)
    assert not one.problems.counts


def test_a_trial_that_has_converged_is_not_pruned_but_may_end_with_its_value() -> None:
    weights = (1.0, 0.0, 0.0)
    policy = Policy(name="population", weights=weights, converged=0.5, converged_risk=0.2)
    one = pruner(policy=policy.model_copy(update={"control": 0.0}), total_epochs=EPOCHS)
    ended = []

    def objective(trial: optuna.Trial) -> float:
        for epoch in range(1, EPOCHS + 1):
            report(trial, epoch, mqe=0.5, total_epochs=EPOCHS, context={"mqe_of_mean": 2.0})
            assert not trial.should_prune()
            if one.has_converged(trial):
                break
        ended.append(epoch)
        return 0.5

    study = optuna.create_study(pruner=one)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OracleWarning)  # two metrics are missing
        study.optimize(objective, n_trials=3)
    assert ended == [2, 2, 2]
    assert states(study) == "CCC"
    assert not one.has_converged(optuna.trial.FixedTrial({}))  # type: ignore[arg-type]


def test_an_objective_may_be_named() -> None:
    one = pruner(objectives=("topographic_error",))
    study = optuna.create_study(pruner=one, sampler=RANDOM(seed=3))
    study.optimize(trains(lambda mqe, te: te, te=lambda x: 1 - x), n_trials=30)
    assert study.best_params["x"] == max(t.params["x"] for t in study.trials)
    assert study.trials[0].intermediate_values[10] == pytest.approx(1 - study.trials[0].params["x"])
    for wrong in (("mqe", "topographic_error"), ("silhouette",)):
        with pytest.raises(InvalidHistory, match="`objectives` must be one"):
            pruner(objectives=wrong)


def test_a_policy_may_be_named_as_in_the_hook() -> None:
    assert pruner(policy="population")._policy == Policy(name="population")
    with pytest.raises(InvalidHistory, match="`policy` must be threshold, population, pareto"):
        pruner(policy="populaton")
    for total in (0, -1, math.nan, "many"):
        with pytest.raises(InvalidHistory, match="`total_epochs` must be a finite number > 0"):
            pruner(total_epochs=total)
    with pytest.raises(InvalidHistory, match="map_rows"):
        pruner(context={"map_rows": -1})


def test_an_objective_of_its_own_is_not_pruned_and_told_once() -> None:
    one = pruner()
    rng = np.random.default_rng(0)
    with pytest.warns(OracleWarning, match="goes with none of the metrics") as told:
        assert search(one, trains(lambda mqe, te: rng.random())) == "C" * 30
    assert len(told) == 1
    assert "nothing was pruned, mostly because" in one.summary()


def test_what_was_told_of_one_study_is_told_of_another() -> None:
    one = pruner()
    rng = np.random.default_rng(0)
    for n in (1, 2):
        with pytest.warns(OracleWarning, match="goes with none of the metrics") as told:
            search(one, trains(lambda mqe, te: rng.random()))
        assert len(told) == 1
        assert one.problems.counts["objective"] >= n


def test_a_report_that_does_not_fit_is_told_once_a_study_whatever_prunes_it() -> None:
    for _ in range(2):
        study = optuna.create_study(pruner=optuna.pruners.NopPruner())
        bad = {"mqe": -1, "topographic_error": 0.1, "dead_neuron_ratio": 0.1}
        with pytest.warns(OracleWarning, match="`mqe` must be"):
            report(study.ask(), 1, **bad)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            report(study.ask(), 1, **bad)


def test_a_policy_that_ranks_by_something_else_is_told_once() -> None:
    one = pruner(policy=Policy(name="population", weights=(0, 1, 0)))
    with pytest.warns(OracleWarning, match=r"does not go with what .* \(Kendall's tau -") as told:
        search(one, trains(lambda mqe, te: mqe, te=lambda x: 1 - x))
    assert len(told) == 1


def storages(tmp_path: Path) -> dict[str, Callable[[], Any]]:
    return {
        "sqlite": lambda: optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/s.db"),
        "journal": lambda: JournalStorage(JournalFileBackend(f"{tmp_path}/s.log")),
        "memory": optuna.storages.InMemoryStorage,
    }


def told_by(trial: optuna.Trial, epochs: Any, mqe: float = 0.5) -> None:
    for epoch in epochs:
        report(trial, epoch, mqe=mqe, topographic_error=0.1, dead_neuron_ratio=0.1,
               total_epochs=1000)  # fmt: skip


def rows_of(trial: Any) -> list[float]:
    return [row[0] for row in trial.user_attrs[HISTORY]["rows"]]


@pytest.mark.parametrize("kind", ["sqlite", "journal", "memory"])
def test_a_trial_picked_up_again_is_judged(kind: str, tmp_path: Path) -> None:
    storage = storages(tmp_path)[kind]()
    study = optuna.create_study(storage=storage, study_name="s", pruner=pruner())
    trial = study.ask()
    told_by(trial, range(50, 250, 50))
    # Another process loads the study, and the map saved at 150.
    fresh = pruner(objectives=("mqe",))
    loaded = optuna.load_study(storage=storage, study_name="s", pruner=fresh)
    again = optuna.Trial(loaded, trial._trial_id)
    told_by(again, range(200, 400, 50), mqe=0.4)
    again.should_prune()
    assert not fresh.problems.counts
    assert rows_of(again) == [50, 100, 150, 200, 250, 300, 350]
    assert [row[1] for row in again.user_attrs[HISTORY]["rows"]] == [0.5] * 3 + [0.4] * 4
    assert fresh.judged(loaded)._decided[trial._trial_id].progress == 0.35


@pytest.mark.parametrize("inherit", [False, True])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_trial_tried_again_is_judged_by_itself(inherit: bool, tmp_path: Path) -> None:
    # Only a storage with heartbeats calls it by itself.
    storage = storages(tmp_path)["sqlite"]()
    study = optuna.create_study(storage=storage, study_name="s", pruner=pruner())
    dead = study.ask()
    told_by(dead, range(50, 550, 50))
    study.tell(dead, state=TrialState.FAIL)
    kind = getattr(optuna.storages, "RetryHeartbeatStaleTrialCallback", None)
    kind = kind or optuna.storages.RetryFailedTrialCallback  # its name before 4.9
    retry = kind(inherit_intermediate_values=inherit)
    retry(study, study.trials[0])
    again = study.ask()
    assert HISTORY in again.user_attrs
    assert not again.should_prune()
    told_by(again, (50, 100), mqe=0.3)
    again.should_prune()
    assert rows_of(again) == [50, 100]
    decided = study.pruner.judged(study)._decided  # type: ignore[attr-defined]
    assert decided[again._trial_id].progress == 0.1
    assert not study.pruner.problems.counts  # type: ignore[attr-defined]


def test_reports_may_be_as_many_as_one_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    storing = optuna.Trial.set_user_attr
    monkeypatch.setattr(
        optuna.Trial, "set_user_attr", lambda *a: (written.append(a[0]), storing(*a))[1]
    )
    one = pruner(objectives=("mqe",))
    study = optuna.create_study(pruner=one)
    counted_from = {0: range(5000), 1: range(1, 5001)}
    for start, epochs in counted_from.items():
        trial = study.ask()
        written.clear()
        for epoch in epochs:
            report(trial, epoch, mqe=5000 - epoch, topographic_error=0.1, dead_neuron_ratio=0.1,
                   total_epochs=5000)  # fmt: skip
        assert 95 <= len(written) <= 105
        assert rows_of(trial)[-1] == epochs[-1]  # what the trial ended with is there
        assert len(rows_of(trial)) <= 100
        assert not trial.should_prune()
        assert one.judged(study)._decided[trial._trial_id].progress == (4999 + start) / 5000
    assert not one.problems.counts


def test_plain_values_may_be_as_many_as_one_likes() -> None:
    asked = []

    class Counting(StandIn):
        def forecast(self, history: Any) -> Any:
            asked.append(len(history))
            return super().forecast(history)

    one = OraclePruner(model=Counting(), total_epochs=2000)  # type: ignore[arg-type]
    trial = optuna.create_study(pruner=one).ask()
    for step in range(1, 2001):
        trial.report(1 / step, step)
        assert not trial.should_prune()
    assert not one.problems.counts
    assert 95 <= len(asked) <= 102
    assert max(asked) <= 100


@pytest.mark.parametrize("kind", ["sqlite", "journal", "memory"])
def test_numbers_of_numpy_do_in_every_storage(kind: str, tmp_path: Path) -> None:
    one = pruner(total_epochs=np.int64(10))
    study = optuna.create_study(storage=storages(tmp_path)[kind](), pruner=one)
    trial = study.ask()
    report(
        trial,
        np.int32(1),
        mqe=np.float32(0.5),
        topographic_error=np.float64(0.1),
        dead_neuron_ratio=np.array(0.1),
        radius=np.int8(2),
        total_epochs=np.int64(10),
    )
    assert not trial.should_prune()
    assert not one.problems.counts


@pytest.mark.parametrize(
    "values",
    [{"mqe": None}, {"mqe": math.nan}, {"mqe": "much"}, {"epoch": -1}, {"context": {"no": 1}},
     {"topographic_error": 7}],
    ids=str,
)  # fmt: skip
def test_a_report_that_does_not_fit_raises_nothing(values: dict[str, Any]) -> None:
    one = pruner()
    trial = optuna.create_study(pruner=one).ask()
    sound = {"epoch": 1, "mqe": 0.5, "topographic_error": 0.1, "dead_neuron_ratio": 0.1}
    with pytest.warns(OracleWarning):
        report(trial, **{**sound, **values})
    assert one.problems.counts.total() == 1
    assert not trial.should_prune()
    report(optuna.trial.FixedTrial({}), **sound)  # type: ignore[arg-type]


def test_what_keeps_a_study_from_being_judged_is_said_once() -> None:
    def plain(trial: optuna.Trial) -> float:
        for step in range(5):
            trial.report(0.5, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return 0.5

    one = pruner()
    study = optuna.create_study(pruner=one)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        study.optimize(plain, n_trials=10)
    first, second = (str(w.message) for w in told)
    assert "nothing is pruned without `total_epochs`, of `report` or of the pruner" in first
    assert "none of 9 trials was ever judged, mostly because `total_epochs` is unknown" in second
    assert set(one.problems.counts) == {"no_progress", "never_judged"}


def test_the_summary_tells_how_each_study_went() -> None:
    one = pruner()
    assert one.summary() == "no study was judged: did its trials ask `should_prune`?"
    study = optuna.create_study(pruner=one, sampler=RANDOM(seed=1), study_name="first")
    study.optimize(trains(lambda mqe, te: mqe), n_trials=30)
    n = states(study).count("P")
    best = study.best_trial
    assert one.summary(study) == one.summary()
    assert f"study first: {n} of 30 trials pruned, " in one.summary()
    assert f"best {best.value:.4g} (trial {best.number}, whole)" in one.summary()
    few = optuna.create_study(pruner=one, study_name="second")
    few.optimize(trains(lambda mqe, te: mqe), n_trials=2)
    assert "nothing was pruned, mostly because the population has 1 of the 3" in one.summary(few)
    assert len(one.summary().splitlines()) == 2


def test_it_goes_to_other_processes_without_what_it_saw() -> None:
    one = pruner(objectives="mqe", n_trials=30)
    search(one, trains(lambda mqe, te: mqe))
    copy = pickle.loads(pickle.dumps(one))  # noqa: S301
    assert copy.objective == "mqe"
    assert search(copy, trains(lambda mqe, te: mqe)) == search(one, trains(lambda mqe, te: mqe))


def test_forecasts_are_left_out_of_what_is_finished(tmp_path: Path) -> None:
    names = ("mqe", "topographic_error")
    study = optuna.create_study(directions=["minimize"] * 2, sampler=RANDOM(2), study_name="two")
    shared = Population(tmp_path / "runs.db")

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        settings = {"population": shared, "model": StandIn(), "control": 0}
        x = trial.suggest_float("x", 0, 1)
        with watched(trial, names, total_epochs=EPOCHS, **settings) as run:
            for epoch in range(1, EPOCHS + 1):
                if run.report(
                    epoch, mqe=x + 0.1, topographic_error=0.5 - x / 3, dead_neuron_ratio=0.1
                ).stop:
                    break
        return run.fitness().objectives(names)

    study.optimize(objective, n_trials=20)
    # A forecast that would dominate everybody: no map stands behind it.
    ghost = optuna.trial.create_trial(values=[0.0, 0.0], user_attrs={"censored": True})
    study.add_trial(ghost)
    assert [t.values for t in study.best_trials] == [[0.0, 0.0]]
    assert len(finished(study)) == shared.tally("two").finished
    front = best_trials(study)
    assert len(front) >= 2
    assert not any(t.user_attrs["censored"] for t in front)
    assert all(
        not all(a <= b for a, b in zip(other.values, t.values, strict=True)) or other is t
        for t in front
        for other in finished(study)
    )
    assert "two: " in shared.summary()


def test_one_objective_has_its_best_finished_trial() -> None:
    study = optuna.create_study(direction="maximize")
    assert best_trials(study) == []
    for value, censored in ((1.0, False), (3.0, True), (2.0, False), (math.nan, False)):
        state = TrialState.COMPLETE if math.isfinite(value) else TrialState.FAIL
        attributes = {"censored": censored}
        values = value if math.isfinite(value) else None
        study.add_trial(optuna.trial.create_trial(value=values, user_attrs=attributes, state=state))
    assert [t.value for t in best_trials(study)] == [2.0]


def test_old_storages_are_read() -> None:
    one = pruner(objectives=("mqe",))
    trial = optuna.create_study(pruner=one).ask()
    old = {"rows": [(10.0, 0.5, 0.1, 0.1, None, None)], "total_epochs": 100, "context": {}}
    trial.set_user_attr(HISTORY, old)  # before the trial's number was kept
    told_by(trial, (20,))
    assert rows_of(trial) == [10, 20]
    assert optuna_trials.HISTORY == "oracle_history"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not trial.should_prune()
