"""Evaluation: figures against known answers, and what cannot be scored is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from made_up import Insider, forecast_of, make_runs

from oracle.errors import DatasetError
from oracle.evaluation.accuracy import (
    coverages,
    errors,
    report,
    score,
    screenings,
    stopping,
)
from oracle.evaluation.baselines import LastValue, TrainingMean
from oracle.evaluation.intervals import clusters_of, correlation, interval, mean_of, measures
from oracle.evaluation.scored import SCORES, Scored
from oracle.types import Forecast, History, Run

RUNS = [*make_runs(60, "a", seed=1), *make_runs(60, "b", seed=2)]


@pytest.fixture(scope="module")
def scored() -> Scored:
    return score(RUNS, Insider(RUNS), {"last": LastValue()})


def test_measures_of_a_known_case() -> None:
    true, guess = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, 6.0])
    found = measures(true, guess, np.array(["t"] * 4))
    assert found["mae"] == 0.5
    assert found["rmse"] == 1.0
    assert found["r2"] == pytest.approx(0.2)
    assert found["pearson"] == pytest.approx(np.corrcoef(true, guess)[0, 1])


def test_ranks_are_compared_within_tables_only() -> None:
    true = np.concatenate([np.arange(6.0), np.arange(6.0) + 100])
    within_wrong = np.concatenate([np.arange(6.0)[::-1], np.arange(6.0)[::-1] + 100])
    found = measures(true, within_wrong, np.repeat(["a", "b"], 6))
    assert found["pearson"] > 0.99
    assert found["spearman"] == pytest.approx(-1.0)


def test_a_constant_has_no_correlation() -> None:
    assert np.isnan(correlation(np.ones(5), np.arange(5.0)))


def test_intervals_see_tables_not_runs() -> None:
    """Two hundred equal runs of two tables tell no more than two runs."""
    values = np.repeat([[0.0, 1.0], [1.0, 1.0]], 100, axis=0)
    tables = np.repeat(["a", "b"], 100)
    assert interval(mean_of, values, clusters_of(tables)) == (0.0, 1.0)


def test_intervals_within_one_table_are_over_its_runs() -> None:
    values = np.repeat([[0.0, 1.0], [1.0, 1.0]], 100, axis=0)
    low, high = interval(mean_of, values, clusters_of(np.repeat("a", 200))) or (0.0, 0.0)
    assert 0.4 < low < 0.5 < high < 0.6
    assert interval(mean_of, values[:1], clusters_of(np.array(["a"]))) is None


def test_an_insider_errs_less_the_more_it_sees(scored: Scored) -> None:
    mae = [row["mae"] for row in errors(scored) if row["forecaster"] == "oracle"]
    assert mae[0] > mae[1] > mae[3] > mae[5]
    ratio = [row.get("ratio_to_last") for row in errors(scored) if row["forecaster"] == "oracle"]
    assert ratio[0] is None  # before the first checkpoint there is no last value
    assert ratio[1] < 1.0
    assert ratio[-1] is None  # the last value is right at the end: nothing to divide by


def test_honest_draws_are_covered(scored: Scored) -> None:
    rows = [r for r in coverages(scored) if r["score"] == "final_mqe"]
    assert [r["progress"] for r in rows] == [0.0, 0.1, 0.2, 0.3, 0.5, 0.7]
    # The insider's noise stands once in the middle and once in the draws: honest by design.
    assert np.mean([r["coverage_50%"] for r in rows]) == pytest.approx(0.5, abs=0.1)
    assert np.mean([r["coverage_90%"] for r in rows]) == pytest.approx(0.9, abs=0.05)


def test_a_settled_ratio_is_covered_by_the_randomised_transform() -> None:
    """Draws that all equal the outcome count as right, whatever the interval."""
    settled = [r.model_copy(update={"final_dead_neuron_ratio": 0.0}) for r in RUNS]
    found = score(settled, Insider(settled, noise=1e-12), progress=(0.5,))
    pit = found.pit[0, :, SCORES.index("final_dead_neuron_ratio")]
    assert np.mean(np.abs(pit - 0.5) <= 0.25) == pytest.approx(0.5, abs=0.15)


def test_stopping_says_when_there_is_one_class_only(scored: Scored) -> None:
    one_class = [row for row in stopping(scored) if not row["both_classes"]]
    both = [row for row in stopping(scored) if row["both_classes"]]
    assert both
    for row in both:
        assert row["accuracy"] > 0.7
        assert row["recall"] is not None
    for row in one_class:
        assert row["bad"] in (0, row["n"])


def test_what_is_left_out_is_counted(scored: Scored) -> None:
    odd = [RUNS[0].model_copy(update={"censored": True}), *RUNS[1:]]
    assert score(odd, Insider(RUNS), progress=(0.5,)).excluded["censored"] == 1
    with pytest.raises(DatasetError, match="one usable run"):
        score(odd[:1], Insider(RUNS))
    assert scored.excluded == {}


class Ranked:
    """Forecasts the final mqe as told, at every prefix."""

    def __init__(self, guess: dict[str, float]) -> None:
        self.guess, self.asked = guess, list[History]()

    def forecast_many(self, histories: Sequence[History]) -> list[Forecast]:
        self.asked += histories
        return [forecast_of(np.full((9, 3), self.guess[h.run_id or ""]), h) for h in histories]


def ranked(count: int, table: str, seed: int) -> list[Run]:
    """Runs that end 1, 2, 3 ... in everything that counts."""
    runs = make_runs(count, table, seed)
    ratios = {"final_topographic_error": 0.1, "final_dead_neuron_ratio": 0.1}
    return [r.model_copy(update={"final_mqe": 1.0 + i, **ratios}) for i, r in enumerate(runs)]


def test_what_is_lost_when_the_worst_by_forecast_are_left_out() -> None:
    runs = [*ranked(20, "a", 1), *ranked(30, "b", 2), *ranked(9, "c", 3)]
    truth = {run.run_id: run.final_mqe for run in runs}
    best = [run.run_id for run in runs if run.final_mqe <= {"a": 2, "b": 3}.get(run.dataset, 0)]
    assert len(best) == 5

    def lost(guess: dict[str, float], out: float) -> tuple[float, int]:
        found = screenings(score(runs, Ranked(guess), progress=(0.0,)))
        (row,) = [r for r in found if r["left_out"] == out]
        return row["lost"], row["best"]

    # A table of nine runs has no best tenth.
    assert lost(truth, 0.5) == (0.0, 5)
    # One of the five is held for the worst of its table.
    one = truth | {best[0]: 1e6}
    assert lost(one, 0.5) == lost(one, 0.3) == (0.2, 5)
    # The second of twenty is held for the 11th of them: it goes with the worse half alone.
    middling = truth | {best[1]: 11.5}
    assert lost(middling, 0.5) == (0.2, 5)
    assert lost(middling, 0.3) == (0.0, 5)
    assert lost({name: -value for name, value in truth.items()}, 0.5) == (1.0, 5)


def test_at_0_the_plan_alone_is_forecast_and_only_with_a_scale() -> None:
    bare = [
        r.model_copy(
            update={
                "history": r.history.model_copy(
                    update={"context": r.history.context.model_copy(update={"mqe_of_mean": None})}
                )
            }
        )
        for r in ranked(12, "bare", 1)
    ]
    runs = [*ranked(20, "a", 2), *bare]
    forecaster = Ranked({run.run_id: run.final_mqe for run in runs})
    found = score(runs, forecaster, {"last": LastValue()}, progress=(0.0, 0.2))
    lengths = [len(history) for history in forecaster.asked]
    assert lengths.count(0) == 20
    assert len(lengths) == 20 + 32
    assert np.isnan(found.predicted["oracle"][0, 20:]).all()
    assert np.isnan(found.predicted["last"][0, 20:]).all()
    assert np.isfinite(found.predicted["oracle"][0, :20, 0]).all()
    assert {row["n"] for row in errors(found, "final_mqe") if row["progress"] == 0} == {20}
    # Where no run tells its scale, nothing is said of 0 %.
    none = report(score(bare, forecaster, progress=(0.0, 0.2)))
    assert none["screening"] == [row for row in none["screening"] if row["progress"]]
    assert next(r["mae"] for r in none["errors"] if r["score"] == "final_mqe") is None


def test_a_report_is_json_without_nan(scored: Scored) -> None:
    import json

    found = report(scored)
    json.dumps(found, allow_nan=False)
    assert found["runs"] == len(RUNS)
    assert set(found["by_table"]) == {"a", "b"}
    assert found["by_source"].keys() == {"made"}
    for rows in (*found["by_table"].values(), *found["by_source"].values()):
        assert {row["score"] for row in rows} == set(SCORES)
        assert {row["forecaster"] for row in rows} == {"oracle", "last"}
        for row in rows:
            low, high = row["mae_interval"]
            assert low < high or row["mae"] == 0


def test_a_metric_that_no_run_has_is_unknown() -> None:
    undefined = [run.model_copy(update={"final_topographic_error": None}) for run in RUNS[:20]]
    baselines = {"mean": TrainingMean().fit(undefined)}
    found = report(score(undefined, Insider(RUNS), baselines, progress=(0.5,)))
    by_score = {row["score"]: row["mae"] for row in found["errors"]}
    assert by_score["final_topographic_error"] is None
    assert by_score["final_mqe"] > 0
    assert by_score["quality_relative"] > 0  # of what is left
    assert found["quality_without"] == ["topographic_error"]
    assert {row["n"] for row in found["stopping"]} == {20}


def test_a_run_that_lacks_what_others_have_is_not_scored() -> None:
    one = [RUNS[0].model_copy(update={"final_topographic_error": None}), *RUNS[1:20]]
    found = report(score(one, Insider(RUNS), progress=(0.5,)))
    assert "quality_without" not in found
    by_score = {row["score"]: row["n"] for row in found["errors"]}
    assert (by_score["final_mqe"], by_score["quality_relative"]) == (20, 19)


def test_without_a_scale_the_raw_score_is_reported() -> None:
    bare = [
        r.model_copy(
            update={
                "history": r.history.model_copy(
                    update={"context": r.history.context.model_copy(update={"mqe_of_mean": None})}
                )
            }
        )
        for r in RUNS[:20]
    ]
    found = report(score(bare, Insider(bare), progress=(0.5,)))
    assert found["main_score"] == "quality_raw"
    rows = {row["score"]: row["mae"] for row in found["by_table"]["a"]}
    assert rows["quality_raw"] > 0
    assert rows["quality_relative"] is None


def test_pictures_are_drawn(scored: Scored, tmp_path: Path) -> None:
    from oracle.commands.evaluate import draw

    for path in draw(tmp_path, scored):
        assert Path(path).read_bytes().startswith(b"\x89PNG")
