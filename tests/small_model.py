"""A small artifact of random weights, without TensorFlow: never shipped."""

from __future__ import annotations

from typing import Any

import numpy as np

from oracle.history.features import FEATURES, FEATURES_VERSION
from oracle.model.artifact import Artifact, write_artifact
from oracle.model.graph import Network, forward_graph, step_graph
from oracle.model.manifest import Golden, Manifest, Scaling
from oracle.model.onnx_file import write_onnx
from oracle.model.runtime import Session


def _arrays_of(network: Network, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in forward_graph(network).weights.items()
    }


def _one_step(arrays: dict[str, Any], network: Network) -> dict[str, Any]:
    """Lay the arrays out for the one-step graph: gates i, f, o, c instead of i, o, f, c."""

    def swap(array: Any) -> Any:
        i, o, f, c = np.split(array, 4, axis=-1)
        return np.concatenate([i, f, o, c], axis=-1)

    laid = {k: v for k, v in arrays.items() if "lstm" not in k}
    for name in {k[:-2] for k in arrays if "lstm" in k}:
        w, r, b = (arrays[f"{name}_{part}"][0] for part in "WRB")
        laid[f"{name}_K"] = swap(np.concatenate([w.T, r.T]))
        laid[f"{name}_b"] = swap(np.add(*np.split(b, 2)))
    return {k: laid[k] for k in step_graph(network).weights}


def write_stand_in(
    folder: Any,
    *,
    name: str = "stand-in",
    seed: int = 0,
    calibration: dict[str, Any] | None = None,
    replace: bool = False,
    **shape: Any,
) -> Artifact:
    """Write one; equal calls write equal bytes, `seed` and `name` make others.

    Its golden answers are ONNX Runtime's own.

    Args:
        shape: members of `Network` that are not the usual ones.
    """
    width = len(FEATURES)
    network = Network(n_features=width, **{"recurrent": (6, 5), "dense": (4,), **shape})
    arrays = _arrays_of(network, seed)
    forward, step = write_onnx(forward_graph(network), arrays), None
    if not network.bidirectional:
        step = write_onnx(step_graph(network), _one_step(arrays, network))
    rng = np.random.default_rng(seed)
    cases = [rng.normal(size=(n, width)).astype(np.float32) for n in (1, 3, 7)]
    answers = Session(forward).run_many(cases)
    return write_artifact(
        folder,
        Manifest(
            name=name,
            version="1",
            created="2026-01-01T00:00:00Z",
            architecture="bidirectional" if network.bidirectional else "lite",
            network=network,
            features_version=FEATURES_VERSION,
            features=FEATURES,
            scaling=Scaling(mean=(0.0,) * width, std=(1.0,) * width),
        ),
        forward=forward,
        step=step,
        calibration=calibration or {},
        golden=Golden.model_validate(
            {"sequence": [c.tolist() for c in cases], "quantiles": answers.tolist()}
        ),
        card="# Stand-in\nRandom weights, for tests.\n",
        replace=replace,
    )
