"""What a turn of the event loop writes is sent at once, in order, and never after the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from oracle.server.http.protocol import MAX_HELD_BYTES, JoinedWrites


class Wire(asyncio.Transport):
    """A transport that remembers."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Remember what is sent."""
        assert not self.closed
        self.sent.append(bytes(data))

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def close(self) -> None:
        """Close."""
        self.closed = True

    def abort(self) -> None:
        """Close."""
        self.closed = True


def sent(*turns: Callable[[JoinedWrites], None]) -> list[bytes]:
    """What is sent when each function has a turn of the event loop."""
    wire = Wire()

    async def run() -> None:
        joined = JoinedWrites(wire, asyncio.get_running_loop())
        for turn in turns:
            turn(joined)
            await asyncio.sleep(0)

    asyncio.run(run())
    return wire.sent


def test_a_head_and_its_body_are_sent_together() -> None:
    def answer(wire: JoinedWrites) -> None:
        wire.write(b"head ")
        wire.write(b"body")

    assert sent(answer, answer) == [b"head body", b"head body"]


def test_much_is_sent_without_waiting() -> None:
    def answer(wire: JoinedWrites) -> None:
        wire.write(b"head ")
        wire.write(b"x" * MAX_HELD_BYTES)
        wire.write(b"end")

    assert sent(answer) == [b"head " + b"x" * MAX_HELD_BYTES, b"end"]


def test_what_is_held_is_sent_before_the_end() -> None:
    def answer(wire: JoinedWrites) -> None:
        wire.write(b"refused")
        wire.close()

    assert sent(answer) == [b"refused"]


def test_nothing_is_sent_after_the_end() -> None:
    def answer(wire: JoinedWrites) -> None:
        wire.write(b"too late")
        wire.abort()

    assert sent(answer) == []


def test_everything_else_is_the_transports_own() -> None:
    def ask(wire: JoinedWrites) -> None:
        wire.write(f"{wire.get_extra_info('peername')[0]}".encode())

    assert sent(ask) == [b"127.0.0.1"]
