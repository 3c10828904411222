"""One warning a kind, then a counter."""

from __future__ import annotations

import warnings

import pytest

from oracle.errors import InvalidHistory, OracleWarning
from oracle.hook.warn_once import Problems


def test_the_first_of_a_kind_warns_at_the_callers_line() -> None:
    problems = Problems()
    with pytest.warns(OracleWarning, match="The training goes on") as told:
        problems.note_error("model", "forecast", ValueError("why"))
    problems.note_error("model", "forecast", ValueError("why"))
    with pytest.warns(OracleWarning, match="something else"):
        problems.note("other", "something else.")
    assert len(told) == 1
    assert told[0].filename == __file__
    assert "could not forecast: ValueError: why. The training" in str(told[0].message)
    assert problems.counts == {"model": 2, "other": 1}
    assert str(problems) == "model 2, other 1"


def test_where_warnings_are_errors_the_message_is_kept_and_nothing_raised() -> None:
    problems = Problems()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problems.note("kind", "what happened.")
    assert problems.messages == {"kind": "what happened."}


def test_our_own_errors_speak_for_themselves_and_long_ones_are_cut() -> None:
    problems = Problems()
    problems.note_error("a", "do it", InvalidHistory("`x` must be y."))
    assert problems.messages["a"] == "could not do it: `x` must be y."
    problems.note_error("b", "do it", RuntimeError("x" * 10_000))
    assert len(problems.messages["b"]) < 400


def test_a_warning_that_cannot_be_shown_and_an_error_without_text_raise_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no screen")

    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    monkeypatch.setattr(warnings, "showwarning", fails)
    problems = Problems()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        problems.note_error("model", "forecast", Mute())
    assert problems.messages == {"model": "could not forecast: Mute."}
