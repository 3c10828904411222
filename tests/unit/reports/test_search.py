"""The report of a search: its figures follow from its runs, and every point has its row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from oracle.audit.audit import audit
from oracle.audit.ended import EndedRun, Look
from oracle.errors import InvalidHistory
from oracle.reports.page import write_report
from oracle.reports.search import Search, SearchRun, conclude, search_of
from oracle.reports.search_report import of_search

BAND = (0.1, 0.2, 0.3, 0.4, 0.5)
HOSTILE = "<script>alert('x')</script>"


def run_of(i: int, **changes: Any) -> SearchRun:
    """Give a run of a search whose score is the better, the greater its rate."""
    stopped = i % 2 == 1
    score = 0.2 + 0.01 * i
    run = SearchRun(
        run_id=f"r-{i:02d}", name=f"run {i}", state="stopped" if stopped else "finished",
        seen=0.25 if stopped else 1.0, epoch=25 if stopped else 100, total_epochs=100,
        finals=(score, 0.0, 0.0), mqe_of_mean=1.0,
        quality=tuple(score + d for d in (-0.1, -0.05, 0.0, 0.05, 0.1)) if stopped else None,
        settings={"rate": 1.0 / (1 + i), "topology": "hexagonal" if i % 3 else "rectangular"},
        reason="unlikely_good" if stopped else "finished", p_good=0.01,
        began=3600.0 * i, ended=3600.0 * i + (900 if stopped else 3600),
    )  # fmt: skip
    return run._replace(**changes)


def searched(runs: list[SearchRun], **more: Any) -> Search:
    given = {"good": 0.1, "weights": (1.0, 1.0, 0.5)} | more
    return search_of("wine", "a test", runs, **given)


@pytest.fixture
def whole() -> Search:
    """Forty ended runs, one live, with an audit of their own."""
    runs = [run_of(i) for i in range(40)]
    live = run_of(40, state="running", seen=0.3, finals=(None,) * 3, quality=BAND, ended=None)
    looks = [Look(0.1, (0.1, 0.2, 0.4, 0.6, 0.9), 0.3)] * 4
    told = [
        EndedRun(r.run_id, r.finals[0], r.finals[0] or 0.0, False, 0.5 if i == 2 else None,
                 0.1 if i == 2 else None, 0.3, tuple(looks))
        if r.state == "finished"
        else EndedRun(r.run_id, None, r.finals[0] or 0.0, True, None, 0.25, 0.01, (None,) * 4)
        for i, r in enumerate(runs)
    ]  # fmt: skip
    return searched([live, *runs], audit=audit(told, 0.1))


def html_of(search: Search, path: Path) -> str:
    conclusion = conclude(search)
    write_report(path, f"Search {search.name}", conclusion, "", of_search(search))
    return path.read_text(encoding="utf-8")


def test_what_a_search_saved_and_its_best(whole: Search, tmp_path: Path) -> None:
    assert whole.spent == (4000.0, 2000.0 + 20 * 25)
    assert whole.saved == pytest.approx(0.375)
    assert whole.hours == pytest.approx((20 + 20 * 0.25, 20 * 0.75))
    assert whole.best is not None
    assert whole.best.run_id == "r-00"
    assert whole.places["r-39"] == 40
    found, html = whole.as_json(), html_of(whole, tmp_path / "r.html")
    assert (found["stopped"], found["finished"], found["running"]) == (20, 20, 1)
    for figure in ("37.5\u00a0%", "15.0 h", "beside 25.0 h used", "0.200", ">0.2<"):
        assert figure in html, figure
    assert html.index(conclude(whole).word) < html.index("<section>")


def test_counts_of_one_row_are_written_alike(tmp_path: Path) -> None:
    many = [run_of(i, total_epochs=40_000, epoch=10_000) for i in range(6)]
    html = html_of(searched(many), tmp_path / "r.html")
    assert "90,000 of 240,000 planned" in html


def test_the_audit_is_told_in_full(whole: Search, tmp_path: Path) -> None:
    assert whole.audit is not None
    html, told = html_of(whole, tmp_path / "r.html"), whole.audit
    assert f">{told.lost.expected:.1f}<" in html
    for one in told.coverage:
        if one.rate is not None:
            bounds = f"{100 * one.low:.0f} to {100 * one.high:.0f}\u00a0%"
            assert f"{100 * one.rate:.0f}\u00a0%" in html
            assert bounds in html
    for mistake in told.mistakes:
        assert f"{mistake.error:.4f}" in html
    assert "Controls, one by one: 1" in html
    assert conclude(whole).tone == {"in its promise": "good"}.get(told.word, "warn")


def test_every_point_and_control_leads_to_a_row(whole: Search, tmp_path: Path) -> None:
    html = html_of(whole, tmp_path / "r.html")
    led = set(re.findall(r'href="#(run-[^"]+)"', html))
    assert len(led) == 40
    assert all(f'id="{name}"' in html for name in led)


def test_the_setting_that_explains_is_told_first(whole: Search, tmp_path: Path) -> None:
    html, found = html_of(whole, tmp_path / "r.html"), whole.found
    assert found.settings[0].name == "rate"
    assert f"{100 * found.settings[0].share:.0f}\u00a0%" in html
    assert "&#x27;rate&#x27;: (" in html  # as Python


def test_one_run_and_runs_without_anything(tmp_path: Path) -> None:
    html = html_of(searched([run_of(0)]), tmp_path / "one.html")
    assert "Nothing was stopped" in html
    assert "No setting differs" in html
    bare = run_of(1, settings={}, seen=None, total_epochs=None, finals=(None,) * 3, quality=None,
                  began=None, ended=None, p_good=None, reason=None, mqe_of_mean=None)  # fmt: skip
    search = searched([bare])
    assert (search.saved, search.hours, search.best) == (None, None, None)
    assert "nan" not in html_of(search, tmp_path / "bare.html").lower().replace("finance", "")


@pytest.mark.parametrize("runs", [[], [run_of(0, state="running")]])
def test_a_search_without_an_ended_run_is_refused(runs: list[SearchRun]) -> None:
    with pytest.raises(InvalidHistory, match="must be a search with a run that has ended"):
        searched(runs)


def test_names_and_settings_are_text(tmp_path: Path) -> None:
    odd = [
        run_of(i, run_id=f"{HOSTILE}{i}", name=HOSTILE, reason=HOSTILE,
               settings={HOSTILE: HOSTILE if i % 2 else 7, "x": [1e300, -1e-300, 0.0, 5][i % 4]})
        for i in range(24)
    ]  # fmt: skip
    html = html_of(searched(odd), tmp_path / "odd.html")
    assert "<script" not in html
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", html)


def test_a_run_of_another_table_has_no_score() -> None:
    runs = [run_of(i) for i in range(5)]
    search = searched([*runs, run_of(6, mqe_of_mean=500.0)])
    assert [run.score is None for run in search.runs] == [False] * 5 + [True]


def test_a_search_of_several_objectives_is_told_by_its_front(tmp_path: Path) -> None:
    ends = {
        "low mqe": ("finished", (0.2, 0.4, 0.9)), "between": ("finished", (0.3, 0.2, 0.9)),
        "beaten": ("finished", (0.35, 0.25, 0.0)), "low error": ("finished", (0.6, 0.0, 0.9)),
        "a forecast": ("stopped", (0.1, 0.0, 0.0)), "unknown": ("finished", (0.1, None, 0.0)),
    }  # fmt: skip
    runs = [
        run_of(i, run_id=name.replace(" ", "-"), name=name, state=state, finals=finals)
        for i, (name, (state, finals)) in enumerate(ends.items())
    ]
    search = searched(runs, objectives=("mqe", "topographic_error"))
    assert [run.name for run in search.front] == ["low mqe", "between", "low error"]
    assert search.as_json()["front"] == ["low-mqe", "between", "low-error"]
    assert "3 finished runs are on the Pareto front of mqe and topographic error" in (
        conclude(search).sentence
    )
    html = html_of(search, tmp_path / "front.html")
    assert "3 of 5 finished runs are beaten by none" in html
    assert "Best quality score" not in html
    assert html.index("Pareto front") < html.index("Best so far")
    for href in re.findall(r'href="#([^"]+)"', html):
        assert f'id="{href}"' in html
    assert searched(runs).front == []
    assert "Pareto" not in html_of(searched(runs), tmp_path / "one.html")
