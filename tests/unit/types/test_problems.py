"""What is wrong with what came: one rule for each value, in words of our own."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from oracle.server.http.answers import invalid
from oracle.types import About, History, explain

LONG = list(range(1, 2502))
SETTING = "`config.a` must be a finite number, a text of at most 200 characters"


def history(n: list[int], **more: Any) -> dict[str, Any]:
    columns = ("mqe", "topographic_error", "dead_neuron_ratio")
    return {"epochs": n, **{name: [0.5] * len(n) for name in columns}, **more}


@pytest.mark.parametrize(
    ("kind", "raw", "says"),
    [
        *((About, {"config": {"a": bad}}, SETTING)
          for bad in ("x" * 201, [1], {"b": 1}, float("nan"), "\x00")),
        (About, {"config": {str(i): i for i in range(201)}}, "`config` must be of at most 200"),
        (About, {"config": {"x" * 201: 1}}, "`config` must be of names, each of at most 200 char"),
        (About, {"tags": [""]}, "`tags.0` must be of at least 1 character"),
        (History, history(LONG), "`epochs` must be of at most 1,000 values, not 2,501"),
        (History, history(LONG), "Keep the last checkpoint, and one in 3 of those before it."),
        (History, history([1], dataset="x" * 201), "`dataset` must be of at most 200 characters"),
        (History, history([1], mqe=["a"]), "`mqe.0` must be a number"),
        (History, history([1], mqe=[-1.0]), "`mqe.0` must be at least 0"),
        (History, history([1], mqe="x"), "`mqe` must be a list"),
        (History, history([1], dead_neuron_ratio=[2]), "`dead_neuron_ratio.0` must be at most 1"),
        (History, history([1], dead_neuron_ratio=[float("inf")]),
         "must be a finite number"),
        (History, history([1], dead_neuron_ratio=["x"]),
         "Write null where it is undefined or unknown."),
        (History, history([1], total_epochs=0), "`total_epochs` must be above 0"),
        (History, history([1], run_id=5), "`run_id` must be a text"),
        (History, history([1], context=5), "`context` must be an object"),
        (History, history([1], context={"map_rows": 1e30}),
         "`context.map_rows` must be at most 1e+15"),
        (History, history([1], context={"toroidal": 2}), "`context.toroidal` must be true or fal"),
        (History, history([1], context={"topology": "x"}),
         "`context.topology` must be 'rectangular', 'hexagonal', 'odd-r', 'even-r', 'odd-q' or"),
        (About, {"tags": [1]}, "`tags.0` must be a text"),
    ],
)  # fmt: skip
def test_one_rule_in_our_words(kind: type[BaseModel], raw: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as raised:
        kind.model_validate(raw)
    told, answered = explain(raised.value), str(invalid(raised.value, kind))
    assert says in told
    assert says in answered
    for text in (told, answered):
        assert "more" not in text
        assert "after validation" not in text
    assert "but got" not in answered
