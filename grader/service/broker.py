"""Messages that ask a worker for a grading: Celery's application, made from the settings.

A message only carries a grading's id. The database is the record, so one that is lost, late or there twice costs time
and nothing else: Redis loses what a worker had just taken when it was killed, whatever is set here.
"""

from __future__ import annotations

import logging
from typing import Protocol

import redis
from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError

from grader.service.settings import Settings

__all__ = ["QUEUES", "TASK", "Enqueueable", "broker_is_up", "make_broker_app", "send"]

QUEUES = ("cpu", "gpu")
TASK = "grader.grade"

_SECONDS_TO_ANSWER = 3.0
_SECONDS_UNTIL_SENT_AGAIN = 86_400  # longer than any grading: sending again what got lost is the database's part
_TASKS_OF_A_PROCESS = 500  # before it is renewed, and with it whatever a rubric left behind
_MEMORY_OF_A_PROCESS = 3 * 2**20  # KiB, before it is renewed
_SECONDS_TO_MISS_A_PROCESS = 1.0  # a killed one's message is done with then: it makes room for the next
_SECONDS_TO_START = 180.0  # of a worker's process: it imports torch

_log = logging.getLogger("grader.service.broker")


class Enqueueable(Protocol):
    """A grading that is to be asked for, and the queue to ask in; `store.leases.Publication` is one."""

    @property
    def grading(self) -> str:
        """The grading's id."""

    @property
    def queue(self) -> str:
        """One of `QUEUES`."""


def make_broker_app(settings: Settings) -> Celery:
    """Return Celery's application; nothing connects before something is sent or a worker starts."""
    app = Celery("grader", broker=settings.broker, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        result_backend=None,
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=False,  # a submission that kills its worker would come back for ever
        task_queues=[Queue(name) for name in QUEUES],
        task_default_queue=QUEUES[0],
        task_create_missing_queues=False,
        task_routes={TASK: {"queue": QUEUES[0]}},  # what is sent says its queue; this is for who sends by hand
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        # What runs is not stopped where Redis is away for a moment: the fence keeps a second run of it from counting.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_lost_wait=_SECONDS_TO_MISS_A_PROCESS,
        worker_max_memory_per_child=_MEMORY_OF_A_PROCESS,
        worker_max_tasks_per_child=_TASKS_OF_A_PROCESS,
        worker_proc_alive_timeout=_SECONDS_TO_START,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_soft_shutdown_timeout=_SECONDS_TO_ANSWER,
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=_SECONDS_TO_ANSWER,
        broker_transport_options={
            "visibility_timeout": _SECONDS_UNTIL_SENT_AGAIN,
            "socket_connect_timeout": _SECONDS_TO_ANSWER,
            "socket_timeout": _SECONDS_TO_ANSWER,  # a worker's waiting pop is read when it answers, however late
            "socket_keepalive": True,
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.2,
            "interval_max": 0.2,
        },
    )
    return app


def send(app: Celery, publication: Enqueueable) -> bool:
    """Ask for a grading; where the broker is down say so and return False: the grading is dispatched again later."""
    try:
        app.send_task(TASK, (publication.grading,), queue=publication.queue, retry=False, ignore_result=True)
    except (OperationalError, OSError, redis.RedisError) as error:
        _log.warning("grading %s was not sent, the broker is down: %s", publication.grading, error)
        return False
    return True


def broker_is_up(settings: Settings) -> bool:
    """Tell whether the broker answers within a few seconds."""
    timeouts = {"socket_connect_timeout": _SECONDS_TO_ANSWER, "socket_timeout": _SECONDS_TO_ANSWER}
    try:
        with redis.Redis.from_url(settings.broker, **timeouts) as connection:
            return bool(connection.ping())
    except (redis.RedisError, OSError):
        return False
