"""NexusSOM's contract, driven with checkpoints that NexusSOM recorded."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import StandIn

from oracle.errors import OracleWarning
from oracle.hook import Population, WatchedRun, policy_for, watch
from oracle.hook.local import LocalJudge
from oracle.integrations.nexussom import EarlyStop, decay, early_stop, iterations, planned, updates
from oracle.integrations.nexussom import of_parameters as of_parameters
from oracle.types import Action, Decision, History, Policy, Reason

SEED = Path(__file__).parents[2] / "data" / "nexussom" / "seed_42"
#: What NexusSOM's evolutionary runs fix and do not write into results.csv.
FIXED = {"map_type": "hex", "end_radius": 1.0}
#: Whole, untouched ones among the recorded individuals.
WHOLE = ("8449f8cd", "2ba410d1", "59842d34")
Checkpoints = list[dict[str, Any]]


def configurations() -> list[dict[str, Any]]:
    with (SEED / "results.csv").open(encoding="utf-8") as file:
        rows = {row["uid"]: row for row in csv.DictReader(file) if row["uid"][:8] in WHOLE}
    return [{name: _value(text) for name, text in row.items()} for row in rows.values()]


def _value(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return text


CONFIGURATIONS = configurations()


def checkpoints_of(configuration: dict[str, Any]) -> Checkpoints:
    uid = configuration["uid"]
    path = SEED / "individuals" / uid / "csv" / "training_checkpoints.json"
    recorded: Checkpoints = json.loads(path.read_text(encoding="utf-8"))
    # A stop function is shown the last iteration, too, which the file leaves out.
    return [*recorded, {**recorded[-1], "iteration": configuration["epochs_ran"] - 1}]


@pytest.fixture(params=CONFIGURATIONS, ids=lambda c: c["uid"][:8])
def configuration(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {**request.param, **FIXED}


@pytest.fixture
def data(configuration: dict[str, Any]) -> np.ndarray:
    n = configuration["ds_n_samples"], configuration["ds_n_dimensions"]
    return np.random.default_rng(0).random(n)


def train(stop: EarlyStop, checkpoints: Checkpoints) -> tuple[int, bool, float | None]:
    """Call as `KohonenSOM.train` does: from a fifth of the run on, with all checkpoints so far.

    Returns:
        Checkpoints used, whether the training was stopped, and the last score.
    """
    score = None
    for n in range(1, len(checkpoints) + 1):
        if n < max(2, len(checkpoints) // 5):
            continue
        should_stop, score = stop(checkpoints[:n])
        if should_stop:
            return n, True, score
    return len(checkpoints), False, score


def test_the_plan_is_what_was_logged(configuration: dict[str, Any], data: np.ndarray) -> None:
    som, recorded = of_parameters(configuration), checkpoints_of(configuration)
    plan = planned(som, data)
    schedule, total = plan["schedule"], iterations(som, len(data))
    assert total == configuration["epochs_ran"]
    assert plan["total_updates"] == configuration["total_weight_updates"]
    for checkpoint in recorded[:: len(recorded) // 10]:
        at = checkpoint["iteration"] / total
        for name in ("learning_rate", "radius"):
            told = np.interp(at, schedule.progress, getattr(schedule, name))
            # linear between 33 points; a step function jumps within one of them
            assert told == pytest.approx(checkpoint[name], rel=0.45, abs=0.02)


def test_a_run_that_nothing_stops_ends_with_its_last_values(
    configuration: dict[str, Any], data: np.ndarray
) -> None:
    recorded = checkpoints_of(configuration)
    stop = early_stop(configuration, data, model=StandIn(), policy=Policy(threshold=1000))
    used, stopped, score = train(stop, recorded)
    assert (used, stopped) == (len(recorded), False)
    assert score is not None
    assert stop.run.state == "finished"
    assert stop.run.fitness().mqe == recorded[-1]["mqe"]
    assert stop.run.context.map_rows == configuration["map_m"]
    assert not stop.run.problems.counts


def test_a_stop_ends_the_run_and_marks_it(configuration: dict[str, Any], data: np.ndarray) -> None:
    recorded = checkpoints_of(configuration)
    policy = Policy(threshold=1e-6, caution=1e-7, control=0)
    stop = early_stop(configuration, data, model=StandIn(), policy=policy)
    used, stopped, score = train(stop, recorded)
    assert stopped
    assert used < len(recorded) / 2
    assert stop.run.state == "stopped"
    assert stop.run.fitness().censored
    assert f"{score:.3f}"  # NexusSOM prints it
    assert stop(recorded) == (True, score)  # asked again, it stays with its answer


def test_a_plan_that_is_judged_may_stop_a_run_that_has_not_begun(
    configuration: dict[str, Any], data: np.ndarray
) -> None:
    bold = Policy(threshold=1e-6, caution=1e-7, control=0, min_checkpoints=0, min_progress=0.0)
    stop = early_stop(configuration, data, model=StandIn(), policy=bold)
    assert (stop.run.state, stop.run.fitness().censored) == ("stopped", True)
    _, stopped, score = train(stop, checkpoints_of(configuration))
    assert stopped
    assert f"{score:.3f}"
    waits = early_stop(configuration, data, model=StandIn())
    assert not waits.run.plan().stop
    assert waits.run.forecast is not None
    assert waits.run.state == "live"


def test_a_run_that_has_converged_ends_and_is_finished(
    configuration: dict[str, Any], data: np.ndarray
) -> None:
    recorded = checkpoints_of(configuration)
    policy = Policy(threshold=1000, converged=100.0, control=0)
    stop = early_stop(configuration, data, model=StandIn(), policy=policy)
    used, stopped, score = train(stop, recorded)
    assert stopped
    assert used < len(recorded)
    assert (stop.run.state, stop.run.fitness().censored) == ("finished", False)
    assert stop(recorded) == (True, score)  # asked again, it stays with its answer


def test_the_score_is_lower_for_the_better_run() -> None:
    def score(factor: float) -> float:
        checkpoints = checkpoints_of(CONFIGURATIONS[0])[:10]
        worse = [{**c, "mqe": c["mqe"] * factor} for c in checkpoints]
        stop = early_stop({**CONFIGURATIONS[0], **FIXED}, np.eye(150, 5), model=StandIn())
        told = stop(worse)[1]
        assert told is not None
        return told

    assert score(0.5) < score(1.0) < score(2.0)


def test_every_checkpoint_is_reported_once(configuration: dict[str, Any], data: np.ndarray) -> None:
    seen: list[History] = []

    class Watching(StandIn):
        def forecast(self, history: History) -> Any:
            seen.append(history)
            return super().forecast(history)

    recorded = checkpoints_of(configuration)
    stop = early_stop(configuration, data, model=Watching(), policy=Policy(threshold=1000))
    train(stop, recorded)
    last = seen[-1]
    assert last.epochs[-1] >= recorded[-2]["iteration"]  # the very last adds too little to ask
    assert set(last.epochs) <= {c["iteration"] for c in recorded}
    assert last.learning_rate is not None


def test_a_function_used_for_another_training_does_not_stop_it() -> None:
    policy = Policy(name="threshold", threshold=1e-9, caution=1e-9, control=0.0)
    recorded = checkpoints_of(CONFIGURATIONS[0])
    stop = early_stop(
        {**CONFIGURATIONS[0], **FIXED}, np.eye(150, 5), model=StandIn(), policy=policy
    )
    assert train(stop, recorded)[1]
    other = [{**c, "mqe": c["mqe"] * 2} for c in recorded]
    with pytest.warns(UserWarning, match="Make one for each training"):
        assert train(stop, other) == (len(other), False, None)
    assert stop(recorded)[0]  # its own stays stopped


def test_broken_checkpoints_stop_nothing() -> None:
    stop = early_stop({**CONFIGURATIONS[0], **FIXED}, np.eye(150, 5), model=StandIn())
    with pytest.warns(UserWarning, match="must be"):
        assert stop([{"iteration": None}, {}]) == (False, None)
    assert isinstance(stop.run.report(3, mqe=1, topographic_error=0, dead_neuron_ratio=0), Decision)


def test_parameters_that_say_nothing_still_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oracle.history.context._LACKING_TOLD", set())  # told once a process
    with pytest.warns(OracleWarning) as told:
        stop = early_stop({}, np.eye(10, 3), model=StandIn())
    words = " ".join(str(one.message) for one in told)
    assert "the map could not be read" in words
    assert "the context lacks `schedule`" in words
    assert stop([{"iteration": 0, "mqe": 1.0, "topographic_error": 0.1, "dead_neuron_ratio": 0.2}])


@pytest.mark.parametrize("kind", ["static", "linear-drop", "linear-growth", "exp-drop",
                                  "exp-growth", "log-drop", "log-growth", "step-down"])  # fmt: skip
def test_decays_begin_at_their_start_and_reach_their_end(kind: str) -> None:
    start, end = (0.2, 0.9) if "growth" in kind else (0.9, 0.2)
    values = decay(kind, np.arange(1000.0), 1000, start, end, 4.0).tolist()
    assert values[0] == start
    # The floor cuts a stepwise fall; the others come as near as their last iteration does.
    wanted = start if kind == "static" else end
    assert values[-1] == pytest.approx(wanted, abs=0.01)
    assert values == sorted(values, reverse="drop" in kind or kind == "step-down")


def test_an_unknown_decay_gives_no_value() -> None:
    t = np.array([3.0])
    assert np.isnan(decay("spiral", t, 10, 1.0, 0.1, 2.0)).all()
    assert np.isnan(decay("exp-drop", t, 10, 1.0, 0.1, 0.0)).all()


def test_updates_are_those_of_the_batches() -> None:
    """As NexusSOM takes them: so many percent of the table from each of its sections."""
    lengths, taken = [len(part) for part in np.array_split(np.arange(23), 4)], 0
    for t in range(50):
        percent = float(decay("linear-growth", np.array([t]), 50, 3.0, 40.0, 1.0)[0])
        taken += sum(min(max(1, math.ceil(23 * percent / 100)), length) for length in lengths)
    assert updates(23, 4, 50, "linear-growth", 3.0, 40.0, 1.0) == taken
    # of a long run even steps are counted
    assert updates(23, 4, 10**7, "static", 3.0, 40.0, 1.0) == 4 * 10**7
    assert updates(23, 24, 50, "static", 3.0, 3.0, 1.0) is None
    assert updates(23, 4, 50, "exp-growth", 3.0, 40.0, 0.0) is None


@pytest.mark.parametrize("checkpoints", [None, 7, [None], [[1, 2]], ["iteration"]], ids=repr)
def test_what_is_no_list_of_checkpoints_stops_nothing(checkpoints: Any) -> None:
    stop = early_stop({**CONFIGURATIONS[0], **FIXED}, np.eye(150, 5), model=StandIn())
    with pytest.warns(UserWarning, match="could not read the checkpoints"):
        assert stop(checkpoints) == (False, None)
    assert stop([]) == (False, None)


@pytest.mark.parametrize(
    "parameters",
    [
        {"map_size": "8x8"},
        {"map_size": [8]},
        {"epoch_multiplier": math.inf},
        {"epoch_multiplier": "4"},
        {"growth_g": 10**400},
        {"num_batches": 0},
        {"start_batch_percent": math.nan},
    ],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore:SOM Oracle")
def test_odd_parameters_harm_nothing(parameters: dict[str, Any]) -> None:
    configuration = {**CONFIGURATIONS[0], **FIXED, **parameters}
    policy = Policy(threshold=1000)
    stop = early_stop(configuration, np.eye(150, 5), model=StandIn(), policy=policy)
    assert stop(checkpoints_of(CONFIGURATIONS[0])[:5])[0] is False


def test_numpys_numbers_are_as_good() -> None:
    plain = checkpoints_of(CONFIGURATIONS[0])[:12]
    kinds = {"iteration": np.int64, "mqe": np.float64, "dead_neuron_ratio": np.float64}
    typed = [{k: kinds.get(k, lambda v: v)(v) for k, v in c.items()} for c in plain]
    stops = [  # of one name, since the control share is drawn by it
        early_stop({**CONFIGURATIONS[0], **FIXED}, np.eye(150, 5), model=StandIn(), run_id="one")
        for _ in range(2)
    ]
    assert stops[0](typed) == stops[1](plain)
    assert not stops[0].run.problems.counts


def test_a_stop_always_comes_with_a_number() -> None:
    """NexusSOM formats it; a person who says stop on the service's page gives no forecast."""

    class Overruling(LocalJudge):
        def decide(self, history: History, previous: int) -> Decision:
            decision = super().decide(history, previous)
            stop = {"action": Action.STOP, "reason": Reason.OVERRULED, "forecast": None}
            return decision.model_copy(update=stop)

    stop = early_stop({**CONFIGURATIONS[0], **FIXED}, np.eye(150, 5), model=StandIn())
    stop.run._judge = Overruling("r", Policy(), stop.run.problems, model=StandIn())
    should_stop, score = stop(checkpoints_of(CONFIGURATIONS[0])[:5])
    assert should_stop
    assert f"{score:.3f}" == "nan"


