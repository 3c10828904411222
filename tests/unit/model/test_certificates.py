"""Certificates in a model's folder: sealed, the model's own, and of the policy they name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up import CERTIFIED, certificate_of
from small_model import edit_json

from oracle.commands.models import certify as certify_command
from oracle.errors import ArtifactCorrupt, ArtifactError, ArtifactNotFound, OracleError
from oracle.forecast.certified import certified_policy
from oracle.model.artifact import Artifact, read_artifact
from oracle.model.certificates import CERTIFICATE, MAX_BYTES, seal

Write = Callable[..., Artifact]


@pytest.fixture
def folder(tmp_path: Path, write_stand_in: Write) -> Path:
    """A model with its certificate."""
    info = write_stand_in(tmp_path / "one").info
    seal(tmp_path / "one", info, [certificate_of(info)])
    return tmp_path / "one"


def test_sealed_and_read_back(folder: Path) -> None:
    artifact = read_artifact(folder)
    assert artifact.certificates == (certificate_of(artifact.info),)
    # One for each way; they replace those there, and nothing is left beside the folder.
    both = [certificate_of(artifact.info, way=way) for way in ("one after another", "in step")]
    seal(folder, artifact.info, both)
    assert read_artifact(folder).certificates == tuple(both)
    assert [path.name for path in folder.parent.iterdir()] == ["one"]


def test_a_model_without_is_certified_for_nothing(tmp_path: Path, write_stand_in: Write) -> None:
    info = write_stand_in(tmp_path / "one").info
    assert read_artifact(tmp_path / "one").certificates == ()
    with pytest.raises(ArtifactNotFound, match="`oracle models certify` does that"):
        certified_policy(model=tmp_path / "one")
    with pytest.raises(ArtifactError, match="certificates"):
        seal(tmp_path / "one", info, [])


def test_its_policy_is_for_its_way(folder: Path) -> None:
    assert certified_policy(model=folder) == CERTIFIED
    with pytest.raises(ArtifactNotFound, match="certified for 'one after another'"):
        certified_policy("in step", model=folder)


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda text: text.replace("0.004", "0.001"), "altered"),
        (lambda text: "[]", "a JSON object of"),
        (lambda text: text[:-9], "a JSON object of"),
        (lambda text: text.replace("0.004", "NaN"), "a JSON object of"),
        (lambda text: " " * (MAX_BYTES + 1), "bytes"),
        (lambda text: '{"certificates": [], "sha256": 1}', "altered"),
    ],
)
def test_what_was_altered_is_refused(
    folder: Path, damage: Callable[[str], str], match: str
) -> None:
    path = folder / CERTIFICATE
    path.write_text(damage(path.read_text()))
    with pytest.raises(ArtifactCorrupt, match=match):
        read_artifact(folder)


def test_another_models_is_refused(folder: Path, tmp_path: Path, write_stand_in: Write) -> None:
    other = write_stand_in(tmp_path / "two", name="two")
    (tmp_path / "two" / CERTIFICATE).write_bytes((folder / CERTIFICATE).read_bytes())
    with pytest.raises(ArtifactCorrupt, match="of this model"):
        read_artifact(tmp_path / "two")
    seal(folder, other.info, [certificate_of(other.info)])
    with pytest.raises(ArtifactCorrupt, match="of this model"):
        read_artifact(folder)


def test_a_number_that_cannot_be_is_refused_though_sealed(folder: Path) -> None:
    from oracle.model.certificates import _digest

    def change(text: dict[str, Any]) -> None:
        text["certificates"][0]["alpha"] = 2.0
        text["sha256"] = _digest(text["certificates"])

    edit_json(folder / CERTIFICATE, change)
    with pytest.raises(ArtifactCorrupt, match="alpha"):
        read_artifact(folder)


def test_it_holds_for_its_model_and_policy_alone(folder: Path) -> None:
    info = read_artifact(folder).info
    made = certificate_of(info)
    assert made.not_for(CERTIFIED, info) is None
    assert made.not_for(CERTIFIED.model_copy(update={"control": 0.3}), info) is None
    other = made.not_for(CERTIFIED.model_copy(update={"risk": 0.02}), info)
    assert other is not None
    assert "`policy.risk` must be 0.01, as it was certified, but got 0.02." in other
    assert "policy.learn" in str(made.not_for(CERTIFIED.model_copy(update={"learn": True}), info))
    unknown = made.not_for(CERTIFIED, info.model_copy(update={"sha256": "2" * 64}))
    assert "`model` must be" in str(unknown)


def test_a_search_that_left_the_tables_it_was_made_on_has_none(folder: Path) -> None:
    made = certificate_of(read_artifact(folder).info)
    assert made.withdrawn(kept=20, missed=8, unlike=10) is None
    assert "9 of 20 runs ended outside" in str(made.withdrawn(20, 9, 10))
    assert "11 of 20 runs were unlike" in str(made.withdrawn(20, 8, 11))
    # Fewer than a population had tell nothing.
    assert made.withdrawn(kept=19, missed=19, unlike=19) is None


def test_made_of_recorded_runs_by_one_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from shutil import copytree

    from oracle.model.artifact import resolve

    model = copytree(resolve("shipped"), tmp_path / "mine")
    (model / CERTIFICATE).unlink(missing_ok=True)
    runs = Path(__file__).parents[2] / "data" / "search.csv.gz"
    few = {"model": str(model), "checks": "0,0.1,0.5", "risks": "0.001,0.01"}
    # One table proves little: that at most nine tenths are lost, in three of ten cases.
    certify_command(runs, **few, alpha=0.9, delta=0.7, into_model=True, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert [one["way"] for one in told] == ["one after another", "in step"]
    assert all(one["policy"]["risk"] == 0.01 and one["policy"]["min_progress"] == 0 for one in told)
    assert [json.loads(c.model_dump_json()) for c in read_artifact(model).certificates] == told
    certify_command(runs, **few)
    assert "Runs in step: no risk can be shown to hold." in capsys.readouterr().out
    with pytest.raises(OracleError, match="--alpha"):
        certify_command(runs, **few, alpha=1.5)
    with pytest.raises(OracleError, match="--checks"):
        certify_command(runs, model=str(model), checks="0.5,0.1")
