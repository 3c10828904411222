"""The service learns as the hook does: ended runs of a population correct its others' forecasts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inprocess import App

from oracle import Oracle
from oracle.forecast.residuals import Residuals
from oracle.history.dataset import read_dataset
from oracle.server.runs.lessons import Lessons
from oracle.types import TARGETS, Decision, Learned, Outcome, Run

SAMPLE = Path(__file__).parents[4] / "data" / "sample.csv.gz"


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    known = [run for run in read_dataset(SAMPLE) if run.history.context.mqe_of_mean]
    return [run for run in known if run.dataset == known[0].dataset][:4]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with App(tmp_path) as app:
        yield app


def call(app: App, method: str, path: str, body: Any = None) -> Any:
    answer = app.run(app.call(method, path, b"" if body is None else json.dumps(body).encode()))
    assert answer.status < 300, answer.body
    return answer.json() if answer.body else None


def append(app: App, run: Run, name: str, share: float, **policy: Any) -> Learned | None:
    """Tell a run up to a share of it; nothing but a person stops it."""
    history = run.history.until(share)
    assert history is not None
    piece = history.model_dump(mode="json", exclude_none=True)
    piece |= {"run_id": name, "population": "p", "policy": {"threshold": 1e6, **policy}}
    made = call(app, "POST", f"/v1/runs/{name}/checkpoints", piece)
    forecast = Decision.model_validate(made).forecast
    assert forecast is not None
    return forecast.learned


def finish(app: App, run: Run, name: str) -> None:
    append(app, run, name, 1.0)
    values = {target: getattr(run, target) for target in TARGETS}
    call(app, "POST", f"/v1/runs/{name}/finish", values)


def test_ended_runs_teach_the_next_one_as_in_process(app: App, runs: list[Run]) -> None:
    for i, run in enumerate(runs[:3]):
        finish(app, run, f"r{i}")
    learned = append(app, runs[3], "r3", 0.3)
    oracle = Oracle.load(app.service.settings.model)
    lessons = [
        oracle.residuals(
            run.history, Outcome(**{target: getattr(run, target) for target in TARGETS})
        )
        for run in runs[:3]
    ]
    history = runs[3].history.until(0.3)
    known = Residuals.of([one for one in lessons if one is not None])
    assert learned == oracle.forecast(history, known=known).learned
    assert learned is not None
    assert learned.runs == 3
    # What is told again is decided again by the same lessons; who asks not to learns nothing.
    assert append(app, runs[2], "r4", 0.3, learn=False) is None
    call(app, "DELETE", "/v1/runs/r0")
    fewer = append(app, runs[0], "r5", 0.3)
    assert fewer is not None
    assert fewer.runs == 2


def test_another_population_teaches_nothing(app: App, runs: list[Run]) -> None:
    finish(app, runs[0], "r0")
    history = runs[1].history.until(0.3)
    assert history is not None
    piece = history.model_dump(mode="json", exclude_none=True)
    piece |= {"run_id": "r1", "population": "q"}
    made = Decision.model_validate(call(app, "POST", "/v1/runs/r1/checkpoints", piece))
    assert made.forecast is not None
    assert made.forecast.learned is None


def test_what_has_ended_teaches_suggestions(app: App, runs: list[Run]) -> None:
    for i, run in enumerate(runs[:3]):
        finish(app, run, f"r{i}")
    context = runs[0].history.context.model_dump(
        mode="json", include={"n_samples", "n_features", "mqe_of_mean"}
    )
    asked = {"context": context, "candidates": 10, "n": 3}
    assert call(app, "POST", "/v1/suggest", asked)["learned"] == 0
    assert call(app, "POST", "/v1/suggest", {**asked, "population": "p"})["learned"] == 3
    context["mqe_of_mean"] *= 2
    for refused, status in (
        (asked | {"population": "nobody"}, 404),
        (asked | {"population": "p"}, 422),
    ):
        answer = app.run(app.call("POST", "/v1/suggest", json.dumps(refused).encode()))
        assert answer.status == status, answer.body


def test_a_run_is_not_its_own_teacher_and_another_model_has_none(runs: list[Run]) -> None:
    found = Oracle.load().residuals(runs[0].history, None)
    assert found is not None
    lessons = Lessons({"a": ("m", found.to_bytes()), "b": ("n", found.to_bytes())})
    of = lessons.of("m")
    assert of is not None
    assert len(of) == 1
    assert lessons.without("a").of("m") is None
    assert lessons.without("z") is lessons
    assert lessons.of("other") is None
    assert Lessons({"a": ("m", b"torn")}).of("m") is None
