"""`oracle collect`: make datasets of training histories."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oracle.commands.served import Served
from oracle.errors import DatasetError, OracleError, must_be
from oracle.history.dataset import check_named, command_line

if TYPE_CHECKING:
    from collector.recorded.ingest import Report

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Out = Annotated[Path, typer.Option(help="Dataset to write, .csv, .csv.gz or .parquet.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed: the same one gives the same dataset.")]
Header = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Whether the table's first line names its columns."),
]
Without = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help="Columns of the table to leave out, separated by commas."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FIELD=COLUMN", help="How a file names a field, e.g. mqe=quantization_error."
    ),
]
TotalEpochs = Annotated[
    float | None,
    typer.Option(help="Budget of a run, counted as its epochs are, where it does not say it."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

#: Trainings of MiniSom, and what the compiled core makes (`collector.presets`).
EA_PRESET, EA_RUNS = "ea", 200
#: Nodes that the progress bar names.
MOST_NODES_SHOWN = 4
#: What makes runs: processes of this machine, or a cluster.
ENGINES = "local", "ray"


@app.command()
def simulate(
    out: Out,
    runs: Annotated[int | None, typer.Option(help="How many runs (default: 200).")] = None,
    seed: Seed = 0,
    checkpoints: Annotated[int, typer.Option(help="Measurements a run.")] = 20,
    from_: Annotated[
        Path | None,
        typer.Option("--from", help="NexusSOM results to simulate histories toward."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make parametric curves in no time; every row says that it is simulated."""
    _check_out(out)
    if from_ is not None and runs is not None:
        raise OracleError(
            must_be("--runs", "left out with --from", runs, "Each result gives one run.")
        )
    from collector.recorded.ingest import ingest as gather
    from collector.simulate import simulate as draw
    from collector.simulate import simulate_from
    from oracle.history.dataset import write_dataset

    reader = (
        draw(200 if runs is None else runs, seed, checkpoints)
        if from_ is None
        else simulate_from(from_, seed, checkpoints)
    )
    made, report = gather([reader])
    _refuse_nothing(from_, report)
    write_dataset(out, made, {"command": command_line(), "seed": seed})
    _print({"out": str(out), **report.as_dict()}, _told(out, report), as_json)


@app.command()
def run(
    out: Out,
    runs: Annotated[
        int | None, typer.Option(help="How many runs (default: 200, or the preset's own).")
    ] = None,
    seed: Seed = 0,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes, or cores of a cluster (default: all). Changes no value."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="local: processes of this machine; ray: the nodes of a cluster.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Of the cluster (ray): auto (default), HOST:PORT of its head, or ray://HOST:PORT.",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER/OF",
            help="Make this share of the runs alone, e.g. 3/64; `merge` puts the shares together.",
        ),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            help="ea: MiniSom as an evolutionary search would run it, on real tables. "
            "pretraining, narrow, calibrate, choose, test: the compiled core, for the shipped "
            "oracles."
        ),
    ] = EA_PRESET,
    tables: Annotated[
        str | None, typer.Option(help="Only these tables, separated by commas (ea).")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="CSV of a table of your own to train on instead (ea).")
    ] = None,
    scaling: Annotated[
        str, typer.Option(help="Of the columns of --table: standard, minmax or none.")
    ] = "standard",
    header: Header = None,
    without: Without = None,
    as_json: Json = False,
) -> None:
    """Train real maps and record them. Interrupted, the same command goes on where it was."""
    _check_out(out)
    if table is not None and (tables is not None or preset != EA_PRESET):
        other = "--tables" if tables is not None else f"--preset {preset}"
        raise OracleError(must_be("--table", f"left out with {other}", str(table)))
    _check_table(table, header, without, scaling if scaling != "standard" else None)
    if engine not in ENGINES:
        raise OracleError(must_be("--engine", f"one of {', '.join(ENGINES)}", engine))
    if address is not None and engine != "ray":
        raise OracleError(must_be("--address", "left out without --engine ray", address))
    notes: list[str] = []
    from tqdm import tqdm

    from collector.collect import RunOne, collect, local_processes
    from collector.on_ray import RayEngine
    from collector.shards import Shard

    run_one: RunOne
    settings: dict[str, Any]
    if preset == EA_PRESET:
        from collector import ea_run

        run_one, settings = ea_run.run_one, {"tables": tables}
        if table is not None:
            from collector.sources import OwnTable
            from oracle.history.tables import SCALINGS

            if scaling not in (*SCALINGS, "none"):
                rule = f"one of {', '.join(SCALINGS)}, none"
                raise OracleError(must_be("--scaling", rule, scaling))
            own = OwnTable.of(table, header=header, without=names_in(without), scaling=scaling)
            notes = own.read()[1]
            settings = {"own": json.loads(json.dumps(asdict(own)))}
        ea_run.ea_datasets(tables)  # an unknown table is told before anything is written
        runs = EA_RUNS if runs is None else runs
    else:
        from collector.presets import presets, run_one

        known_presets = presets()
        if preset not in known_presets:
            known = ", ".join((EA_PRESET, *known_presets))
            raise OracleError(must_be("--preset", f"one of {known}", preset))
        if tables is not None:
            raise OracleError(must_be("--tables", f"left out with --preset {preset}", tables))
        settings = {"preset": preset}
        runs = known_presets[preset].runs if runs is None else runs
    share = Shard.parse(shard) if shard is not None else None
    total = len(share.indices(runs)) if share is not None else runs
    cluster = RayEngine(address or "auto") if engine == "ray" else None
    # delay: nothing is drawn before the first run, so bad input is answered with one line.
    bar = tqdm(total=total, unit="run", mininterval=0.5, file=sys.stderr)
    with bar, redirect_stdout(sys.stderr):  # Ray tells of dead nodes on stdout

        def show(done: int, _: int) -> None:
            if not bar.n:
                bar.initial = done  # what the journal already held took no time
            if cluster is not None and cluster.made:
                bar.set_postfix_str(_by_node(cluster.made), refresh=False)
            bar.update(done - bar.n)

        try:
            done = collect(
                run_one, runs, out, seed=seed, settings=settings, workers=workers, progress=show,
                shard=share, engine=cluster or local_processes,
            )  # fmt: skip
        except KeyboardInterrupt:
            bar.close()
            typer.echo("Nothing is lost: the same command goes on from here.", err=True)
            raise
        bar.update(done.runs - bar.n)
    text = f"{done.runs} runs in {out}" + (
        " (finished before)" if done.already_finished else f", {done.made} of them made now"
    )
    result: dict[str, Any] = {"out": str(out), "runs": done.runs, "made": done.made}
    if cluster is not None:
        result["nodes"] = dict(cluster.made)
        text = "\n".join([text, *(f"  node {name}: {n}" for name, n in cluster.made.items())])
    if table is not None:
        result["table"] = notes
        text = "\n".join([text, *(f"  table {table}: {note}" for note in notes)])
    _print(result, text, as_json)


