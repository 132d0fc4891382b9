"""What a worker takes from Redis: messages that ask for a job. Whatever else lies in its queues is dropped.

Another program may write there, or an operator by hand. Kombu and Celery believe a message's form; one that is no JSON,
or has a number in place of a name, would end the worker, and again when it is started anew. A dropped message costs
nothing: the database is the record, and asks for its jobs again.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from typing import Any

from grader.service.broker import TASK

__all__ = ["LONGEST_MESSAGE", "read_message"]

LONGEST_MESSAGE = 65_536  # bytes; ours have about a thousand
_JOB = re.compile(r"[A-Za-z0-9_-]{1,64}")

_log = logging.getLogger("grader.service.messages")


def read_message(raw: Any, queue: str) -> dict[str, Any] | None:
    """Return a message anew if it asks for a job, with nothing of the old one but the job and its ids.

    Args:
        raw: the message as JSON values of any form.
        queue: the queue that it came from.

    Returns:
        The message in kombu's form; None if it asks for no job.
    """
    try:
        headers, properties = raw["headers"], raw["properties"]
        (job,), *_ = json.loads(base64.b64decode(raw["body"], validate=True))
        names = [job, headers["id"], properties["delivery_tag"]]
        asks = headers["task"] == TASK and all(isinstance(name, str) and _JOB.fullmatch(name) for name in names)
    except (TypeError, KeyError, ValueError, RecursionError):
        asks = False
    if not asks:
        _log.warning("a message in the queue %s asks for no job and was dropped", queue)
        return None
    return _make_message(job, headers["id"], properties["delivery_tag"], queue)


def _make_message(job: str, identifier: str, tag: str, queue: str) -> dict[str, Any]:
    afterwards = dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))
    body = json.dumps([[job], {}, afterwards]).encode()
    return {
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {
            "task": TASK,
            "id": identifier,
            "root_id": identifier,
            "argsrepr": repr((job,)),
            "kwargsrepr": "{}",
        },
        "properties": {
            "correlation_id": identifier,
            "delivery_tag": tag,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
        },
    }
