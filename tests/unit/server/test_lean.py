"""What a client says that it takes."""

from __future__ import annotations

import pytest

from oracle.server.lean import _takes_gzip


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("gzip", True), ("br, gzip;q=0.5", True), ("*", True), ("identity", False), ("", False),
        ("gzip;q=0", False), ("*;q=0.5, gzip;q=0", False), ("gzip;q=0.1, *;q=0", True),
        ("*;q=0", False), ("GZIP ; q=0.000", False),
    ],
)  # fmt: skip
def test_gzip_is_taken_where_it_is_said(accepted: str, takes: bool) -> None:
    assert _takes_gzip(accepted) == takes
