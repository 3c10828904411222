"""A relative name of a population: what it means, and where it may lead astray."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle.hook import population_file
from oracle.hook.population import Population
from oracle.hook.population_file import stray


def test_the_home_folder_has_its_short_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, beside = tmp_path / "home", tmp_path / "beside"
    for folder in (home, beside):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    Population("~/runs.db").start("a", "r1")
    assert (home / "runs.db").is_file()
    # Whoever names the home folder means that one, whatever lies beside it.
    Population(beside / "other.db").start("a", "r1")
    assert stray("~/runs.db") is stray("~/other.db") is None


def test_a_relative_name_in_a_folder_a_job_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(population_file, "_first_meant", {})
    folders = [tmp_path / name for name in ("job1", "job2")]
    for folder in folders:
        folder.mkdir()
    monkeypatch.chdir(folders[0])
    assert stray("runs.db") is None
    first = Population("runs.db")
    first.start("t", "r1")
    assert stray("runs.db") is None
    monkeypatch.chdir(folders[1])
    word = stray("runs.db")
    assert word is not None
    assert f"was {folders[0] / 'runs.db'} before, and is {folders[1] / 'runs.db'}" in word
    assert word.endswith("Name it by its whole path where these runs are of one search.")
    assert stray("of-another-search.db") is None  # each name has a place of its own
    # A process of its own knows nothing of the first folder, but sees it.
    monkeypatch.setattr(population_file, "_first_meant", {})
    word = stray("runs.db")
    assert word is not None
    assert f"is new, and there is {folders[0] / 'runs.db'} beside" in word
    assert stray(folders[1] / "runs.db") is None
    assert stray("no/such/runs.db") is None
    monkeypatch.setattr(population_file, "_NEIGHBOURS", 0)
    assert stray("runs.db") is None  # what is beside is not looked through for ever
    monkeypatch.setattr(population_file, "_NEIGHBOURS", 1000)
    assert stray("runs.db") is not None
    first.close()
    assert stray("runs.db") is not None  # jobs that come in turn are of one search, too


@pytest.mark.parametrize(
    "names", [("wine", "iris"), ("mine", "job1"), ("ann1", "ben1"), ("tmp6wkv", "tmp3abc")]
)
def test_a_file_in_a_folder_of_another_kind_is_of_no_account(
    names: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = (tmp_path / name for name in names)
    for folder in (theirs, ours):
        folder.mkdir()
    monkeypatch.setattr(population_file, "_first_meant", {})
    used = Population(theirs / "runs.db")
    used.start("t", "r1")
    monkeypatch.chdir(ours)
    assert stray("runs.db") is None
    used.close()
