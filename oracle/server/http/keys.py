"""API keys and rates: who calls, and how often.

Keys are known by their SHA-256 only. They are random and long, so a plain digest is enough:
there is nothing to guess that a slow hash would protect.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from oracle.errors import InvalidHistory, NotAuthorized
from oracle.server.http.answers import too_often
from oracle.server.settings import Settings

#: Owner of what is stored where there are no keys.
NOBODY = ""
#: Callers whose rate is remembered, each worker.
MAX_BUCKETS = 10_000
_LINE = re.compile(r"^([A-Za-z0-9._-]{1,64}):([0-9a-fA-F]{64})$")


@dataclass(frozen=True)
class Key:
    """One API key: its owner's name and its digest. An owner may have several."""

    owner: str
    digest: bytes


def new_key(owner: str) -> tuple[str, str]:
    """Make a key: the secret for the client and the line for the server.

    Raises:
        InvalidHistory: where `owner` is no name.
    """
    secret = secrets.token_urlsafe(32)
    line = f"{owner}:{hashlib.sha256(secret.encode()).hexdigest()}"
    _parse(line, "owner")
    return secret, line


def read_keys(settings: Settings) -> tuple[Key, ...]:
    """Read the keys from the settings and the key file.

    Raises:
        InvalidHistory: naming the line that is not `NAME:SHA256`, never its text.
        OSError: where the file cannot be read.
    """
    parts = [p.strip() for p in settings.api_keys.get_secret_value().split(",") if p.strip()]
    keys = [_parse(part, f"api_keys, part {n}") for n, part in enumerate(parts, 1)]
    if settings.api_keys_file is not None:
        name = settings.api_keys_file.name
        for n, line in enumerate(settings.api_keys_file.read_text("utf-8").splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                keys.append(_parse(line.strip(), f"{name}, line {n}"))
    return tuple(keys)


def _parse(line: str, where: str) -> Key:
    match = _LINE.match(line)
    if match is None:
        raise InvalidHistory(
            f"`{where}` must be NAME:SHA256, NAME of letters, digits, `.`, `_` or `-`. "
            "`oracle serve --new-key NAME` makes a line."
        )
    return Key(match[1], bytes.fromhex(match[2]))


class Buckets:
    """Token buckets by caller: `per_s` sustained, `burst` at once. Counted by each worker."""

    def __init__(
        self, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.per_s, self.burst, self.clock = per_s, burst, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, tokens: float = 1.0) -> float:
        """Take tokens; returns 0.0, or the seconds to wait when there are too few.

        What is more than a burst is taken from a full bucket, and owed.
        """
        now = self.clock()
        level, then = self._levels.pop(caller, (self.burst, now))
        level = min(self.burst, level + (now - then) * self.per_s)
        needed = min(tokens, self.burst)
        wait = 0.0 if level >= needed else (needed - level) / self.per_s
        self._levels[caller] = (level - tokens if wait == 0.0 else level, now)
        if len(self._levels) > MAX_BUCKETS:
            self._levels.popitem(last=False)  # the longest unseen has refilled the most
        return wait


class Door:
    """Let callers in by key, at their rate."""

    def __init__(self, settings: Settings, keys: tuple[Key, ...]) -> None:
        self.keys = keys
        self.rates = Buckets(settings.rate_limit_per_s, settings.rate_limit_burst)
        self.wrong = Buckets(settings.wrong_keys_per_s, max(1, 10 * settings.wrong_keys_per_s))

    def charge(self, owner: str, more: int) -> None:
        """Count more against an owner's rate than the one request that came in.

        Raises:
            Refused: 429, its rate is used up.
        """
        if self.keys and more > 0 and (wait_s := self.rates.take(owner, more)):
            raise too_often(wait_s)

    def enter(self, authorization: bytes | None, address: str) -> tuple[str, float]:
        """Find the owner of a request.

        Returns:
            The owner, and 0.0 or the seconds to wait where the rate is used up.

        Raises:
            NotAuthorized: key missing or unknown.
        """
        if not self.keys:
            return NOBODY, 0.0
        scheme, _, secret = (authorization or b"").partition(b" ")
        digest = hashlib.sha256(secret.strip()).digest()
        owner = None
        for key in self.keys:  # all of them, so that the time tells nothing
            if hmac.compare_digest(key.digest, digest):
                owner = key.owner
        if owner is None or scheme.lower() != b"bearer":
            wait = self.wrong.take(address)
            if wait:
                return NOBODY, wait
            if authorization is None:
                raise NotAuthorized("An API key must be given: `Authorization: Bearer KEY`.")
            raise NotAuthorized("The API key must be a known one.")
        return owner, self.rates.take(owner)
