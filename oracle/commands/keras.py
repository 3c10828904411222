"""Loading Keras for a command."""

from __future__ import annotations

import os
from pathlib import Path


def load_keras() -> None:
    """Import Keras without the lines of notices that TensorFlow writes to stderr meanwhile.

    They come before its log is set up, so that no level keeps them back; an error is one line.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    stderr = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        import oracle.training.architectures  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
