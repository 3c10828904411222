"""How a population stands: replaced, withdrawn and dropped outcomes, in order, at any moment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.history.quality_score import common_scale, same_scale
from oracle.server.runs import standing
from oracle.server.runs.standing import Standing, digest_of
from oracle.types import OutcomeColumns

ROWS = st.lists(
    st.tuples(
        st.sampled_from("abcdefgh"),
        st.sampled_from((0.1, 0.2, 0.3)),
        st.sampled_from((None, 2.0, 2.1, 20.0)),
        st.booleans(),
        st.booleans(),
    ),
    max_size=60,
)


def row(i: int, name: str, mqe: float, scale: float | None, censored: bool, gone: bool) -> Any:
    return SimpleNamespace(
        id=i,
        run_id=name,
        final_mqe=mqe,
        final_topographic_error=None if mqe == 0.3 else 0.1,
        final_dead_neuron_ratio=0.2,
        spread=0.1 * censored,
        censored=censored,
        control=name in "ab",
        mqe_of_mean=scale,
        withdrawn=gone,
    )


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a test reaches."""
    monkeypatch.setattr(standing, "MAX_REFERENCE_RUNS", 5)
    monkeypatch.setattr(standing, "_FIRST_ROWS", 2)


@given(ROWS, st.sampled_from("abc"))
def test_it_is_what_the_rows_say(rows: list[Any], without: str) -> None:
    seen, there = Standing((1, 0)), {}
    views = []
    for i, values in enumerate(rows, 1):
        one = row(i, *values)
        seen.add(one)
        there.pop(one.run_id, None)
        if not one.withdrawn:
            there[one.run_id] = one
        while len(there) > 5:
            there.pop(next(iter(there)))
        found = seen.ended()
        views.append((found, found.table.copy()))
        assert [o.run_id for o in found.outcomes] == list(there)
        assert [o.final_mqe for o in found.outcomes] == [r.final_mqe for r in there.values()]
        assert found.digest == sum(map(digest_of, found.outcomes))
        assert found.scales == [r.mqe_of_mean for r in there.values()]
        assert seen.scale == common_scale(found.scales)
        for ours, plain in zip(found.columns, OutcomeColumns.of(found.outcomes), strict=True):
            np.testing.assert_array_equal(ours, plain)
        held = [r.run_id in "ab" and not r.censored for r in there.values()]
        assert found.held.tolist() == held
        others = [
            r.run_id
            for r in there.values()
            if r.run_id != without and same_scale(r.mqe_of_mean, seen.scale)
        ]
        beaten = seen.ended(without)
        assert [o.run_id for o in beaten.outcomes] == others
        assert len(beaten.table) == len(others)
        assert beaten.digest == sum(map(digest_of, beaten.outcomes))
    for view, then in views:  # whoever looked keeps what was there
        np.testing.assert_array_equal(view.table, then)
