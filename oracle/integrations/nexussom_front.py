"""The front of a finished NexusSOM search: its stopped members trained to their end.

    from oracle.integrations.nexussom_front import finish

    whole = {**fixed_params, "ds_censored": False}
    def evaluate(genes):              # as the search does; where the mark stands, it asks no hook
        return evaluate_individual(genes, 0, 0, whole, data, ignore_mask, folder)

    for member in finish(folder, evaluate):
        print(member)

A stopped run is ranked by its forecast; what a search hands over should be maps that somebody
holds. NexusSOM's writers have fixed columns, but carry over whatever begins with `ds_`: the mark
travels as `ds_censored` while the search runs, and is `censored` in both files from here on.
"""

from __future__ import annotations

import ast
import csv
import json
import os
from collections.abc import Callable, Mapping, Sequence
from math import inf, nan
from pathlib import Path
from typing import Any, NamedTuple

from oracle.decision.second_look import Stopped, check_bounds, finish_promising
from oracle.errors import DatasetError
from oracle.history.files import csv_lines
from oracle.hook.population import population_at

#: The mark as NexusSOM's own writers carry it, and as it stands in the files at the end.
CARRIED, MARK = "ds_censored", "censored"
#: Columns of pareto_front.csv -> where NexusSOM's results keep them.
_FRONT = {
    "raw_mqe_ratio": "raw_mqe_improvement_ratio",
    "raw_te": "raw_topographic_error",
    "raw_topo_corr": "raw_topological_correlation",
    "dead_ratio": "dead_neuron_ratio",
    "pen_mqe_ratio": "mqe_improvement_ratio",
    "pen_te": "topographic_error",
    "duration": "training_duration",
}
#: Of these, the first that are forecast.
FORECAST = 2
Row = dict[str, str]


class Finished(NamedTuple):
    """A stopped member of the front, trained to its end.

    Attributes:
        uid: NexusSOM's name of the configuration. That of the finished map may be another:
            NexusSOM makes it of the genes as they are written, NumPy's numbers or Python's.
        forecast: mqe ratio, topographic error and topological correlation that it was ranked by;
            the last is no forecast.
        final: the same of the finished map.
        on_front: it is still one of the best.
    """

    uid: str
    forecast: tuple[float, ...]
    final: tuple[float, ...]
    on_front: bool


def finish(
    folder: str | os.PathLike[str],
    evaluate: Callable[[dict[str, Any]], Any],
    *,
    k: int | None = None,
    budget: float | None = None,
    least: float | None = None,
) -> list[Finished]:
    """Train the stopped members of a search's last front to their end, and write them.

    With bounds it trains the most promising of all stopped runs instead, whether the front that
    they were ranked by has them or not.

    results.csv and pareto_front.csv get the column `censored`; results.csv a row of each finished
    map below that of the stopped one; pareto_front.csv one more generation, the front of finished
    maps alone.

    Args:
        folder: of one search, with results.csv and pareto_front.csv.
        evaluate: takes the genes as results.csv has them, trains them whole, and gives back what
            NexusSOM's `evaluate_individual` does.
        k, budget, least: see `oracle.decision.second_look.finish_promising`, by mqe ratio and
            topographic error. How sure a forecast is stands in runs.db, where the hook's
            population is in the folder. Each is trained anew, and costs a whole run.

    Returns:
        One for each that was trained.

    Raises:
        DatasetError: a file is missing or has no such columns.
        InvalidHistory: a bound that cannot be.
    """
    check_bounds(k, budget, least)
    results, fronts = Path(folder) / "results.csv", Path(folder) / "pareto_front.csv"
    header, rows = _read(results)
    front_header, front_rows = _read(fronts)
    _needs(results, header, "uid", "best_mqe")
    _needs(fronts, front_header, "generation", "uid", *list(_FRONT)[:3])
    last = max((float(row["generation"]) for row in front_rows), default=0.0)
    members = [row for row in front_rows if float(row["generation"]) == last]
    latest = {row["uid"]: row for row in rows}
    genes = _genes_of(header)
    whole: dict[str, Row] = {}

    def train(uid: str) -> tuple[float, ...]:
        trained = evaluate({name: _value(latest[uid][name]) for name in genes})
        values = dict(trained[0] if isinstance(trained, tuple) else trained)
        row = ranked_by.get(uid) or _front_row(front_header, latest[uid])
        ranked_by.setdefault(uid, row)
        whole[uid] = _new_front_row(row, values, last)
        _append_result(results, header, latest[uid], values)
        return _objectives(whole[uid])[:FORECAST]

    ranked_by = {row["uid"]: row for row in members}
    if k is None and budget is None and least is None:
        for uid in ranked_by:
            if uid in latest and is_marked(latest[uid]):  # the last row of a configuration counts
                train(uid)
    else:
        stopped, ended = _ends(latest, Path(folder) / "runs.db")
        finish_promising(stopped, ended, train, k=k, budget=budget, least=least)
    members += [row for uid, row in ranked_by.items() if row not in members]
    block = [
        whole.get(row["uid"], {**row, "generation": f"{last + 1:g}"})
        for row in members
        if row["uid"] in whole or not is_marked(latest.get(row["uid"], row))
    ]
    front = [row for row in block if not any(_dominates(other, row) for other in block)]
    _mark(results)
    _mark(fronts, front if whole else [])
    return [
        Finished(uid, _objectives(before), _objectives(row), row in front)
        for before in members
        if (uid := before["uid"]) in whole
        for row in (whole[uid],)
    ]


