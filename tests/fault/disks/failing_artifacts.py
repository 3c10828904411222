"""T5, artifacts: a disk that fails at the N-th call leaves the old state, whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from reliability import Result
from small_model import write_stand_in

from fault.disks.disk import FAULTS, failing, outcome
from oracle.model.artifact import (
    Artifact,
    activate,
    active,
    list_artifacts,
    read_artifact,
    write_artifact,
)


def failing_artifacts(folder: Path, n: int) -> Result:
    """Let the first, the second, ... of at most `n` calls fail, in writing and in activating."""
    result = Result()
    models = folder / "models"
    made = write_stand_in(folder / "source")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORACLE_MODELS", str(models))
        for fault in FAULTS:
            for target in ("old", "new"):
                calls = _writing(models, made, fault, target, n, result)
                result.seen[f"calls, {fault}, over {target}"] = calls
            result.seen[f"calls, {fault}, activating"] = _activating(models, made, fault, n, result)
    return result


def _writing(models: Path, made: Artifact, fault: str, target: str, n: int, result: Result) -> int:
    """Write an artifact over an old one or beside it; gives the calls that this takes."""
    for call in range(1, n + 1):
        where = f"{fault} at call {call}, {target}"
        old = _rewrite(made, models / "old", "old").info.sha256
        shutil.rmtree(models / "new", ignore_errors=True)
        with failing(call, fault) as disk:
            error = outcome(lambda: _rewrite(made, models / target, "new"))
        state = _whole(models)
        if not disk.reached:
            written = read_artifact(models / target)
            result.check(error is None, f"{where}: {error!r}")
            result.check(state == {"old": old} | {target: written.info.sha256}, f"{where}: {state}")
            result.check(written.card == "new", f"{where}: {written.card}")
            return disk.calls
        result.check(getattr(error, "errno", None) == disk.number, f"{where}: {error!r}")
        # After the rename only the flush of the folder can fail: the new one is there, whole.
        kept = state.get("old") == old or (target == "old" and "old" in state)
        result.check(kept, f"{where}: the old one is lost")
        result.check(not list(models.glob(".*.tmp")), f"{where}: something is left over")
    result.check(False, f"{fault}, {target}: more than {n} calls, so not every one failed")
    return n


def _activating(models: Path, made: Artifact, fault: str, n: int, result: Result) -> int:
    """Activate another artifact; gives the calls that this takes."""
    for name in ("old", "new"):
        _rewrite(made, models / name, name)
    for call in range(1, n + 1):
        where = f"{fault} at call {call}, activating"
        activate("old")
        with failing(call, fault) as disk:
            error = outcome(lambda: activate("new"))
        if not disk.reached:
            result.check(error is None and active() == "new", f"{where}: {error!r}")
            return disk.calls
        result.check(getattr(error, "errno", None) == disk.number, f"{where}: {error!r}")
        result.check(active() in ("old", "new"), f"{where}: {active()} is active")
        result.check(not list(models.glob(".active*")), f"{where}: something is left over")
    result.check(False, f"{fault}, activating: more than {n} calls, so not every one failed")
    return n


def _rewrite(made: Artifact, path: Path, card: str) -> Artifact:
    """Write the same model again, replacing what is there."""
    return write_artifact(
        path,
        made.manifest,
        weights=made.weights,
        calibration=made.calibration,
        golden=made.golden,
        card=card,
        replace=True,
    )


def _whole(models: Path) -> dict[str, str]:
    """Digest of each artifact; every one there must be readable."""
    return {
        path.name: read_artifact(path).info.sha256
        for path in list_artifacts()
        if path.parent == models.resolve()
    }
