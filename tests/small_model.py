"""A small artifact of random weights, without TensorFlow: never shipped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from oracle.history.features import FEATURES, FEATURES_VERSION
from oracle.history.targets import OUTPUTS
from oracle.model.artifact import (
    MANIFEST,
    MANIFEST_DIGEST,
    MAX_BYTES,
    Artifact,
    write_artifact,
)
from oracle.model.manifest import Golden, Manifest, Scaling
from oracle.model.network import Ensemble, Network, Trunk, graph_of
from oracle.model.onnx_file import write_onnx
from oracle.model.recurrent import Recurrent
from oracle.model.runtime import Session
from oracle.model.weights import pack


def random_layers(ensemble: Ensemble, seed: int = 0) -> list[dict[str, list[Any]]]:
    """Weights for any ensemble."""
    rng = np.random.default_rng(seed)
    return [
        {
            name: [rng.normal(0, 0.3, shape).astype(np.float32) for shape in shapes]
            for name, shapes in layers.items()
        }
        for layers in ensemble.layers()
    ]


def write_stand_in(
    folder: Any,
    *,
    name: str = "stand-in",
    seed: int = 0,
    calibration: dict[str, Any] | None = None,
    replace: bool = False,
    networks: int = 1,
    bidirectional: bool = False,
    trunk: Trunk | None = None,
) -> Artifact:
    """Write one; equal calls write equal bytes, `seed` and `name` make others.

    Its golden answers are ONNX Runtime's own.
    """
    width = len(FEATURES)
    trunk = trunk or Recurrent(units=(6, 5), bidirectional=bidirectional)
    network = Network(trunk=trunk, dense=(4,))
    ensemble = Ensemble(n_features=width, n_targets=OUTPUTS, networks=(network,) * networks)
    layers = random_layers(ensemble, seed)
    rng = np.random.default_rng(seed)
    cases = [rng.normal(size=(n, width)).astype(np.float32) for n in (1, 3, 7)]
    answers = Session(write_onnx(graph_of(ensemble, layers))).run_many(cases)
    return write_artifact(
        folder,
        Manifest(
            name=name,
            version="1",
            created="2026-01-01T00:00:00Z",
            architecture="bidirectional" if bidirectional else "lite",
            ensemble=ensemble,
            features_version=FEATURES_VERSION,
            features=FEATURES,
            scaling=Scaling(mean=(0.0,) * width, std=(1.0,) * width),
        ),
        weights=pack(ensemble, layers),
        calibration=calibration or {},
        golden=Golden.model_validate(
            {"sequence": [c.tolist() for c in cases], "quantiles": answers.tolist()}
        ),
        card="# Stand-in\nRandom weights, for tests.\n",
        replace=replace,
    )


def reseal(folder: Path) -> None:
    """Write digests that fit what lies in a folder, as somebody who made it all would."""
    path = folder / MANIFEST
    text = path.read_text()
    for name in MAX_BYTES.keys() - {MANIFEST, MANIFEST_DIGEST}:
        file = folder / name
        if f'"{name}"' not in text:
            continue
        if file.is_file() and not file.is_symlink() and file.stat().st_size < 1 << 30:
            data = file.read_bytes()
            # As text: a manifest may be hostile too.
            before, _, after = text.partition(f'"{name}"')
            entry = {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            text = f'{before}"{name}": {json.dumps(entry)}{after[after.index("}") + 1 :]}'
    path.write_text(text)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / MANIFEST_DIGEST).write_text(f"{digest}  {MANIFEST}\n")


def edit_json(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a JSON file in place."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
