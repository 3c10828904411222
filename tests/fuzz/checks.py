"""Checks that send what nobody should send."""

from reliability import Check

CHECKS = (
    Check(
        "T1",
        "fuzz.requests:fuzz_requests",
        "bodies on every route, a third valid, nearly valid and mutated each, and paths and query "
        "strings of GET and DELETE, in process",
        "no 5xx, one error shape, 4xx at most 8 kB, no echo, no valid body refused",
        short=2_500,
        long=10_000_000,
        goes_on=True,
    ),
    Check(
        "T2",
        "fuzz.schema:fuzz_schema",
        "Schemathesis against /openapi.json over a socket kept open, examples a route; without "
        "/v1/events, which never ends (T1 asks for it)",
        "no failure of any check; that data which fit the schema are accepted (T1 has bodies) is "
        "not asked of POST and of the list's cursor",
        short=6,
        long=50_000,
    ),
    Check(
        "T16",
        "fuzz.nonsense:fuzz_nonsense",
        "histories that no map has, and real ones of unseen tables and libraries in every dress",
        "of each kind a policy abstains on at least 95 % of the former, at most 5 % of the latter",
        short=120,
        long=1_000,
    ),
    Check(
        "T17",
        "fuzz.names:fuzz_names",
        "traversal, CSV and log injection in every name, under an audit hook",
        "nothing opened outside data and models, no process, no pickle, one line a log record",
        short=400,
        long=5_000,
    ),
    Check(
        "T22",
        "fuzz.better:better_histories",
        "histories of unseen tables made better, at every checkpoint or at the last, beside the "
        "same ones as they are; runs",
        "at most .3 % of those whose worse twin goes on are stopped",
        short=45,
        long=2_800,
    ),
    Check(
        "T23",
        "fuzz.nulls:null_inputs",
        "good runs of unseen tables at every check, with each input that may be null left out: "
        "throughout, at the last checkpoint, in the middle; runs",
        "at most 2 % of the checks of any kind stop, or as many as with all told",
        short=45,
        long=2_800,
    ),
)
