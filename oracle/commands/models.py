"""`oracle models`: list, verify, show and activate model folders."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.errors import ArtifactError
from oracle.model.artifact import (
    ACTIVE,
    Artifact,
    list_artifacts,
    models_dir,
    read_artifact,
    resolve,
)
from oracle.model.artifact import activate as point_to

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
        typer.echo(json.dumps({"path": str(artifact.path), **_info(artifact), **described}))
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
    typer.echo(f"\n{artifact.card.rstrip()}")


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
