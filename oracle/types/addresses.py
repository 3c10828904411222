"""Addresses as people give them, taken apart by one rule."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def taken_apart(address: str) -> SplitResult | None:
    """Take a URL apart; None where it names no host, or a port that there is none of.

    >>> taken_apart("https://oracle.example:8000").port
    8000
    >>> taken_apart("http://["), taken_apart("http://h:99999"), taken_apart("h:8000")
    (None, None, None)
    """
    try:
        parts = urlsplit(address)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:
        return None
