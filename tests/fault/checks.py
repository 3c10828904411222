"""Checks that break something while the service works."""

from reliability import Check

CHECKS = (
    Check(
        "T3",
        "fault.kill_server:kill_sqlite",
        "kill -9 the server while 8 clients append, SQLite",
        "no acknowledged checkpoint lost or doubled, integrity ok, ready again within 3 s",
        2_000,
    ),
    Check(
        "T3p",
        "fault.kill_server:kill_postgres",
        "the same on PostgreSQL, the database killed every fifth time",
        "no acknowledged checkpoint lost or doubled",
        2_000,
    ),
    Check(
        "T4",
        "fault.kill_collector:kill_collector",
        "kill -9 the collector",
        "the resumed dataset equals an uninterrupted one; never half a CSV",
        2_000,
    ),
    Check(
        "T5",
        "fault.full_disk:full_disk",
        "the disk is full at the N-th page of the store",
        "a clear error, everything acknowledged readable, work goes on when there is space",
        200,
    ),
    Check(
        "T7",
        "fault.bad_models:bad_models",
        "flips, truncations, missing and swapped files in an activated model",
        "refused, the old model answers",
        125_000,
    ),
)
