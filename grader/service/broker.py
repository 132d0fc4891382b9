"""The message broker: Celery's application on Redis, made from the settings.

A message asks a worker to grade a job and carries only the job's id. The database is the record, so a message that is
lost, late or duplicated costs time and nothing else. That matters because Redis loses the message that a worker had
just taken when it was killed, whatever is configured here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

import redis
from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError

from grader.service.celery_internals import configure
from grader.service.queues import CPU, GPU
from grader.service.settings import Settings

__all__ = ["TASK", "Enqueueable", "broker_is_up", "make_broker_app", "send_message"]

TASK = "grader.grade"

_TIMEOUT_SECONDS = 3.0  # for each answer of Redis
_REDELIVERY_SECONDS = 86_400  # longer than any job: resending lost messages is the database's task
_JOBS_PER_PROCESS = 500  # then the process is replaced, and with it whatever a rubric left behind
_KIB_PER_PROCESS = 3 * 2**20  # memory above which the process is replaced
_SECONDS_UNTIL_LOST = 1.0  # until a killed process's message is settled, which makes room for the next one
_START_SECONDS = 180.0  # for a worker's process to start: it imports torch

_log = logging.getLogger("grader.service.broker")


class Enqueueable(Protocol):
    """A job to enqueue, and on which queue; `store.queries.queue.QueuedJob` is one."""

    @property
    def job(self) -> str:
        """The job's id."""

    @property
    def queue(self) -> str:
        """Its queue's name."""


def make_broker_app(settings: Settings, queues: Sequence[str] = ()) -> Celery:
    """Return Celery's application. It connects only when a message is sent or a worker starts.

    Args:
        settings: where the broker is.
        queues: those that a worker takes messages from. Messages can be sent to any other as well.
    """
    app = Celery("grader", broker=settings.broker, set_as_current=False)
    configure(
        app,
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        result_backend=None,
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=False,  # a submission that kills its worker would come back for ever
        task_queues=[Queue(name) for name in dict.fromkeys((CPU, GPU, *queues))],
        task_default_queue=CPU,
        task_create_missing_queues=False,
        task_routes={TASK: {"queue": CPU}},  # `send_message` names a queue; this is for messages sent by hand
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        # A job keeps running while Redis is briefly away: the fence keeps a second run of it from counting.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_lost_wait=_SECONDS_UNTIL_LOST,
        worker_max_memory_per_child=_KIB_PER_PROCESS,
        worker_max_tasks_per_child=_JOBS_PER_PROCESS,
        worker_proc_alive_timeout=_START_SECONDS,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_soft_shutdown_timeout=_TIMEOUT_SECONDS,
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=_TIMEOUT_SECONDS,
        broker_transport_options={
            "visibility_timeout": _REDELIVERY_SECONDS,
            "socket_connect_timeout": _TIMEOUT_SECONDS,
            "socket_timeout": _TIMEOUT_SECONDS,  # a worker's blocking pop is read when it answers, however late
            "socket_keepalive": True,
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.2,
            "interval_max": 0.2,
        },
    )
    return app


def send_message(app: Celery, job: Enqueueable) -> bool:
    """Send the message that asks for a job. If the broker is down, log it and return False: the job is resent later."""
    try:
        app.send_task(TASK, (job.job,), queue=Queue(job.queue), retry=False, ignore_result=True)
    except (OperationalError, OSError, redis.RedisError) as error:
        _log.warning("job %s was not enqueued, the broker is down: %s", job.job, error)
        return False
    return True


def broker_is_up(settings: Settings) -> bool:
    """Return whether the broker answers within a few seconds."""
    timeouts = {"socket_connect_timeout": _TIMEOUT_SECONDS, "socket_timeout": _TIMEOUT_SECONDS}
    try:
        with redis.Redis.from_url(settings.broker, **timeouts) as connection:
            return bool(connection.ping())
    except (redis.RedisError, OSError):
        return False
