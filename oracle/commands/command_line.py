"""The command line as metadata tells it."""

from __future__ import annotations

import re
import sys


def command_line() -> str:
    """Give the command as it was typed, passwords in URLs masked."""
    words = (re.sub(r"://([^:/@]*):.*@", r"://\1:***@", word) for word in sys.argv[1:])
    return " ".join(["oracle", *words])
