"""Runs of a search that have ended teach the plans of those to come, and fail no search."""

from __future__ import annotations

import sqlite3
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle import Screen, how_long, screen, suggest
from oracle.errors import InvalidHistory, OracleWarning, StoreUnavailable
from oracle.forecast.forecaster import Oracle
from oracle.forecast.residuals import SHARES
from oracle.hook.circuit import FAILURES
from oracle.hook.population import Population
from oracle.search.lessons import PopulationLessons
from oracle.search.libraries import library_of
from oracle.search.plan import Plan
from oracle.search.plane import plane
from oracle.search.suggest import LUCK, plans_on
from oracle.search.table import Table, table_of
from oracle.types import LEVELS, History, Outcome

DATA = np.random.default_rng(5).normal(size=(200, 4)) * np.array([3, 2, 1, 0.3])
TABLE = table_of(DATA)
BUDGET = 3_000
LOW, HIGH = 0, LEVELS.index(0.95)


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle.load()


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return plans_on(library_of("minisom"), TABLE, {"topology": "rectangular"}, BUDGET, 60, 3)[0]


def taught(
    path: Path,
    oracle: Oracle,
    plans: list[Plan],
    *,
    name: str = "mine",
    at: int = HIGH,
    prefix: str = "r",
) -> Path:
    """Enter runs of these plans that all ended at one level of their forecasts."""
    population = Population(path)
    for i, plan in enumerate(plans):
        begun = {"run_id": f"{prefix}{i}", "context": plan.context, "total_epochs": BUDGET}
        history = History.parse(begun)
        final = {target: values[at] for target, values in oracle.forecast(history).final.items()}
        outcome = Outcome(run_id=f"{prefix}{i}", **final)
        lesson = oracle.residuals(history, outcome)
        assert lesson is not None
        teaches = (oracle.info.sha256, lesson.to_bytes())
        scale = plan.context.mqe_of_mean
        population.end(name, outcome, mqe_of_mean=scale, progress=1.0, teaches=teaches)
    population.close()
    return path


def middles(oracle: Oracle, where: Path | None, name: str | None = None) -> dict[str, float]:
    """Forecast of mqe of plans, whichever are chosen."""
    found = suggest(
        TABLE, 60, candidates=60, budget=BUDGET, seed=3, oracle=oracle, objectives=("mqe",),
        space={"topology": "rectangular"}, population=where, population_name=name,
    )  # fmt: skip
    return {plan.code: plan.expected["mqe"][LEVELS.index(0.5)] for plan in found}


@pytest.mark.parametrize(("at", "sign"), [(HIGH, 1), (LOW, -1)])
def test_suggestions_follow_what_has_ended(
    tmp_path: Path, oracle: Oracle, plans: list[Plan], at: int, sign: int
) -> None:
    before = middles(oracle, None)
    after = middles(oracle, taught(tmp_path / "runs.db", oracle, plans[:30], at=at))
    moved = [sign * (after[code] - before[code]) / before[code] for code in before]
    assert np.median(moved) > 0.03
    assert min(moved) > -0.01


def test_they_say_of_how_many(tmp_path: Path, oracle: Oracle, plans: list[Plan]) -> None:
    where = taught(tmp_path / "runs.db", oracle, plans[:5])
    found = suggest(DATA, 3, candidates=60, budget=BUDGET, oracle=oracle, population=where)
    assert found.learned == 5
    assert "Learned of 5 runs that ended." in str(found)
    alone = suggest(DATA, 3, candidates=60, budget=BUDGET, oracle=oracle)
    assert alone.learned == 0
    assert "Learned" not in str(alone)


