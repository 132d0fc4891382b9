"""Whatever lies in a worker's queue, the worker goes on and grades what is asked for next."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from grader.service.broker import TASK
from grader.service.foreign_messages import LONGEST_MESSAGE, read_message
from tests.support.running_service import RunningService, notebooks, until


def encode(*values: Any) -> str:
    """Return a body of arguments as Celery encodes it."""
    return base64.b64encode(json.dumps(values).encode()).decode()


RIGHT: dict[str, Any] = {
    "body": encode(["a-job"], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}),
    "content-type": "application/json",
    "content-encoding": "utf-8",
    "headers": {"task": TASK, "id": "an-id", "timelimit": [None, None], "eta": None},
    "properties": {"delivery_tag": "a-tag", "body_encoding": "base64", "delivery_info": {"routing_key": "cpu"}},
}


def change(**changes: Any) -> dict[str, Any]:
    """Return a message with changed values; a name with __ stands for one inside, None as a value removes it."""
    message = copy.deepcopy(RIGHT)
    for name, value in changes.items():
        *outer, last = name.replace("_TYPE", "-type").replace("_ENCODING", "-encoding").split("__")
        target = message[outer[0]] if outer else message
        if value is None:
            del target[last]
        else:
            target[last] = value
    return message


FOREIGN: dict[str, Any] = {
    "no body": change(body=None),
    "a body that is no text": change(body=7),
    "a body that is no base64": change(body="%%%"),
    "a body that is no JSON": change(body=base64.b64encode(b"\x80abc").decode()),
    "a body without arguments": change(body=encode()),
    "a body of another type": change(body=base64.b64encode(b"5").decode()),
    "two arguments": change(body=encode(["a-job", "another"], {}, {})),
    "a job that is a number": change(body=encode([7], {}, {})),
    "a job that is a list": change(body=encode([["a-job"]], {}, {})),
    "a job with a NUL": change(body=encode(["a\0job"], {}, {})),
    "no headers": change(headers=None),
    "headers that are a list": change(headers=["task"]),
    "another task": change(headers__task="celery.backend_cleanup"),
    "a task that is a list": change(headers__task=[TASK]),
    "no id": change(headers__id=None),
    "an id that is a number": change(headers__id=1),
    "no properties": change(properties=None),
    "properties that are a text": change(properties="delivery_tag"),
    "a tag that is an object": change(properties__delivery_tag={"a": 1}),
    "a number": 5,
    "null": None,
    "a list": [1, 2],
    "a text": "text",
    "an empty object": {},
    "the first protocol": {"task": TASK, "id": "an-id", "args": ["a-job"], "kwargs": {}},
}
# What is believed of these is the job alone.
HARMLESS: dict[str, Any] = {
    "another type of content": change(content_TYPE="application/x-python-serialize"),
    "an unknown encoding": change(content_ENCODING="rot13"),
    "a codec that is unknown": change(properties__body_encoding="zip"),
    "a time that is none": change(headers__eta="yesterday"),
    "limits that are texts": change(headers__timelimit="forever"),
    "retries that are an object": change(headers__retries={}),
    "another queue": change(properties__delivery_info={"routing_key": ["gpu"], "exchange": 5}),
    "tasks to run afterwards": change(body=encode(["a-job"], {"x": 1}, {"callbacks": [{"task": "other"}], "chain": 5})),
}
UNREADABLE: dict[str, bytes] = {
    "no JSON": b"hello",
    "nothing": b"",
    "no UTF-8": b"\xff\xfe{}",
    "half a message": json.dumps(RIGHT).encode()[:50],
    "JSON in JSON in JSON": b"[" * 50_000,
    "a type that kombu builds": b'{"__type__": "uuid", "__value__": 5}',
    "a huge message": json.dumps(change(headers__task="x" * 10 * LONGEST_MESSAGE)).encode(),
    "a huge number": b"1" * 5000,
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_asks_for_no_job_is_dropped(name: str) -> None:
    assert read_message(FOREIGN[name], "cpu") is None


@pytest.mark.parametrize("name", HARMLESS)
def test_only_the_job_and_ids_of_a_message_are_kept(name: str) -> None:
    expected = read_message(RIGHT, "cpu")
    assert expected
    assert read_message(HARMLESS[name], "cpu") == expected
    assert json.loads(base64.b64decode(expected["body"]))[0] == ["a-job"]
    assert expected["properties"]["delivery_info"] == {"exchange": "", "routing_key": "cpu"}


@pytest.mark.slow
def test_no_message_ends_a_worker(tmp_path: Path) -> None:
    with RunningService(tmp_path, republish_seconds=1000) as service:
        worker = service.worker()
        first = service.hand_in(notebooks(1))
        service.wait(first)
        with redis.Redis(port=service.redis.port) as connection:
            for message in (*FOREIGN.values(), *HARMLESS.values()):
                connection.lpush("cpu", json.dumps(message))
            connection.lpush("cpu", *UNREADABLE.values())
            until(lambda: connection.llen("cpu") == 0, last_words=service.last_words)
        second = service.hand_in(notebooks(1))
        service.wait(second)
        assert worker.lives
        assert len(worker.children()) == 1
        assert service.last_words().count("Traceback") == 0


def test_a_message_as_celery_sends_it_is_taken(sent: Callable[[], dict[str, Any]]) -> None:
    message = sent()
    read = read_message(message, "cpu")
    assert read
    assert json.loads(base64.b64decode(read["body"]))[0] == json.loads(base64.b64decode(message["body"]))[0]
    for name in ("content-type", "content-encoding"):
        assert read[name] == message[name]
    assert read["properties"]["delivery_tag"] == message["properties"]["delivery_tag"]


@pytest.fixture
def sent(tmp_path: Path) -> Callable[[], dict[str, Any]]:
    """Send a message and take it out of Redis."""
    from grader.service.broker import make_broker_app, send_message
    from grader.service.settings import Settings
    from grader.service.store.queries.queue import QueuedJob
    from tests.support.running_service import RedisServer

    def send() -> dict[str, Any]:
        server = RedisServer(tmp_path)
        try:
            with make_broker_app(Settings(broker=server.url)) as app, redis.Redis(port=server.port) as connection:
                assert send_message(app, QueuedJob("id", "cpu"))
                taken: Any = connection.rpop("cpu")
                message: dict[str, Any] = json.loads(taken)
                return message
        finally:
            server.kill()

    return send
