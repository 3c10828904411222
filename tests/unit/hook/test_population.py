"""What a population holds: who lives, how runs ended, what stops saved and cost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_up import outcome_of

from oracle.hook.population import Population
from oracle.hook.population_summary import AT_WORK_S
from oracle.types import About, Outcome, Policy


@pytest.fixture(params=["file", pytest.param("postgresql", marks=pytest.mark.postgres)])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Population]:
    """A population of each kind: the rules are the same."""
    in_file = request.param == "file"
    made = Population(
        tmp_path / "runs.db" if in_file else request.getfixturevalue("postgres").database()
    )
    yield made
    made.close()


def test_a_run_is_live_until_it_ends(shared: Population) -> None:
    shared.start("a", "r1")
    shared.start("a", "r2")
    shared.start("other", "r1")
    assert shared.reference("a").live == 2
    assert shared.reference("a", without="r1").live == 1
    shared.end("a", outcome_of("r1"), progress=1.0, mqe_of_mean=2.0)
    shared.end("a", outcome_of("r2", censored=True), progress=0.25)
    reference = shared.reference("a", population_size=45)
    assert reference.outcomes == (outcome_of("r1"), outcome_of("r2", censored=True))
    assert (reference.mqe_of_mean, reference.live, reference.population_size) == (2.0, 0, 45)
    assert shared.reference("a", without="r1").outcomes == (outcome_of("r2", censored=True),)
    assert shared.reference("other").outcomes == ()


def test_what_others_write_is_seen(shared: Population) -> None:
    assert shared.reference("a").outcomes == ()
    Population(shared.path).end("a", outcome_of("theirs"))
    assert [o.run_id for o in shared.reference("a").outcomes] == ["theirs"]
    Population(shared.path).end("a", outcome_of("more"))
    assert [o.run_id for o in shared.reference("a").outcomes] == ["theirs", "more"]


def test_a_run_begun_anew_replaces_itself(shared: Population) -> None:
    for mqe in (0.5, 0.4):
        shared.start("a", "r1")
        shared.end("a", outcome_of("r1", mqe))
        assert [o.final_mqe for o in shared.reference("a").outcomes] == [mqe]


def test_a_run_given_up_tells_the_others_nothing(shared: Population) -> None:
    shared.start("a", "r1")
    shared.abandon("a", "r1")
    assert shared.reference("a").live == 0
    assert shared.reference("a").outcomes == ()
    tally = shared.tally("a")
    assert (tally.finished, tally.abandoned) == (0, 1)
    assert str(tally) == "0 of 0 runs stopped, 0% of all epochs saved, 1 abandoned"


def test_the_tally_counts_what_stops_saved(shared: Population) -> None:
    shared.start("a", "r0")
    shared.end("a", outcome_of("r1"), progress=1.0)
    shared.end("a", outcome_of("r2", censored=True), progress=0.25)
    tally = shared.tally("a")
    assert (tally.finished, tally.stopped, tally.live) == (1, 1, 1)
    assert tally.saved == pytest.approx(0.375)
    assert str(tally) == "1 of 2 runs stopped, 38% of all epochs saved, 1 still live"
    shared.end("a", outcome_of("r3"), progress=0.4, left=True)
    tally = shared.tally("a")
    # What its own rule left undone was not planned: the same share as the service's and a report's.
    assert (tally.left, tally.saved) == (1, pytest.approx(0.75 / 2.4))


def test_what_a_run_used_before_it_was_trained_anew_is_no_saving(shared: Population) -> None:
    shared.end("a", outcome_of("r1"), progress=1.0)
    shared.end("a", outcome_of("r2", censored=True), progress=0.25)
    shared.start("a", "r2")
    shared.end("a", outcome_of("r2"), progress=1.0)
    assert shared.tally("a").saved == 0.0
    shared.trained_anew("a", "r2", 0.25)
    assert shared.tally("a").saved == -0.125  # as much more than the plans of both
    assert [m.spent_before for m in shared.members("a")] == [0.0, 0.25]
    assert shared.members("a")[1].as_json()["spent_before"] == 0.25
    assert "spent_before" not in shared.members("a")[0].as_json()
    shared.start("a", "r2")  # a search begun anew over the same file
    assert shared.members("a")[1].spent_before == 0.0


def test_what_converged_is_finished_and_saves_what_it_left(shared: Population) -> None:
    shared.end("a", outcome_of("r1"), progress=1.0)
    assert (shared.tally("a").converged, shared.tally("a").saved) == (0, 0.0)
    shared.end("a", outcome_of("r2"), progress=0.25)
    tally = shared.tally("a")
    assert (tally.finished, tally.stopped, tally.converged, tally.saved) == (2, 0, 1, 0.375)
    assert tally.others == ()


def test_a_name_that_is_not_there_is_told_with_those_that_are(shared: Population) -> None:
    assert shared.names() == ()
    assert str(shared.tally("wine")) == "no run of a population 'wine'"
    shared.start("178x13-3.5", "r1")
    shared.start("a", "r1")
    shared.start("178x13-3.5", "r2")
    assert shared.names() == ("a", "178x13-3.5")
    assert str(shared.tally("wine")) == "no run of a population 'wine'; there are a, 178x13-3.5"


def test_wrong_stops_are_measured_on_held_runs_only(shared: Population) -> None:
    assert "not measured" in str(shared.wrong_stops("a"))
    for i in range(20):
        shared.start("a", f"r{i}")
        if i in (0, 10):
            shared.hold("a", f"r{i}", 0.1)
        shared.end("a", outcome_of(f"r{i}", 0.5 + i / 100))
    wrong = shared.wrong_stops("a", good=0.1)
    assert (wrong.controls, wrong.wrong) == (2, 1)
    assert wrong.upper == pytest.approx(0.996, abs=0.001)
    assert str(wrong).startswith(
        "1 of 2 control runs would have been stopped wrongly (at most 100%"
    )
    assert (wrong.held, wrong.stops) == (2, 2)
    assert str(wrong).endswith("; 2 of 2 stops were held back (100%)")


def test_a_draw_that_holds_nobody_is_told(shared: Population) -> None:
    for i in range(160):
        shared.start("a", f"r{i}", policy=Policy(name="population", control=0.05))
        shared.end("a", outcome_of(f"r{i}", censored=True), progress=0.3)
    found = shared.wrong_stops("a")
    assert (found.held, found.stops, found.share) == (0, 160, pytest.approx(0.05))
    assert str(found).endswith(
        "0 of 160 stops were held back (0%), far from the 5% that the policy asks for"
    )
    assert shared.wrong_stops("nobody").share is None


def test_wrong_stops_count_who_decisions_count_as_good(shared: Population) -> None:
    """Of 46 runs the best 4, whoever ties with the fourth, and nobody who cannot be scored."""
    for i in range(46):
        shared.start("a", f"r{i}")
        if i in (3, 4):
            shared.hold("a", f"r{i}", 0.1)
        shared.end("a", outcome_of(f"r{i}", 0.5 + i / 100), mqe_of_mean=2.0)
    wrong = shared.wrong_stops("a")
    assert (wrong.controls, wrong.wrong) == (2, 1)
    shared.start("a", "undefined")
    shared.hold("a", "undefined", 0.1)
    lacking = outcome_of("undefined", 0.1).model_copy(update={"final_topographic_error": None})
    shared.end("a", lacking, mqe_of_mean=2.0)
    shared.start("a", "other-scale")
    shared.hold("a", "other-scale", 0.1)
    shared.end("a", outcome_of("other-scale", 0.1), mqe_of_mean=2000.0)
    shared.start("a", "stopped")
    shared.end("a", outcome_of("stopped", 0.9, censored=True), mqe_of_mean=2.0)
    shared.start("a", "still-held")
    shared.hold("a", "still-held", 0.1)
    wrong = shared.wrong_stops("a")
    assert (wrong.controls, wrong.wrong) == (2, 1)
    assert (wrong.held, wrong.stops) == (5, 6)
    assert shared.wrong_stops("a", weights=(1.0, 0.0, 0.5)).controls == 3


def test_a_tie_with_the_last_good_run_is_a_wrong_stop(shared: Population) -> None:
    for i, mqe in enumerate([0.1, 0.1, *[0.5] * 8]):
        shared.start("a", f"r{i}")
        if i == 1:
            shared.hold("a", "r1", 0.1)
        shared.end("a", outcome_of(f"r{i}", mqe))
    assert shared.wrong_stops("a").wrong == 1


def test_what_nobody_measured_drops_out_of_the_rate(shared: Population) -> None:
    for i in range(10):
        shared.start("a", f"r{i}")
        if i < 2:
            shared.hold("a", f"r{i}", 0.1)
        mqe_alone = Outcome(run_id=f"r{i}", final_mqe=0.5 + i / 100)
        shared.end("a", mqe_alone)
    wrong = shared.wrong_stops("a")
    assert (wrong.controls, wrong.wrong) == (2, 1)


@pytest.mark.parametrize("factor", [1e-9, 1e-3, 0.1, 10, 1e3, 1e9])
def test_one_wrong_scale_moves_no_population(shared: Population, factor: float) -> None:
    for i in range(5):
        shared.end("a", outcome_of(f"r{i}"), mqe_of_mean=2.0)
    shared.end("a", outcome_of("wrong"), mqe_of_mean=2.0 * factor)
    reference = shared.reference("a")
    assert reference.mqe_of_mean == 2.0
    assert [o.run_id for o in reference.outcomes] == [f"r{i}" for i in range(5)]


def test_a_run_begun_anew_is_no_outcome_until_it_ends_again(shared: Population) -> None:
    theirs = Population(shared.path)
    for n in ("r1", "r2"):
        theirs.start("a", n)
        theirs.end("a", outcome_of(n))
    assert len(shared.reference("a").outcomes) == 2
    theirs.start("a", "r1")  # resumed, in another process
    theirs.end("a", outcome_of("r3"))
    assert [o.run_id for o in shared.reference("a").outcomes] == ["r2", "r3"]
    theirs.abandon("a", "r2")
    assert [o.run_id for o in shared.reference("a").outcomes] == ["r3"]


def test_a_stopped_run_is_as_it_was_until_its_second_training_has_ended(
    shared: Population, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, whole = Policy(name="population"), Policy(name="population", min_progress=1.0)
    for n, censored in (("r1", False), ("r2", True), ("r3", True)):
        shared.start("a", n, policy=search)
        shared.end("a", outcome_of(n).model_copy(update={"censored": censored}), progress=0.5)
    before = shared.members("a")
    assert not any(one.is_trained_anew for one in before)
    assert not shared.start("a", "r2", policy=whole)  # its process is killed now
    assert not shared.start("a", "r3", policy=whole)
    assert [one.is_trained_anew for one in shared.members("a")] == [False, True, True]
    shared.abandon("a", "r3", spent=0.25)  # an exception came out of it
    after = shared.members("a")
    assert [one.is_trained_anew for one in after] == [False, True, False]
    assert [one.spent_before for one in after] == [0.0, 0.0, 0.25]
    assert [one.final_mqe for one in after] == [one.final_mqe for one in before]
    assert len(shared.reference("a").outcomes) == 3
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + AT_WORK_S)
    assert not shared.members("a")[1].is_trained_anew
    shared.start("a", "r2", policy=whole)
    shared.end("a", outcome_of("r2"), progress=1.0)
    assert [(m.run_id, m.state) for m in shared.members("a")] == [
        ("r1", "finished"), ("r3", "stopped"), ("r2", "finished"),
    ]  # fmt: skip
    assert not shared.start("a", "r3", policy=whole)
    shared.abandon("a", "r3", diverged=True)  # that is how it ends
    ended = shared.members("a")[-1]
    assert (ended.state, ended.final_mqe, ended.progress, ended.spreads) == (
        "abandoned", None, None, None,
    )  # fmt: skip
    assert shared.start("a", "r1", policy=whole)  # one that had ended is begun anew


def test_runs_of_an_earlier_search_are_noticed_once(
    shared: Population, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = Policy(name="population"), Policy(name="pareto")
    assert shared.earlier_search("a", mine) is None  # nobody was there
    shared.start("a", "r1", policy=mine)
    assert Population(shared.path).earlier_search("a", mine) is None  # another worker
    word = Population(shared.path).earlier_search("a", other)
    assert word is not None
    assert "holds 1 runs of a search by another policy, and this run is ranked" in word
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3 * 86_400)
    late = Population(shared.path)
    word = late.earlier_search("a", mine)
    assert word is not None
    assert "holds 1 runs from an earlier search, the last touched 3 days ago" in word
    assert late.earlier_search("a", mine) is None  # said once
    late.start("a", "r2", policy=mine)
    assert Population(shared.path).earlier_search("a", mine) is None  # the search goes on


def test_how_long_nobody_touched_it_is_told_from_an_hour_on(
    shared: Population, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, policy = 1e9, Policy(name="population")
    monkeypatch.setattr(time, "time", lambda: now)
    shared.start("a", "r1", policy=policy)
    for hours, ago in ((0.99, None), (1, "1 hours"), (47.51, "48 hours"), (48, "2 days"),
                       (1440, "60 days")):  # fmt: skip
        now = 1e9 + hours * 3600
        word = Population(shared.path).earlier_search("a", policy)
        assert (word is None) == (ago is None)
        assert ago is None or f"an earlier search, the last touched {ago} ago, and" in str(word)


def test_a_search_that_finishes_some_stopped_runs_is_no_other(shared: Population) -> None:
    shared.start("a", "r1", policy=Policy(name="population"))
    changes: tuple[tuple[str, object, bool], ...] = (
        ("control", 0.5, True),
        ("min_progress", 0.4, True),
        ("learn", False, True),
        ("risk", 0.5, False),
    )
    for setting, value, same in changes:
        policy = Policy.model_validate({"name": "population", setting: value})
        assert (Population(shared.path).earlier_search("a", policy) is None) == same


def test_a_whole_run_that_is_begun_anew_is_told(shared: Population) -> None:
    assert not shared.start("a", "r1")
    assert not shared.start("a", "r1")  # it was preempted
    shared.end("a", outcome_of("r1", 0.5))
    assert shared.start("a", "r1")
    shared.end("a", outcome_of("r1", 0.5, censored=True))
    assert not shared.start("a", "r1")  # a stopped one is trained to its end


def test_a_policy_of_before_is_the_same_search(shared: Population) -> None:
    """A setting that a later version has is at its default in what an earlier one wrote."""
    policy = Policy(name="population", risk=0.05)
    shared.start("a", "r1", policy=policy)
    for setting in ("goal", "learn", "converged", "good"):
        written = policy.model_dump(mode="json")
        del written[setting]
        with shared._writing() as db:
            db.execute("UPDATE run SET policy = ?", (json.dumps(written),))
        assert Population(shared.path).earlier_search("a", policy) is None, setting
    gains = policy.model_copy(update={"goal": "gain"})
    assert "by another policy" in (Population(shared.path).earlier_search("a", gains) or "")


def test_a_control_is_held_where_it_would_first_have_been_stopped(shared: Population) -> None:
    for run_id in ("r1", "r2"):
        shared.start("a", run_id)
    for progress in (0.25, 0.5):
        shared.hold("a", "r1", progress)
    shared.hold("a", "r2", None)
    assert [member.held_at for member in shared.members("a")] == [0.25, 0.0]


def test_a_name_is_kept_once_and_nothing_said_is_nothing_kept(shared: Population) -> None:
    for run_id, about in (
        ("r1", About(name="n", tags=("t",))),
        ("r2", About(name="m")),
        ("r3", None),
    ):
        shared.start("a", run_id, about=about)
    kept = [(member.name, member.about) for member in shared.members("a")]
    assert kept == [("n", '{"tags":["t"]}'), ("m", None), (None, None)]
