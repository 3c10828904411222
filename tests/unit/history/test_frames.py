"""Runs and forecasts as DataFrames: the documented columns, every value, clear errors."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from made_up import Insider, history_of, make_runs

from oracle import decide, forecast_frame, read_frame, runs_frame
from oracle.errors import InvalidHistory, OracleError
from oracle.history.dataset import write_dataset
from oracle.history.frames import CHECKPOINT_COLUMNS, FORECAST_COLUMNS, RUN_COLUMNS

RUNS = make_runs(4)
ROOT = Path(__file__).parents[3]


def test_a_row_a_run(tmp_path: Path) -> None:
    write_dataset(tmp_path / "d.csv", RUNS, {})
    frame = read_frame(tmp_path / "d.csv")
    assert list(frame.columns) == list(RUN_COLUMNS)
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == dict(RUN_COLUMNS)
    first, row = RUNS[0], frame.iloc[0]
    assert (row.run_id, row.source, row.population, row.n_checkpoints) == (
        first.run_id, "made", "made", len(first.history),
    )  # fmt: skip
    scale = first.history.context.mqe_of_mean
    assert scale is not None
    expected = (
        first.final_mqe / scale
        + first.final_topographic_error
        + 0.5 * first.final_dead_neuron_ratio
    )  # type: ignore[operator]
    assert row.quality == pytest.approx(expected)
    assert frame.equals(runs_frame(iter(RUNS)))


def test_a_row_a_checkpoint() -> None:
    frame = runs_frame(RUNS, "checkpoints")
    assert list(frame.columns) == list(CHECKPOINT_COLUMNS)
    assert len(frame) == sum(len(run.history) for run in RUNS)
    mine = frame[frame.run_id == RUNS[2].run_id]
    assert tuple(mine.mqe) == RUNS[2].history.mqe
    assert tuple(mine.progress) == tuple(e / 100 for e in RUNS[2].history.epochs)
    assert mine.learning_rate.isna().all()


def test_histories_have_no_end_yet() -> None:
    frame = runs_frame([history_of(dataset="t"), history_of(total_epochs=None)])
    assert frame.final_mqe.isna().all()
    assert frame.quality.isna().all()
    assert list(frame.population) == ["t", None]
    assert not frame.censored.any()


def test_nothing_is_a_frame_of_no_rows() -> None:
    for frame, columns in (
        (runs_frame([]), RUN_COLUMNS),
        (runs_frame([], "checkpoints"), CHECKPOINT_COLUMNS),
        (forecast_frame([]), FORECAST_COLUMNS),
    ):
        assert (len(frame), list(frame.columns)) == (0, list(columns))


def test_forecasts_and_decisions() -> None:
    histories = [run.history.prefix(8) for run in RUNS]
    forecasts = Insider(RUNS).forecast_many(histories)
    frame = forecast_frame(forecasts)
    assert list(frame.columns) == list(FORECAST_COLUMNS)
    assert list(frame.final_mqe_q50) == [f.median("final_mqe") for f in forecasts]
    assert (frame.final_mqe_q05 <= frame.final_mqe_q95).all()
    assert set(frame.quality_scale) == {"relative"}
    assert frame.action.isna().all()
    decided = forecast_frame([decide(histories[0], forecasts[0]), decide(histories[1], None)])
    assert list(decided.reason)[1] == "no_model"
    assert decided.final_mqe_q50[0] == frame.final_mqe_q50[0]
    assert np.isnan(decided.final_mqe_q50[1])
    assert len(forecast_frame(forecasts[0])) == 1


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: runs_frame(RUNS, "epochs"), "`rows` must be runs or checkpoints"),  # type: ignore[arg-type]
        (lambda: runs_frame("d.csv"), "`read_frame` reads a file"),  # type: ignore[arg-type]
        (lambda: runs_frame([1]), "must be of `Run` or `History`, but got 1"),  # type: ignore[list-item]
        (lambda: runs_frame(None), "but got None"),  # type: ignore[arg-type]
        (lambda: forecast_frame([None]), "must be forecasts or decisions"),  # type: ignore[list-item]
    ],
)
def test_what_is_none_is_refused(make: object, told: str) -> None:
    with pytest.raises(InvalidHistory, match=told):
        make()  # type: ignore[operator]


def test_without_pandas_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(OracleError, match="pip install pandas"):
        runs_frame(RUNS)


def test_every_column_is_in_the_data_page() -> None:
    page = (ROOT / "docs/data.md").read_text("utf-8")
    columns = {*RUN_COLUMNS, *CHECKPOINT_COLUMNS, *FORECAST_COLUMNS}
    named = {name for name in columns if not name.startswith(("final_", "quality_q"))}
    assert not [name for name in named if f"`{name}`" not in page]
