"""One line that tells how a search went."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up import made_outcome

from oracle.hook import Population, promising
from oracle.types import About, Policy


@pytest.fixture
def shared(tmp_path: Path) -> Population:
    return Population(tmp_path / "runs.db")


def end(
    shared: Population,
    name: str,
    mqe: float,
    te: float | None = 0.1,
    *,
    policy: Policy | None = None,
    stopped: bool = False,
    left: bool = False,
    reason: str | None = None,
) -> None:
    run_id = f"r{len(shared.members(name))}"
    shared.start(name, run_id, policy=policy or Policy(name="population"))
    outcome = made_outcome(mqe, run_id=run_id, final_topographic_error=te, censored=stopped)
    progress = 0.25 if stopped else 1.0
    shared.end(name, outcome, progress=progress, mqe_of_mean=2.0, left=left, reason=reason)


def test_stops_savings_and_the_best(shared: Population) -> None:
    end(shared, "wine", 0.8)
    end(shared, "wine", 0.4)
    end(shared, "wine", 1.9, stopped=True)
    assert shared.summary() == (
        "wine: 1 of 3 runs stopped, 25% of all epochs saved; best quality score 0.4 (r1, whole)"
    )
    end(shared, "wine", 0.3, stopped=True)
    assert "(r3, a forecast)" in shared.summary("wine")
    end(shared, "wine", 0.2, left=True)
    assert "(r4, left by its own loop)" in shared.summary("wine")


def test_the_best_is_what_the_search_minimises(shared: Population) -> None:
    by_te = Policy(name="population", weights=(0, 1, 0))
    end(shared, "t", 0.1, te=0.3, policy=by_te)
    end(shared, "t", 0.9, te=0.05, policy=by_te)
    assert "best topographic error 0.05 (r1, whole)" in shared.summary("t")


def test_the_best_of_what_was_measured_says_what_was_not(shared: Population) -> None:
    for mqe in (0.8, 0.6):  # of a mean of 2.0
        end(shared, "t", mqe, te=None)
    assert (
        "best quality score of mqe and dead neuron ratio alone 0.4 (r1, whole)"
        in shared.summary("t")
    )


def test_what_has_no_value_is_on_no_front(shared: Population) -> None:
    both = Policy(name="pareto", objectives=("mqe", "topographic_error"))
    for mqe, te in ((0.1, 0.1), (0.05, None), (0.3, None)):
        end(shared, "t", mqe, te=te, policy=both)
    assert "1 runs on the Pareto front, all of them whole" in shared.summary("t")


def test_a_policy_of_a_later_version_is_read_without_what_is_new(shared: Population) -> None:
    by_mqe = Policy(name="population", weights=(1, 0, 0))
    end(shared, "t", 0.4, policy=by_mqe)
    for newer, told in (({"newer": 1}, "best mqe 0.4"), ({"name": "newer"}, "best quality score")):
        stored = json.dumps(by_mqe.model_dump(mode="json") | newer)
        with shared._writing() as db:
            db.execute("UPDATE run SET policy = ?", (stored,))
        assert told in shared.summary("t")
        assert promising(shared, "t") == []


def test_the_best_is_one_that_can_be_compared(shared: Population) -> None:
    shared.end("t", made_outcome(0.6, run_id="r0"))  # of no known policy, either
    assert "best quality score 0.8 (r0, whole)" in shared.summary("t")
    end(shared, "t", 0.1, te=None)
    assert "best quality score 0.5 (r0, whole)" in shared.summary("t")
    end(shared, "t", 0.4)
    assert "best quality score 0.4 (r2, whole)" in shared.summary("t")
    shared.abandon("t", "r2")  # what was given up is no result, whatever it had
    assert "best quality score 0.5 (r0, whole)" in shared.summary("t")
    shared.abandon("t", "r0")
    lacking = {"final_dead_neuron_ratio": None}
    shared.end("t", made_outcome(0.2, run_id="r3").model_copy(update=lacking))
    assert "; no run has a quality score" in shared.summary("t")


def test_a_front_says_how_much_of_it_is_forecast(shared: Population) -> None:
    several = Policy(name="pareto", objectives=("mqe", "topographic_error"))
    end(shared, "t", 0.1, te=0.3, policy=several)
    end(shared, "t", 0.3, te=0.1, policy=several)
    assert "2 runs on the Pareto front, all of them whole" in shared.summary("t")
    end(shared, "t", 0.5, te=0.5, policy=several)
    end(shared, "t", 0.2, te=0.2, policy=several, stopped=True)
    assert "3 runs on the Pareto front, 2 of them whole, 1 forecast" in shared.summary("t")
    # As good in one objective and worse in the other is off the front; equals are both on it.
    end(shared, "t", 0.1, te=0.4, policy=several)
    end(shared, "t", 0.3, te=0.1, policy=several)
    assert "4 runs on the Pareto front, 3 of them whole, 1 forecast" in shared.summary("t")


def test_nothing_stopped_has_its_most_frequent_reason(shared: Population) -> None:
    few = ("too_few_runs: 0 of 3: wait", "too_few_runs: 1 of 3: wait")
    for reason in ("promising: P is 9 %", *few):
        end(shared, "t", 0.5, reason=reason)
    assert shared.summary().endswith("; nothing was stopped, mostly because 1 of 3: wait")
    end(shared, "t", 0.5, stopped=True)
    assert "nothing was stopped" not in shared.summary()


def test_a_line_each_and_what_is_not_there(shared: Population) -> None:
    assert shared.summary() == f"no run in {shared.path}"
    assert shared.summary("wine") == "no run of a population 'wine'"
    end(shared, "a", 0.5)
    shared.start("b", "r0")
    shared.start("b", "r1")
    shared.abandon("b", "r1")
    first, second = shared.summary().splitlines()
    assert first.startswith("a: 0 of 1 runs stopped, 0% of all epochs saved; best quality score")
    assert second == ("b: 0 of 0 runs stopped, 0% of all epochs saved, 1 still live, 1 abandoned")


def test_a_member_as_json_has_what_is_known_and_what_was_said(shared: Population) -> None:
    policy = Policy(name="population", risk=0.03)
    about = About(name="lr=0.1", config={"lr": 0.1}, tags=("a",))
    shared.start("t", "r0", about=about, policy=policy)
    spreads = (0.1, 0.2, 0.3)
    shared.end("t", made_outcome(run_id="r0", censored=True), progress=0.25, spreads=spreads)
    shared.end("t", made_outcome(run_id="r1"))
    told, bare = (member.as_json() for member in shared.members("t"))
    assert told.pop("policy") == policy.model_dump(mode="json")
    times = [told.pop("started_at"), told.pop("ended_at"), bare.pop("ended_at")]
    assert times == sorted(times)
    values = {"final_mqe": 0.5, "final_topographic_error": 0.1, "final_dead_neuron_ratio": 0.2}
    assert told == values | {
        "run_id": "r0",
        "name": "lr=0.1",
        "state": "stopped",
        "progress": 0.25,
        "config": {"lr": 0.1},
        "tags": ["a"],
        "spread": 0.03,
        "spreads": [0.1, 0.2, 0.3],
    }
    assert bare == values | {"run_id": "r1", "state": "finished", "spread": 0.0}
    first, second = shared.members("t")
    assert (first.config, second.config) == ({"lr": 0.1}, {})
