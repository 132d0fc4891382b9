"""How often one token, or one address, may ask, and how much one token may have going on at once.

Requests are counted in Redis, and in this process where Redis is away; what is going on, in each process alone.
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

__all__ = ["ConcurrencyShare", "RequestLimits", "find_network"]

_ANSWERS_WITHIN = 0.25  # seconds; a request must not wait for a Redis that is away
_LEFT_ALONE = 5.0  # seconds, after Redis did not answer
_ADDRESSES_OF_ONE = 64  # bits of an IPv6 address; one subscriber has all that share them

log = logging.getLogger("grader.service.api")


class RequestLimits:
    """A moving window of a minute for each caller, shared by all API processes while Redis is there."""

    def __init__(self, broker: str, requests_per_minute: int) -> None:
        """Count in the broker's Redis.

        Args:
            broker: Redis' URL.
            requests_per_minute: for each caller.

        Raises:
            InputError: the URL is none of Redis.
        """
        self._limit = RateLimitItemPerMinute(requests_per_minute)
        self._alone = MovingWindowRateLimiter(MemoryStorage())
        self._left_alone_until = 0.0
        try:
            pool = ConnectionPool.from_url(
                broker,
                socket_timeout=_ANSWERS_WITHIN,
                socket_connect_timeout=_ANSWERS_WITHIN,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:  # its text does not hold the URL, which may hold a password
            raise InputError(f"GRADER_BROKER is no address of Redis: {error}; give redis://host:6379/0") from None
        storage = RedisStorage(broker, connection_pool=pool, key_prefix="grader-limits", wrap_exceptions=True)
        self._shared = MovingWindowRateLimiter(storage)

    def wait(self, caller: str) -> int:
        """Count one request.

        Returns:
            For how many seconds this caller has to wait first; 0 where the request may go on.
        """
        if time.monotonic() >= self._left_alone_until:
            try:
                return self._wait(self._shared, caller)
            except StorageError as error:
                log.warning("requests are counted in each process alone, Redis does not answer: %s", error)
                self._left_alone_until = time.monotonic() + _LEFT_ALONE
        return self._wait(self._alone, caller)

    def _wait(self, window: MovingWindowRateLimiter, caller: str) -> int:
        if window.hit(self._limit, caller):
            return 0
        opens = window.get_window_stats(self._limit, caller).reset_time
        return max(1, math.ceil(opens - time.time()))


class ConcurrencyShare:
    """How many of what takes long one token has going on; used from the event loop alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._going_on: Counter[str] = Counter()

    @contextmanager
    def taken(self, token: str) -> Iterator[bool]:
        """Have one more going on, and tell whether that is within the share; where it is not, none is counted."""
        if self._going_on[token] >= self._most:
            yield False
            return
        self._going_on[token] += 1
        try:
            yield True
        finally:
            self._going_on[token] -= 1
            if not self._going_on[token]:
                del self._going_on[token]


def find_network(address: str) -> str:
    """Return what is counted as one caller: an address, of IPv6 the network that a subscriber gets."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, _ADDRESSES_OF_ONE), strict=False))
