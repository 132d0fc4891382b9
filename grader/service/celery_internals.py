"""The parts of Celery and kombu that we use and their documentation does not promise.

All such uses are in this module. `tests/contracts/test_celery.py` fails if an upgrade moves one of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from celery import Celery
from celery.app.defaults import SETTING_KEYS
from kombu.transport import redis as redis_transport
from kombu.transport.redis import Channel, Empty, Transport
from redis import ResponseError

from grader.errors import SystemFault

__all__ = ["configure", "count_reserved", "count_unacknowledged", "guard_queues"]

_log = logging.getLogger("grader.service.messages")

_RETRY_OPTIONS = {"max_retries", "interval_start", "interval_step", "interval_max"}  # read for all transports


def configure(app: Celery, **settings: Any) -> None:
    """Apply settings to a Celery application.

    `app.conf.update` accepts any name and ignores those that it does not know. This function refuses them, also among
    the options of the Redis transport.

    Raises:
        SystemFault: this version of Celery or kombu does not know a setting.
    """
    options = settings.get("broker_transport_options", {})
    unknown = {"Celery": settings.keys() - SETTING_KEYS}
    unknown["kombu"] = options.keys() - set(Channel.from_transport_options) - _RETRY_OPTIONS
    for library, names in unknown.items():
        if names:
            raise SystemFault(f"this version of {library} has no setting {', '.join(sorted(names))}")
    app.conf.update(settings)


def count_unacknowledged(consumer: Any) -> int:
    """Return how many messages a worker's consumer took and has not acknowledged."""
    quality = consumer.task_consumer.channel.qos
    return int(quality.prefetch_count - (quality.can_consume_max_estimate() or 0))


def count_reserved() -> int:
    """Return how many jobs this worker has taken and not finished."""
    from celery.worker import state  # imported here because it loads all of the worker, and the API needs none of it

    return len(state.reserved_requests)


def guard_queues(read_message: Callable[[Any, str], dict[str, Any] | None], longest: int) -> None:
    """Let this process take only messages from Redis that `read_message` returns, and let no other one end it.

    Args:
        read_message: takes a message as JSON values, and its queue. It returns the message to take, or None.
        longest: the number of characters above which a message is not read.

    Raises:
        SystemFault: this version of kombu reads messages in another way.
    """
    try:
        load, read, deliver = redis_transport.loads, Channel._brpop_read, Transport._deliver
    except AttributeError as error:
        raise SystemFault(f"this version of kombu reads messages in another way: {error}") from None

    @wraps(load)
    def load_bounded(text: str, *arguments: Any, **options: Any) -> Any:
        if len(text) > longest:
            raise ValueError(f"a message has {len(text)} characters")
        return load(text, *arguments, **options)

    @wraps(read)
    def read_next(channel: Any, **options: Any) -> Any:
        try:
            return read(channel, **options)
        except (Empty, ResponseError, *channel.connection_errors):  # there was no message
            raise
        except Exception as error:  # a message may break its reader in any way, and is not in the queue any more
            _log.warning("a message could not be read and was dropped: %s", type(error).__name__)
            return True

    @wraps(deliver)
    def deliver_jobs(transport: Any, raw: Any, queue: str) -> None:
        message = read_message(raw, queue)
        if message is not None:
            deliver(transport, message, queue)

    redis_transport.loads, Channel._brpop_read, Transport._deliver = load_bounded, read_next, deliver_jobs
