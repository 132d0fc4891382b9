"""Limits: requests per minute of a token or an address, and concurrent operations of a token.

Requests are counted in Redis, and in this process while Redis is away. Concurrent operations are always counted in each
process by itself.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.retry import Retry

from grader.errors import InputError

__all__ = ["ConcurrencyLimit", "RequestLimits", "find_network"]

_TIMEOUT_SECONDS = 0.25  # a request must not wait long for a Redis that is away
_PAUSE_SECONDS = 5.0  # before Redis is tried again after it did not answer
_PREFIX_BITS = 64  # of an IPv6 address; a subscriber has all addresses that share them

log = logging.getLogger("grader.service.api")


class RequestLimits:
    """A moving window of one minute for each caller, shared by all API processes while Redis answers."""

    def __init__(self, broker: str, requests_per_minute: int) -> None:
        """Count in the broker's Redis.

        Args:
            broker: URL of Redis.
            requests_per_minute: the limit of each caller.

        Raises:
            InputError: the URL is not one of Redis.
        """
        self._limit = RateLimitItemPerMinute(requests_per_minute)
        self._local = MovingWindowRateLimiter(MemoryStorage())
        self._paused_until = 0.0
        try:
            pool = ConnectionPool.from_url(
                broker,
                socket_timeout=_TIMEOUT_SECONDS,
                socket_connect_timeout=_TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:  # its text does not contain the URL, which may contain a password
            raise InputError(f"GRADER_BROKER is not a URL of Redis: {error}; give redis://host:6379/0") from None
        storage = RedisStorage(broker, connection_pool=pool, key_prefix="grader-limits", wrap_exceptions=True)
        self._shared = MovingWindowRateLimiter(storage)

    def count_request(self, caller: str) -> int:
        """Count a request.

        Returns:
            0 if the request is within the limit, else the number of seconds that the caller has to wait.
        """
        if time.monotonic() >= self._paused_until:
            try:
                return self._count_in(self._shared, caller)
            except StorageError as error:
                log.warning("requests are counted in each process by itself, Redis does not answer: %s", error)
                self._paused_until = time.monotonic() + _PAUSE_SECONDS
        return self._count_in(self._local, caller)

    def _count_in(self, window: MovingWindowRateLimiter, caller: str) -> int:
        if window.hit(self._limit, caller):
            return 0
        opens = window.get_window_stats(self._limit, caller).reset_time
        return max(1, math.ceil(opens - time.time()))


class ConcurrencyLimit:
    """The number of long operations of each token at once. Use it from the event loop only."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: Counter[str] = Counter()

    @contextmanager
    def acquire(self, token: str) -> Iterator[bool]:
        """Count one more operation while the context lasts. Yield False, and count nothing, if the limit is reached."""
        if self._running[token] >= self._most:
            yield False
            return
        self._running[token] += 1
        try:
            yield True
        finally:
            self._running[token] -= 1
            if not self._running[token]:
                del self._running[token]


def find_network(address: str) -> str:
    """Return the unit that counts as one caller: an IPv4 address, or the IPv6 network of one subscriber."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, _PREFIX_BITS), strict=False))
