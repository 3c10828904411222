"""Checks that send what nobody should send."""

from reliability import Check

CHECKS = (
    Check(
        "T1",
        "fuzz.bodies:fuzz_bodies",
        "mutated bodies on every route, in process",
        "no 5xx, one error shape, 4xx at most 8 kB, no echo",
        10_000_000,
    ),
    Check(
        "T2",
        "fuzz.schema:fuzz_schema",
        "Schemathesis against /openapi.json over a socket, examples a route",
        "no failure",
        50_000,
    ),
    Check(
        "T16",
        "fuzz.nonsense:fuzz_nonsense",
        "histories that no map has, and real ones of unseen tables and libraries in every dress",
        "a policy abstains on 95 % of the former and on at most 5 % of the latter",
        1_000,
    ),
    Check(
        "T17",
        "fuzz.names:fuzz_names",
        "traversal, CSV and log injection in every name, under an audit hook",
        "nothing opened outside data and models, no process, no pickle, one line a log record",
        5_000,
    ),
)
