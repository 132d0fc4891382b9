"""The capacity of the API and of Redis, each started for this alone."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import redis
from sqlalchemy import select

from benchmarks.service_limits.grading import ASSIGNMENT, Figures, graded_once, notebooks
from benchmarks.service_limits.processor import cpu_seconds, postgresql_cpu_seconds
from benchmarks.service_limits.storing import DURABLE
from grader.results.report import Report
from grader.service.broker import make_broker_app, send_message
from grader.service.settings import Settings
from grader.service.store.queries.leases import claim_lease, finish_job
from grader.service.store.queries.queue import QueuedJob
from grader.service.store.queries.tokens import Role, create_token
from grader.service.store.schema import JobRow
from tests.support.postgresql import server
from tests.support.running_service import RedisServer, RunningService

__all__ = ["api", "messages"]

_CLIENTS = 8  # at once
_MESSAGES = 5000


def api() -> Figures:
    """Load one API process, with its own PostgreSQL and Redis: submit, poll a submission, fetch reports."""
    report = graded_once()
    notebook = notebooks()[0].read_bytes()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        database = stack.enter_context(server(DURABLE)).create()
        bounds = {"requests_per_minute": 10**7}
        service = stack.enter_context(RunningService(Path(folder), database=database, assignments=ASSIGNMENT, **bounds))
        service.serve()
        url = f"http://127.0.0.1:{service.api_port}"
        _wait_for(f"{url}/health/live")
        secrets = [create_token(service.store, f"c{n}", Role.STUDENT, f"c{n}") for n in range(_CLIENTS)]
        clients = [
            stack.enter_context(httpx.Client(base_url=url, headers={"Authorization": f"Bearer {each}"}, timeout=60))
            for each in secrets
        ]
        asked = _Asked(service, clients)
        handed_in = asked.all(300, lambda client, number: _hand_in(client, notebook + b" " * number))
        _graded(service, report)
        mine = [asked.first[client]["submission"] for client in clients]
        looked = asked.all(600, lambda client, _: client.get(f"/v1/submissions/{mine[clients.index(client)]}"))
        fetched = asked.all(
            300, lambda client, _: client.get(f"/v1/submissions/{mine[clients.index(client)]}/report?format=html")
        )
    names = ("api_submit", "api_look", "api_report")
    return {
        f"{name}_{what}": value
        for name, rates in zip(names, (handed_in, looked, fetched), strict=True)
        for what, value in rates.items()
    }


class _Asked:
    """Sends requests from several clients at once, and measures their rate and the CPU of the API and of PostgreSQL."""

    def __init__(self, service: RunningService, clients: Sequence[httpx.Client]) -> None:
        assert service.api is not None
        self._process = service.api.pid
        self._clients = clients
        self.first: dict[httpx.Client, Mapping[str, str]] = {}

    def all(self, count: int, ask: Callable[[httpx.Client, int], httpx.Response]) -> dict[str, float]:
        """Send `count` requests, each client in turn; return requests a second, and the CPU seconds of one."""

        def one_client(place: int) -> None:
            client = self._clients[place]
            for number in range(place, count, len(self._clients)):
                answer = ask(client, number)
                assert answer.is_success, answer.text
                if client not in self.first:
                    self.first[client] = answer.json()

        before, database, started = cpu_seconds([self._process]), postgresql_cpu_seconds(), time.perf_counter()
        with ThreadPoolExecutor(len(self._clients)) as threads:
            list(threads.map(one_client, range(len(self._clients))))
        seconds = time.perf_counter() - started
        return {
            "per_second": count / seconds,
            "cpu_seconds": (cpu_seconds([self._process]) - before) / count,
            "postgresql_cpu_seconds": (postgresql_cpu_seconds() - database) / count,
        }


def _hand_in(client: httpx.Client, notebook: bytes) -> httpx.Response:
    """Submit one notebook."""
    form = {"assignment": ASSIGNMENT, "training": "none"}
    return client.post("/v1/submissions", data=form, files={"files": ("homework.ipynb", notebook)})


def _graded(service: RunningService, report: Report) -> None:
    """Give every submission this report."""
    with service.store.read_session() as session:
        jobs = list(session.scalars(select(JobRow.id)))
    for job in jobs:
        lease = claim_lease(service.store, job, "worker", 600, "cpu")
        assert lease
        finish_job(service.store, lease, report)


def _wait_for(url: str) -> None:
    """Wait until the API answers."""
    for _ in range(300):
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"{url} does not answer")


def messages() -> Figures:
    """Send messages to a Redis server: measure a message's memory and file size, and the rate."""
    with tempfile.TemporaryDirectory() as folder:
        redis_server = RedisServer(Path(folder))
        app = make_broker_app(Settings(broker=redis_server.url))
        send_message(app, QueuedJob("0" * 36, "cpu"))
        before, started = _redis_bytes(redis_server), time.perf_counter()
        for number in range(_MESSAGES):
            assert send_message(app, QueuedJob(f"{number:036}", "cpu"))
        seconds = time.perf_counter() - started
        figures: Figures = {
            "redis_bytes_per_message": (_redis_bytes(redis_server) - before) / _MESSAGES,
            "messages_sent_per_second": _MESSAGES / seconds,
        }
        app.close()
        redis_server.kill()
    return figures


def _redis_bytes(redis_server: RedisServer) -> int:
    """Return the memory of Redis' data."""
    with redis.Redis(port=redis_server.port) as connection:
        return int(connection.info("memory")["used_memory_dataset"])
