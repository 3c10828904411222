"""`make fault`: the long form of the fault checks."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does, see pyproject.toml

from reliability import main

from fault.checks import CHECKS

if __name__ == "__main__":
    main("fault", CHECKS)
