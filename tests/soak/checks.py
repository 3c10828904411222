"""Checks under load and over time."""

from reliability import Check

CHECKS = (
    Check(
        "T9",
        "soak.swap:swap_models",
        "models exchanged under load",
        "no failed request, every answer from an activated model, p99 less than doubled",
        short=5,
        long=1_000,
    ),
    Check(
        "T10",
        "soak.overload:overload",
        "far more requests than can be answered, seconds",
        "only 200 and 503 with Retry-After, memory flat, normal within 2 s",
        short=5,
        long=1_800,
    ),
    Check(
        "T11",
        "soak.slow:slow_clients",
        "silent, dripping and unreading sockets beside honest clients",
        "closed by the deadline, no honest request fails",
        short=100,
        long=1_000,
    ),
    Check(
        "T12",
        "soak.sizes:sizes",
        "bodies at the limit, beyond, chunked, compressed, mislabelled, nested; rounds",
        "the right status, memory within 20 MB",
        short=1,
        long=100,
    ),
    Check(
        "T15",
        "soak.wrong_stops:wrong_stops",
        "complete runs of tables that nothing was fitted to, played through the service",
        "every run stopped where the replay stops it, at most 2 % of the good ones at all",
        short=45,
        long=2_800,
    ),
    Check(
        "T18",
        "soak.wrong_keys:wrong_keys",
        "wrong keys and rates",
        "401 or 429, never 200; the right key gets in; no key in the log",
        short=3_000,
        long=1_000_000,
    ),
    Check(
        "T20",
        "soak.growth:growth",
        "CPU of every kind of question to the store, at a fifth of so many runs and at all of them",
        "no kind costs twice as much with five times the runs",
        short=3_000,
        long=100_000,
    ),
    Check(
        "T19",
        "soak.cycles:cycles",
        "opening and closing the application",
        "descriptors and threads flat, memory within 10 MB after the first ten",
        short=10,
        long=1_000,
    ),
    Check(
        "T25",
        "soak.stalled:stalled",
        "a database that is locked, beside 80 clients that append, seconds",
        "whatever does not write is answered 200; writers 201, or 503 with Retry-After",
        short=4,
        long=60,
    ),
)
