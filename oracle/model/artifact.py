"""Model folders: written whole, read only when every byte is as written.

    models/NAME/
        manifest.json      what the model is, and size and SHA-256 of every other file
        manifest.sha256    SHA-256 of manifest.json (`sha256sum -c manifest.sha256`)
        weights.f32        the networks' trained numbers (see `oracle.model.weights`)
        calibration.json   numbers of the calibration and the support score
        golden.json        inputs and the answers to them, the self-test
        card.md            for people
        certificate.json   what was proven of it, if anything was (`oracle.model.certificates`)

A folder holds numbers and text: no pickle, no code, no graph; what computes with the numbers is
made by `oracle.model.network` when they are loaded. docs/model.md is the format's reference.
Digests tell an altered folder from a whole one; they do not tell who made it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from oracle.errors import (
    ArtifactCorrupt,
    ArtifactError,
    ArtifactIncompatible,
    ArtifactNotFound,
    must_be,
)
from oracle.history.features import FEATURES, FEATURES_VERSION
from oracle.history.targets import OUTPUT_NAMES
from oracle.model.certificates import CERTIFICATE, read_certificates
from oracle.model.files import (
    ADVICE,
    corrupt,
    move_into_place,
    read_file,
    remove_leftovers,
    sync_folder,
    write_file,
)
from oracle.model.manifest import FORMAT, NAME_PATTERN, FileEntry, Golden, Manifest
from oracle.model.network import graph_of
from oracle.model.onnx_file import write_onnx
from oracle.model.weights import unpack
from oracle.types import HEAD_LEVELS, Certificate, ModelInfo, explain

MANIFEST, MANIFEST_DIGEST = "manifest.json", "manifest.sha256"
WEIGHTS, CALIBRATION = "weights.f32", "calibration.json"
GOLDEN, CARD = "golden.json", "card.md"

#: Every file that a folder holds -> largest size, bytes. A reader never takes in more.
MAX_BYTES = {
    MANIFEST: 256 * 1024,
    MANIFEST_DIGEST: 1024,
    WEIGHTS: 64 * 1024 * 1024,
    CALIBRATION: 4 * 1024 * 1024,
    GOLDEN: 1024 * 1024,
    CARD: 256 * 1024,
}

#: File below models/ that holds the name of the activated artifact.
ACTIVE = "active"
#: What is used when nothing was asked for or activated, and what shipped names begin with.
SHIPPED, SHIPPED_PREFIX, SHIPPED_DEFAULT = "shipped", "shipped-", "shipped-default"


@dataclass(frozen=True)
class Artifact:
    """A verified folder, in memory: nothing is read from disk again.

    Attributes:
        path: where it was read from.
        manifest: its description.
        info: name, version and the manifest's SHA-256, which stands for every byte.
        weights: bytes of weights.f32.
        calibration: parsed calibration.json.
        golden: the self-test.
        card: text for people.
        certificates: what was proven of it.
    """

    path: Path
    manifest: Manifest
    info: ModelInfo
    weights: bytes
    calibration: dict[str, Any]
    golden: Golden
    card: str
    certificates: tuple[Certificate, ...] = ()

    def onnx(self) -> bytes:
        """Make the graph that computes with the weights, as an ONNX file.

        Inputs `sequence` float32 [batch, time, feature], scaled, and `length` int32 [batch];
        output `quantiles` float32 [batch, target, level].
        """
        ensemble = self.manifest.ensemble
        return write_onnx(graph_of(ensemble, unpack(ensemble, self.weights, WEIGHTS)))


def write_artifact(
    path: str | Path,
    manifest: Manifest,
    *,
    weights: bytes,
    calibration: Mapping[str, Any],
    golden: Golden,
    card: str,
    replace: bool = False,
) -> Artifact:
    """Write a folder that is there whole or not at all.

    Everything is written beside the target, flushed to disk, read back as any reader would, and
    renamed into place.

    Args:
        path: the folder to make.
        manifest: its description; `files` is filled in here.
        weights, calibration, golden, card: contents, see `Artifact`.
        replace: whether an existing folder gives way.

    Returns:
        The artifact as read back.

    Raises:
        ArtifactError: if the folder exists and `replace` is not set, or the contents would be
            refused by `read_artifact`.
        OSError: if the disk fails; the old state is left as it was.
    """
    target = Path(path).absolute()
    if not re.match(NAME_PATTERN, target.name) or target.name == ACTIVE:
        rule = f"a name matching {NAME_PATTERN} other than {ACTIVE}"
        raise ArtifactError(must_be("name", rule, target.name))
    contents = {
        WEIGHTS: weights,
        CALIBRATION: _json(dict(calibration)),
        GOLDEN: golden.model_dump_json().encode(),
        CARD: card.encode(),
    }
    entries = {
        name: FileEntry(size_bytes=len(data), sha256=_sha256(data))
        for name, data in contents.items()
    }
    text = manifest.model_copy(update={"files": entries}).model_dump_json(indent=1) + "\n"
    contents[MANIFEST] = text.encode()
    contents[MANIFEST_DIGEST] = _digest_line(contents[MANIFEST])

    target.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(target)
    if target.exists() and not replace:
        raise ArtifactError(
            must_be("path", "a folder that does not exist yet", str(target), "Choose another name.")
        )
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.mkdir()
        for name, data in contents.items():
            write_file(temporary / name, data)
        sync_folder(temporary)
        read_artifact(temporary)
        move_into_place(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return read_artifact(target)


def read_artifact(path: str | Path) -> Artifact:
    """Read a folder and verify every byte of it.

    Raises:
        ArtifactNotFound: no such folder.
        ArtifactCorrupt: a file is missing, altered, too large, not a plain file or not known;
            or the weights are not those of the networks.
        ArtifactIncompatible: written for another format or feature set.
    """
    folder = Path(path)
    data, manifest = _read_manifest(folder)
    files = _read_files(folder, manifest)
    unpack(manifest.ensemble, files[WEIGHTS], WEIGHTS)
    try:
        golden = Golden.model_validate_json(files[GOLDEN])
    except ValidationError as error:
        raise ArtifactCorrupt(f"{GOLDEN}: {explain(error)} {ADVICE}") from None
    info = ModelInfo(name=manifest.name, version=manifest.version, sha256=_sha256(data))
    return Artifact(
        path=folder,
        manifest=manifest,
        info=info,
        weights=files[WEIGHTS],
        calibration=_parse_object(files[CALIBRATION], CALIBRATION),
        golden=golden,
        card=files[CARD].decode("utf-8", errors="replace"),
        certificates=read_certificates(folder, info),
    )


def models_dir() -> Path:
    """Where trained artifacts and the activated name live: ORACLE_MODELS, else ./models."""
    return Path(os.environ.get("ORACLE_MODELS") or "models")


def shipped_dir() -> Path:
    """Where the artifacts that come with the package live: in the wheel, or in the checkout."""
    packaged = Path(str(resources.files("oracle"))) / "models"
    return packaged if packaged.is_dir() else Path(str(resources.files("oracle"))).parent / "models"


def list_artifacts() -> list[Path]:
    """Folders of all artifacts, trained ones before shipped ones; none is verified.

    A name stands for one folder, the one that `resolve` finds by it: another clone's models/ may
    hold the shipped names, too.
    """
    found: dict[str, Path] = {}
    for parent in (models_dir(), shipped_dir()):
        for path in sorted(parent.glob(f"*/{MANIFEST}")):
            if re.match(NAME_PATTERN, path.parent.name):
                found.setdefault(path.parent.name, path.parent.resolve())
    return list(found.values())


def resolve(path: str | Path | None = None) -> Path:
    """Find the folder that is meant.

    Args:
        path: a folder; or a name below models/ or among the shipped ones, whose prefix
            "shipped-" may be left out; "shipped" alone is the shipped default. None: what
            ORACLE_MODEL names, else the activated one, else the shipped default.

    Raises:
        ArtifactNotFound: listing what there is.
    """
    wanted = path if path is not None else os.environ.get("ORACLE_MODEL") or active()
    if wanted is None or wanted == "":
        wanted = SHIPPED_DEFAULT
    text = str(wanted)
    if re.match(NAME_PATTERN, text):
        for folder in (
            models_dir() / text,
            shipped_dir() / (SHIPPED_DEFAULT if text == SHIPPED else text),
            shipped_dir() / f"{SHIPPED_PREFIX}{text}",
        ):
            if (folder / MANIFEST).is_file():
                return folder
    if Path(wanted).is_dir():
        return Path(wanted)
    known = ", ".join(folder.name for folder in list_artifacts()) or "none"
    raise ArtifactNotFound(
        must_be("model", "a model folder or a known name", text, f"Known names: {known}.")
    )


def active() -> str | None:
    """The activated name, None where none is.

    Raises:
        ArtifactCorrupt: if the pointer file does not hold a name.
    """
    pointer = models_dir() / ACTIVE
    try:
        text = read_file(pointer, 256).decode("ascii").strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = "bytes that are not text"
    if not re.match(NAME_PATTERN, text):
        raise corrupt(str(pointer), "the name of a model", text, "Activate a model again.")
    return text


def activate(name: str) -> Artifact:
    """Make `name` what a service or hook loads that asks for no model in particular.

    Servers notice within seconds. The folder is verified first, and the pointer changes
    in one rename: a reader sees the old name or the new one.

    Raises:
        ArtifactNotFound, ArtifactCorrupt, ArtifactIncompatible: nothing was changed.
    """
    folder = resolve(name)
    if folder.parent.resolve() not in (models_dir().resolve(), shipped_dir().resolve()):
        raise ArtifactNotFound(
            must_be("name", f"the name of a folder below {models_dir()}", name, "Move it there.")
        )
    artifact = read_artifact(folder)
    models_dir().mkdir(parents=True, exist_ok=True)
    temporary = models_dir() / f".{ACTIVE}.{secrets.token_hex(4)}.tmp"
    try:
        write_file(temporary, f"{folder.name}\n".encode())
        temporary.replace(models_dir() / ACTIVE)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(models_dir())
    return artifact


def _read_manifest(folder: Path) -> tuple[bytes, Manifest]:
    """Take in the manifest, the first to be read: it says whether the rest can be understood."""
    if not folder.is_dir():
        raise ArtifactNotFound(must_be("model", "a model folder", str(folder)))
    data = _take(folder, MANIFEST)
    if _take(folder, MANIFEST_DIGEST) != _digest_line(data):
        raise corrupt(MANIFEST, f"as {MANIFEST_DIGEST} says", "an altered file")
    written = _parse_object(data, MANIFEST).get("format")
    if written != FORMAT:
        old = isinstance(written, int) and written < FORMAT
        advice = (
            "It was written by an earlier SOM Oracle: train it again, or fetch it anew."
            if old
            else "Use the SOM Oracle that wrote it."
        )
        raise ArtifactIncompatible(must_be("format", str(FORMAT), written, advice))
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise ArtifactCorrupt(f"{MANIFEST}: {explain(error)} {ADVICE}") from None
    _check_compatible(manifest)
    return data, manifest


def _read_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """Take in every other file, each within its bound and as the manifest describes it."""
    known = {*MAX_BYTES, CERTIFICATE}
    if unknown := sorted({entry.name for entry in os.scandir(folder)} - known):
        raise corrupt("files", f"among {', '.join(sorted(known))}", unknown[0], "Remove it.")
    if odd := sorted({*manifest.files, MANIFEST, MANIFEST_DIGEST} ^ MAX_BYTES.keys()):
        raise corrupt("files", f"listed in {MANIFEST} one by one", odd[0])
    files = {name: _take(folder, name) for name in manifest.files}
    for name, entry in manifest.files.items():
        if len(files[name]) != entry.size_bytes or _sha256(files[name]) != entry.sha256:
            raise corrupt(name, "as it was written (SHA-256)", "an altered file")
    return files


def _take(folder: Path, name: str) -> bytes:
    try:
        return read_file(folder / name, MAX_BYTES[name])
    except FileNotFoundError:
        raise corrupt(name, "in the folder", "no such file") from None


def _check_compatible(manifest: Manifest) -> None:
    for field, got, want in (
        ("features_version", manifest.features_version, FEATURES_VERSION),
        ("features", manifest.features, FEATURES),
        ("targets", manifest.targets, OUTPUT_NAMES),
        ("levels", manifest.levels, HEAD_LEVELS),
    ):
        if got != want:
            rule = f"{want}" if isinstance(want, int) else "those of this SOM Oracle"
            raise ArtifactIncompatible(must_be(field, rule, got, "Train it again."))


def _parse_object(data: bytes, name: str) -> dict[str, Any]:
    """Parse a JSON object; the parser bounds nesting and refuses NaN."""
    try:
        value = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise ArtifactCorrupt(f"`{name}` must be valid JSON, but {error}. {ADVICE}") from None
    if not isinstance(value, dict):
        raise corrupt(name, "a JSON object", type(value).__name__)
    return value


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest_line(manifest: bytes) -> bytes:
    return f"{_sha256(manifest)}  {MANIFEST}\n".encode()
