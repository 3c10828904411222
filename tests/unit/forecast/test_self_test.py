"""A model that loads must answer: whatever is broken behind the networks is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_model import edit_json, reseal

from oracle import Oracle
from oracle.errors import ArtifactCorrupt, ArtifactError
from oracle.forecast import self_test
from oracle.forecast.calibration import DRAWS
from oracle.model.artifact import read_artifact, resolve
from oracle.types import History

Change = Callable[[dict[str, Any]], Any]

ARRAYS = {
    "calibration": ("offsets", "ranks"),
    "quality": ("offsets",),
    "support": ("mean", "spread", "low", "high", "hidden", "hidden_bias", "out", "knots"),
}
EACH = [(part, name) for part, names in ARRAYS.items() for name in names]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(resolve("shipped-lite"), tmp_path / "model")


def refused(folder: Path, change: Change, file: str = "calibration.json") -> str:
    """Load a model that was changed by somebody who also wrote the digests."""
    edit_json(folder / file, change)
    reseal(folder)
    with pytest.raises(ArtifactError) as caught:
        Oracle.load(folder)
    message = str(caught.value)
    assert len(message) < 500
    return message


def leaf(numbers: Any) -> list[Any]:
    """The innermost list that the first number stands in."""
    while isinstance(numbers[0], list):
        numbers = numbers[0]
    return numbers


@pytest.mark.parametrize(("part", "name"), EACH)
def test_an_array_that_is_shorter_or_flat_is_refused(folder: Path, part: str, name: str) -> None:
    whole = (folder / "calibration.json").read_bytes()
    for change in (
        lambda n: n[part][name].pop(),
        lambda n: leaf(n[part][name]).pop(),
        lambda n: n[part].update({name: 0.5}),
        lambda n: n[part].update({name: []}),
        lambda n: n[part].update({name: [[]]}),
        lambda n: n[part].pop(name),
    ):
        message = refused(folder, change)
        assert "`calibration.json` must be as this version writes it" in message
        (folder / "calibration.json").write_bytes(whole)


@pytest.mark.parametrize(("part", "name"), EACH)
@pytest.mark.parametrize("value", ["nan", "text", None, {}, 10**400])
def test_what_is_not_a_finite_number_is_refused(
    folder: Path, part: str, name: str, value: Any
) -> None:
    refused(folder, lambda n: leaf(n[part][name]).__setitem__(0, value))


BROKEN: dict[str, Change] = {
    "out_bias": lambda n: n["support"].update(out_bias="nan"),
    "out_bias beyond any number": lambda n: n["support"].update(out_bias=10**400),
    "mean infinite in float32": lambda n: leaf(n["support"]["mean"]).__setitem__(0, 1e300),
    "hidden infinite in float32": lambda n: leaf(n["support"]["hidden"]).__setitem__(0, 1e300),
    "spread of 0": lambda n: leaf(n["support"]["spread"]).__setitem__(0, 0.0),
    "knots of three groups": lambda n: n["support"].update(knots=n["support"]["knots"][:3]),
    "knots that fall": lambda n: leaf(n["support"]["knots"]).__setitem__(0, 1e3),
    "one rank": lambda n: n["calibration"].update(ranks=n["calibration"]["ranks"][:1]),
    "ranks beyond 1": lambda n: leaf(n["calibration"]["ranks"]).__setitem__(0, 1.5),
    "a list for the numbers": lambda n: n.update(support=[1, 2]),
    "no quality": lambda n: n.pop("quality"),
    "offsets of 1e308": lambda n: n["calibration"].update(
        offsets=(1e308 * np.sign(np.array(n["calibration"]["offsets"]) - 0.01)).tolist(),
    ),
    "one offset of 1e308": lambda n: leaf(n["calibration"]["offsets"]).__setitem__(0, 1e308),
    "one offset of the score of 1e308": lambda n: leaf(n["quality"]["offsets"]).__setitem__(
        0, -1e308
    ),
    "support that is always whole": lambda n: n["support"].update(out_bias=1e300),
    "another support": lambda n: n["support"].update(out_bias=n["support"]["out_bias"] - 3),
    "another copula": lambda n: n["calibration"].update(ranks=[[0.5] * 3] * DRAWS),
    "another score": lambda n: n["quality"].update(
        offsets=(np.array(n["quality"]["offsets"]) + 0.2).tolist()
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_numbers_are_refused_though_their_digests_fit(folder: Path, name: str) -> None:
    refused(folder, BROKEN[name])


def test_scaling_of_another_model_is_refused(folder: Path) -> None:
    def other(manifest: dict[str, Any]) -> None:
        manifest["scaling"]["mean"] = [0.0] * len(manifest["scaling"]["mean"])

    # The networks' own self-test is of scaled inputs: it does not see this.
    assert "self-test" in refused(folder, other, "manifest.json")


def test_a_self_test_that_is_another_model_s_is_refused(folder: Path) -> None:
    other = json.loads((resolve("shipped-standard") / "golden.json").read_text())
    assert "self-test" in refused(
        folder, lambda g: g.update(forecasts=other["forecasts"]), "golden.json"
    )


def test_shipped_models_bring_forecasts_with_and_without_context() -> None:
    for name in ("default", "standard", "lite", "bidirectional"):
        golden = read_artifact(resolve(name)).golden
        full, bare = (one.history for one in golden.forecasts)
        assert full.total_epochs is not None
        assert full.context.mqe_of_mean is not None
        assert bare.total_epochs is bare.context.mqe_of_mean is None


def test_what_is_recorded_is_found_again_and_nothing_else_is() -> None:
    oracle = Oracle.load("lite")
    history = History(
        epochs=(1, 2, 3), mqe=(800.0, 600.0, 500.0), topographic_error=(0.3, 0.2, 0.2),
        dead_neuron_ratio=(0.1, 0.1, 0.1), total_epochs=10.0,
    )  # fmt: skip
    golden = self_test.record(oracle.forecast_many, [history])
    self_test.check(oracle.forecast_many, golden)
    self_test.check(oracle.forecast_many, ())
    # mqe is compared as a share of the run's own first
    shift = self_test.TOLERANCE * 800
    for factor, right in ((0.5, True), (2.0, False)):
        moved = tuple(v + factor * shift for v in golden[0].final["final_mqe"])
        one = golden[0].model_copy(update={"final": {**golden[0].final, "final_mqe": moved}})
        if right:
            self_test.check(oracle.forecast_many, [one])
        else:
            with pytest.raises(ArtifactCorrupt, match=r"within 0\.005 of the forecasts"):
                self_test.check(oracle.forecast_many, [one])


def test_a_forecast_that_fails_is_told_in_one_line(folder: Path) -> None:
    golden = self_test.record(Oracle.load("lite").forecast_many, [])

    def failing(_: Any) -> Any:
        raise IndexError("x" * 1000)

    self_test.check(failing, golden)  # nothing recorded, nothing asked
    golden = read_artifact(folder).golden.forecasts
    with pytest.raises(ArtifactCorrupt, match="a forecast of each history") as caught:
        self_test.check(failing, golden)
    assert len(str(caught.value)) < 500
