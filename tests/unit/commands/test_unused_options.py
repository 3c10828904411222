"""An option that a command would pass over is refused, before anything is read or written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SEQUENCE = ("evaluate", "--sequence", "h.json")
INGEST = ("collect", "ingest", "h.json", "--out", "o.csv")
RUN = ("collect", "run", "--out", "o.csv")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((*SEQUENCE, "--report", "r.html"), "`--report` must be left out with --sequence"),
        ((*SEQUENCE, "--png", "pictures"), "`--png` must be left out with --sequence"),
        ((*SEQUENCE, "--hide", "plan"), "`--hide` must be left out with --sequence"),
        ((*SEQUENCE, "--baselines"), "`--baselines` must be left out with --sequence"),
        ((*SEQUENCE, "--train-dataset", "x.csv"), "`--train-dataset` must be left out with"),
        ((*SEQUENCE, "--seed", "1"), "`--seed` must be left out with --sequence"),
        (
            ("evaluate", "--dataset", "x.csv", "--train-dataset", "y.csv"),
            "`--train-dataset` must be left out without --baselines",
        ),
        ((*INGEST, "--without", "id"), "`--without` must be left out without --table"),
        ((*INGEST, "--no-header"), "`--header` must be left out without --table"),
        ((*RUN, "--header"), "`--header` must be left out without --table"),
        ((*RUN, "--scaling", "none"), "`--scaling` must be left out without --table"),
    ],
)
def test_an_option_of_no_use_is_refused(
    oracle: Any, args: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = oracle(*args)
    assert (code, out) == (2, "")
    assert said in err
    assert not list(tmp_path.iterdir())
