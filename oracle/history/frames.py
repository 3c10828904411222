"""Runs and forecasts as pandas DataFrames: one row a run, or one a checkpoint.

pandas is imported when a frame is made, and needed for nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from oracle.errors import InvalidHistory, OracleError, must_be
from oracle.history.dataset import iter_dataset
from oracle.history.quality_score import scores_of, weights_of
from oracle.types import (
    CHECKPOINT,
    LEVELS,
    TARGETS,
    Decision,
    Forecast,
    History,
    Run,
    RunContext,
    Scale,
)

if TYPE_CHECKING:
    from pandas import DataFrame

Rows = Literal["runs", "checkpoints"]

_NAMES = ("run_id", "source", "dataset", "population")
#: What is known of a run before it begins, one value each.
_CONTEXT = tuple(name for name in RunContext.model_fields if name not in ("schedule", "geometry"))
#: Column -> its kind in pandas; what is not known is NaN, of a text None.
RUN_COLUMNS: Mapping[str, str] = {
    **dict.fromkeys(_NAMES, "object"),
    "censored": "bool",
    "n_checkpoints": "int64",
    "total_epochs": "float64",
    **dict.fromkeys(TARGETS, "float64"),
    "quality": "float64",
    **{
        name: "object" if name in ("topology", "toroidal", "neighborhood", "initialization")
        else "float64"
        for name in _CONTEXT
    },
}  # fmt: skip
CHECKPOINT_COLUMNS: Mapping[str, str] = {
    **dict.fromkeys(_NAMES, "object"),
    "censored": "bool",
    "epoch": "float64",
    "progress": "float64",
    **dict.fromkeys(CHECKPOINT[1:], "float64"),
}
#: Of a forecast: the value at each of LEVELS, as `final_mqe_q05`.
_QUANTILES = tuple(
    f"{target}_q{100 * level:02.0f}" for target in (*TARGETS, "quality") for level in LEVELS
)
FORECAST_COLUMNS: Mapping[str, str] = {
    "run_id": "object",
    "progress": "float64",
    "n_checkpoints": "int64",
    **dict.fromkeys(_QUANTILES, "float64"),
    "quality_scale": "object",
    "support": "float64",
    "will_worsen": "float64",
    "mqe_of_mean": "float64",
    "model": "object",
    "action": "object",
    "reason": "object",
    "message": "object",
    "p_good": "float64",
    "expected_saving": "float64",
}


def read_frame(path: str | Path, rows: Rows = "runs") -> DataFrame:
    """Read a dataset file into a DataFrame, see `runs_frame`.

    Args:
        path: `.csv`, `.csv.gz` or `.parquet`.
        rows: `runs`, or `checkpoints`.

    Raises:
        DatasetError: names file, row and column, the rule and what came.
        OracleError: pandas is not installed.
    """
    return runs_frame(iter_dataset(path), rows)


def runs_frame(runs: Iterable[Run | History], rows: Rows = "runs") -> DataFrame:
    """Put runs into a DataFrame, one row a run or one a checkpoint.

    Args:
        runs: of a dataset; or histories, which have no end yet.
        rows: `runs`: RUN_COLUMNS, with the final values, their quality score (in units of
            `mqe_of_mean` where that is known, else NaN) and the context; `checkpoints`:
            CHECKPOINT_COLUMNS.

    Raises:
        InvalidHistory: `rows` is neither, or something is no run.
        OracleError: pandas is not installed.
    """
    if rows not in get_args(Rows):
        raise InvalidHistory(must_be("rows", "runs or checkpoints", rows))
    if rows == "runs":
        return _frame((_run_row(one) for one in _each(runs)), RUN_COLUMNS)
    found = (row for one in _each(runs) for row in _checkpoint_rows(one))
    return _frame(found, CHECKPOINT_COLUMNS)


def forecast_frame(
    answers: Iterable[Forecast | Decision] | Forecast | Decision,
) -> DataFrame:
    """Put forecasts, or decisions with theirs, into a DataFrame, one row each.

    Args:
        answers: a decision without a forecast has NaN in its columns, a forecast has no action.

    Raises:
        InvalidHistory: something is neither.
        OracleError: pandas is not installed.
    """
    each = [answers] if isinstance(answers, Forecast | Decision) else list(answers)
    for answer in each:
        if not isinstance(answer, Forecast | Decision):
            raise InvalidHistory(must_be("answers", "forecasts or decisions", answer))
    return _frame(map(_forecast_row, each), FORECAST_COLUMNS)


def _each(runs: object) -> Iterator[Run | History]:
    if isinstance(runs, str | Path):
        raise InvalidHistory(must_be("runs", "runs", runs, "`read_frame` reads a file."))
    if isinstance(runs, Run | History) or not isinstance(runs, Iterable):
        runs = [runs]
    for one in runs:
        if not isinstance(one, Run | History):
            raise InvalidHistory(must_be("runs", "of `Run` or `History`", one))
        yield one


def _named(one: Run | History) -> tuple[History, dict[str, Any]]:
    """Give the history, and what names the run in every row."""
    if isinstance(one, History):
        return one, {
            "run_id": one.run_id, "dataset": one.dataset, "population": one.population_name,
            "censored": False,
        }  # fmt: skip
    return one.history, {
        "run_id": one.run_id, "source": one.source, "dataset": one.dataset,
        "population": one.history.population or one.dataset, "censored": one.censored,
    }  # fmt: skip


def _run_row(one: Run | History) -> dict[str, Any]:
    history, named = _named(one)
    context = history.context
    row = {
        **named,
        **{name: getattr(context, name) for name in _CONTEXT},
        "n_checkpoints": len(history),
        "total_epochs": history.total_epochs,
    }
    if isinstance(one, Run):
        finals = [getattr(one, target) for target in TARGETS]
        row |= dict(zip(TARGETS, finals, strict=True))
        if context.mqe_of_mean is not None and None not in finals:
            row["quality"] = float(scores_of(np.array(finals), weights_of(context.mqe_of_mean)))
    return row


def _checkpoint_rows(one: Run | History) -> Iterator[dict[str, Any]]:
    history, named = _named(one)
    total = history.total_epochs
    columns = {name: values for name in CHECKPOINT[1:] if (values := getattr(history, name))}
    for i, epoch in enumerate(history.epochs):
        progress = None if total is None else min(1.0, epoch / total)
        values = {name: column[i] for name, column in columns.items()}
        yield {**named, "epoch": epoch, "progress": progress, **values}


def _forecast_row(answer: Forecast | Decision) -> dict[str, Any]:
    row: dict[str, Any] = {"run_id": answer.run_id, "progress": answer.progress, "n_checkpoints": 0}
    forecast = answer if isinstance(answer, Forecast) else answer.forecast
    if isinstance(answer, Decision):
        row |= {
            "action": answer.action.value, "reason": answer.reason.value,
            "message": answer.message, "p_good": answer.p_good,
            "expected_saving": answer.expected_saving,
        }  # fmt: skip
    if forecast is None:
        return row
    quality = forecast.quality_on(Scale.RELATIVE) or forecast.quality_on(Scale.RAW)
    values = [value for target in TARGETS for value in forecast.final[target]]
    if quality is not None:
        values += quality.values
        row["quality_scale"] = quality.scale.value
    return {
        **row,
        **dict(zip(_QUANTILES, values, strict=False)),
        "n_checkpoints": forecast.n_checkpoints,
        "support": forecast.support,
        "will_worsen": forecast.will_worsen,
        "mqe_of_mean": forecast.mqe_of_mean,
        "model": f"{forecast.model.name} {forecast.model.version}",
    }


def _frame(rows: Iterable[Mapping[str, Any]], kinds: Mapping[str, str]) -> DataFrame:
    pandas = _pandas()
    found = list(rows)
    columns = {
        name: pandas.Series([row.get(name) for row in found], dtype=kind)
        for name, kind in kinds.items()
    }
    frame: DataFrame = pandas.DataFrame(columns)
    return frame


def _pandas() -> ModuleType:
    try:
        return import_module("pandas")
    except ModuleNotFoundError:
        told = "A DataFrame needs pandas, which is not installed: `pip install pandas`."
        raise OracleError(told) from None
