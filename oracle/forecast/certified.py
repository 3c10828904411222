"""The policy whose losses were proven, for those who want a promise and no setting of their own."""

from __future__ import annotations

from pathlib import Path

from oracle.errors import ArtifactNotFound, must_be
from oracle.model.artifact import read_artifact, resolve
from oracle.types import Policy
from oracle.types.certificate import Way


def certified_policy(way: Way = "one after another", *, model: str | Path | None = None) -> Policy:
    """Give the policy of which it was proven how many good runs it loses at most.

    Args:
        way: how the runs of a population are trained: "one after another" or "in step".
        model: a model folder or name; None = the one in use.

    Raises:
        ArtifactNotFound: nothing was proven of this model for this way.
        ArtifactCorrupt: the folder or its certificate was altered.
    """
    artifact = read_artifact(resolve(model))
    for certificate in artifact.certificates:
        if certificate.way == way:
            return certificate.policy
    ways = " and ".join(repr(one.way) for one in artifact.certificates)
    advice = f"It is certified for {ways}." if ways else "`oracle models certify` does that."
    rule = f"a way that {artifact.info.name} is certified for"
    raise ArtifactNotFound(must_be("way", rule, way, advice))
