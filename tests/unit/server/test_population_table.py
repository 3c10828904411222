"""The runs of a population by column: what their summaries say, each setting once or a run."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from inprocess import Answer, App

NAME = "a/table"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with App(tmp_path_factory.mktemp("table")) as app:
        for i in range(40):
            post(app, f"r{i}", epochs=[10, 20], sigma=1 + (i % 2))
        post(app, "other", epochs=[10], population="p")
        app.run(app.call("POST", "/v1/runs/r1/finish", b"{}"))
        yield app


def post(app: App, run_id: str, epochs: list[int], sigma: float = 1, **fixed: Any) -> Answer:
    n = len(epochs)
    body = {
        "epochs": epochs,
        "mqe": [0.5] * n,
        "topographic_error": [0.1] * n,
        "dead_neuron_ratio": [0.2] * n,
        "total_epochs": 100,
        "population": NAME,
        "population_size": 60,
        "context": {"map_rows": 5, "schedule": {"progress": [0, 1], "radius": [3, 1]}},
        "config": {"sigma": sigma, "library": "minisom"},
    }
    raw = json.dumps(body | fixed).encode()
    return app.run(app.call("POST", f"/v1/runs/{run_id}/checkpoints", raw))


def get(app: App, path: str, query: str = "", **headers: str) -> Answer:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.run(app.call("GET", path, headers=given, query=query.encode()))


def table(app: App, query: str = "") -> Any:
    return get(app, f"/v1/populations/{NAME}/table", query).json()


def test_columns_say_what_the_list_says(app: App) -> None:
    found = table(app)
    listed = get(app, "/v1/runs", f"population={NAME}&limit=200").json()["runs"]
    assert found["runs"] == len(listed) == 40
    assert found["planned"] == 60
    assert {len(values) for values in found["columns"].values()} == {40}
    for i, run in enumerate(listed):
        row = {name: values[i] for name, values in found["columns"].items()}
        for name in row.keys() & run.keys() - {"quality", "censored"}:
            assert row[name] == run[name], name
        assert row["quality"] == pytest.approx(run["quality"]["values"], rel=1e-5)
        final = run["forecast"]["final_mqe"]
        assert row["forecast_final_mqe"] == pytest.approx(final, rel=1e-5)
    ended = found["columns"]["run_id"].index("r1")
    assert found["columns"]["final_mqe"][ended] == 0.5
    assert found["columns"]["final_mqe"][ended + 1] is None


def test_settings_stand_once_where_all_share_them(app: App) -> None:
    found = table(app)
    assert found["same"] == {
        "library": "minisom",
        "map_rows": 5,
        "radius_start": 3,
        "radius_end": 1,
    }
    assert set(found["settings"]) == {"sigma"}
    assert found["settings"]["sigma"][:2] == [2, 1]


def test_older_ones_by_the_cursor_and_newer_ones_by_after(app: App) -> None:
    first = table(app, "limit=30")
    rest = table(app, f"limit=30&cursor={first['next_cursor']}")
    names = first["columns"]["run_id"] + rest["columns"]["run_id"]
    assert names == [f"r{i}" for i in reversed(range(40))]
    assert rest["next_cursor"] is None
    none = table(app, f"after={first['newest']}")
    assert (none["runs"], none["newest"]) == (0, first["newest"])
    assert get(app, f"/v1/populations/{NAME}/table", "after=x").status == 422
    assert get(app, f"/v1/populations/{NAME}/table", "aftr=1").status == 422
    assert get(app, "/v1/populations/none/table").status == 404


def test_a_name_may_end_like_the_address(app: App) -> None:
    scope_path = f"/v1/populations/{NAME}"
    answer = app.run(app.call("GET", scope_path, raw_path=b"/v1/populations/a%2Ftable"))
    assert answer.json()["running"] == 39


def test_large_answers_are_compressed_and_not_sent_twice(app: App) -> None:
    path = f"/v1/populations/{NAME}/table"
    plain, small = get(app, path), get(app, path, accept_encoding="br, gzip;q=0.5")
    assert small.headers["content-encoding"] == "gzip"
    assert gzip.decompress(small.body) == plain.body
    assert int(small.headers["content-length"]) == len(small.body) < len(plain.body) / 5
    assert "accept-encoding" in small.headers["vary"].lower()
    assert get(app, path, accept_encoding="gzip;q=0").body == plain.body
    tag = plain.headers["etag"]
    assert tag == small.headers["etag"]
    again = get(app, path, if_none_match=f'"x", {tag}')
    assert (again.status, again.body) == (304, b"")
    post(app, "r0", epochs=[10, 20, 30])
    assert get(app, path, if_none_match=tag).status == 200


def test_detail_without_its_outcomes(app: App) -> None:
    path = f"/v1/populations/{NAME}"
    answer = app.run(
        app.call("GET", path, raw_path=b"/v1/populations/a%2Ftable", query=b"outcomes=0")
    )
    assert answer.json()["outcomes"] == []
    assert answer.json()["finished"] == 1


def test_the_pages_files_are_compressed(app: App) -> None:
    answer = get(app, "/assets/page.css", accept_encoding="gzip")
    assert gzip.decompress(answer.body).startswith(b"/*")
    again = get(
        app, "/assets/page.css", accept_encoding="gzip", if_none_match=answer.headers["etag"]
    )
    assert again.status == 304


def test_a_word_that_is_taken_back(app: App) -> None:
    def said(to: str | None) -> Any:
        raw = json.dumps({"to": to, "by": "ann"}).encode()
        return app.run(app.call("POST", "/v1/runs/r5/override", raw)).json()

    assert said("stop")["override"] == "stop"
    assert post(app, "r5", epochs=[10, 20, 30]).json()["action"] == "stop"
    taken = said(None)
    assert (taken["override"], taken["override_by"]) == (None, "ann")
    assert taken["override_at"] == taken["updated_at"]
    again = post(app, "r5", epochs=[10, 20, 30, 40]).json()
    assert again["reason"] != "overruled"
    run = get(app, "/v1/runs/r5").json()["run"]
    assert (run["stops"], run["first_stop"]) == (1, 30)
    assert run["decided"]["overruled"] == 1
    assert sum(run["decided"].values()) == 3
    assert app.run(app.call("POST", "/v1/runs/r5/override", b"{}")).status == 422


def test_quartiles_of_the_runs_at_each_share(app: App) -> None:
    for i in range(8):
        n = 10 if i < 4 else 5
        epochs = [10 * (k + 1) for k in range(n)]
        values = {"mqe": [1 + i - e / 100 for e in epochs], "population": "band"}
        post(app, f"b{i}", epochs=epochs, **values)
    found = get(app, "/v1/populations/band/band").json()
    assert found["progress"][0] == 0.1
    assert found["progress"][-1] == 0.5
    assert found["runs"] == [8] * len(found["progress"])
    assert found["mqe"][-1] == pytest.approx([2.25, 4.0, 5.75])
    assert found["mqe"][1] == pytest.approx([2.6, 4.35, 6.1])
    assert get(app, "/v1/populations/none/band").status == 404
