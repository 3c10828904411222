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


@pytest.mark.parametrize(
    ("header", "named", "said"),
    [
        (["epoch", "mqe", "mqe"], {}, "2 of the name mqe.*--columns mqe="),
        (["epoch", "qe", "quantization_error"], {}, "qe and quantization_error.*--columns mqe="),
        (["epoch", "train/mqe", "val/mqe"], {}, "train/mqe and val/mqe"),
        (["epoch", "val/mqe", "qe"], {}, "val/mqe and qe"),
        (["epoch", "iteration", "mqe"], {}, "epoch and iteration.*--columns epochs="),
        (["step", "global_step", "mqe"], {}, "step and global_step"),
        (["run", "name", "mqe"], {}, "run and name.*--columns run_id="),
        (["err", "err"], {"mqe": "err"}, "2 of the name err"),
        (["Err Q", "err-q"], {"mqe": "err_q"}, "Err Q and err-q"),
    ],
)
def test_several_columns_that_fit_are_named(
    header: list[str], named: dict[str, str], said: str
) -> None:
    with pytest.raises(DatasetError, match=f"^t.csv: .*{said}"):
        columns_of(header, named, file="t.csv")


@pytest.mark.parametrize(
    ("header", "named", "mqe"),
    [
        (["mqe", "qe", "val/mqe"], {}, "mqe"),  # our own name
        (["qe", "quantization_error"], {"mqe": "qe"}, "qe"),
        (["mqe", "qe"], {"mqe": "qe"}, "qe"),
        (["mqe", "note", "note"], {}, "mqe"),
    ],
)
def test_one_that_fits_best_is_taken(header: list[str], named: dict[str, str], mqe: str) -> None:
    assert columns_of(header, named) == {"mqe": mqe}


def gathered(mqe: list[object], **more: list[object]) -> tuple[History | DatasetError, str, bool]:
    records = Records()
    for i, value in enumerate(mqe):
        values = {"epochs": 10 * i, "mqe": value, **{n: v[i] for n, v in more.items()}}
        records.add("r", values, "f.csv", i + 2)
    (run,) = records.runs(total_epochs=200.0)
    return run.history, run.left_out, run.is_open


@pytest.mark.parametrize(
    ("mqe", "left_out", "is_open"),
    [
        ([0.5, 0.4, 0.3], "", False),
        ([0.5, "", 0.3], "1 of 3, mqe is empty at 10", False),
        ([0.5, "nan", 0.3], "1 of 3, mqe is nan at 10", False),
        ([0.5, float("nan"), None, 0.3], "2 of 4, mqe is nan at 10, empty at 20", False),
        ([0.5, 0.4, "n/a"], "1 of 3, mqe is empty at 20", True),
        ([0.5, "", 0.4, 0.3, ""], "2 of 5, mqe is empty at 10, empty at 40", True),
        # Logged with every other row: none was due in the last one.
        ([0.5, "", 0.4, "", 0.3, ""], "3 of 6, mqe is empty at 10, empty at 30", False),
        ([0.5, "", 0.4, "", "", ""], "4 of 6, mqe is empty at 10", True),
        ([0.5, *[""] * 12, 0.4], "empty at 100, ...", False),
    ],
)  # fmt: skip
def test_rows_that_are_no_checkpoints_are_counted_and_named(
    mqe: list[object], left_out: str, is_open: bool
) -> None:
    history, told, ends_openly = gathered(mqe)
    assert isinstance(history, History)
    assert len(history) == sum(isinstance(q, float) and q == q for q in mqe)
    assert left_out in told
    assert bool(told) == bool(left_out)
    assert ends_openly == is_open


@pytest.mark.parametrize("mqe", [[0.5, "NaN"], [0.5, 0.4, float("nan"), ""], ["-nan", "nan"]])
def test_a_run_whose_last_rows_are_nan_diverged(mqe: list[object]) -> None:
    history, _, _ = gathered(mqe)
    assert isinstance(history, DatasetError)
    epoch = 0 if mqe[0] == "-nan" else 10 * (len(mqe) - (1 if len(mqe) == 2 else 2))
    assert f"f.csv: run r: `mqe` must be a number to the end, but is nan from epoch {epoch}" in str(
        history
    )


def test_a_number_beside_nan_at_one_epoch_counts() -> None:
    records = Records()
    for mqe, error in ((0.5, "nan"), ("nan", 0.1)):
        records.add("r", {"epochs": 1, "mqe": mqe, "topographic_error": error}, "f.csv")
    (run,) = records.runs()
    assert isinstance(run.history, History)
    assert (run.history.mqe, run.history.topographic_error) == ((0.5,), (0.1,))
    assert (run.left_out, run.is_open) == ("", False)


def test_a_csv_that_ends_in_nan_is_refused_as_json_is(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is nan from epoch 2 on"):
        read_history(written(tmp_path, "epoch,mqe\n1,.5\n2,nan\n"))
    with pytest.raises(DatasetError, match="row 3, column epochs"):
        read_history(written(tmp_path, "epoch,mqe\n1,.5\n,nan\n"))


def test_a_header_alone_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidHistory, match="must have rows below its header"):
        read_history(written(tmp_path, "epoch,mqe\n"))


def test_a_member_that_is_named_counts_beside_our_own(tmp_path: Path) -> None:
    item = {"epochs": [1], "err": [0.5], "mqe": [9], "topo_error": [0], "dead_ratio": [0]}
    for order in (item, dict(reversed(item.items()))):
        path = written(tmp_path, json.dumps(order), "h.json")
        assert read_history(path, {"mqe": "err"}).mqe == (0.5,)
