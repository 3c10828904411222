"""`oracle report`: a search as one HTML file to forward, from wherever its runs are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from oracle.errors import DatasetError, InvalidHistory, RunNotFound, must_be

if TYPE_CHECKING:
    from oracle.audit.audit import Audit
    from oracle.reports.search import Search, SearchRun
    from oracle.server.http.wire_populations import (
        PopulationCount,
        PopulationDetail,
        PopulationTable,
    )
    from oracle.server.storage.whose import Whose
    from oracle.types import Run

SOURCE = (
    "Where the runs are: a service's address, its data folder or database file, the population "
    "file that workers shared, or recorded runs (.csv, .csv.gz, .parquet), which are replayed."
)
LOG = "The log that `watch(log=...)` wrote, beside a population file: was the oracle right?"
POLICY = "That recorded runs are replayed by: a name, or settings as JSON (default: population)."


class Reader(Protocol):
    """What tells of the populations of a service: a client of it, or its store."""

    def population(self, name: str) -> PopulationDetail:
        """Give its counts."""

    def table(self, population: str, **query: str | int) -> PopulationTable:
        """Give a page of its runs by column."""

    def audit(self, population: str) -> Audit:
        """Hold what was said of its runs against how they ended."""

    def populations(self) -> tuple[PopulationCount, ...]:
        """List those that are there."""


def report(
    population: Annotated[str, typer.Argument(help="The population, as its runs named it.")],
    source: Annotated[
        str, typer.Option("--from", envvar="ORACLE_URL", help=SOURCE)
    ] = "http://127.0.0.1:8000",
    api_key: Annotated[
        str | None, typer.Option(envvar="ORACLE_API_KEY", help="Of the service.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="HTML file to write (default: POPULATION.html).")
    ] = None,
    policy: Annotated[str | None, typer.Option(help=POLICY)] = None,
    model: Annotated[
        Path | None, typer.Option(help="That recorded runs are forecast by (default: the active).")
    ] = None,
    log: Annotated[Path | None, typer.Option(help=LOG)] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures of the report as JSON.")
    ] = False,
) -> None:
    """Write a search as one HTML file: what was saved, the best, is the oracle right, settings."""
    from oracle.reports.page import write_report
    from oracle.reports.search import conclude
    from oracle.reports.search_report import of_search
    from oracle.types.fields import one_form

    name = one_form(population) or population
    search = read_search(name, source, api_key, policy, model, log)
    target = out or Path(f"{_file_name(name)}.html")
    conclusion = conclude(search)
    write_report(
        target,
        f"Search {search.name}",
        conclusion,
        f"{len(search.runs)} runs, read from {search.source}.",
        of_search(search),
        f"oracle report {search.name}",
    )
    if as_json:
        told = {"report": str(target), "conclusion": conclusion._asdict(), **search.as_json()}
        print(json.dumps(told, indent=2))
    else:
        print(conclusion)
        print(f"Report: {target}")


def _file_name(name: str) -> str:
    """Make a file's name of a population's: what a path may not hold becomes a dash."""
    return "".join(c if c.isalnum() or c in "-_. " else "-" for c in name).strip(". ") or "search"


def read_search(
    name: str,
    source: str,
    api_key: str | None = None,
    policy: str | None = None,
    model: Path | None = None,
    log: Path | None = None,
) -> Search:
    """Read a search from a service, its store, a population file or recorded runs.

    Args:
        name: of the population.
        source: where its runs are.
        api_key: of a service.
        policy, model: that recorded runs are replayed by; the others tell what was decided.
        log: of the decisions, beside a population file.

    Raises:
        InvalidHistory: the source is none of these, there is no such population, none of its
            runs has ended, or `policy`, `model` or `log` came where it means nothing.
        DatasetError: recorded runs that are none.
        OSError: there is no such file.
    """
    from oracle.history.dataset import SUFFIXES

    if source.endswith(SUFFIXES):
        _without(log)
        return _of_recorded(name, Path(source), policy, model)
    for option, value in (("--policy", policy), ("--model", model)):
        if value is not None:
            rule = "left out where nothing is replayed: what was decided stands there"
            raise InvalidHistory(must_be(option, rule, str(value)))
    if "://" in source:
        _without(log)
        return _of_service(name, source, api_key)
    path = Path(source)
    if path.is_dir():
        path = path / "oracle.db"
        if not path.exists():
            raise _no_source(source, "a folder without a service's oracle.db")
    path.stat()  # asking makes no file
    found = _whose(path)
    if found.kind == "store":
        _without(log)
        return _of_store(name, path)
    if found.kind == "population":
        return _of_population_file(name, path, log)
    raise _no_source(source, found.what)


def _without(log: Path | None) -> None:
    if log is not None:
        rule = "left out but for a population file: other sources have their decisions"
        raise InvalidHistory(must_be("--log", rule, str(log)))


def _no_source(source: str, what: str) -> InvalidHistory:
    rule = "a service's address, its data folder, a population file, or recorded runs (.csv, ...)"
    return InvalidHistory(must_be("--from", f"{rule}, not {what}", source))


def _whose(path: Path) -> Whose:
    import sqlite3

    from oracle.server.storage.whose import in_file

    try:
        return in_file(path)
    except sqlite3.Error as error:
        raise _no_source(str(path), f"a database that cannot be read ({error})") from None


# -- a service, or its store -------------------------------------------------------------------


def _of_service(name: str, url: str, api_key: str | None) -> Search:
    from oracle.client import Client

    with Client(url, api_key=api_key) as client:
        return _told_by(client, name, url)


def _of_store(name: str, path: Path) -> Search:
    from oracle.server.searches.reader import StoreReader

    with StoreReader(f"sqlite:///{path}", name) as reader:
        return _told_by(reader, name, str(path))


def _told_by(reader: Reader, name: str, source: str) -> Search:
    from oracle.reports.search import search_of

    try:
        detail = reader.population(name)
    except RunNotFound:
        there = [one.name for one in reader.populations()]
        raise _no_such(name, there) from None
    return search_of(
        name,
        source,
        [run for page in _pages(reader, name) for run in _runs_of(page, detail)],
        good=detail.wrong_stops.good,
        weights=detail.weights,
        audit=reader.audit(name),
    )


def _no_such(name: str, there: list[str]) -> InvalidHistory:
    rule = f"one of {', '.join(there[:20])}" if there else "one that is there; there is none yet"
    return InvalidHistory(must_be("population", rule, name))


def _pages(reader: Reader, name: str) -> Iterator[PopulationTable]:
    query: dict[str, str | int] = {}
    while True:
        page = reader.table(name, **query)
        yield page
        if page.next_cursor is None:
            return
        query["cursor"] = page.next_cursor


def _runs_of(page: PopulationTable, detail: PopulationDetail) -> Iterator[SearchRun]:
    from oracle.reports.search import SearchRun
    from oracle.types import TARGETS, Reason

    columns = page.columns
    for i in range(page.runs):
        row = {name: values[i] for name, values in columns.items()}
        settings = page.same | {n: v[i] for n, v in page.settings.items() if v[i] is not None}
        total, scale = row["total_epochs"], settings.get("mqe_of_mean")
        quality = row["quality"] if row["quality_scale"] == detail.scale else None
        yield SearchRun(
            run_id=row["run_id"],
            name=row["name"] or row["run_id"],
            state=row["state"],
            seen=min(1.0, row["epoch"] / total) if total else None,
            epoch=row["epoch"],
            total_epochs=total,
            finals=tuple(row[target] for target in TARGETS),
            mqe_of_mean=scale if isinstance(scale, int | float) else None,
            quality=tuple(quality) if quality else None,
            settings={n: v for n, v in settings.items() if n != "mqe_of_mean"},
            reason=row["reason"],
            p_good=row["p_good"],
            held=bool(row["control"]),
            converged=row["state"] == "finished" and row["reason"] == Reason.CONVERGED,
            left=bool(row["left"]),
            began=_seconds(row["created_at"]),
            ended=_seconds(row["ended_at"]),
        )


def _seconds(moment: str | None) -> float | None:
    return None if moment is None else datetime.fromisoformat(moment).timestamp()


# -- a population file -------------------------------------------------------------------------


def _of_population_file(name: str, path: Path, log: Path | None = None) -> Search:
    from oracle.commands.runs import opened
    from oracle.hook.population_summary import policy_told
    from oracle.reports.search import objectives_of, search_of
    from oracle.types import Policy

    shared, names = opened(path)
    if name not in names:
        raise _no_such(name, list(names))
    members = [m for m in shared.members(name) if m.state != "abandoned"]
    policy = policy_told(members) or Policy(name="population")
    search = search_of(
        name,
        str(path),
        [_run_of(member) for member in members],
        good=policy.good_share,
        weights=policy.quality_weights,
        controls=str(shared.wrong_stops(name)),
        counted="budgets",
        objectives=objectives_of(policy),
    )
    if log is None:
        return search
    from oracle.reports.logged import audit_of_log

    return replace(search, audit=audit_of_log(search, log, policy))


def _run_of(member: Any) -> SearchRun:
    from oracle.reports.search import SearchRun
    from oracle.types import Reason

    state = {"live": "running", "stopped": "stopped"}.get(member.state, "finished")
    left, seen = member.state == "left", member.progress
    converged = state == "finished" and not left and seen is not None and seen < 1.0
    why = (member.reason or "").partition(": ")[0] or None
    return SearchRun(
        run_id=member.run_id,
        name=member.name or member.run_id,
        state=state,  # type: ignore[arg-type]
        seen=seen,
        epoch=1.0 if seen is None else seen,
        total_epochs=1.0,
        finals=(member.final_mqe, member.final_topographic_error, member.final_dead_neuron_ratio),
        mqe_of_mean=member.mqe_of_mean,
        spread=member.spread,
        settings=member.config,
        reason=Reason.CONVERGED.value if converged else why,
        held=member.held_at is not None,
        converged=converged,
        left=left,
        spent_before=member.spent_before,
        began=member.started_at,
        ended=member.ended_at,
    )


# -- recorded runs -----------------------------------------------------------------------------


def _of_recorded(name: str, path: Path, said: str | None, model: Path | None) -> Search:
    from oracle.audit.audit import promise_of
    from oracle.commands.check_policy import policy_in
    from oracle.evaluation.followed import follow
    from oracle.evaluation.recorded_runs import replayable
    from oracle.forecast.forecaster import Oracle
    from oracle.history.dataset import listed, read_dataset
    from oracle.reports.recorded import recorded_search

    policy = policy_in(said or "population")
    there: dict[str, list[Run]] = {}
    for run in read_dataset(path):
        there.setdefault(run.history.population_name or run.dataset, []).append(run)
    if not there:
        raise DatasetError(
            "must hold recorded runs, but has no row below its header.", file=str(path)
        )
    if name not in there:
        raise _no_such(name, sorted(there))
    runs, left_out = replayable(there[name])
    if not runs:
        rule = "runs recorded to their end, with a budget"
        raise InvalidHistory(must_be("population", rule, listed(left_out)))
    oracle = Oracle.load(model)
    source = f"{path}, replayed one after another by the policy {policy.name}"
    return recorded_search(
        name,
        source + (f" (left out: {listed(left_out)})" if left_out else ""),
        follow(runs, oracle, policy),
        policy,
        promise=promise_of(oracle.manifest.training.get("score")),
        model=oracle.info,
        certificates=oracle.certificates,
    )
