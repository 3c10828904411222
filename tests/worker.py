"""What a worker process of a search does; importable, so that spawned workers find it."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from made_up import StandIn

from oracle.hook import watch

EPOCHS = 5


def evaluate(path: Path | str, run_id: str, quality: float = 0.5) -> tuple[int, str, int]:
    """Watch one run; give the process, how the run ended and its problems."""
    with watch(
        total_epochs=EPOCHS, population=path, population_name="t", run_id=run_id, model=StandIn()
    ) as run:
        for epoch in range(1, EPOCHS + 1):
            if run.report(epoch, mqe=quality, topographic_error=0.1, dead_neuron_ratio=0.1).stop:
                break
    return os.getpid(), run.state, run.problems.counts.total()


def evaluate_forever(path: Path | str, prefix: str) -> None:
    """Watch runs until killed, telling each one on stdout that has ended without a warning."""
    for n in count():
        *_, problems = evaluate(path, f"{prefix}-{n}")
        if not problems:
            print(f"{prefix}-{n}", flush=True)
