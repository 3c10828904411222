"""A batch's body: taken apart by its brackets, cheaply, whatever it holds."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import HISTORY

from oracle.errors import OracleError
from oracle.server.batch import split
from oracle.server.http.answers import Invalid, Refused
from oracle.server.settings import Settings

SETTINGS = Settings()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(
    histories=st.lists(JSON, min_size=1),
    others=st.dictionaries(st.text().filter(lambda name: name != "histories"), JSON),
    first=st.booleans(),
    indent=st.sampled_from((None, 2)),
    ascii_only=st.booleans(),
)
def test_every_history_is_found_and_the_rest_left(
    histories: list[Any], others: dict[str, Any], first: bool, indent: int | None, ascii_only: bool
) -> None:
    mine = {"histories": histories}
    whole = mine | others if first else others | mine
    raw = json.dumps(whole, indent=indent, ensure_ascii=ascii_only).encode()
    rest, found = split(raw, SETTINGS)
    assert [json.loads(history) for history in found] == histories
    assert json.loads(rest) == others | {"histories": []}


@pytest.mark.parametrize("raw", [b"", b"7", b"{", b"[]", b'{"histories": 7}', b'"histories": [7]'])
def test_a_body_without_them_is_left_as_it_is(raw: bytes) -> None:
    assert split(raw, SETTINGS) == (raw, [])


@pytest.mark.parametrize(
    "raw", [b'{"histories":[7', b'{"histories":[{}', b'{"histories":[{},"x', b'{"histories":[{]']
)
def test_a_list_that_does_not_end_is_no_json(raw: bytes) -> None:
    with pytest.raises(Invalid, match="JSON"):
        split(raw, SETTINGS)


@pytest.mark.parametrize("n", [0, 3])
def test_none_or_too_many_are_refused(n: int) -> None:
    settings = Settings(max_batch_histories=2)
    with pytest.raises(Invalid, match="1 to 2"):
        split(json.dumps({"histories": [HISTORY] * n}).encode(), settings)


@pytest.mark.parametrize("name", ["histories", "reference"])
def test_one_part_is_no_larger_than_a_single_request_may_be(name: str) -> None:
    parts = {"reference": [], "histories": [7]} | {name: [["x" * 2_000]]}
    with pytest.raises(Refused) as refused:
        split(json.dumps(parts).encode(), Settings(max_body_bytes=1_000))
    assert refused.value.status == 413


@pytest.mark.parametrize(
    ("head", "unit"),
    [
        (b'{"histories":[', b"[],"),
        (b'{"histories":[', b"7,"),
        (b'{"histories":[[', b"[],"),
        (b'{"histories":[{"epochs":[', b"{},"),
        (b'{"histories":["', b'\\"'),
        (b'{"histories":["', b"a"),
        (b'{"histories":[', b"1"),
        (b'{"histories":', b"["),
        (b'{"histories"', b" "),
        (b'{"histories":[', b"[1,2,"),
        (b'{"x":', b"[],"),
        (b'{"', b'"\\'),
    ],
)
def test_a_hostile_body_costs_little(head: bytes, unit: bytes) -> None:
    raw = head + unit * (SETTINGS.max_batch_body_bytes // len(unit))
    began = time.thread_time()
    with pytest.raises(OracleError):
        split(raw, SETTINGS)
    assert time.thread_time() - began < 1
