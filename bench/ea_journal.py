"""The journal of bench/ea.py: searches that are done, one a line; a kill loses none of them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Key = tuple[str, str, str, int]  # kind of search, judge, table, seed


class Journal:
    """A file of entries, each with the conditions that it holds for.

    Args:
        path: the file, made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def read(self, wanted: Mapping[Key, dict[str, Any]]) -> dict[Key, dict[str, Any]]:
        """Give the entries of the wanted searches that hold for the conditions wanted."""
        found: dict[Key, dict[str, Any]] = {}
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        for line in text.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # torn by a kill
            key = (entry["kind"], entry["judge"], entry["table"], entry["seed"])
            if key in wanted and entry["conditions"] == wanted[key]:
                found[key] = entry
        return found

    def add(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Append an entry, on a line of its own whatever a kill left before it."""
        with self._path.open("ab+") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read() != b"\n":
                    file.write(b"\n")
            file.write(json.dumps(entry).encode() + b"\n")
        return entry
