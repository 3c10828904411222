"""A population file and the log of its decisions: was the oracle right on these runs?"""

from __future__ import annotations

import json
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from made_up import StandIn

from oracle.cli import main
from oracle.errors import InvalidHistory
from oracle.hook import policy_for, watch
from oracle.types import Policy

EPOCHS = 20


def search(folder: Path, policy: Policy, runs: int = 30) -> tuple[Path, Path]:
    """Train runs that level off where their number says; every fourth is a good one."""
    file, log = folder / "runs.db", folder / "decisions.jsonl"
    bound = partial(watch, population=file, log=log, dataset="t", model=StandIn(), policy=policy)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n in range(runs):
            level = 0.3 if n % 4 == 0 else 0.5 + 0.01 * n
            with bound(total_epochs=EPOCHS, run_id=f"r{n}", check_every=0) as run:
                for epoch in range(1, EPOCHS + 1):
                    values = {"topographic_error": level / 2, "dead_neuron_ratio": 0.1}
                    if run.report(epoch, mqe=level, **values).stop:
                        break
    return file, log


def told(capsys: pytest.CaptureFixture[str], *args: object) -> dict[str, Any]:
    with pytest.raises(SystemExit) as done:
        main(["report", "t", *map(str, args), "--json"])
    assert not done.value.code
    return dict(json.loads(capsys.readouterr().out))


def test_a_log_tells_whether_it_was_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = Policy(name="population", control=0, risk=0.3)
    file, log = search(tmp_path, policy)
    out = tmp_path / "t.html"
    assert told(capsys, "--from", file, "--out", out)["audit"] is None
    with log.open("a") as torn:
        torn.write('{"format": 2, "what": "deci')  # of a worker that was killed
    found = told(capsys, "--from", file, "--out", out, "--log", log)
    audit = found["audit"]
    assert audit["runs"] == 30
    assert audit["finished"] == found["finished"] > 0
    assert audit["lost"]["stops"] == audit["lost"]["asked"] == found["stopped"] > 5
    assert audit["looks"] > 0
    assert "Good runs lost, by what it said" in out.read_text("utf-8")


def test_p_of_a_gain_is_no_p_of_a_good_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = policy_for(("mqe", "topographic_error"), control=0)
    file, log = search(tmp_path, policy)
    found = told(capsys, "--from", file, "--out", tmp_path / "t.html", "--log", log)
    assert found["objectives"] == ["mqe", "topographic_error"]
    assert found["stopped"] > 0
    assert found["audit"]["lost"]["asked"] == 0
    assert found["audit"]["promised"] == []
    html = (tmp_path / "t.html").read_text("utf-8")
    assert "Good runs lost, by what it said" not in html
    assert "by what it said itself" not in found["conclusion"]["sentence"]


def test_a_log_of_others_is_refused(tmp_path: Path) -> None:
    from oracle.commands.report import read_search

    policy = Policy(name="population", control=0)
    file, _ = search(tmp_path, policy, runs=4)
    (tmp_path / "other").mkdir()
    other = tmp_path / "empty.jsonl"
    other.write_text("")
    with pytest.raises(InvalidHistory, match=r"`--log` must be the decision log of t"):
        read_search("t", str(file), log=other)
    with pytest.raises(InvalidHistory, match=r"`--log` must be left out but for a population file"):
        read_search("t", "runs.csv", log=other)
    with pytest.raises(FileNotFoundError):
        read_search("t", str(file), log=tmp_path / "none.jsonl")
