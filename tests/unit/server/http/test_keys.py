"""API keys and rates."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle.errors import InvalidHistory, NotAuthorized
from oracle.server.http.keys import MAX_BUCKETS, Buckets, Door, new_key, read_keys
from oracle.server.settings import Settings


def test_keys_come_from_the_environment_and_a_file(tmp_path: Path) -> None:
    lines = [new_key(name)[1] for name in ("ann", "bob", "ann")]
    file = tmp_path / "keys"
    file.write_text(f"# a comment\n\n{lines[0]}\n")
    settings = Settings(api_keys=f"{lines[1]}, {lines[2]}", api_keys_file=file)
    assert [key.owner for key in read_keys(settings)] == ["bob", "ann", "ann"]


@pytest.mark.parametrize("line", ["ann", "ann:xyz", "a b:" + "0" * 64, "ann:" + "0" * 63])
def test_a_bad_line_is_named_and_not_shown(line: str) -> None:
    with pytest.raises(InvalidHistory, match="api_keys, part 1") as error:
        read_keys(Settings(api_keys=line))
    assert line not in str(error.value)


def test_a_key_needs_a_plain_owner() -> None:
    with pytest.raises(InvalidHistory):
        new_key("a b")


def test_the_door_knows_keys_by_digest() -> None:
    secret, line = new_key("ann")
    settings = Settings(api_keys=line, rate_limit_per_s=0.1, rate_limit_burst=2)
    door = Door(settings, read_keys(settings))
    assert door.enter(f"Bearer {secret}".encode(), "x") == ("ann", 0.0)
    assert door.enter(f"bearer {secret}".encode(), "x") == ("ann", 0.0)
    owner, wait_s = door.enter(f"Bearer {secret}".encode(), "x")
    assert owner == "ann"
    assert 0 < wait_s <= 10
    for wrong in (None, b"", b"Bearer", b"Bearer x", f"Basic {secret}".encode(), b"\xff"):
        with pytest.raises(NotAuthorized):
            door.enter(wrong, "y")


@pytest.mark.parametrize("wrong", [None, b"Bearer wrong"])
def test_failures_of_one_address_have_a_rate(wrong: bytes | None) -> None:
    secret, line = new_key("ann")
    settings = Settings(api_keys=line, wrong_keys_per_s=0.1)
    door = Door(settings, read_keys(settings))
    with pytest.raises(NotAuthorized):
        door.enter(wrong, "x")
    assert door.enter(wrong, "x")[1] > 0
    with pytest.raises(NotAuthorized):
        door.enter(wrong, "y")
    assert door.enter(f"Bearer {secret}".encode(), "x") == ("ann", 0.0)


def test_without_keys_everybody_is_nobody() -> None:
    assert Door(Settings(), ()).enter(None, "x") == ("", 0.0)


def test_a_bucket_refills_at_its_rate() -> None:
    now = 0.0
    bucket = Buckets(2.0, 4, clock=lambda: now)
    assert [bucket.take("a") for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert bucket.take("b") == 0
    now = 1.0
    assert [bucket.take("a") for _ in range(3)] == [0, 0, 0.5]


def test_buckets_are_bounded() -> None:
    bucket = Buckets(1.0, 1)
    for i in range(MAX_BUCKETS + 10):
        bucket.take(str(i))
    assert len(bucket._levels) == MAX_BUCKETS
