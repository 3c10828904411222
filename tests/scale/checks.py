"""Checks of size and of many machines; each row of docs/scale.md is one."""

from reliability import ROOT, Check

PAGE = ROOT / "docs/scale.md"

CHECKS = (
    Check(
        "S1",
        "scale.events:events_between_replicas",
        "what one replica commits, on an event stream of another, PostgreSQL; events",
        "each arrives once, in order, within a second",
        short=50,
        long=2_000,
        needs="postgres",
    ),
)
