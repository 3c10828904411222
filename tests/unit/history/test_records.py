"""Rows of checkpoints under anybody's names, and what is said of those that make no history."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oracle.errors import DatasetError, InvalidHistory
from oracle.history.records import Records, columns_of, named_columns, read_history
from oracle.types import History


def written(folder: Path, text: str, name: str = "h.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("header", "named", "found"),
    [
        (["epoch", "qe", "te"], {}, {"epochs": "epoch", "mqe": "qe", "topographic_error": "te"}),
        (["_step", "Train/Quantization Error"], {},
         {"epochs": "_step", "mqe": "Train/Quantization Error"}),
        (["metrics.mqe", "params.map_rows"], {},
         {"mqe": "metrics.mqe", "map_rows": "params.map_rows"}),
        (["step", "epoch", "mqe"], {}, {"epochs": "epoch", "mqe": "mqe"}),
        (["epochs", "epoch"], {}, {"epochs": "epochs"}),
        (["mqe", "err"], {"mqe": "err"}, {"mqe": "err"}),
        (["t", "Err Q"], {"epochs": "t", "mqe": "err_q"}, {"epochs": "t", "mqe": "Err Q"}),
        (["loss"], {"mqe": "gone"}, {}),
    ],
)  # fmt: skip
def test_columns_are_known_by_their_usual_names(
    header: list[str], named: dict[str, str], found: dict[str, str]
) -> None:
    assert columns_of(header, named) == found


@pytest.mark.parametrize("text", ["mqe", "mqe=", "=err", "quality=err", "mqe=a,quality=b"])
def test_pairs_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(DatasetError, match="--columns"):
        named_columns([text])


def test_rows_in_any_order_make_a_history(tmp_path: Path) -> None:
    text = "t,mqe,te,dead_ratio,lr,total_epochs,map_rows,note\n"
    rows = "50,.3,,.1,.5,100,8,x\n10,.5,.2,NaN,.9,100,8,y\n\n100,.2,.1,.1,,100,,\n"
    history = read_history(written(tmp_path, text + rows), {"epochs": "t"})
    assert history == History(
        epochs=(10, 50, 100), mqe=(0.5, 0.3, 0.2), topographic_error=(0.2, None, 0.1),
        dead_neuron_ratio=(None, 0.1, 0.1), learning_rate=(0.9, 0.5, None), total_epochs=100,
        context={"map_rows": 8},
    )  # fmt: skip


@pytest.mark.parametrize("named", ["mqe=err,epochs=t", "epochs = t, mqe = err"])
def test_csv_and_json_take_the_same_names_and_budget(tmp_path: Path, named: str) -> None:
    names = named_columns([named])
    csv = written(tmp_path, "t,err,te,dead_ratio\n1,.5,.1,.1\n2,.4,.1,.1\n")
    members = {"t": [1, 2], "err": [0.5, 0.4], "topo_error": [0.1, 0.1], "dead_ratio": [0.1, 0.1]}
    found = read_history(csv, names, 10)
    assert found.total_epochs == 10
    assert found == read_history(written(tmp_path, json.dumps(members), "h.json"), names, 10)
    told = written(tmp_path, json.dumps({**members, "total_epochs": 20}), "told.json")
    assert read_history(told, names, 10).total_epochs == 20
    with pytest.raises(InvalidHistory, match=r"h\.json.*total_epochs"):
        read_history(tmp_path / "h.json", names, -1)


def test_a_row_without_mqe_is_no_checkpoint(tmp_path: Path) -> None:
    text = "epoch,mqe,te\n1,.5,\n2,,.1\n3,.4,.1\n"
    assert read_history(written(tmp_path, text)).epochs == (1, 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch,err\n1,.5\n", "--columns mqe=COLUMN"),
        ("when,mqe\n1,.5\n", "--columns epochs=COLUMN"),
        ("epoch,mqe\n1,low\n", "row 2, column mqe"),
        ('epoch;mqe\n1;"0,5"\n', "point, not a comma"),
        ("epoch,mqe\n,.5\n", "row 2, column epochs"),
        ("epoch,mqe\n1,.5\n1,.4\n", "row 3, column mqe.*Two runs"),
        ("epoch,mqe,total_epochs\n1,.5,10\n2,.4,20\n", "row 3, column total_epochs"),
        ("epoch,mqe\n1,\n", "never is"),
        ("epoch,mqe\n1,-1\n", "mqe"),
        ("run,epoch,mqe\na,1,.5\nb,1,.5\n", "one run, but got '2 runs'.*ingest"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises((DatasetError, InvalidHistory), match=said) as error:
        read_history(written(tmp_path, text))
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("total", [3000, None])
def test_a_long_log_keeps_what_a_forecast_can_tell_apart(
    tmp_path: Path, total: float | None
) -> None:
    epochs = list(range(1, 3001))
    mqe = [0.4 + 1 / epoch for epoch in epochs]
    csv = "".join(f"{e},{q},.1,.1\n" for e, q in zip(epochs, mqe, strict=True))
    found = read_history(written(tmp_path, f"epoch,mqe,te,dead\n{csv}"), None, total)
    ratios = [0.1] * 3000
    item = {"epochs": epochs, "mqe": mqe, "topo_error": ratios, "dead_ratio": ratios}
    if total is not None:
        item["total_epochs"] = total  # type: ignore[assignment]
    assert found == read_history(written(tmp_path, json.dumps(item), "h.json"))
    assert len(found) <= 1000
    assert (found.epochs[-1], found.mqe[-1]) == (3000, mqe[-1])
    item["epochs"][5] = 3  # out of order: refused, not cut away
    with pytest.raises(InvalidHistory, match="epochs"):
        read_history(written(tmp_path, json.dumps(item), "h.json"))


def test_a_fault_spoils_one_run_only() -> None:
    records = Records()
    for row, (run, epoch, mqe) in enumerate(
        [("a", 1, 0.5), ("b", 1, "x"), ("b", 2, 1), ("a", 2, 1)]
    ):
        records.add(run, {"epochs": epoch, "mqe": mqe}, "f.csv", row)
    good, bad = records.runs(total_epochs=10.0)
    assert isinstance(good.history, History)
    assert good.history.total_epochs == 10
    assert "f.csv, row 1, column mqe: run b" in str(bad.history)


@pytest.mark.parametrize("field", ["topographic_error", "dead_neuron_ratio", "learning_rate"])
def test_nan_in_json_gets_a_hint_at_null(tmp_path: Path, field: str) -> None:
    history = {"epochs": [1], "mqe": [0.5], "topographic_error": [0], "dead_neuron_ratio": [0]}
    text = json.dumps({**history, field: [float("nan")]})
    with pytest.raises(InvalidHistory, match=rf"{field}\.0.*Write null"):
        read_history(written(tmp_path, text, "h.json"))


def test_an_mqe_that_is_nan_gets_none(tmp_path: Path) -> None:
    text = '{"epochs": [1], "mqe": [NaN], "topographic_error": [null], "dead_neuron_ratio": [null]}'
    with pytest.raises(InvalidHistory, match="mqe") as error:
        read_history(written(tmp_path, text, "h.json"))
    assert "null" not in str(error.value)


def test_a_field_by_another_name_is_led_to_its_own() -> None:
    with pytest.raises(InvalidHistory) as error:
        History.parse('{"epoch": [1], "mqe": [0.5], "topographic_error": [0.1]}')
    assert "`epoch` must be a known field" in str(error.value)
    assert "If `epochs` is meant, name it so." in str(error.value)
    with pytest.raises(InvalidHistory) as error:
        History.parse('{"epochs": [1], "mqe": [0.5], "topographic_error": [0.1]}')
    assert "`dead_neuron_ratio` must be given, but is missing. Give [null, ...]" in str(error.value)