@app.command()
def merge(
    out: Out,
    shards: Annotated[
        list[Path],
        typer.Argument(metavar="SHARD...", help="What `run --shard` wrote, in any order."),
    ],
    as_json: Json = False,
) -> None:
    """Put all shards of a collection together: the dataset that one process would have made."""
    _check_out(out)
    from collector.merge import merge as put_together

    done = put_together(shards, out)
    text = f"{done.runs} runs of {len(shards)} shards in {out}"
    if done.already_finished:
        text += " (finished before)"
    _print({"out": str(out), "runs": done.runs, "shards": len(shards)}, text, as_json)


@app.command()
def ingest(
    out: Out,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH...",
            help="NexusSOM result folders, JSON histories (one, a list, or one a line), tables of "
            "checkpoints as CSV, exports of W&B, MLflow and TensorBoard, folders of such, or "
            "datasets.",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="URL|FILE", help="The service's store, e.g. data/oracle.db."),
    ] = None,
    columns: Columns = None,
    dataset: Annotated[
        str | None, typer.Option(help="Name of the table, of runs that do not say it.")
    ] = None,
    total_epochs: TotalEpochs = None,
    topology: Annotated[
        str, typer.Option(help="hex or square, of NexusSOM maps that do not say.")
    ] = "hex",
    mqe_of_mean: Annotated[
        float | None,
        typer.Option(help="Quantization error of the table's mean, where the runs lack it."),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(help="CSV of the table as the maps saw it, to compute mqe_of_mean from."),
    ] = None,
    header: Header = None,
    without: Without = None,
    as_json: Json = False,
) -> None:
    """Read recorded histories into a dataset and say what was left out, and why."""
    _check_out(out)
    from collector.recorded.exports import Exports
    from collector.recorded.found import Reader
    from collector.recorded.ingest import Known, readers_of
    from collector.recorded.ingest import ingest as gather
    from collector.recorded.nexussom import TOPOLOGIES
    from oracle.history.dataset import write_dataset
    from oracle.history.records import named_columns
    from oracle.history.sample_table import read_table

    _check_table(table, header, without)
    if topology not in TOPOLOGIES:
        rule = f"one of {', '.join(TOPOLOGIES)}"
        raise OracleError(must_be("--topology", rule, topology))
    if mqe_of_mean is not None and table is not None:
        raise OracleError(must_be("--table", "left out with --mqe-of-mean", str(table)))
    for option, value in (("--mqe-of-mean", mqe_of_mean), ("--total-epochs", total_epochs)):
        if value is not None and not 0 < value < float("inf"):
            raise OracleError(must_be(option, "a finite number above 0", value))
    if not paths and store is None:
        raise OracleError("A PATH or `--store` must be given: there is nothing to read.")
    known = Known(
        topology=TOPOLOGIES[topology],
        dataset=dataset,
        total_epochs=total_epochs,
        mqe_of_mean=mqe_of_mean,
    )
    notes: list[str] = []
    if table is not None:
        samples = read_table(table, header=header, without=names_in(without))
        known, notes = known.with_table(samples, str(table)), [f"table {table}: {samples}"]
    exports = Exports(named_columns(columns or ()))
    readers = readers_of(paths or (), known, exports)
    if store is not None:
        served = Served()
        readers.append(Reader.of(served.read(store), "the store", served.weights))
    runs, report = gather(readers)
    _refuse_nothing(paths[0] if paths else Path("the store"), report, bool(paths))
    if known.mqe_of_mean is not None and len(report.tables) > 1:
        option = "--mqe-of-mean" if table is None else "--table"
        raise OracleError(
            must_be(option, "used for one table's runs", ", ".join(report.tables), "Ingest each.")
        )
    found = {**report.as_dict(), **exports.as_dict(), "table": notes}
    facts: dict[str, Any] = {"command": command_line(), "ingest": found}
    facts |= {
        name: told for name, told in (("weights", report.weights), ("given", report.given)) if told
    }
    write_dataset(out, runs, facts)
    text = "\n".join([_told(out, report), *exports.notes(), *notes])
    _print({"out": str(out), **found}, text, as_json)


