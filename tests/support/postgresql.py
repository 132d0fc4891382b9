"""A PostgreSQL of a test's own: nothing else on this machine knows it, and it ends with the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

PROGRAMS = Path("/usr/lib/postgresql")
# Nothing here has to outlive a power cut.
FAST = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"]


class PostgresServer:
    """Gives databases on a server that listens in a folder only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0

    def create(self) -> str:
        """Make a database and return its URL."""
        self._made += 1
        name = f"test_{self._made}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql+psycopg{self._address(name).removeprefix('postgresql')}"

    def _address(self, name: str) -> str:
        return f"postgresql://grader@/{name}?host={self._folder}"


@contextmanager
def server(settings: Sequence[str] = FAST) -> Iterator[PostgresServer]:
    """Run a server in a temporary folder until the end of the block, or of this process.

    Args:
        settings: beside where it listens; without any it is as durable as in deployment.
    """
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="postgresql-of-tests-"))
    account = _account()
    if account:
        shutil.chown(folder, account, pwd.getpwnam(account).pw_gid)
    try:
        data = folder / "data"
        cluster = [f"--pgdata={data}", "--username=grader", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
        initdb = [*_as(account), f"{programs}/initdb", "--no-sync", *cluster]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=folder)
        chosen = ["listen_addresses=", f"unix_socket_directories={folder}", *settings]
        options = [part for setting in chosen for part in ("-c", setting)]
        with open(folder / "log", "wb") as log:
            # SIGQUIT is a quick shutdown; it also comes when this process dies.
            running = subprocess.Popen(
                [*_as(account), "setpriv", "--pdeathsig", "QUIT", f"{programs}/postgres", "-D", str(data), *options],
                stdout=log,
                stderr=log,
                cwd=folder,
            )
        try:
            ready = [f"{programs}/pg_isready", "--quiet", f"--host={folder}"]
            while subprocess.run(ready, check=False).returncode != 0:
                assert running.poll() is None, (folder / "log").read_text("utf-8")
            yield PostgresServer(folder)
        finally:
            running.send_signal(signal.SIGQUIT)
            running.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    versions = sorted(PROGRAMS.glob("*/bin/initdb"), key=lambda path: int(path.parent.parent.name))
    assert versions, "no PostgreSQL on this machine: sudo apt-get install postgresql"
    return versions[-1].parent


def _account() -> str:
    """Return who runs it: PostgreSQL refuses to be run by root."""
    if os.geteuid() != 0:
        return ""
    return "postgres" if any(each.pw_name == "postgres" for each in pwd.getpwall()) else "nobody"


def _as(account: str) -> list[str]:
    if not account:
        return []
    entry = pwd.getpwnam(account)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
