"""Messages: their content, their queues, and what happens while the broker is away."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from grader.service.broker import TASK, broker_is_up, make_broker_app, send_message
from grader.service.settings import Settings
from grader.service.store.queries.queue import QueuedJob
from tests.support.running_service import RedisServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A broker that tests may kill."""
    made = RedisServer(tmp_path)
    yield made
    made.kill()


def waiting(server: RedisServer, queue: str) -> list[dict[str, Any]]:
    """Return the messages of a queue."""
    with redis.Redis(port=server.port) as connection:
        texts: Any = connection.lrange(queue, 0, -1)
        return [json.loads(text) for text in texts]


def test_a_message_carries_an_id_and_waits_in_its_queue(server: RedisServer) -> None:
    queues = ("cpu", "gpu", "gpu-small")  # the last one is not among those of the application
    with make_broker_app(Settings(broker=server.url)) as app:
        for queue in queues:
            assert send_message(app, QueuedJob(f"id-{queue}", queue))
    for queue in queues:
        (message,) = waiting(server, queue)
        assert message["headers"]["task"] == TASK
        assert message["headers"]["argsrepr"] == f"('id-{queue}',)"
        assert message["content-type"] == "application/json"


def test_while_the_broker_is_away_nothing_is_sent_and_later_it_is_again(server: RedisServer) -> None:
    settings = Settings(broker=server.url)
    with make_broker_app(settings) as app:
        assert broker_is_up(settings)
        assert send_message(app, QueuedJob("first", "cpu"))
        server.kill()
        assert not broker_is_up(settings)
        assert not send_message(app, QueuedJob("lost", "cpu"))
        server.start()
        assert broker_is_up(settings)
        assert send_message(app, QueuedJob("second", "cpu"))
    # Whether the first outlives the kill is Redis' affair: what was just written may be lost.
    sent = {message["headers"]["argsrepr"] for message in waiting(server, "cpu")} - {"('first',)"}
    assert sent == {"('second',)"}


def test_a_broker_that_was_never_there_is_no_exception() -> None:
    settings = Settings(broker="redis://127.0.0.1:1/0")
    assert not broker_is_up(settings)
    with make_broker_app(settings) as app:
        assert not send_message(app, QueuedJob("lost", "cpu"))


@pytest.mark.slow
def test_a_broker_that_takes_connections_and_says_nothing_is_down_as_well() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        settings = Settings(broker=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        assert not broker_is_up(settings)
        with make_broker_app(settings) as app:
            assert not send_message(app, QueuedJob("lost", "cpu"))


def test_it_imports_no_torch() -> None:
    code = "import sys, grader.service.broker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