def _refuse_nothing(path: Path | None, report: Report, in_files: bool = True) -> None:
    """Write no empty dataset."""
    if not (report.runs or report.skipped):
        lacks = "rows" if in_files else "run that has ended"
        raise DatasetError(f"must hold a run, but has no {lacks}.", file=str(path))
    if not report.runs:
        first = ""
        if report.reasons:
            reason, count = report.reasons.most_common(1)[0]
            first = f" First reason: {report.skipped[0]}"
            if count > 1:
                first = f" Most often ({count}): {reason}"
        raise DatasetError(
            f"must hold a run that can be read, but of {len(report.skipped)} none can.{first}",
            file=str(path),
        )


def _told(out: Path, report: Report) -> str:
    """Write the report for a person."""
    lines = [f"{report.runs} runs in {out}"]
    lines += [f"  source {name}: {count}" for name, count in sorted(report.sources.items())]
    lines += [f"  table {name}: {count}" for name, count in sorted(report.tables.items())]
    if report.censored:
        lines.append(f"  stopped early, kept as censored, never a label: {report.censored}")
    if report.final_progress is not None:
        low, high = report.final_progress
        lines.append(f"  last checkpoint of the finished runs at progress {low:.3f}..{high:.3f}")
    if report.without_total:
        lines.append(
            f"  without total_epochs, taken to end at the last checkpoint: {report.without_total}"
        )
    if report.again:
        lines.append(f"{report.again} read already, by an earlier path: left out")
    lines.append(f"{len(report.skipped)} skipped")
    for reason, count in report.reasons.most_common():
        first = next(text for text in report.skipped if reason in text)
        lines.append(f"  {first}" if count == 1 else f"  {count} times, first {first}")
    return "\n".join(lines)


def _by_node(made: Mapping[str, int]) -> str:
    """Write how many runs each node made, of a few nodes or of all together."""
    if len(made) > MOST_NODES_SHOWN:
        return f"{len(made)} nodes"
    return ", ".join(f"{name} {n}" for name, n in made.items())


def names_in(text: str | None) -> tuple[str, ...]:
    """Read the names of `Without`."""
    return tuple(name.strip() for name in text.split(",")) if text else ()


def _check_out(out: Path) -> None:
    """Refuse a name that cannot be written before any work is done."""
    check_named(out, "--out")
    if out.is_dir():
        raise OracleError(must_be("--out", "a file", f"{out}, a folder"))


def _check_table(
    table: Path | None, header: bool | None, without: str | None, scaling: str | None = None
) -> None:
    """Refuse what is said of a table that is not given."""
    for option, value in (("--header", header), ("--without", without), ("--scaling", scaling)):
        if table is None and value is not None:
            raise OracleError(must_be(option, "left out without --table", str(value)))


def _print(result: dict[str, Any], text: str, as_json: bool) -> None:
    typer.echo(json.dumps(result) if as_json else text)
