"""Whatever a file holds, reading it gives runs or reasons, and no other exception than ours."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.recorded import nexussom
from collector.recorded.ingest import readers_of
from oracle.errors import DatasetError
from oracle.types import Run

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
columns = st.lists(scalars, max_size=4)
histories = st.fixed_dictionaries(
    {},
    optional={
        name: columns | scalars
        for name in (
            "run_id", "epochs", "mqe", "topographic_error", "topo_error", "dead_neuron_ratio",
            "dead_ratio", "learning_rate", "total_epochs", "context", "history", "iteration",
        )
    },
)  # fmt: skip
values = st.recursive(
    scalars | histories,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
same_folder = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def check(path: Path) -> None:
    for item in chain.from_iterable(readers_of([path])):
        assert isinstance(item, Run | DatasetError)


@given(values)
@same_folder
def test_any_value(tmp_path: Path, value: object) -> None:
    path = tmp_path / "h.json"
    path.write_text(json.dumps(value))
    check(path)


@given(st.binary(max_size=60))
@same_folder
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "h.jsonl"
    path.write_bytes(content)
    check(path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"epochs": [' + "9" * 5000 + "]}", "[1e999]"])
def test_depth_and_digits(tmp_path: Path, text: str) -> None:
    path = tmp_path / "h.json"
    path.write_text(text)
    assert [type(item) for item in chain.from_iterable(readers_of([path]))] == [DatasetError]


NEXUSSOM = Path(__file__).parents[1] / "data" / "nexussom" / "seed_42"


@given(st.data())
@settings(same_folder, max_examples=40)
def test_a_damaged_result_folder(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "seed_42"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(NEXUSSOM, folder)
    file = data.draw(st.sampled_from(sorted(f for f in folder.rglob("*") if f.is_file())))
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.integers(0, 6))
        content[place : place + length] = data.draw(
            st.binary(max_size=4)
            | st.sampled_from([b"-", b",", b"e99", b"null", b"0", b"[", b"nan"])
        )
    file.write_bytes(content)
    with suppress(DatasetError):  # the whole file cannot be read
        for item in nexussom.read_runs(folder):
            assert isinstance(item, Run | DatasetError)
