"""NexusSOM's result folders, on a real one with edited faults (tests/data/README.md)."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import StandIn

from collector.recorded import nexussom, nexussom_files
from oracle.errors import DatasetError
from oracle.integrations.nexussom import early_stop
from oracle.types import Run

FOLDER = Path(__file__).parents[2] / "data" / "nexussom"
SEED = FOLDER / "seed_42"
DATA = np.random.default_rng(0).random((30, 3))
WHOLE, OTHER, PENALISED, STOPPED, BARE, TORN = (
    "8449f8cd9c4bf64e5ac794d25a09c492",
    "2ba410d10ee163949efa7878114615bb",
    "59842d34ae7e6bda4c3ee83de5ef20c4",
    "ce9fd7664c68c25aeed986b5060835d2",
    "bb453687e5d0adaf4160bfe7ba1348b1",
    "dccc9697a6118d184daf46c954818853",
)


def read(folder: Path = SEED, **options: Any) -> tuple[dict[str, Run], list[str]]:
    items = list(nexussom.read_runs(folder, **options))
    runs = {i.run_id.rpartition("-")[2]: i for i in items if isinstance(i, Run)}
    return runs, [str(i) for i in items if isinstance(i, DatasetError)]


def cells(uid: str) -> dict[str, str]:
    with (SEED / "results.csv").open() as text:
        return [row for row in csv.DictReader(text) if row["uid"] == uid][-1]


def checkpoints(uid: str) -> list[dict[str, Any]]:
    file = SEED / "individuals" / uid / "csv" / "training_checkpoints.json"
    return json.loads(file.read_text())


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(FOLDER, tmp_path / "results")
    return tmp_path / "results" / "seed_42"


def test_what_is_sound_is_read_and_the_rest_is_named() -> None:
    runs, skipped = read()
    assert set(runs) == {WHOLE, OTHER, PENALISED, STOPPED}
    assert [word for word, text in zip(
        ("row 2: was evaluated again in row 3", "row 7: must have checkpoints", "valid JSON",
         "row 9: `row` must be 50 cells wide"), skipped, strict=True,
    ) if word not in text] == []  # fmt: skip


def test_labels_come_from_the_last_checkpoint_and_the_end() -> None:
    run, row, last = read()[0][WHOLE], cells(WHOLE), checkpoints(WHOLE)[-1]
    assert run.final_mqe == last["mqe"]
    assert run.final_mqe != float(row["best_mqe"])
    assert run.final_topographic_error == float(row["topographic_error"])
    assert run.final_topographic_error != last["topographic_error"]
    assert run.final_dead_neuron_ratio == float(row["dead_neuron_ratio"])
    assert run.history.progress == pytest.approx(last["progress"], abs=1e-12)


def test_a_stopped_run_is_censored_and_a_penalised_one_is_not() -> None:
    runs, _ = read()
    assert {uid for uid, run in runs.items() if run.censored} == {STOPPED}
    assert cells(PENALISED)["is_penalized"] == "True"


@pytest.mark.parametrize(("share", "is_label"), [(0.6, False), (0.949, False), (0.95, True)])
def test_an_mqe_of_mid_run_is_no_label(copied: Path, share: float, is_label: bool) -> None:
    file = copied / "individuals" / WHOLE / "csv" / "training_checkpoints.json"
    logged = json.loads(file.read_text())
    planned = round(logged[-1]["iteration"] / logged[-1]["progress"])
    last = {**logged[-1], "iteration": share * planned, "progress": share}
    before = [c for c in logged if c["progress"] < share]
    file.write_text(json.dumps([*before, last]))
    runs, skipped = read(copied)
    assert (WHOLE in runs) is is_label
    told = [text for text in skipped if "checkpoint_every_mqe: true" in text]
    assert len(told) == (0 if is_label else 1)
    if is_label:
        assert not runs[WHOLE].censored


def test_a_stopped_run_needs_no_late_mqe(copied: Path) -> None:
    assert read(copied)[0][STOPPED].history.progress < 0.95


def test_the_id_column_is_no_feature(copied: Path) -> None:
    text = (copied / "results.csv").read_text()
    (copied / "results.csv").write_text(text.replace("ds_n_active_dimensions", "ds_gone"))
    assert cells(WHOLE)["ds_n_dimensions"] == "5"
    assert read(copied)[0][WHOLE].history.context.n_features == 4


def test_a_penalty_factor_is_not_in_the_label(copied: Path) -> None:
    text = (copied / "results.csv").read_text()
    row = cells(PENALISED)
    plain, raw = row["topographic_error"], row["raw_topographic_error"]
    (copied / "results.csv").write_text(
        text.replace(f"{raw},{row['raw_mqe_improvement_ratio']}", f"{raw},0.1").replace(
            f",{plain},", ",0.9,"
        )
    )
    assert read(copied)[0][PENALISED].final_topographic_error == float(raw)


@pytest.mark.parametrize("uid", [WHOLE, OTHER, PENALISED, STOPPED])
def test_the_schedule_is_the_one_that_was_logged(uid: str) -> None:
    run = read()[0][uid]
    plan = run.history.context.schedule
    assert plan is not None
    for name in ("learning_rate", "radius"):
        logged = np.array([c[name] for c in checkpoints(uid)])
        progress = [c["progress"] for c in checkpoints(uid)]
        planned = np.interp(progress, plan.progress, getattr(plan, name))
        # Linear between 33 points: off by no more than the curve bends between two.
        np.testing.assert_allclose(planned, logged, atol=0.12 * logged[0])
        assert getattr(plan, name)[0] == pytest.approx(logged[0])


@pytest.mark.parametrize("uid", [WHOLE, OTHER, PENALISED])
def test_planned_updates_are_those_that_were_counted(uid: str) -> None:
    context = read()[0][uid].history.context
    assert context.total_updates == float(cells(uid)["total_weight_updates"])


def test_context_holds_what_the_folder_tells_and_no_more() -> None:
    context = read()[0][WHOLE].history.context
    assert (context.map_rows, context.map_cols) == (8, 8)
    assert (context.n_samples, context.n_features) == (150, 4)
    assert (context.topology, context.initialization) == ("odd-r", "random")
    assert context.mqe_of_mean is None


def test_the_grid_is_the_one_that_the_hook_reads() -> None:
    for map_type in ("hex", "square"):
        row = nexussom_files.Row(FOLDER, 2, "x", {"uid": WHOLE, "map_type": map_type})
        of_folder = nexussom.context_of(row, 10).topology
        som = {"map_size": [4, 5], "map_type": map_type, "epoch_multiplier": 2}
        assert of_folder == early_stop(som, DATA, model=StandIn()).run.context.topology


def test_topology_and_scale_can_be_told() -> None:
    context = read(topology="rectangular", mqe_of_mean=0.7)[0][WHOLE].history.context
    assert (context.topology, context.mqe_of_mean) == ("rectangular", 0.7)


def test_scale_is_computed_where_the_table_was_kept(copied: Path) -> None:
    (copied.parent / "csv").mkdir()
    np.save(copied.parent / "csv" / "training_data.npy", np.array([[9.0, 0.0], [7.0, 2.0]]))
    (copied.parent / "csv" / "ignore_mask.csv").write_text("True,False\nTrue,False\n")
    assert read(copied)[0][WHOLE].history.context.mqe_of_mean == 1.0


def test_a_table_that_is_a_pickle_is_never_loaded(copied: Path) -> None:
    (copied / "csv").mkdir()
    np.save(copied / "csv" / "training_data.npy", np.array([{}], dtype=object))
    with pytest.raises(DatasetError, match=r"training_data\.npy"):
        read(copied)


def test_a_steered_run_has_no_plan(copied: Path) -> None:
    file = copied / "individuals" / WHOLE / "csv" / "training_checkpoints.json"
    steered = json.loads(file.read_text())
    steered[7]["learning_rate"] *= 1.5
    file.write_text(json.dumps(steered))
    plan = read(copied)[0][WHOLE].history.context.schedule
    assert plan is not None
    assert plan.learning_rate is None
    assert plan.radius is not None


@pytest.mark.parametrize(
    ("key", "value"),
    [("mqe", None), ("mqe", float("nan")), ("mqe", -0.1), ("topographic_error", 1.5),
     ("iteration", "30"), ("iteration", 10**400), ("progress", True),
     ("radius", "wide"), ("learning_rate", -0.1)],
)  # fmt: skip
def test_a_broken_checkpoint_skips_its_run_alone(copied: Path, key: str, value: Any) -> None:
    file = copied / "individuals" / OTHER / "csv" / "training_checkpoints.json"
    broken = json.loads(file.read_text())
    broken[3][key] = value
    file.write_text(json.dumps(broken))
    runs, skipped = read(copied)
    assert set(runs) == {WHOLE, PENALISED, STOPPED}
    assert any(OTHER in text and key in text for text in skipped)


@pytest.mark.parametrize(("value", "named"), [("-8", "map_rows"), ("1e300", "column map_m")])
def test_a_size_that_cannot_be_skips_its_run_alone(copied: Path, value: str, named: str) -> None:
    text, dead = (copied / "results.csv").read_text(), cells(OTHER)["dead_neuron_ratio"]
    (copied / "results.csv").write_text(text.replace(f"{dead},8,8", f"{dead},{value},8"))
    runs, skipped = read(copied)
    assert set(runs) == {WHOLE, PENALISED, STOPPED}
    assert any("row 4" in text and named in text for text in skipped)


@pytest.mark.parametrize(
    "absurd",
    [
        {"ds_n_samples": "1e300", "epoch_multiplier": "1e300"},
        {"ds_n_samples": "1e14", "epoch_multiplier": "1e14", "num_batches": "1e14"},
        {"epoch_multiplier": "-4"},
        {"epoch_multiplier": "", "ds_n_samples": "1e300"},
        {"epochs_ran": "-1e300"},
        {"progress": 5e-324},
        {"progress": -0.5},
    ],
)
def test_absurd_numbers_skip_their_run_alone(copied: Path, absurd: dict[str, Any]) -> None:
    told = checkpoints(OTHER)
    told[-1]["progress"] = absurd.pop("progress", told[-1]["progress"])
    file = copied / "individuals" / OTHER / "csv" / "training_checkpoints.json"
    file.write_text(json.dumps(told))
    with (copied / "results.csv").open(newline="") as text:
        rows = list(csv.reader(text))
    for name, value in absurd.items():
        next(row for row in rows if row[0] == OTHER)[rows[0].index(name)] = value
    with (copied / "results.csv").open("w", newline="") as text:
        csv.writer(text).writerows(rows)
    runs, skipped = read(copied)
    assert set(runs) == {WHOLE, PENALISED, STOPPED}
    assert any("row 4" in text or OTHER in text for text in skipped)


@pytest.mark.parametrize("value", ["", "many", "inf"])
def test_a_broken_cell_is_named(copied: Path, value: str) -> None:
    text = (copied / "results.csv").read_text()
    ratio = cells(OTHER)["dead_neuron_ratio"]
    (copied / "results.csv").write_text(text.replace(f",{ratio},", f",{value},", 1))
    runs, skipped = read(copied)
    assert OTHER not in runs
    assert any("row 4, column dead_neuron_ratio" in text for text in skipped)


def test_runs_of_two_searches_never_share_a_name(copied: Path) -> None:
    first = read()[0][WHOLE]
    text = (copied / "results.csv").read_text()
    (copied / "results.csv").write_text(text.replace(",1.5,", ",1.7,", 1))
    other = read(copied)[0][WHOLE]
    assert first.run_id != other.run_id
    assert first.history.population != other.history.population
    assert len(first.run_id) <= 64


def test_without_a_uid_it_is_no_results_file(copied: Path) -> None:
    (copied / "results.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DatasetError, match="uid"):
        read(copied)


def test_folders_are_found_at_any_depth_and_in_order(tmp_path: Path) -> None:
    for name in ("b/seed_1", "a/seed_2", "a/seed_1"):
        (tmp_path / name / "individuals" / "x").mkdir(parents=True)
        (tmp_path / name / "results.csv").touch()
        (tmp_path / name / "individuals" / "x" / "results.csv").touch()
    found = [f.relative_to(tmp_path).as_posix() for f in nexussom_files.seed_folders(tmp_path)]
    assert found == ["a/seed_1", "a/seed_2", "b/seed_1"]
