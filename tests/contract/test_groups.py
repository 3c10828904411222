"""What costs much is made once: tests that share it are given to one worker."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def dear() -> str:
    return "made once a worker"


def test_those_that_share_a_fixture_go_to_one_worker(
    dear: str, request: pytest.FixtureRequest
) -> None:
    if request.config.getoption("loadgroup", default=False):  # as `make test` has it
        file = "tests/contract/test_groups.py"
        assert request.node.nodeid.partition("@")[2] == file