def test_what_ended_badly_is_not_kept_again(tmp_path: Path, oracle: Oracle) -> None:
    """Of two kinds of maps one is taught to end worse than forecast, the other one better."""
    rest = {"x": (6, 9), "y": (6, 9), "learning_rate": (0.3, 0.6), "topology": "rectangular"}
    narrow, wide = (
        plans_on(library_of("minisom"), TABLE, {**rest, "sigma": sigma}, BUDGET, 40, 4)[0]
        for sigma in ((0.7, 0.9), (2.0, 2.4))
    )
    candidates = [plan.parameters for plan in (*narrow[20:], *wide[20:])]

    def narrow_ones(good: list[Plan], bad: list[Plan]) -> int:
        where = tmp_path / f"{good is narrow}.db"
        taught(where, oracle, good[:20], at=LOW)
        taught(where, oracle, bad[:20], at=HIGH, prefix="b")
        kept = screen(TABLE, candidates, 10, budget=BUDGET, oracle=oracle, population=where)
        return sum(i < 20 for i in kept)

    assert narrow_ones(good=narrow, bad=wide) >= 8
    assert narrow_ones(good=wide, bad=narrow) <= 2


def test_the_population_of_the_table_is_found(
    tmp_path: Path, oracle: Oracle, plans: list[Plan]
) -> None:
    where = taught(tmp_path / "runs.db", oracle, plans[:3], name="mine")
    other = table_of(DATA * 2)
    theirs = plans_on(library_of("minisom"), other, None, BUDGET, 4, 3)[0]
    taught(where, oracle, theirs, name="theirs")  # touched later

    def learned(name: str | int | None, table: Table = TABLE) -> tuple[int, str | None]:
        found = suggest(
            table, 1, candidates=5, oracle=oracle, population=where, population_name=name
        )
        return found.learned, found.not_learned

    assert (learned(None), learned(None, other)) == ((3, None), (4, None))
    assert learned("mine") == (3, None)
    assert "are of another table" in (learned("mine", other)[1] or "")
    assert "no run of nobody has ended, but of theirs, mine" in (learned("nobody")[1] or "")
    # Of one table they teach each other, whatever the searches are called.
    taught(where, oracle, plans[3:5], name="again", prefix="a")
    assert learned(None) == (5, None)
    none, why = learned(None, table_of(DATA * 1.01))
    assert none == 0
    assert "say which by `population_name`" in (why or "")
    # A name vouches for a table that is nearly the same: of more rows, scaled anew.
    assert learned("mine", table_of(DATA * 1.01)) == (3, None)


@pytest.mark.parametrize("kind", ["none yet", "empty", "of live runs"])
def test_who_asks_of_a_search_that_has_not_begun_leaves_no_trace(
    tmp_path: Path, oracle: Oracle, kind: str
) -> None:
    where = tmp_path / "later.db"
    if kind == "empty":
        where.touch()
    elif kind == "of live runs":
        population = Population(where)
        population.start("mine", "r0")
        population.close()
    before = where.read_bytes() if where.exists() else None
    candidates = [{"sigma": s} for s in (0.5, 2.0, 3.0)]
    for asked in (where, Population(where)):
        chooses = Screen(TABLE, budget=BUDGET, oracle=oracle, population=asked)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            alone = screen(TABLE, candidates, 3, budget=BUDGET, oracle=oracle)
            assert chooses(candidates, 3) == alone
        assert chooses.learned == 0
        assert "no run has ended yet" in (chooses.not_learned or "")
    assert (where.read_bytes() if where.exists() else None) == before


def test_a_screen_reads_what_ends_meanwhile(
    tmp_path: Path, oracle: Oracle, plans: list[Plan]
) -> None:
    where = tmp_path / "runs.db"
    chooses = Screen(TABLE, budget=BUDGET, oracle=oracle, population=where)
    for n in (2, 5):
        taught(where, oracle, plans[:n])
        chooses([{"sigma": 1.0}], 1)
        assert (chooses.learned, chooses.not_learned) == (n, None)
    # Another search in a file of that name: the earlier one's runs are nobody's any more.
    where.unlink()
    taught(where, oracle, plans[:1])
    chooses([{"sigma": 1.0}], 1)
    assert chooses.learned == 1
    assert len(Population(where).members("mine")) == 1


