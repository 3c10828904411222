"""Plans over HTTP: answered before the first checkpoint, and what cannot be is refused by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from inprocess import Answer, App

from oracle.forecast.forecaster import Oracle
from oracle.history.geometry import geometry_of
from oracle.server.http.examples import PLAN
from oracle.types import Decision, Forecast, History

BARE = {"context": {"map_rows": 6, "map_cols": 6}, "total_epochs": 50}
OUTCOMES = [
    {"final_mqe": 0.1 + 0.01 * i, "final_topographic_error": 0.01, "final_dead_neuron_ratio": 0.0}
    for i in range(20)
]
#: Judges the plan alone, and dares to.
EARLIEST = {"name": "population", "min_progress": 0, "min_checkpoints": 0, "ramp": 0, "risk": 0.9,
            "control": 0, "min_support": 0}  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with App(tmp_path_factory.mktemp("plan")) as app:
        yield app


def post(app: App, path: str, body: Any) -> Answer:
    return app.run(app.call("POST", path, json.dumps(body).encode()))


def test_a_plan_is_forecast_as_in_process(app: App) -> None:
    answer = post(app, "/v1/forecast", PLAN)
    assert answer.status == 200
    forecast = Forecast.model_validate_json(answer.body)
    assert forecast == Oracle.load().forecast(History.parse(PLAN))
    assert (forecast.progress, forecast.n_checkpoints) == (0.0, 0)
    assert forecast.curve is not None
    assert forecast.curve.mqe[-1] == forecast.final["final_mqe"]
    # Empty columns are none.
    columns = ("epochs", "mqe", "topographic_error", "dead_neuron_ratio")
    assert post(app, "/v1/forecast", PLAN | {c: [] for c in columns}).body == answer.body


def test_the_tables_shape_is_taken_and_changes_the_answer(app: App) -> None:
    shape = geometry_of(np.random.default_rng(0).normal(size=(150, 4)), 144)
    assert shape is not None
    told = PLAN | {"context": PLAN["context"] | {"geometry": shape.model_dump()}}
    with_shape, without = (post(app, "/v1/forecast", body).json() for body in (told, PLAN))
    assert with_shape["final"] != without["final"]
    for change, field in (
        ({"variance_1": 0.9, "variance_2": 0.5}, "context.geometry.variance_2"),
        ({"participation": 4.5}, "context.geometry.participation"),
        (
            {"quantization_4": 5.0, "quantization_16": 9.0},
            "context.geometry.quantization_16",
        ),
    ):
        wrong = told["context"]["geometry"] | change
        answer = post(
            app, "/v1/forecast", told | {"context": told["context"] | {"geometry": wrong}}
        )
        assert answer.status == 422
        assert answer.json()["error"]["field"] == field
    answer = post(app, "/v1/forecast", PLAN | {"context": {"mqe_of_mean": 1, "geometry": {"x": 1}}})
    assert (answer.status, answer.json()["error"]["field"]) == (422, "context.geometry")


@pytest.mark.parametrize("path", ["/v1/forecast", "/v1/decide", "/v1/explain"])
@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({}, "epochs", "nothing else to go by"),
        ({"epochs": [], "total_epochs": 10}, "epochs", "nothing else to go by"),
        ({"context": {}}, "epochs", "nothing else to go by"),
        (BARE, "context.mqe_of_mean", "`context_of` reads it"),
    ],
)
def test_too_little_to_go_by_is_named(
    app: App, path: str, body: dict[str, Any], field: str, says: str
) -> None:
    answer = post(app, path, body)
    assert answer.status == 422
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == ("invalid", field)
    assert says in error["message"]


def decide(app: App, **more: Any) -> Decision:
    answer = post(app, "/v1/decide", PLAN | more)
    assert answer.status == 200
    return Decision.model_validate_json(answer.body)


def test_a_plan_is_not_judged_before_the_policys_first_check(app: App) -> None:
    reference = {"outcomes": OUTCOMES, "mqe_of_mean": PLAN["context"]["mqe_of_mean"]}
    for policy, reason in (
        ({"name": "threshold"}, "too_few_checkpoints"),
        ({"name": "population"}, "too_few_checkpoints"),
        ({"name": "pareto"}, "too_few_checkpoints"),
        (EARLIEST | {"min_progress": 0.01}, "too_early"),
        (EARLIEST | {"min_support": 1}, "no_support"),
    ):
        decision = decide(app, policy=policy, reference=reference)
        assert (decision.action, decision.reason) == ("abstain", reason)
        assert not decision.stop
        assert decision.forecast is not None
        assert decision.next_check is not None
        assert decision.next_check > 0
    assert "0 of the 2 checkpoints" in decide(app).message


def test_a_policy_that_begins_at_0_judges_the_plan(app: App) -> None:
    reference = {"outcomes": OUTCOMES, "mqe_of_mean": PLAN["context"]["mqe_of_mean"]}
    stopped = decide(app, policy=EARLIEST, reference=reference)
    assert (stopped.action, stopped.reason, stopped.expected_saving) == (
        "stop", "unlikely_good", 1.0,
    )  # fmt: skip
    # The risk grows from 0 at the start unless it is told not to: then nothing is stopped there.
    ramped = decide(app, policy=EARLIEST | {"ramp": 0.3}, reference=reference)
    assert ramped.action == "continue"
    assert ramped.next_check == 0.05
    # Whoever is beaten by nobody runs.
    worse = [o | {"final_mqe": 100.0} for o in OUTCOMES]
    best = decide(app, policy=EARLIEST, reference=reference | {"outcomes": worse})
    assert best.action == "continue"
    # A control is drawn once a run, with a name or without.
    for name in ({}, {"run_id": "r-1"}):
        held = decide(app, policy=EARLIEST | {"control": 1}, reference=reference, **name)
        assert (held.action, held.reason) == ("continue", "control")


def test_nobody_asks_a_plan_for_its_measurements(app: App) -> None:
    """Before the first checkpoint no metric is missing: that is no doubt of its own."""
    nothing = {"outcomes": []}
    decision = decide(app, policy=EARLIEST, reference=nothing)
    assert decision.reason == "too_few_runs"
    assert "judged without" not in decision.message


def test_a_batch_answers_plans_among_others(app: App, brief_history: dict[str, Any]) -> None:
    bodies = [PLAN, brief_history, BARE, {}]
    found = post(app, "/v1/decide/batch", {"histories": bodies}).json()["results"]
    assert [list(one) for one in found] == [["decision"], ["decision"], ["error"], ["error"]]
    assert [one["error"]["field"] for one in found[2:]] == ["context.mqe_of_mean", "epochs"]
    ranked = post(
        app,
        "/v1/decide/batch",
        {
            "histories": [PLAN | {"run_id": f"r-{i}"} for i in range(5)] + [brief_history],
            "generation": True,
            "policy": EARLIEST | {"risk": 0.001},
        },
    ).json()["results"]
    assert [one["decision"]["reason"] for one in ranked[:5]] == ["promising"] * 5


def test_a_stored_run_begins_with_a_checkpoint(app: App) -> None:
    answer = post(app, "/v1/runs/plan-1/checkpoints", PLAN)
    assert answer.status == 422
    error = answer.json()["error"]
    assert error["field"] == "epochs"
    assert "/v1/forecast and /v1/decide answer to a plan alone" in error["message"]
    assert app.run(app.call("GET", "/v1/runs/plan-1")).status == 404


def test_the_description_shows_a_plan(app: App) -> None:
    document = app.run(app.call("GET", "/openapi.json")).json()
    for path in ("/v1/forecast", "/v1/decide", "/v1/explain"):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert body["examples"]["plan"]["value"] == PLAN
    schemas = document["components"]["schemas"]
    assert not schemas["History"].get("required")
    assert {"Geometry", "Curve"} <= schemas.keys()
    assert "curve" in schemas["Forecast"]["properties"]
    page = app.run(app.call("GET", "/docs")).body.decode()
    shown = page.count("&quot;mqe_of_mean&quot;: 1.95")
    assert shown == 4  # three plans, and the table that suggestions are for


def test_the_store_keeps_the_shape_of_the_table(app: App, brief_history: dict[str, Any]) -> None:
    """A run is appended to with the same context each time; another shape contradicts it."""
    context = {"mqe_of_mean": 1.0, "toroidal": False, "geometry": {"variance_1": 0.5}}
    body = brief_history | {"total_epochs": 500, "context": context}
    path = "/v1/runs/shaped/checkpoints"
    assert post(app, path, body).status == 201
    assert post(app, path, body).status == 200
    other = body | {"context": context | {"geometry": {"variance_1": 0.6}}}
    answer = post(app, path, other)
    assert answer.status == 409
    assert "context.geometry" in answer.json()["error"]["message"]
