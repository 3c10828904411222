"""Searches of a slow and of a fast machine are told in one unit of time."""

from __future__ import annotations

from typing import Any

import pytest

from bench.ea.pace import at_one_pace, pace_s
from bench.ea.report import figures


def entry(judge: str, seed: int, pace: float | None, times: list[float]) -> dict[str, Any]:
    n = len(times)
    return {
        "library": "minisom", "kind": "single", "judge": judge, "table": "t", "seed": seed,
        "epochs": [(i + 1) / n for i in range(n)], "best": [1.0 - i / n for i in range(n)],
        "cpu_s": times, "stopped": 0, **({} if pace is None else {"pace_s": pace}),
    }  # fmt: skip


def test_a_slow_machine_is_no_slow_search() -> None:
    fast, slow = entry("none", 0, 0.1, [1, 2, 3, 4]), entry("none", 1, 0.4, [4, 8, 12, 16])
    one, other = at_one_pace([fast, slow, entry("none", 2, None, [9, 9, 9, 9])])
    assert one["cpu_s"] == pytest.approx(other["cpu_s"])
    assert one["cpu_s"][-1] == pytest.approx(10)  # at the median pace


def test_the_plain_searchs_share_of_its_own_time_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.ea.report.JUDGES", {"single": ("none", "oracle")})
    searches = [
        entry(judge, seed, pace, [10 * pace * share * i for i in (1, 2, 3, 4)])
        for judge, share in (("none", 1.0), ("oracle", 0.5))
        for seed, pace in ((0, 0.1), (1, 0.4))
    ]
    untimed = [entry(judge, 2, None, [1e9] * 4) for judge in ("none", "oracle")]
    plain, oracle = figures([*searches, *untimed])
    assert plain["time_needed"] == pytest.approx(1.0, abs=0.01)
    assert oracle["time_needed"] == pytest.approx(0.5, abs=0.01)
    assert (plain["timed"], oracle["timed"]) == (2, 2)


def test_the_pace_is_measured() -> None:
    assert 0.001 < pace_s() < 60
