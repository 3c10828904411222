"""`oracle models`: list, verify, show, certify and activate model folders."""

from __future__ import annotations

import json
import os
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.errors import ArtifactError, OracleError, must_be
from oracle.model.artifact import (
    ACTIVE,
    Artifact,
    list_artifacts,
    models_dir,
    read_artifact,
    resolve,
)
from oracle.model.artifact import activate as point_to
from oracle.model.certificates import seal
from oracle.types import PopulationPolicy

#: What is certified by default: checks from the plan on, and how daring.
CHECKS = "0,0.02,0.05,0.1,0.2,0.3,0.5,0.7"
RISKS = "0.001,0.002,0.003,0.005,0.007,0.01,0.0125,0.015,0.02,0.025,0.03,0.04,0.05"

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Model = Annotated[
    str | None,
    typer.Argument(metavar="[MODEL]", help="Name or folder (default: the one in use)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List trained and shipped models, and which one is in use."""
    in_use = _in_use()
    rows = [_row(folder, folder == in_use) for folder in list_artifacts()]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    if not rows:
        typer.echo(f"No models in {models_dir()}. `oracle train` makes one.")
    for row in rows:
        mark = "*" if row["in_use"] else " "
        what = row["error"] or f"{row['version']:<10} {row['architecture']:<14} {row['created']}"
        typer.echo(f"{mark} {row['name']:<40} {what}")


@app.command()
def verify(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="Names or folders (all).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check every byte, and the model's answers on this machine; exit code 1 if one is refused."""
    folders = [resolve(model) for model in models] if models else list_artifacts()
    rows = [{"name": folder.name, "error": _refusal(folder)} for folder in folders]
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        for row in rows:
            typer.echo(f"{row['name']}: {row['error'] or 'ok'}")
        if not rows:
            typer.echo(f"No models in {models_dir()}.")
    if any(row["error"] for row in rows):
        raise typer.Exit(1)


@app.command()
def show(model: Model = None, as_json: Json = False) -> None:
    """Print what a model is: its manifest and card."""
    artifact = read_artifact(resolve(model))
    if as_json:
        described = artifact.manifest.model_dump(mode="json")
        proven = [one.model_dump(mode="json") for one in artifact.certificates]
        told = {"path": str(artifact.path), **_info(artifact), **described, "certificates": proven}
        typer.echo(json.dumps(told))
        return
    manifest = artifact.manifest
    shapes = Counter(map(str, manifest.ensemble.networks))
    facts = {
        "model": f"{manifest.name} {manifest.version}",
        "folder": str(artifact.path),
        "sha256": artifact.info.sha256,
        "created": manifest.created,
        "architecture": manifest.architecture,
        "networks": "; ".join(f"{n} x {shape}" for shape, n in shapes.items()),
    }
    for name, value in facts.items():
        typer.echo(f"{name:<13} {value}")
    for certificate in artifact.certificates:
        typer.echo(f"\nCertified: {certificate}")
    typer.echo(f"\n{artifact.card.rstrip()}")


@app.command()
def certify(
    dataset: Annotated[
        Path, typer.Option(help="Recorded runs of tables the model never saw, .csv or .csv.gz.")
    ],
    model: Model = None,
    alpha: Annotated[
        float, typer.Option(help="Good runs lost at most, as a share; mean over tables.")
    ] = 0.01,
    delta: Annotated[float, typer.Option(help="... but for this probability.")] = 0.05,
    population_size: Annotated[int, typer.Option(min=4, help="Runs of a population.")] = 20,
    good: Annotated[float, typer.Option(help="Share of a population that counts as good.")] = 0.1,
    checks: Annotated[
        str, typer.Option(help="Progress of the checks; at 0 the plan is judged, too.")
    ] = CHECKS,
    risks: Annotated[str, typer.Option(help="Risks that are tested, cautious first.")] = RISKS,
    ramp: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Of the policy: where its risk is whole.")
    ] = PopulationPolicy().ramp,
    startup_runs: Annotated[
        int, typer.Option(min=1, help="Of the policy: outcomes before the first stop.")
    ] = PopulationPolicy().startup_runs,
    seed: Annotated[int, typer.Option(min=0, help="Of the order of the tables.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the certificates here, JSON.")] = None,
    into_model: Annotated[
        bool, typer.Option("--seal", help="Put them into the model's folder.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Prove how daring a policy loses at most a share of the good runs; docs/certificate.md."""
    from oracle.commands.replay import numbers
    from oracle.evaluation.certificate import certify_tables
    from oracle.forecast.forecaster import Oracle
    from oracle.history.dataset import read_dataset

    for option, value in (("--alpha", alpha), ("--delta", delta), ("--good", good)):
        if not 0.0 < value < 1.0:
            raise OracleError(must_be(option, "between 0 and 1", value))
    when = numbers("--checks", checks, from_0=True)
    folder = resolve(model)
    base = PopulationPolicy(
        good=good, ramp=ramp, startup_runs=startup_runs, control=0.0, learn=False
    )
    if when[0] == 0.0:
        base = base.model_copy(update={"min_progress": 0.0, "min_checkpoints": 0})
    proven = certify_tables(
        read_dataset(dataset),
        Oracle.load(folder),
        base,
        numbers("--risks", risks),
        alpha=alpha,
        delta=delta,
        population_size=population_size,
        checks=when,
        dataset=(dataset.name, sha256(dataset.read_bytes()).hexdigest()),
        seed=seed,
    )
    made = [certificate for certificate in proven.values() if certificate is not None]
    told = [one.model_dump(mode="json") for one in made]
    if out is not None:
        out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if into_model and made:
        seal(folder, made[0].model, made)
    if as_json:
        typer.echo(json.dumps(told))
        return
    for way, certificate in proven.items():
        typer.echo(str(certificate or f"Runs {way}: no risk can be shown to hold."))


@app.command()
def export(
    model: Model = None,
    out: Annotated[Path, typer.Option(metavar="PATH", help="File to write.")] = Path("oracle.onnx"),
    as_json: Json = False,
) -> None:
    """Write the networks as an ONNX file, for other languages: scaled features to quantiles."""
    from oracle.forecast.forecaster import Oracle

    folder = resolve(model)
    Oracle.load(folder)
    artifact = read_artifact(folder)
    out.write_bytes(artifact.onnx())
    if as_json:
        typer.echo(json.dumps({"written": str(out), **_info(artifact)}))
        return
    typer.echo(
        f"{out}: {artifact.info.name} {artifact.info.version}, {out.stat().st_size:,} bytes. "
        "docs/model.md tells its inputs and outputs."
    )


@app.command()
def activate(
    model: Annotated[str, typer.Argument(help="Name of a model, see `oracle models list`.")],
    as_json: Json = False,
) -> None:
    """Make a model the one in use, after it passed its self-test; servers notice by themselves."""
    from oracle.forecast.forecaster import Oracle

    Oracle.load(resolve(model))
    artifact = point_to(model)
    written = (models_dir() / ACTIVE).resolve()
    if as_json:
        told = {"path": str(artifact.path), "written": str(written), **_info(artifact)}
        typer.echo(json.dumps(told))
        return
    typer.echo(
        f"{artifact.path.name} (version {artifact.info.version}) is in use now: {written} names it."
    )
    if not os.environ.get("ORACLE_MODELS"):
        typer.echo(
            "A server started in another folder reads its own models/active: "
            "set ORACLE_MODELS for both.",
            err=True,
        )


def _in_use() -> Path | None:
    try:
        return resolve().resolve()
    except ArtifactError:
        return None


def _row(folder: Path, in_use: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"name": folder.name, "path": str(folder), "in_use": in_use}
    try:
        artifact = read_artifact(folder)
    except (ArtifactError, OSError) as error:
        return {**row, "error": str(error)}
    manifest = artifact.manifest
    return {
        **row,
        "version": manifest.version,
        "architecture": manifest.architecture,
        "created": manifest.created,
        "seeds": len(manifest.ensemble.networks),
        "sha256": artifact.info.sha256,
        "error": None,
    }


def _refusal(folder: Path) -> str | None:
    from oracle.forecast.forecaster import Oracle

    try:
        Oracle.load(folder)
    except (ArtifactError, OSError) as error:
        return str(error)
    return None


def _info(artifact: Artifact) -> dict[str, str]:
    return {"name": artifact.info.name, "sha256": artifact.info.sha256}
