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
    Check(
        "S2",
        "scale.replicas:replicas",
        "three replicas behind nginx under load, restarted in turn, the model exchanged, one "
        "killed -9, the database restarted; rounds",
        "no request fails, but for 503 with Retry-After while the database is away; every "
        "acknowledged checkpoint is stored once",
        short=1,
        long=20,
        needs="nginx",
    ),
    Check(
        "S3",
        "scale.appends:appends",
        "appends to different populations by one, two and three replicas, a second each, in turn; "
        "rounds",
        "none is refused; three replicas take at least 1.5 times as many as one",
        short=1,
        long=30,
        needs="postgres",
    ),
    Check(
        "S4",
        "scale.size:size_sqlite",
        "CPU of every kind of question to a SQLite file, with 1,000 runs and with so many of 20 "
        "checkpoints; its backup, and its upgrade from the version before",
        "no kind costs twice as much; among 10,000 runs a decision costs less than twice what it "
        "costs among 100",
        short=3_000,
        long=100_000,
    ),
    Check(
        "S5",
        "scale.size:size_postgres",
        "the same of PostgreSQL, its own CPU included",
        "the same",
        short=3_000,
        long=1_000_000,
        needs="postgres",
    ),
    Check(
        "S2f",
        "scale.failover:failover",
        "PostgreSQL killed under load, its synchronous standby takes over; takeovers",
        "the service finds the standby; no acknowledged checkpoint is lost or doubled",
        short=1,
        long=10,
        needs="postgres",
    ),
    Check(
        "S6",
        "scale.populations:killed_workers",
        "kill -9 of the workers of a search on one population in PostgreSQL; workers",
        "no end is lost that a worker had been told of, no lock stays behind",
        short=4,
        long=64,
        needs="postgres",
    ),
    Check(
        "S7",
        "scale.on_ray:killed_nodes",
        "kill -9 of nodes of a Ray cluster that collects, and of the command; nodes",
        "the dataset is, to the byte, that of local processes",
        short=1,
        long=10,
    ),
    Check(
        "S8",
        "scale.open_page:open_page",
        "the live page in Chromium on a population of so many runs: opened, scrolled, posted to 20 "
        "times a second, and told of as many events as it has runs",
        "only rows in sight exist and nothing is logged; first paint within .5 s, a scroll by ten "
        "rows costs 32 ms of CPU, a tab 20 kB/s, memory grows by 20 MB at most",
        short=300,
        long=20_000,
        needs="browser",
    ),
)
