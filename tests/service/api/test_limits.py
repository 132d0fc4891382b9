"""Requests are counted for each caller, by all processes together in Redis, and locally without Redis."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from grader.errors import InputError
from grader.service.api.limits import RequestLimits, find_network
from grader.service.application import make_application
from grader.service.settings import Settings
from tests.support.api_server import Api

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that accepts connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening


def test_each_caller_has_a_limit_of_their_own() -> None:
    limits = RequestLimits(NOWHERE, 2)
    assert [limits.count_request("kim"), limits.count_request("kim"), limits.count_request("lee")] == [0, 0, 0]
    assert 0 < limits.count_request("kim") <= 60


def test_processes_count_together_where_there_is_redis(redis_url: str) -> None:
    one, other = RequestLimits(redis_url, 2), RequestLimits(redis_url, 2)
    assert [one.count_request("kim"), other.count_request("kim")] == [0, 0]
    assert one.count_request("kim") > 0
    assert other.count_request("kim") > 0
    assert other.count_request("lee") == 0


def test_without_redis_each_process_counts_alone() -> None:
    limits = RequestLimits(NOWHERE, 1)
    assert limits.count_request("kim") == 0
    assert limits.count_request("kim") > 0


@pytest.mark.parametrize("broker", ["amqp://user:secret@elsewhere", "nonsense", "redis://host:port/0"])
def test_a_broker_that_is_no_redis_is_refused_at_the_start(settings: Settings, broker: str) -> None:
    with pytest.raises(InputError, match="GRADER_BROKER") as refused:
        make_application(replace(settings, broker=broker))
    assert "secret" not in str(refused.value)


def test_a_redis_that_does_not_answer_is_left_alone_for_a_while(silent: socket.socket) -> None:
    limits = RequestLimits(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", 1)
    assert limits.count_request("kim") == 0
    silent.accept()[0].close()
    assert limits.count_request("kim") > 0
    silent.setblocking(False)
    with pytest.raises(BlockingIOError):  # no connection was made for the second request
        silent.accept()


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
    ],
)
def test_who_has_a_whole_network_is_one_caller(address: str, counted: str) -> None:
    assert find_network(address) == counted


def test_too_many_requests_are_told_when_to_come_back(started: Callable[[Settings], Api], settings: Settings) -> None:
    api = started(replace(settings, requests_per_minute=3))
    answers = [api["kim"].get("/v1/assignments") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert answers[-1].json()["type"] == "/problems/too-many-requests"
    assert api["lee"].get("/v1/assignments").status_code == 200


def test_guessing_tokens_is_limited_by_address(started: Callable[[Settings], Api], settings: Settings) -> None:
    api = started(replace(settings, requests_per_minute=3))
    guesses = [api["bad"].get("/v1/assignments", headers={"Authorization": f"Bearer {n}"}) for n in range(4)]
    assert [answer.status_code for answer in guesses] == [401, 401, 401, 429]
    assert api["nobody"].get("/v1/assignments").status_code == 429
    assert api["kim"].get("/v1/assignments").status_code == 200
    assert api["nobody"].get("/health/live").status_code == 200
