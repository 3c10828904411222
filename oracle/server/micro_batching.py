"""Micro-batching: requests that come together are forecast together.

A busy event loop finds several requests at once, and the network answers sixteen histories in
half the time of sixteen answers. Answers make clients ask again, so while every turn of the loop
brings somebody, more are on their way: without waiting for them, sixteen clients fall into groups
of five that never meet. Nobody waits for company that does not come: the first turn without it
ends the waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from oracle.types import Forecast, History

#: Histories forecast at once: the loop is held for a few milliseconds at most.
MOST = 16

_Waiting = tuple[History, asyncio.Future[Forecast | None]]


class MicroBatcher:
    """Collects histories while every turn of the event loop brings more.

    Args:
        forecast_each: answers several at once: a forecast each, None without a model, an error.
    """

    def __init__(
        self,
        forecast_each: Callable[[Sequence[History]], Sequence[Forecast | Exception | None]],
    ) -> None:
        self._forecast_each = forecast_each
        self._waiting: list[_Waiting] = []

    async def forecast(self, history: History) -> Forecast | None:
        """Forecast with whoever else asks now; None without a model."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._look, loop, 0)
        done: asyncio.Future[Forecast | None] = loop.create_future()
        self._waiting.append((history, done))
        return await done

    def _look(self, loop: asyncio.AbstractEventLoop, seen: int) -> None:
        """Wait one more turn where this one brought somebody, else answer."""
        if seen < len(self._waiting) < MOST:
            loop.call_soon(self._look, loop, len(self._waiting))
        else:
            self._answer(loop)

    def _answer(self, loop: asyncio.AbstractEventLoop) -> None:
        together, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        if self._waiting:
            loop.call_soon(self._look, loop, 0)
        together = [(history, done) for history, done in together if not done.done()]
        answers = self._forecast_each([history for history, _ in together])
        for (_, done), found in zip(together, answers, strict=True):
            if isinstance(found, Exception):
                done.set_exception(found)
            else:
                done.set_result(found)
