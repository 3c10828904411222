"""What a watched run is told in tests."""

from __future__ import annotations

from oracle.hook import WatchedRun


def good(run: WatchedRun, epoch: float, mqe: float = 0.1) -> bool:
    """Report a checkpoint of a run that nothing is wrong with."""
    return run.report(epoch, mqe=mqe, topographic_error=0.1, dead_neuron_ratio=0.1).stop


def bad(run: WatchedRun, epoch: float) -> bool:
    """Report a checkpoint far above the threshold of 1.0."""
    return good(run, epoch, mqe=3.0)
