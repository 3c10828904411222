"""Loading Keras for a command says nothing on stderr."""

from __future__ import annotations

import builtins
import os
from typing import Any

import pytest

from oracle.commands.keras import load_keras


def test_what_tensorflow_writes_while_it_loads_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    own, loaded = builtins.__import__, []

    def noisy(name: str, *rest: Any) -> Any:
        if not name.endswith(".architectures"):
            return own(name, *rest)
        loaded.append(name)
        os.write(2, b"oneDNN custom operations are on\n")
        return None

    monkeypatch.setattr(builtins, "__import__", noisy)
    load_keras()
    os.write(2, b"what went wrong\n")
    assert loaded
    assert capfd.readouterr().err == "what went wrong\n"
