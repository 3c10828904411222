"""What needs somebody: each rule once, and the edges beside it."""

from __future__ import annotations

from typing import Any

from oracle.audit.alerts import LiveRun, Search, alerts
from oracle.audit.audit import audit

NOW = 10_000.0


def run(name: str = "r", **changes: Any) -> LiveRun:
    """A live run of whose kind nothing is to be said."""
    plain: dict[str, Any] = {
        "state": "running", "created_at": NOW - 100, "updated_at": NOW - 1, "n_checkpoints": 11,
        "mqe": 0.5, "first": 0.4, "scale": 1.0, "stops": 0, "control": False, "overridden": False,
        "first_stop": None, "decided": {"promising": 5},
    }  # fmt: skip
    return LiveRun(name, **(plain | changes))


def kinds(*runs: LiveRun, planned: int | None = None, **changes: Any) -> list[str]:
    """Kinds of the alerts of these runs."""
    search = Search(list(runs), planned, None, 0.5, audit([], 0.1))._replace(**changes)
    return [one.kind for one in alerts(search, NOW)]


def test_nothing_is_said_of_a_search_that_goes_well() -> None:
    assert kinds(run(), run("s", state="stopped", stops=1), run("c", control=True)) == []
    assert kinds() == []


def test_stops_that_are_ignored() -> None:
    assert kinds(run(stops=1, first_stop=0.12)) == ["ignored_stops"]
    assert kinds(run(stops=3, state="stopped")) == ["ignored_stops"]
    assert kinds(run(stops=3, overridden=True)) == []
    search = Search([run(str(i), stops=2, first_stop=0.12) for i in range(30)], None, None, 0, None)
    told = alerts(search, NOW)[0]
    assert (told.n, len(told.run_ids)) == (30, 20)
    assert "12%" in told.sentence


def test_silence_is_measured_by_a_run_s_own_pace() -> None:
    slow = run(created_at=NOW - 10_000, updated_at=NOW - 3_000, n_checkpoints=8)  # every 1,000 s
    assert kinds(slow) == []
    assert kinds(slow._replace(created_at=NOW - 3_700)) == ["silent"]  # every 100 s
    assert kinds(run(updated_at=NOW - 50)) == []  # a minute at least
    assert kinds(run(n_checkpoints=1, updated_at=NOW - 90)) == []  # its pace is not known


def test_it_diverges() -> None:
    assert kinds(run(mqe=1.6), run("other", mqe=2.0)) == ["diverged"]
    assert kinds(run(mqe=1.4)) == []  # a map that orders itself grows first
    assert kinds(run(mqe=1.6, state="finished")) == []
    assert kinds(run(mqe=1.6, scale=None)) == []
    assert kinds(run(mqe=4.1, scale=None)) == ["diverged"]
    assert kinds(run(mqe=4.1, scale=None, first=0.0)) == []


def test_support_is_lost_by_decisions_not_by_runs() -> None:
    unlike = run(decided={"no_support": 6, "promising": 14})
    assert kinds(unlike) == ["support_lost"]
    assert kinds(unlike._replace(decided={"no_support": 4, "promising": 16})) == []
    assert kinds(unlike._replace(decided={"no_support": 6})) == []  # too few to tell
    told = alerts(Search([unlike], None, None, 0, None, "the passes, 4 beyond"), NOW)[0]
    assert "the passes" in told.sentence


def test_the_end_and_the_best() -> None:
    ended = [run(str(i), state="finished") for i in range(4)]
    assert kinds(*ended, planned=4, best=("1", 0.3, NOW)) == ["new_best", "search_over"]
    assert kinds(*ended, planned=5) == []
    assert kinds(*ended, run("live"), planned=4) == []
