"""Shards of a collection: together they are the dataset of one process, or they are refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fault.kills.kill_collector import made_run

from collector import collect as collecting
from collector.collect import collect, journal_path
from collector.merge import merge
from collector.presets import run_one as preset_run
from collector.shards import LIBRARIES, Shard, code_version
from oracle.errors import DatasetError, OracleError
from oracle.history.dataset import metadata_path, write_dataset

ROOT = Path(__file__).parents[3]
RUNS = 7


def make_shards(folder: Path, of: int = 3, **change: Any) -> list[Path]:
    folder.mkdir(exist_ok=True)
    made = [folder / f"{number}.csv.gz" for number in range(1, of + 1)]
    asked: dict[str, Any] = {"runs": RUNS, "seed": 4, "workers": 1, **change}
    for number, path in enumerate(made, 1):
        collect(made_run, out=path, shard=Shard(number, of), **asked)
    return made


@pytest.mark.parametrize("runs", [1, 5, 64, 1000])
def test_every_run_is_of_one_shard(runs: int) -> None:
    for of in {1, min(runs, 2), min(runs, 7), runs}:
        shares = [Shard(number, of).indices(runs) for number in range(1, of + 1)]
        assert [index for share in shares for index in share] == list(range(runs))
        sizes = {len(share) for share in shares}
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    "text", ["0/4", "5/4", "3", "3/", "/4", "1/0", "-1/4", "1/2/3", "a/b", " 1/2"]
)
def test_no_such_shard(text: str) -> None:
    with pytest.raises(OracleError, match=r"`--shard` must be NUMBER/OF.*3/64"):
        Shard.parse(text)


def test_a_shard_has_a_run(tmp_path: Path) -> None:
    assert Shard.parse("4/4").indices(4) == range(3, 4)
    with pytest.raises(OracleError, match="at most 4 shards"):
        collect(made_run, 4, tmp_path / "d.csv", workers=1, shard=Shard(1, 5))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["whole.csv", "whole.csv.gz"])
def test_merged_as_by_one_process(tmp_path: Path, name: str) -> None:
    collect(made_run, RUNS, tmp_path / name, seed=4, workers=1)
    parts = make_shards(tmp_path / "parts")
    done = merge([parts[2], parts[0], parts[1]], tmp_path / f"merged-{name}", "by hand")
    assert (done.runs, done.already_finished) == (RUNS, False)
    assert done.path.read_bytes() == (tmp_path / name).read_bytes()
    whole, merged = (
        json.loads(metadata_path(tmp_path / file).read_text()) for file in (name, f"merged-{name}")
    )
    assert merged.pop("code") == code_version()
    assert {**merged, "command": ""} == {**whole, "command": ""}
    assert merge(parts, done.path).already_finished
    # ... and for `collect` it is the whole collection, too.
    assert collect(made_run, RUNS, done.path, seed=4, workers=1).already_finished


def test_real_runs_come_back_to_the_byte(tmp_path: Path) -> None:
    settings, parts = {"preset": "pretraining"}, [tmp_path / "1.csv", tmp_path / "2.csv"]
    collect(preset_run, 3, tmp_path / "whole.csv", seed=9, workers=1, settings=settings)
    for number, path in enumerate(parts, 1):
        collect(preset_run, 3, path, seed=9, workers=1, settings=settings, shard=Shard(number, 2))
    merge(parts, tmp_path / "merged.csv")
    assert (tmp_path / "merged.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_requeued_goes_on(tmp_path: Path) -> None:
    log, out = tmp_path / "log", tmp_path / "2.csv"
    asked: dict[str, Any] = {"workers": 1, "settings": {"log": str(log)}, "shard": Shard(2, 3)}

    def killed(done: int, runs: int) -> None:
        assert runs == 10
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(made_run, 30, out, progress=killed, **asked)
    with pytest.raises(DatasetError, match=r"It was begun: the same `collect run --shard`"):
        merge([out], tmp_path / "d.csv")
    assert collect(made_run, 30, out, **asked).made == 6
    assert collect(made_run, 30, out, **asked).already_finished
    assert sorted(map(int, log.read_text().split())) == list(range(10, 20))


def with_other_numpy() -> dict[str, str]:
    return {**code_version(), "numpy": "1.0"}


def test_other_code_does_not_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(done: int, _: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    out, shard = tmp_path / "1.csv", Shard(1, 2)
    with pytest.raises(KeyboardInterrupt):
        collect(made_run, 6, out, workers=1, shard=shard, progress=killed)
    monkeypatch.setattr(collecting, "code_version", with_other_numpy)
    with pytest.raises(DatasetError, match=r'code.numpy "[\d.]+"\), but got .code.numpy "1.0"'):
        collect(made_run, 6, out, workers=1, shard=shard)
    assert journal_path(out).exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 5}, "`seed` must be 4, as in "),
        ({"runs": 8}, "`runs` must be 7, as in "),
        ({"of": 4}, "`of` must be 3, as in "),
        ({"settings": {"slow_ms": 0}}, "`settings.slow_ms` must be null, as in "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_collection_s_shard(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    parts, others = make_shards(tmp_path / "a"), make_shards(tmp_path / "b", **change)
    with pytest.raises(DatasetError, match=re.escape(named)) as told:
        merge([parts[0], others[1], parts[2]], tmp_path / "d.csv")
    assert str(others[1]) in str(told.value)
    assert not (tmp_path / "d.csv").exists()


@pytest.mark.parametrize("name", ["som-oracle", "source", "python", *LIBRARIES])
def test_other_code_s_shard(tmp_path: Path, name: str) -> None:
    parts = make_shards(tmp_path)
    facts = json.loads(metadata_path(parts[1]).read_text())
    facts["code"][name] = "other"
    metadata_path(parts[1]).write_text(json.dumps(facts))
    with pytest.raises(DatasetError, match=rf"2.csv.gz.*`code.{name}` must be .*got 'other'"):
        merge(parts, tmp_path / "d.csv")


def test_the_digest_is_of_all_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import collector

    (tmp_path / "collector").mkdir()
    file = tmp_path / "collector" / "__init__.py"
    found = set()
    for text in ("a = 1\n", "a = 2\n"):
        file.write_text(text)
        monkeypatch.setattr(collector, "__file__", str(file))
        code_version.cache_clear()
        found.add(code_version()["source"])
    code_version.cache_clear()
    assert len(found) == 2


Wrong = Callable[[list[Path]], list[Path]]


def cut(parts: list[Path]) -> list[Path]:
    parts[1].write_bytes(parts[1].read_bytes()[:-1])
    return parts


def no_metadata(parts: list[Path]) -> list[Path]:
    metadata_path(parts[1]).unlink()
    return parts


def no_shard(parts: list[Path]) -> list[Path]:
    write_dataset(parts[1], [], {})
    return parts


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (lambda parts: parts[:1], r"`SHARD` must be all 3 of the .*'1, without 2, 3'"),
        (lambda parts: [*parts, parts[1]], r"`shard 2/3` must be given once.*2\.csv\.gz"),
        (lambda parts: [*parts, parts[1].with_name("9.csv")], "There is no such file"),
        (lambda parts: [], "`SHARD` must be given"),
        (cut, r"2\.csv\.gz.*as it was written.*Copy it again"),
        (no_metadata, r"2\.csv\.gz.*with 2_metadata.json beside it"),
        (no_shard, r"2\.csv\.gz.*with 2_metadata.json beside it"),
    ],
    ids=["missing", "twice", "no file", "none", "cut short", "no metadata", "no shard"],
)
def test_what_is_no_whole_collection(tmp_path: Path, wrong: Wrong, named: str) -> None:
    parts = make_shards(tmp_path)
    with pytest.raises(OracleError, match=named):
        merge(wrong(parts), tmp_path / "d.csv")
    assert not (tmp_path / "d.csv").exists()


def test_out_is_another_dataset(tmp_path: Path) -> None:
    parts = make_shards(tmp_path)
    before = parts[0].read_bytes()
    with pytest.raises(DatasetError, match="Choose another name"):
        merge(parts, parts[0])
    assert parts[0].read_bytes() == before
    with pytest.raises(OracleError, match="csv"):
        merge(parts, tmp_path / "d.json")


def script(language: str, mark: str) -> str:
    """The block of docs/data.md that holds `mark`."""
    text = (ROOT / "docs/data.md").read_text("utf-8")
    (found,) = [b for b in re.findall(rf"```{language}\n(.*?)```", text, re.S) if mark in b]
    return str(found)


@pytest.fixture
def oracle_in_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`oracle` is this interpreter's."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")


def test_the_slurm_script(
    tmp_path: Path, oracle_in_path: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each task of the array as SLURM starts it: the script, with the task's variables."""
    text = script("bash", "--array=1-64").replace("--runs 20000", "--runs 4 --tables iris")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    for task in "12":
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", task)
        subprocess.run(["bash", "-eu", "-c", text], cwd=tmp_path, check=True, timeout=100)
    merged = ["oracle", "collect", "merge", *sorted(str(p) for p in tmp_path.glob("shards/*.gz"))]
    subprocess.run([*merged, "--out", "d.csv"], cwd=tmp_path, check=True, timeout=100)
    assert json.loads((tmp_path / "d_metadata.json").read_text())["runs"] == 4


def test_the_submitit_script(tmp_path: Path, oracle_in_path: None) -> None:
    """On submitit's local engine, which runs the jobs as SLURM does."""
    text = script("py", "submitit.AutoExecutor").replace('"20000"', '"4", "--tables", "iris"')
    text = text.replace("64", "1").replace('"slurm"', '"local"')
    subprocess.run([sys.executable, "-c", text], cwd=tmp_path, check=True, timeout=200)
    assert json.loads((tmp_path / "data" / "big_metadata.json").read_text())["runs"] == 4
