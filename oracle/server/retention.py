"""Old runs are forgotten, by a clock that is not believed at once: a jump must cost no run."""

from __future__ import annotations

import time
from collections.abc import Callable

#: So far may the clock run ahead of the time that has passed, seconds.
TOLERANCE_S = 300.0
#: After a jump it is believed once it has stayed so for this long, seconds.
PATIENCE_S = 3_600.0

Clock = Callable[[], float]


class BelievedClock:
    """Seconds since 1970, as late as can be believed.

    A clock that is set forward by mistake makes every run look old, and what was deleted does not
    come back with the right time. That a service was away for longer looks the same: then nothing
    is deleted in its first hour.

    Args:
        newest: the latest time that the store knows; None = nothing is stored.
        clock: seconds since 1970.
        steady: seconds that nobody sets.
    """

    def __init__(
        self, newest: float | None, clock: Clock = time.time, steady: Clock = time.monotonic
    ) -> None:
        self._clock, self._steady = clock, steady
        self._at = steady()
        self._believed = clock() if newest is None else newest
        self._ahead, self._since = 0.0, self._at

    def now(self) -> float:
        """Give the time; while the clock is in doubt, what has passed since it was not."""
        steady, clock = self._steady(), self._clock()
        expected = self._believed + (steady - self._at)
        ahead = clock - expected
        if abs(ahead - self._ahead) > TOLERANCE_S:  # it has just jumped
            self._ahead, self._since = ahead, steady
        if ahead > TOLERANCE_S and steady - self._since < PATIENCE_S:
            return expected
        self._believed, self._at = clock, steady
        self._ahead = 0.0
        return clock