def test_a_population_that_breaks_ends_no_search(tmp_path: Path, oracle: Oracle) -> None:
    where = tmp_path / "broken.db"
    where.write_text("no database " * 1_000)
    candidates = [{"sigma": s} for s in (0.5, 2.0, 3.0)]
    chooses = Screen(TABLE, budget=BUDGET, oracle=oracle, population=where)
    with pytest.warns(OracleWarning, match="learns nothing of the population's runs") as told:
        first = chooses(candidates, 3)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert chooses(candidates, 3) == first
    # Who asks once is told.
    with pytest.raises(StoreUnavailable, match="population"):
        suggest(TABLE, 1, candidates=5, oracle=oracle, population=where)


def test_a_locked_file_is_left_alone_for_a_while(
    tmp_path: Path, oracle: Oracle, plans: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    where = taught(tmp_path / "runs.db", oracle, plans[:2])
    asked: list[Path] = []

    def locked(place: Path, timeout_s: float = 2.0) -> None:
        asked.append(place)
        raise StoreUnavailable("`population` must answer, but got 'database is locked'.")

    monkeypatch.setattr("oracle.search.lessons.looked_at", locked)
    chooses = Screen(TABLE, budget=BUDGET, oracle=oracle, population=where)
    with pytest.warns(OracleWarning):
        chooses([{"sigma": 1.0}], 1)
    for _ in range(5):
        assert chooses([{"sigma": 1.0}], 1) == [0]
    assert len(asked) == FAILURES
    assert "left alone" in (chooses.not_learned or "")


def test_a_damaged_lesson_teaches_nothing(
    tmp_path: Path, oracle: Oracle, plans: list[Plan]
) -> None:
    where = taught(tmp_path / "runs.db", oracle, plans[:3])
    for damage in (np.nan, -5.0):
        with closing(sqlite3.connect(where)) as db, db:
            (lesson,) = db.execute("SELECT teaches FROM run WHERE run_id = 'r0'").fetchone()
            numbers = np.frombuffer(lesson, "<f4").reshape(len(SHARES), -1).copy()
            numbers[0, -1] = damage
            db.execute("UPDATE run SET teaches = ? WHERE run_id = 'r0'", (numbers.tobytes(),))
        found = suggest(TABLE, 1, candidates=5, oracle=oracle, population=where)
        assert (found.learned, found.not_learned) == (2, None)


def test_how_long_and_a_plane_say_what_suggestions_say(
    tmp_path: Path, oracle: Oracle, plans: list[Plan]
) -> None:
    where = taught(tmp_path / "runs.db", oracle, plans[:30])
    best = suggest(
        TABLE, 1, candidates=60, budget=BUDGET, oracle=oracle, population=where
    )[0]  # fmt: skip
    asked = {"budget": BUDGET, "oracle": oracle, "population": where}
    told = how_long(TABLE, best.parameters, shares=(1.0,), **asked)
    assert (told.learned, told.not_learned) == (30, None)
    assert "Learned of 30 runs that ended." in str(told)
    middle = LEVELS.index(0.5)
    assert told.expected[0][middle] == pytest.approx(
        best.expected["quality"][middle] - LUCK["quality"], rel=1e-9
    )
    around = dict(best.parameters)
    drawn = [
        plane(TABLE, around, ("sigma", "learning_rate"), **(asked | {"population": place}))
        for place in (None, where)
    ]
    assert drawn[0].values != drawn[1].values


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"population": "http://127.0.0.1:8000"}, "Client"),
        ({"population": ":memory:"}, "the path of a file"),
        ({"population": 123}, "the path of a file"),
        ({"population": b"a.db"}, "the path of a file"),
        ({"population_name": "mine"}, "left out"),
        ({"population": "a.db", "population_name": ["mine"]}, "a text or a number"),
    ],
)
def test_what_is_no_population_is_refused(asked: dict[str, Any], told: str) -> None:
    for ask in (Screen, suggest):
        with pytest.raises(InvalidHistory, match=told):
            ask(TABLE, **asked)
    with pytest.raises(InvalidHistory, match=told):
        PopulationLessons(asked.get("population"), asked.get("population_name"), TABLE)