def _read(file: Path) -> tuple[list[str], list[Row]]:
    try:
        (_, header), *lines = csv_lines(file, strict=False)
    except (OSError, ValueError):
        message = "must be the file that NexusSOM's search wrote, but it is missing or empty."
        raise DatasetError(message, file=str(file)) from None
    # NexusSOM writes the header once: a row of another width has other columns, and cannot be read.
    return header, [
        dict(zip(header, cells, strict=True)) for _, cells in lines if len(cells) == len(header)
    ]


def _needs(file: Path, header: list[str], *names: str) -> None:
    for name in names:
        if name not in header:
            message = f"must have the column {name}, but it is missing."
            raise DatasetError(message, file=str(file), row=1)


def is_marked(row: Mapping[str, str]) -> bool:
    """Tell whether a row of results.csv or pareto_front.csv is of a run that was stopped."""
    return (row.get(MARK) or row.get(CARRIED) or "").strip().lower() in ("true", "1")


def _genes_of(header: list[str]) -> list[str]:
    """Find the columns of the genes: they stand behind the last of the table's."""
    of_table = [i for i, name in enumerate(header) if name.startswith("ds_")]
    first = (max(of_table) if of_table else header.index("best_mqe")) + 1
    return [name for name in header[first:] if name not in (MARK, "rank", "crowding_distance")]


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _ends(
    latest: Mapping[str, Row], population: Path
) -> tuple[list[Stopped], list[tuple[float, ...]]]:
    """Read mqe ratio and topographic error of all runs that break no constraint."""
    spreads = _spreads(population)
    stopped, ended = list[Stopped](), list[tuple[float, ...]]()
    for uid, row in latest.items():
        ratio, error = (_number(row, _FRONT[name]) for name in list(_FRONT)[:FORECAST])
        if _number(row, "constraint_violation", 0.0) > 0:
            continue
        if not is_marked(row):
            ended.append((ratio, error))
            continue
        of_mqe, of_error = spreads.get(uid, (0.0, 0.0))
        scale = ratio / (_number(row, "best_mqe") or inf)
        stopped.append(Stopped(uid, (ratio, error), (of_mqe * scale, of_error), cost=1.0))
    return stopped, ended


def _spreads(file: Path) -> dict[str, tuple[float, float]]:
    """Read how sure the forecasts of stopped runs were, of mqe and of topographic error."""
    if not file.is_file():
        return {}
    shared = population_at(file)
    members = [member for name in shared.names() for member in shared.members(name)]
    known = [(one.run_id, json.loads(one.spreads)) for one in members if one.spreads is not None]
    return {run_id: (spreads[0], spreads[1]) for run_id, spreads in known}


def _number(row: Mapping[str, str], name: str, missing: float = nan) -> float:
    try:
        return float(row.get(name) or missing)
    except ValueError:
        return missing


def _front_row(header: Sequence[str], row: Row) -> Row:
    """Make a row of pareto_front.csv of one of results.csv."""
    return {name: row.get(_FRONT.get(name, name), row.get(name, "")) for name in header}


def _new_front_row(row: Row, values: Mapping[str, Any], last: float) -> Row:
    new = {**row, "generation": f"{last + 1:g}", CARRIED: "False", MARK: "False"}
    for name in row:
        value = values.get(_FRONT.get(name, name), values.get(name))
        if value is not None and name not in ("generation", CARRIED, MARK):
            new[name] = str(value)
    return new


def _append_result(file: Path, header: list[str], stopped: Row, values: dict[str, Any]) -> None:
    """Add the finished run's row, where NexusSOM's own evaluation has not."""
    _, rows = _read(file)
    uid = str(values.get("uid", stopped["uid"]))
    own = [row for row in rows if row["uid"] == uid]
    if own and not is_marked(own[-1]):
        return
    told = {name: str(values[name]) for name in header if values.get(name) is not None}
    row = {**stopped, **told, CARRIED: "False", MARK: "False"}
    with file.open("a", newline="", encoding="utf-8") as text:
        csv.DictWriter(text, header, extrasaction="ignore").writerow(row)


def _mark(file: Path, more: Sequence[Row] = ()) -> None:
    """Write the file anew with its mark and more rows, whole or not at all."""
    (_, header), *lines = csv_lines(file, strict=False)
    names = header if MARK in header else [*header, MARK]
    fresh = file.with_name(f".{file.name}.new")
    with fresh.open("w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text)
        writer.writerow(names)
        for _, cells in lines:
            if len(cells) == len(header):
                row = dict(zip(header, cells, strict=True))
                row[MARK] = str(is_marked(row))
                cells = [row[name] for name in names]
            writer.writerow(cells)
        for row in more:
            marked = {**row, MARK: str(is_marked(row))}
            writer.writerow([marked.get(name, "") for name in names])
    fresh.replace(file)


def _objectives(row: Mapping[str, str]) -> tuple[float, ...]:
    return tuple(float(row[name] or "nan") for name in list(_FRONT)[:3])


def _dominates(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Tell whether one is better, as NexusSOM's constrained dominance does (Deb 2002)."""
    broken, by_other = (float(row.get("constraint_violation") or 0) for row in (one, other))
    if broken or by_other:
        return broken < by_other
    (ratio, error, fit), (ratio_2, error_2, fit_2) = _objectives(one), _objectives(other)
    better, worse = (ratio, error, -fit), (ratio_2, error_2, -fit_2)
    return better != worse and all(a <= b for a, b in zip(better, worse, strict=True))
