"""What was proven of a model, sealed in its folder: certificate.json.

It stands beside the files of the manifest, which it names by its digest: a certificate is made of
a finished model, on runs that the model never saw.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import from_json

from oracle.errors import ArtifactCorrupt, ArtifactError, must_be
from oracle.model.files import corrupt, read_file, sync_folder, write_file
from oracle.types import Certificate, ModelInfo, explain

CERTIFICATE = "certificate.json"
MAX_BYTES = 256 * 1024
ADVICE = "Remove it, or certify the model again (`oracle models certify`)."


def read_certificates(folder: Path, model: ModelInfo) -> tuple[Certificate, ...]:
    """Read what was proven of a model; nothing where nothing was.

    Raises:
        ArtifactCorrupt: the file was altered, is no certificate, or another model's.
    """
    try:
        data = read_file(folder / CERTIFICATE, MAX_BYTES)
    except FileNotFoundError:
        return ()
    try:
        sealed = from_json(data, allow_inf_nan=False)
        certificates, digest = sealed["certificates"], sealed["sha256"]
    except (ValueError, KeyError, TypeError):
        rule = "a JSON object of `certificates` and `sha256`"
        raise corrupt(CERTIFICATE, rule, "something else", ADVICE) from None
    if digest != _digest(certificates):
        raise corrupt(CERTIFICATE, "as it was sealed (SHA-256)", "an altered file", ADVICE)
    try:
        found = tuple(Certificate.model_validate_json(json.dumps(one)) for one in certificates)
    except ValidationError as error:
        raise ArtifactCorrupt(f"{CERTIFICATE}: {explain(error)} {ADVICE}") from None
    for one in found:
        if one.model.sha256 != model.sha256:
            rule = f"of this model (SHA-256 {model.sha256[:12]})"
            raise corrupt(CERTIFICATE, rule, f"of {one.model.sha256[:12]}", ADVICE)
    return found


def seal(folder: Path, model: ModelInfo, certificates: Sequence[Certificate]) -> Path:
    """Put certificates into a model's folder, whole or not at all; they replace those there.

    Raises:
        ArtifactError: there is none, or one is another model's.
        OSError: the disk failed; the folder is as it was.
    """
    if not certificates:
        raise ArtifactError(must_be("certificates", "one at least", 0))
    values = [json.loads(one.model_dump_json()) for one in certificates]
    target, text = folder / CERTIFICATE, {"certificates": values, "sha256": _digest(values)}
    # Not in the folder itself: a reader in between would find a file that it does not know.
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.{CERTIFICATE}")
    try:
        write_file(temporary, (json.dumps(text, indent=1) + "\n").encode())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(folder)
    read_certificates(folder, model)
    return target


def _digest(certificates: object) -> str:
    text = json.dumps(certificates, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
