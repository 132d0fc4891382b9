"""Databases with all tables, and an API with a token of each role; its broker is down unless a test starts one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from grader.service.settings import Settings
from grader.service.store.database import Store, migrate
from tests.support.api_server import Api, ApiServer, free_port, running, settings_in, tokens


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with tables and nothing in them."""
    path = tmp_path_factory.mktemp("migrated") / "grader.sqlite"
    migrate(Settings(database=f"sqlite:///{path}"))
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def started(migrated: Path, tmp_path: Path) -> Iterator[Callable[[Settings], Api]]:
    """Start a service in this process, for any settings of this store."""
    shutil.copy(migrated, tmp_path / "grader.sqlite")
    with ExitStack() as stack:
        yield lambda settings: stack.enter_context(running(settings))


@pytest.fixture
def api(started: Callable[[Settings], Api], settings: Settings) -> Api:
    return started(settings)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A redis-server of its own."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        for line in server.stdout:
            if "Ready to accept connections" in line:
                break
        yield f"redis://127.0.0.1:{port}/0"
        server.terminate()


@pytest.fixture
def server(settings: Settings) -> Iterator[ApiServer]:
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
        yield ApiServer(found[0], process, secrets)
        process.kill()
