"""Events of a batch are sent once and in order, also to clients that were away for a while."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from grader.service.api.service import STREAMS_PER_TOKEN
from tests.support.api_batches import claimed, graded, hand_in
from tests.support.api_server import Api, ApiServer
from tests.support.running_service import until

SECONDS_TO_STOP = 15  # less than the server gives what it has to finish


def told(lines: Iterator[str]) -> Iterator[tuple[int, str]]:
    """Read the id and kind of each event of a stream."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "event" in fields:
            assert isinstance(json.loads(fields["data"]), dict)
            yield int(fields["id"]), fields["event"]
            fields = {}


def watched(client: httpx.Client, batch: str, *, after: int = 0, header: int | None = None) -> list[tuple[int, str]]:
    headers = {} if header is None else {"Last-Event-ID": str(header)}
    answer = client.get(f"/v1/batches/{batch}/events", params={"after": after}, headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    return list(told(iter(answer.text.splitlines())))


def test_a_batch_that_has_ended_tells_all_and_ends(api: Api) -> None:
    batch = hand_in(api["staff"], "kim", "lee").json()["batch"]
    graded(api.store)
    events = watched(api["staff"], batch)
    assert [kind for _, kind in events] == ["accepted", "claimed", "claimed", "graded", "graded", "done"]
    ids = [number for number, _ in events]
    assert ids == sorted(ids)


@pytest.mark.parametrize("by_header", [True, False], ids=["Last-Event-ID", "after"])
def test_whoever_comes_back_goes_on_after_the_last_event(api: Api, by_header: bool) -> None:
    batch = hand_in(api["staff"], "kim", "lee").json()["batch"]
    graded(api.store)
    events = watched(api["staff"], batch)
    for last, (number, _) in enumerate(events[:-1]):
        again = watched(api["staff"], batch, header=number) if by_header else watched(api["staff"], batch, after=number)
        assert again == events[last + 1 :]


def test_events_come_while_they_happen(api: Api) -> None:
    batch = hand_in(api["staff"], "kim", "lee").json()["batch"]
    with api["staff"].stream("GET", f"/v1/batches/{batch}/events") as stream:
        events = told(stream.iter_lines())
        assert next(events)[1] == "accepted"
        graded(api.store, next(iter(by_key(api, batch).values())))
        assert [next(events)[1] for _ in range(2)] == ["claimed", "graded"]
        api["staff"].post(f"/v1/batches/{batch}/cancel")
        assert [kind for _, kind in events] == ["cancelled", "done"]


def test_one_token_has_few_streams(api: Api) -> None:
    batch = hand_in(api["staff"], "kim").json()["batch"]
    place = f"/v1/batches/{batch}/events"
    with ExitStack() as watching:
        for _ in range(STREAMS_PER_TOKEN):
            assert watching.enter_context(api["staff"].stream("GET", place)).status_code == 200
        with api["staff"].stream("GET", place) as refused:
            assert refused.status_code == 429
        with api["ci"].stream("GET", place) as others:
            assert others.status_code == 404
        api["staff"].post(f"/v1/batches/{batch}/cancel")
    until(lambda: api["staff"].get(place).status_code == 200)  # once the server has noticed that the client is gone
    assert api["staff"].get(place).text.rstrip().endswith("data: {}")


def by_key(api: Api, batch: str) -> dict[str, str]:
    items = api["staff"].get(f"/v1/batches/{batch}/submissions").json()["items"]
    return {item["key"]: item["id"] for item in items}


@pytest.mark.slow
def test_many_who_watch_keep_nobody_waiting(api: Api) -> None:
    batch = hand_in(api["staff"]).json()["batch"]
    with ExitStack() as watching:
        for _ in range(60):  # more than there are threads
            stream = watching.enter_context(api["staff"].stream("GET", f"/v1/batches/{batch}/events"))
            assert next(told(stream.iter_lines()))[1] == "accepted"
        assert api["lee"].get("/v1/assignments").status_code == 200
    assert len(claimed(api.store)) == 3
    assert api["staff"].get(f"/v1/batches/{batch}").json()["states"]["leased"] == 3


def test_an_id_that_is_none_is_refused(api: Api) -> None:
    batch = hand_in(api["staff"]).json()["batch"]
    for after in ("-1", "x", str(2**70)):
        assert api["staff"].get(f"/v1/batches/{batch}/events", params={"after": after}).status_code == 422


@pytest.mark.slow
def test_a_server_that_stops_ends_its_streams(server: ApiServer) -> None:
    with server.client("staff") as client:
        batch = hand_in(client).json()["batch"]
        with client.stream("GET", f"/v1/batches/{batch}/events") as stream:
            events = told(stream.iter_lines())
            assert next(events)[1] == "accepted"
            server.process.send_signal(signal.SIGTERM)
            assert list(events) == []  # without `done`: a client comes back for the rest
        server.process.communicate(timeout=SECONDS_TO_STOP)
    assert server.process.returncode in {0, -signal.SIGTERM}
