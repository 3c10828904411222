"""`make scale`: the short form of the checks of size; the long one with ARGS=--long."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does, see pyproject.toml

from reliability import main

from scale.checks import CHECKS, PAGE

if __name__ == "__main__":
    main("scale", CHECKS, PAGE, in_short=True)
