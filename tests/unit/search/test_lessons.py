"""Runs of a search that have ended teach the plans of those to come, and fail no search."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from oracle import Screen, screen, suggest
from oracle.errors import InvalidHistory, OracleWarning, StoreUnavailable
from oracle.forecast.forecaster import Oracle
from oracle.hook.population import Population
from oracle.search.lessons import Lessons
from oracle.search.libraries import library_of
from oracle.search.plan import Plan
from oracle.search.suggest import plans_on
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

    def learned(name: str | None, table: Table = TABLE) -> int:
        found = suggest(
            table, 1, candidates=5, oracle=oracle, population=where, population_name=name
        )
        return found.learned

    assert (learned(None), learned(None, other)) == (3, 4)
    assert (learned("mine"), learned("mine", other)) == (3, 0)  # of another table
    assert (learned("nobody"), learned(None, table_of(DATA * 3))) == (0, 0)


def test_a_search_that_has_not_begun_makes_no_file(tmp_path: Path, oracle: Oracle) -> None:
    where = tmp_path / "later.db"
    chooses = Screen(TABLE, budget=BUDGET, oracle=oracle, population=where)
    candidates = [{"sigma": s} for s in (0.5, 2.0, 3.0)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert chooses(candidates, 3) == screen(TABLE, candidates, 3, budget=BUDGET, oracle=oracle)
    assert not where.exists()


def test_a_population_that_breaks_ends_no_search(tmp_path: Path, oracle: Oracle) -> None:
    where = tmp_path / "broken.db"
    where.write_text("no database " * 1_000)
    candidates = [{"sigma": s} for s in (0.5, 2.0, 3.0)]
    chooses = Screen(TABLE, budget=BUDGET, oracle=oracle, population=where)
    with pytest.warns(OracleWarning, match="could not be read") as told:
        first = chooses(candidates, 3)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert chooses(candidates, 3) == first
    # Who asks once is told.
    with pytest.raises((StoreUnavailable, InvalidHistory)):
        suggest(TABLE, 1, candidates=5, oracle=oracle, population=where)


@pytest.mark.parametrize("population", ["http://127.0.0.1:8000", ":memory:"])
def test_what_is_no_population_is_refused(population: str) -> None:
    with pytest.raises(InvalidHistory, match="population"):
        Lessons(population, None, TABLE)
