"""The parts of Celery and kombu that we use and their documentation does not promise.

All such uses are in this module. `tests/contracts/test_celery.py` fails if an upgrade moves one of them.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.app.defaults import SETTING_KEYS
from kombu.transport.redis import Channel

from grader.errors import SystemFault

__all__ = ["configure", "count_reserved", "count_unacknowledged"]

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
