"""Model folders: whole or refused, found by name, activated in one step."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_model import edit_json, reseal

from oracle.errors import ArtifactCorrupt, ArtifactError, ArtifactIncompatible, ArtifactNotFound
from oracle.model import artifact as module
from oracle.model.artifact import (
    MAX_BYTES,
    activate,
    active,
    list_artifacts,
    read_artifact,
    resolve,
    write_artifact,
)
from oracle.model.manifest import Manifest
from oracle.model.runtime import open_artifact

Write = Callable[..., Any]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models/ in a folder of its own, no shipped ones."""
    monkeypatch.setenv("ORACLE_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(module, "shipped_dir", lambda: tmp_path / "shipped")
    return tmp_path / "models"


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    edit_json(folder / "manifest.json", change)
    reseal(folder)


def test_written_and_read_back(models: Path, write_stand_in: Write) -> None:
    written = write_stand_in(models / "one", name="one", calibration={"offset": [0.1]})
    read = read_artifact(models / "one")
    assert read == written
    assert read.calibration == {"offset": [0.1]}
    assert read.info.name == "one"
    assert {f.name for f in (models / "one").iterdir()} == set(MAX_BYTES)
    assert (models / "one" / "weights.f32").read_bytes() == read.weights
    open_artifact(read)


def test_the_digest_files_suit_the_usual_tool(models: Path, write_stand_in: Write) -> None:
    info = write_stand_in(models / "one").info
    assert (models / "one" / "manifest.sha256").read_text() == f"{info.sha256}  manifest.json\n"


def test_the_same_contents_give_the_same_bytes(models: Path, write_stand_in: Write) -> None:
    one, two = (write_stand_in(models / name) for name in ("one", "two"))
    assert one.info == two.info


@pytest.mark.parametrize("shape", [{"bidirectional": True}, {"networks": 3}])
def test_models_of_other_shapes(models: Path, write_stand_in: Write, shape: dict[str, Any]) -> None:
    artifact = write_stand_in(models / "one", **shape)
    assert read_artifact(models / "one") == artifact
    open_artifact(artifact)


def test_an_existing_folder_stays_unless_told(models: Path, write_stand_in: Write) -> None:
    first = write_stand_in(models / "one", seed=1)
    with pytest.raises(ArtifactError, match="does not exist yet"):
        write_stand_in(models / "one", seed=2)
    assert read_artifact(models / "one") == first
    second = write_stand_in(models / "one", seed=2, replace=True)
    assert read_artifact(models / "one") == second != first
    assert [p.name for p in models.iterdir()] == ["one"]


@pytest.mark.parametrize("name", [".hidden", "active", "a b", "-x", "a..b", "x" * 90])
def test_a_folder_needs_a_plain_name(models: Path, write_stand_in: Write, name: str) -> None:
    with pytest.raises(ArtifactError, match="name"):
        write_stand_in(models / name)
    assert not models.exists() or not any(models.iterdir())


def test_contents_that_would_be_refused_are_not_written(
    models: Path, write_stand_in: Write
) -> None:
    good = write_stand_in(models / "good")
    with pytest.raises(ArtifactCorrupt, match=r"weights\.f32"):
        write_artifact(
            models / "bad",
            good.manifest,
            weights=good.weights[:-1],
            calibration={},
            golden=good.golden,
            card="",
        )
    assert [p.name for p in models.iterdir()] == ["good"]


def network(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest["ensemble"]["networks"][0]


def trunk(manifest: dict[str, Any]) -> dict[str, Any]:
    return network(manifest)["trunk"]


EDITS: dict[str, tuple[type[ArtifactError], Callable[[dict[str, Any]], Any]]] = {
    "format": (ArtifactIncompatible, lambda m: m.update(format=3)),
    "older format": (ArtifactIncompatible, lambda m: m.update(format=1)),
    "no format": (ArtifactIncompatible, lambda m: m.pop("format")),
    "features_version": (ArtifactIncompatible, lambda m: m.update(features_version=999)),
    "features": (ArtifactIncompatible, lambda m: m["features"].reverse()),
    "targets": (ArtifactIncompatible, lambda m: m["targets"].reverse()),
    "levels": (ArtifactIncompatible, lambda m: m["levels"].__setitem__(0, 0.02)),
    "mean": (ArtifactCorrupt, lambda m: m["scaling"]["mean"].pop()),
    "std": (ArtifactCorrupt, lambda m: m["scaling"]["std"].__setitem__(0, 0.0)),
    "std of 0 in float32": (ArtifactCorrupt, lambda m: m["scaling"]["std"].__setitem__(0, 5e-324)),
    "mean of inf in float32": (
        ArtifactCorrupt,
        lambda m: m["scaling"]["mean"].__setitem__(0, 1e300),
    ),
    "name": (ArtifactCorrupt, lambda m: m.update(name="../up")),
    "unknown": (ArtifactCorrupt, lambda m: m.update(run_this="code")),
    "units": (ArtifactCorrupt, lambda m: trunk(m).update(units=[10**9])),
    "other units": (ArtifactCorrupt, lambda m: trunk(m).update(units=[6, 6])),
    "direction": (ArtifactCorrupt, lambda m: trunk(m).update(bidirectional=True)),
    "kind": (ArtifactCorrupt, lambda m: trunk(m).update(kind="transformer")),
    "no network": (ArtifactCorrupt, lambda m: m["ensemble"].update(networks=[])),
    "one network more": (ArtifactCorrupt, lambda m: m["ensemble"]["networks"].append(network(m))),
    "many networks": (ArtifactCorrupt, lambda m: m["ensemble"].update(networks=[network(m)] * 33)),
    "unlisted": (ArtifactCorrupt, lambda m: m["files"].pop("card.md")),
    "listed": (ArtifactCorrupt, lambda m: m["files"].update({"/etc/passwd": {}})),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_manifest_that_does_not_fit_is_refused_though_its_digests_do(
    models: Path, write_stand_in: Write, edit: str
) -> None:
    folder = write_stand_in(models / "one").path
    error, change = EDITS[edit]
    edit_manifest(folder, change)
    with pytest.raises(error):
        read_artifact(folder)


def test_a_folder_of_the_older_format_says_what_to_do(models: Path, write_stand_in: Write) -> None:
    folder = write_stand_in(models / "one").path
    (folder / "weights.f32").rename(folder / "oracle.onnx")
    (folder / "step.onnx").write_bytes(b"")
    edit_manifest(folder, lambda m: m.update(format=1))
    with pytest.raises(ArtifactIncompatible, match="earlier SOM Oracle: train it again"):
        read_artifact(folder)


def test_other_weights_fail_the_self_test(models: Path, write_stand_in: Write) -> None:
    good, other = (write_stand_in(models / name, seed=i) for i, name in enumerate(("a", "b")))
    (good.path / "weights.f32").write_bytes(other.weights)
    reseal(good.path)
    with pytest.raises(ArtifactCorrupt, match="self-test"):
        open_artifact(read_artifact(good.path))


def test_a_folder_that_is_not_there(models: Path) -> None:
    with pytest.raises(ArtifactNotFound):
        read_artifact(models / "none")


def test_found_by_name_path_or_without_its_prefix(
    models: Path, tmp_path: Path, write_stand_in: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = write_stand_in(models / "mine").path
    shipped = write_stand_in(tmp_path / "shipped" / "shipped-default").path
    elsewhere = write_stand_in(tmp_path / "elsewhere").path
    assert resolve() == shipped
    assert resolve("shipped") == resolve("default") == resolve("shipped-default") == shipped
    assert resolve("mine").resolve() == mine
    assert resolve(elsewhere) == elsewhere
    assert list_artifacts() == [mine, shipped]
    activate("mine")
    assert active() == "mine"
    assert resolve().resolve() == mine
    monkeypatch.setenv("ORACLE_MODEL", str(elsewhere))
    assert resolve() == elsewhere
    monkeypatch.delenv("ORACLE_MODEL")
    activate("shipped-default")
    assert resolve() == shipped


def test_a_name_is_listed_once_as_the_folder_it_stands_for(
    models: Path, tmp_path: Path, write_stand_in: Write
) -> None:
    write_stand_in(tmp_path / "shipped" / "shipped-default")
    write_stand_in(tmp_path / "shipped" / "shipped-lite")
    clone = write_stand_in(models / "shipped-default").path  # the working folder is another clone
    listed = list_artifacts()
    assert [folder.name for folder in listed] == ["shipped-default", "shipped-lite"]
    assert listed[0] == clone == resolve("shipped-default").resolve() == resolve().resolve()


def test_an_unknown_name_is_told_with_the_known_ones(models: Path, write_stand_in: Write) -> None:
    write_stand_in(models / "mine")
    with pytest.raises(ArtifactNotFound, match="Known names: mine"):
        resolve("yours")


def test_a_bad_model_is_not_activated(models: Path, write_stand_in: Write) -> None:
    write_stand_in(models / "good")
    write_stand_in(models / "bad")
    activate("good")
    (models / "bad" / "card.md").write_text("altered")
    with pytest.raises(ArtifactCorrupt):
        activate("bad")
    with pytest.raises(ArtifactNotFound):
        activate("none")
    assert active() == "good"


def test_only_what_lies_in_models_is_activated(
    models: Path, tmp_path: Path, write_stand_in: Write
) -> None:
    elsewhere = write_stand_in(tmp_path / "elsewhere").path
    with pytest.raises(ArtifactNotFound, match="Move it there"):
        activate(str(elsewhere))


@pytest.mark.parametrize("text", ["", "../../etc", "a\nb", "/etc", "\x00", "\xff", "a" * 300])
def test_a_pointer_that_holds_no_name_is_told(models: Path, text: str) -> None:
    models.mkdir()
    (models / "active").write_bytes(text.encode("latin-1"))
    with pytest.raises(ArtifactCorrupt, match="active"):
        resolve()


def test_what_a_killed_writer_left_is_cleared_and_brought_back(
    models: Path, write_stand_in: Write
) -> None:
    whole = write_stand_in(models / "one", seed=1)
    (models / "one").rename(models / ".one.0123abcd.old")  # killed between the two renames
    (models / ".one.0123abcd.tmp").mkdir()
    assert list_artifacts() == []
    with pytest.raises(ArtifactError, match="does not exist yet"):
        write_stand_in(models / "one", seed=2)
    assert read_artifact(models / "one") == whole
    assert [p.name for p in models.iterdir()] == ["one"]


def test_reading_needs_neither_tensorflow_nor_onnx(models: Path, write_stand_in: Write) -> None:
    folder = write_stand_in(models / "one").path
    code = (
        "import sys; from oracle.model.artifact import read_artifact; "
        "from oracle.model.runtime import open_artifact; "
        f"open_artifact(read_artifact({str(folder)!r})); "
        "sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras', 'onnx', 'pickle5')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_manifest_is_frozen(models: Path, write_stand_in: Write) -> None:
    manifest: Manifest = write_stand_in(models / "one").manifest
    with pytest.raises(ValueError, match="frozen"):
        manifest.version = "2"  # type: ignore[misc]
