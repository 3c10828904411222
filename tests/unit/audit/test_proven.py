"""What was proven, beside a search: it holds for one policy and model, and tables like its own."""

from __future__ import annotations

from made_up import CERTIFIED, certificate_of

from oracle.audit.ended import EndedRun, Look
from oracle.audit.proven import Proven, proven_of
from oracle.types import ModelInfo, PopulationPolicy

MODEL = ModelInfo(name="m", version="1", sha256="0" * 64)
BAND = (0.1, 0.2, 0.3, 0.4, 0.5)


def ended(score: float, quality: tuple[float, ...] | None = BAND) -> EndedRun:
    """A run that went to its end, of which so much was said at a tenth of it."""
    looks = (Look(0.1, quality, None), None, None, None)
    return EndedRun("r", score, score, False, None, None, None, looks)


def test_it_holds_for_its_policy_and_model() -> None:
    certificates = [certificate_of(MODEL), certificate_of(MODEL, way="in step", alpha=0.02)]
    found = proven_of(certificates, CERTIFIED, MODEL, [])
    assert [(one.way, one.alpha, one.holds) for one in found] == [
        ("one after another", 0.01, True),
        ("in step", 0.02, True),
    ]
    assert found[0] == Proven(
        way="one after another", alpha=0.01, confidence=0.95, risk=0.01, holds=True, why=None
    )
    other = proven_of(certificates, PopulationPolicy(risk=0.02, learn=False), MODEL, [])
    assert all("policy.risk" in str(one.why) for one in other)
    assert proven_of(certificates, CERTIFIED, None, [])[0].why == "no model is in use"
    assert proven_of([], CERTIFIED, MODEL, []) == ()


def test_a_search_unlike_the_tables_has_lost_it() -> None:
    certificate = certificate_of(MODEL, missed=0.4, unlike=0.5)
    inside, outside, unlike = ended(0.3), ended(0.6), ended(0.3, None)
    stopped = outside._replace(score=None, stopped=True)

    def why(*runs: EndedRun) -> str:
        return str(proven_of([certificate], CERTIFIED, MODEL, runs)[0].why)

    assert why(*[outside] * 8, *[inside] * 12) == "None"
    assert "9 of 20 runs ended outside" in why(*[outside] * 9, *[inside] * 11)
    assert "11 of 20 runs were unlike" in why(*[unlike] * 11, *[inside] * 9)
    # Stopped ones have no end to compare with; fewer than a population had tell nothing.
    assert why(*[outside] * 19, *[stopped] * 40) == "None"