def test_a_search_dares_what_a_search_may(tmp_path: Path) -> None:
    def policy(**settings: Any) -> Policy:
        stop = early_stop(CONFIGURATIONS[0], np.eye(150, 5), model=StandIn(), **settings)
        return stop(checkpoints_of(CONFIGURATIONS[0])[:3]) and stop.run.decision.policy

    shared = Population(tmp_path / "runs.db")
    assert policy(population=shared) == policy_for(("score",))
    assert policy(population=shared, policy="pareto").name == "pareto"
    assert policy().name == "threshold"
    shared.close()


@pytest.mark.parametrize("where", [{"population": "runs.db"}, {"url": "http://127.0.0.1:9"}])
def test_a_search_has_the_policy_of_one_wherever_its_runs_meet(where: dict[str, str]) -> None:
    given: list[dict[str, Any]] = []

    def noted(**settings: Any) -> WatchedRun:
        given.append(settings)
        return watch(total_epochs=10, model=StandIn())

    early_stop({**CONFIGURATIONS[0], **FIXED}, np.eye(150, 5), watch=noted, **where)
    early_stop({**CONFIGURATIONS[0], **FIXED}, np.eye(150, 5), watch=noted)
    assert given[0]["policy"] == policy_for(("score",))
    assert "policy" not in given[1]
