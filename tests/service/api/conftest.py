"""An API over a real SQLite store, with a token of each role; its broker is down unless a test starts one."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn

from grader.service.application import make_application
from grader.service.settings import Settings
from grader.service.store.database import Store, migrate
from grader.service.store.queries.tokens import Role, create_token

TLS = ssl.create_default_context()  # not used here, but each client would load all certificates again
PEOPLE = {"staff": Role.INSTRUCTOR, "ci": Role.CI, "kim": Role.STUDENT, "lee": Role.STUDENT}


@dataclass(frozen=True)
class Api:
    """A service in a thread: its store, and clients for each of `PEOPLE`, for an invalid token and without a token."""

    settings: Settings
    store: Store
    url: str
    clients: dict[str, httpx.Client]

    def __getitem__(self, who: str) -> httpx.Client:
        return self.clients[who]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with empty tables."""
    path = tmp_path_factory.mktemp("migrated") / "grader.sqlite"
    migrate(Settings(database=f"sqlite:///{path}"))
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


def settings_in(folder: Path) -> Settings:
    return Settings(
        database=f"sqlite:///{folder}/grader.sqlite",
        blobs=f"file://{folder}/blobs",
        broker=f"redis://127.0.0.1:{free_port()}/0",
        requests_per_minute=1_000_000,
        upload_bytes=2**20,
    )


@pytest.fixture
def started(migrated: Path, tmp_path: Path) -> Iterator[Callable[[Settings], Api]]:
    """Start services in this process, for any settings of this store."""
    shutil.copy(migrated, tmp_path / "grader.sqlite")
    with ExitStack() as stack:
        yield lambda settings: stack.enter_context(running(settings))


@pytest.fixture
def api(started: Callable[[Settings], Api], settings: Settings) -> Api:
    return started(settings)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A separate redis-server."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        for line in server.stdout:
            if "Ready to accept connections" in line:
                break
        yield f"redis://127.0.0.1:{port}/0"
        server.terminate()


@dataclass(frozen=True)
class Server:
    """`grader serve` as a separate process."""

    url: str
    process: subprocess.Popen[str]
    secrets: dict[str, str]

    def client(self, who: str) -> httpx.Client:
        return client(self.url, bearer(self.secrets[who]))


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    migrate(settings)
    store = Store.open(settings)
    secrets = tokens(store)
    store.close()
    names = ("database", "blobs", "broker", "requests_per_minute", "upload_bytes")
    told = {f"GRADER_{name.upper()}": str(getattr(settings, name)) for name in names}
    command = [str(Path(sys.executable).with_name("grader")), "serve", "--port", "0"]
    with subprocess.Popen(command, env={**os.environ, **told}, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        lines = iter(process.stderr.readline, "")
        found = next((match for line in lines if (match := re.search(r"http://[\d.]+:\d+", line))), None)
        assert found, process.poll()
        yield Server(found[0], process, secrets)
        process.kill()


def tokens(store: Store) -> dict[str, str]:
    return {
        name: create_token(store, name, role, person=name if role is Role.STUDENT else "")
        for name, role in PEOPLE.items()
    }


def client(url: str, headers: dict[str, str]) -> httpx.Client:
    return httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False, verify=TLS)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """Serve the application from a thread and yield its URL."""
    server = uvicorn.Server(uvicorn.Config(make_application(settings), log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=server.run, args=([listening],))
        serving.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            serving.join()


@contextmanager
def running(settings: Settings) -> Iterator[Api]:
    store = Store.open(settings)
    headers = {who: bearer(secret) for who, secret in (tokens(store) | {"bad": "grader_nonsense"}).items()}
    headers["nobody"] = {}
    with served(settings) as url, ExitStack() as opened:
        opened.callback(store.close)
        clients = {who: opened.enter_context(client(url, told)) for who, told in headers.items()}
        yield Api(settings, store, url, clients)
