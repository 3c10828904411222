"""T2: Schemathesis proves the service against its own description."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from reliability import Result
from serving import Server

# Events never end; T1 asks for them in process.
_EXCLUDED = ("--exclude-path", "/v1/events")

# A body that breaks the schema by its size alone is refused by its size. A schema cannot say that
# columns have one length and epochs increase, nor which cursor an earlier page gave, so some
# requests that fit it are refused, rightly: T1 draws bodies that must not be.
# Every other check is on; the option `--checks all` would overrule this.
_CONFIG = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415, 422, 429]

[[operations]]
include-method = "POST"
checks.positive_data_acceptance.enabled = false

[[operations]]
include-path = "/v1/runs"
checks.positive_data_acceptance.enabled = false

[[operations]]
include-path = "/v1/promising"
checks.positive_data_acceptance.enabled = false
"""


def fuzz_schema(folder: Path, n: int) -> Result:
    """Send up to `n` examples a route."""
    result = Result()
    (folder / "schemathesis.toml").write_text(_CONFIG)
    # Making an example may take longer than a connection stays idle; one that closes just as the
    # next request leaves is no answer that breaks the description.
    settings = {"rate_limit_per_s": 1e9, "rate_limit_burst": 10**9, "keep_alive_s": 3_600}
    with Server(folder, **settings) as server:
        done = subprocess.run(
            [
                Path(sys.executable).parent / "schemathesis", "run", f"{server.url}/openapi.json",
                *_EXCLUDED, "--max-examples", str(n), "--no-color",
                "--generation-deterministic", "--suppress-health-check", "all",
            ],
            capture_output=True, text=True, check=False, cwd=folder,
        )  # fmt: skip
        text = done.stdout + done.stderr
        cases = re.search(r"(\d[\d,]*) generated", text)
        result.checked = int(cases[1].replace(",", "")) if cases else 0
        if done.returncode:
            result.failed = 1
            found = text.partition("FAILURES")[2].partition("WARNINGS")[0] or text
            result.failures = [one[:1_500] for one in found.split("Test Case ID")][:10]
        alive = server.process is not None and server.process.poll() is None
        result.check(alive, "the server ended")
    return result
