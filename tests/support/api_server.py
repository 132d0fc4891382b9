"""The API over a real SQLite store, served from a thread or as a process, with a client for each role."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn

from grader.service.application import make_application
from grader.service.settings import Settings
from grader.service.store.database import Store
from grader.service.store.queries.tokens import Role, create_token

__all__ = ["Api", "ApiServer", "bearer", "client", "free_port", "running", "served", "settings_in", "tokens"]

TLS = ssl.create_default_context()  # nobody here speaks it, and each client would load all certificates again
PEOPLE = {"staff": Role.INSTRUCTOR, "ci": Role.CI, "kim": Role.STUDENT, "lee": Role.STUDENT}


@dataclass(frozen=True)
class Api:
    """A service in a thread: its store, and a client for each of `PEOPLE`, for a bad token and for no token."""

    settings: Settings
    store: Store
    url: str
    clients: dict[str, httpx.Client]

    def __getitem__(self, who: str) -> httpx.Client:
        return self.clients[who]


@dataclass(frozen=True)
class ApiServer:
    """`grader serve` as a process of its own."""

    url: str
    process: subprocess.Popen[str]
    secrets: dict[str, str]

    def client(self, who: str) -> httpx.Client:
        return client(self.url, bearer(self.secrets[who]))


def settings_in(folder: Path) -> Settings:
    return Settings(
        database=f"sqlite:///{folder}/grader.sqlite",
        blobs=f"file://{folder}/blobs",
        broker=f"redis://127.0.0.1:{free_port()}/0",
        requests_per_minute=1_000_000,
        upload_bytes=2**20,
    )


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
    """Serve the application from a thread and give its URL."""
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
