"""Names: of which characters, and the run_id that stands for each."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from oracle.server.http.wire import AboutRequest, OverrideRequest
from oracle.server.http.wire_searches import SearchAboutRequest
from oracle.types import Frozen, History, about, explain
from oracle.types.run_names import clean, is_name, label_of, run_id_of

SCIENTIST, PERSIAN = (
    "\U0001f469\u200d\U0001f52c",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
)
HINDI, MENDING = "\u0915\u094d\u200d\u0937", "\u2764\ufe0f\u200d\U0001fa79"
#: Controls of direction, what is not seen, ends of lines, and joiners with nothing to join.
HIDDEN = [
    *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    *"\u200b\u2060\ufeff\u00ad\u2028\u2029\x85\n\t\x00\u00a0",
    *"\u200c\u200d",
]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_no_name_has_what_turns_or_hides_text(hidden: str) -> None:
    for name in (f"wi{hidden}ne", f"{hidden}wine", f"wine{hidden}", f"{SCIENTIST}{hidden}"):
        assert not is_name(name)
        assert is_name(clean(name))
        kept = about(name=name, config={name: 1}, tags=[name])  # a hook's own names are cleaned
        assert kept.name is not None
        assert is_name(kept.name)
        assert kept.config is not None
        assert all(map(is_name, [*kept.config, *(kept.tags or ()), label_of(name) or ""]))


@pytest.mark.parametrize("name", ["wine 2", "\u5e03", "\ue000", SCIENTIST, PERSIAN, HINDI, MENDING])
def test_a_joiner_stands_where_it_joins(name: str) -> None:
    assert is_name(name)
    assert clean(name) == label_of(name) == name
    assert about(name=name, tags=[name]).name == name


@pytest.mark.parametrize(
    ("kind", "field", "told"),
    [
        (AboutRequest, "name", "{}"),
        (AboutRequest, "tags", ["{}"]),
        (AboutRequest, "config", {"{}": 1}),
        (OverrideRequest, "by", "{}"),
        (SearchAboutRequest, "title", "{}"),
    ],
)
def test_one_rule_for_every_name_that_people_give(
    kind: type[Frozen], field: str, told: object
) -> None:
    def said(name: str) -> Frozen:
        return kind.model_validate_json(json.dumps({field: told}).replace("{}", name))

    assert said(PERSIAN)
    with pytest.raises(ValidationError) as found:
        said("\u202egnp.exe")
    assert explain(found.value).startswith(f"`{field}")
    assert "visible characters" in explain(found.value)


@pytest.mark.parametrize(
    ("name", "run_id"),
    [
        ("r-17", "r-17"),
        (17, "17"),
        ("x" * 64, "x" * 64),
        ("run 17 (copy)", "run-17-copy-e55c2edc"),
        ("lr=0.1,sigma=2.0", "lr-0.1-sigma-2.0-bb10c95c"),
        ("..", "run-5ec1f7e7"),
        ("", "run-e3b0c442"),
    ],
)
def test_a_name_is_itself_or_cleaned(name: object, run_id: str) -> None:
    assert run_id_of(name) == run_id


@given(st.text(max_size=100))
def test_every_name_has_a_run_id_that_stands_for_it_alone(name: str) -> None:
    made = run_id_of(name)
    values = {"epochs": [1.0], "mqe": [1.0], "topo_error": [0.1], "dead_ratio": [0.1]}
    assert History.parse({"run_id": made, **values}).run_id == made
    assert run_id_of(made) == made
    assert made in (name, run_id_of(name))
    assert made != run_id_of(name + "=")


def test_names_that_are_cleaned_to_the_same_stay_apart() -> None:
    assert len({run_id_of(name) for name in ("a=1", "a:1", "a 1", "a-1")}) == 4
