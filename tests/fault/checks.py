"""Checks that break something while the service works."""

from reliability import Check

CHECKS = (
    Check(
        "T3",
        "fault.kills.kill_server:kill_sqlite",
        "kill -9 the server while 8 clients append, SQLite",
        "after every kill no acknowledged checkpoint lost or doubled and integrity ok; "
        "every start ready within 3 s",
        short=3,
        long=2_000,
        goes_on=True,
        unit="kills",
    ),
    Check(
        "T3p",
        "fault.kills.kill_server:kill_postgres",
        "the same on PostgreSQL, the database killed every fifth time",
        "after every kill no acknowledged checkpoint lost or doubled; every start ready within 3 s",
        short=3,
        long=2_000,
        goes_on=True,
        unit="kills",
        needs="postgres",
    ),
    Check(
        "T4",
        "fault.kills.kill_collector:kill_collector",
        "kill -9 the collector",
        "the resumed dataset equals an uninterrupted one; never half a CSV",
        short=3,
        long=2_000,
        goes_on=True,
        unit="kills",
    ),
    Check(
        "T4e",
        "fault.kills.kill_export:kill_export",
        "kill -9 while the CSV of real runs is written",
        "the CSV is whole or not there; the same call ends it with the same bytes",
        short=4,
        long=2_000,
    ),
    Check(
        "T4w",
        "fault.kills.kill_export:kill_workers",
        "kill -9 a worker of the collector's pool",
        "the collection ends with an error and keeps every run; resumed it equals an "
        "uninterrupted one",
        short=3,
        long=200,
    ),
    Check(
        "T5",
        "fault.disks.full_disk:full_disk",
        "the disk is full at the N-th page of the store",
        "a clear error, everything acknowledged readable, work goes on when there is space",
        short=12,
        long=200,
    ),
    Check(
        "T5s",
        "fault.disks.store_errors:store_errors",
        "ENOSPC and EIO at the N-th write, truncation or sync of SQLite, for every N",
        "a clear error, everything acknowledged readable, integrity ok, work goes on",
        short=150,
        long=300,
    ),
    Check(
        "T5d",
        "fault.disks.failing_datasets:failing_datasets",
        "ENOSPC and EIO at the N-th write, fsync or rename of a dataset and of the collector's "
        "journal, for every N; oracle collect with no room",
        "the old file or the new one, nothing left over, the same call goes on; one line that "
        "names the file, exit code not 0",
        short=40,
        long=100,
    ),
    Check(
        "T5a",
        "fault.disks.failing_artifacts:failing_artifacts",
        "ENOSPC and EIO at the N-th write, fsync, rename or new folder of an artifact, for every N",
        "that error, every artifact there whole, the old one or the new one active",
        short=80,
        long=200,
    ),
    Check(
        "T6",
        "fault.kills.kill_trainer:kill_trainer",
        "kill -9 oracle train, every fifth time after its last epoch",
        "every artifact in models/ whole, none before the end; --resume ends as if never killed",
        short=2,
        long=200,
        needs="tensorflow",
    ),
    Check(
        "T7",
        "fault.bad_models:bad_models",
        "flips, truncations, missing and swapped files, broken numbers in an activated model",
        "refused, the old model answers",
        short=400,
        long=125_000,
    ),
    Check(
        "T8",
        "fault.hostile_models:hostile_models",
        "hostile models: pickles, Keras and zip files, wrong numbers, bombs, links, pipes; rounds",
        "each refused by a clear error within 5 s, nothing run or opened, memory within 200 MB",
        short=1,
        long=100,
    ),
    Check(
        "T21",
        "fault.deadlines:deadlines",
        "hook and client against services that drip, stall, lie, speak HTTP/2 or no HTTP, in clear "
        "text, in TLS and in its handshake; rounds",
        "each answers within twice its deadline of 1 s, nearly all within 1.2 times; no stop, no "
        "exception, no thread left a deadline later",
        short=1,
        long=10,
    ),
    Check(
        "T24",
        "fault.forks:forks",
        "forks of processes whose threads load the model and report",
        "every child watches a run to its end, none hangs",
        short=10,
        long=2_000,
    ),
)
