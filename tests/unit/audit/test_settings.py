"""Which settings explain how runs end."""

from __future__ import annotations

import numpy as np
import pytest

from oracle.audit.settings import explained, settings_found


def test_what_decides_is_found_and_what_does_not_explains_nothing() -> None:
    draw = np.random.default_rng(1)
    rate = 10 ** draw.uniform(-3, 0, 400)
    noise, word = draw.uniform(size=400), draw.choice(["a", "b"], 400)
    scores = np.abs(np.log10(rate) + 1.5) + 0.3 * (word == "b") + 0.05 * draw.normal(size=400)
    settings = [
        {"rate": float(r), "noise": float(x), "word": str(w), "same": 1, "generation": i // 20}
        for i, (r, x, w) in enumerate(zip(rate, noise, word, strict=True))
    ]
    found = settings_found(settings, scores)
    names = [one.name for one in found.settings]
    assert names == ["rate", "word", "noise"]  # what is the same everywhere is no choice
    best = found.settings[0]
    assert best.log
    assert best.least <= best.share <= best.most
    assert best.share > 0.6
    assert found.settings[2].share < 0.02
    assert best.good_low is not None and best.good_high is not None  # noqa: PT018
    assert best.good_low < 10**-1.5 < best.good_high
    assert found.settings[1].good_values[0] == "a"


def test_two_that_count_only_together() -> None:
    draw = np.random.default_rng(2)
    one, other = draw.choice([0, 1], (2, 300))
    found = settings_found(
        [{"one": int(a), "other": int(b)} for a, b in zip(one, other, strict=True)],
        np.where(one == other, 0.0, 1.0) + draw.normal(0, 0.01, 300),
    )
    assert max(s.share for s in found.settings) < 0.1
    assert found.together[0].share > 0.7


def test_it_is_the_textbook_value() -> None:
    values = np.array([1.0, 2.0, 3.0, 7.0, 8.0, 9.0])
    groups = np.array([0, 0, 0, 1, 1, 1])
    within, total = 4.0, values.var() * 6
    expected = 1 - within / 4 / (total / 5)
    assert explained(groups, values, np.ones((1, 6)))[0] == pytest.approx(expected)


def test_odd_settings() -> None:
    many = [{f"s{j}": j * i for j in range(200)} | {"odd": i if i % 2 else "x"} for i in range(20)]
    found = settings_found([*many, {}, {"odd": None}], np.arange(22.0))
    assert {one.name: one.kind for one in found.settings}["odd"] == "word"
    assert not settings_found([], np.zeros(0)).settings
    assert not settings_found([{"a": 1}] * 30, np.full(30, np.nan)).settings
