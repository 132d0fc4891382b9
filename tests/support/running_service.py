"""A service of real parts, in a folder of its own: Redis, a database, blobs, an API, and workers that can be killed."""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import redis
from sqlalchemy import func, select

from grader.models.recipe import Mode
from grader.results.report import Report
from grader.service.broker import make_broker_app
from grader.service.enqueue import enqueue_waiting_jobs
from grader.service.settings import Settings
from grader.service.store.database import Store, migrate
from grader.service.store.queries.hand_ins import NewSubmission, accept_batch
from grader.service.store.queries.tokens import Role, Token, create_token, find_token
from grader.service.store.schema import JobRow, ReportRow, State, SubmissionRow
from tests.support.notebooks import notebook_bytes
from tests.support.paths import ASSIGNMENTS, ROOT

__all__ = [
    "DOUBLED",
    "ROOT",
    "RedisServer",
    "RunningService",
    "ServiceProcess",
    "descendants",
    "notebooks",
    "processes",
    "until",
]

DOUBLED = str(ASSIGNMENTS / "doubled")

_DEADLINE = 120.0  # seconds after which a test gives up; nothing is decided by how long it takes


class RedisServer:
    """A redis-server with an append-only file, which can be killed, started again and wiped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """For Celery."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, with what its file holds, and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        bound = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        kept = ["--appendonly", "yes", "--maxmemory-policy", "noeviction", "--logfile", str(self._folder / "log")]
        self._process = subprocess.Popen(["redis-server", *bound, *kept])
        until(self.answers)

    def answers(self) -> bool:
        """Tell whether it does."""
        with redis.Redis(port=self.port) as connection:
            try:
                return bool(connection.ping())
            except redis.RedisError:
                return False

    def kill(self) -> None:
        """End it by SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def wipe(self) -> None:
        """Forget all that it kept; it must not be running."""
        assert self._process is None
        shutil.rmtree(self._folder)


class ServiceProcess:
    """A process that can be killed; it dies with the test that started it."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        with open(log, "ab") as file:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", sys.executable, *arguments],
                cwd=ROOT,
                env=environment,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its number; for a worker, that of the parent."""
        return self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def children(self) -> list[int]:
        """Return its children; those of a worker grade."""
        return [pid for pid, parent in processes() if parent == self.pid]

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait until it has ended, and return its exit code."""
        return self._process.wait(_DEADLINE)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()
        self._process.wait()


class RunningService:
    """Everything that a server has; use as a context manager. Workers and the API start when they are asked for.

    Args:
        folder: an empty one.
        processes: of a worker.
        changed: settings that are not those of a test.
    """

    def __init__(self, folder: Path, processes: int = 1, **changed: str | float | int) -> None:
        self.folder = folder
        self.processes = processes
        self.redis = RedisServer(folder / "redis")
        settings = Settings(
            database=f"sqlite:///{folder / 'grader.sqlite'}",
            blobs=f"file://{folder / 'blobs'}",
            broker=self.redis.url,
            assignments=DOUBLED,
            lease_seconds=2,
            republish_seconds=2,
            attempts=3,
            share=8,
        )
        self.settings: Settings = replace(settings, **changed)  # type: ignore[arg-type]
        migrate(self.settings)
        self.store = Store.open(self.settings)
        self.app = make_broker_app(self.settings)
        self.workers: list[ServiceProcess] = []
        self.api: ServiceProcess | None = None
        self.api_port = _free_port()
        self.log = folder / "workers.log"
        self.trap = folder / "trap"
        self.secret = create_token(self.store, f"faults-{os.getpid()}-{time.time_ns()}", Role.INSTRUCTOR)
        token = find_token(self.store, self.secret)
        assert token
        self.token: Token = token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for process in [*self.workers, *([self.api] if self.api else [])]:
            process.kill()
        self.redis.kill()
        self.app.close()
        self.store.close()

    def environment(self) -> dict[str, str]:
        """Return the environment of a worker, with its settings and its trap."""
        told = {f"GRADER_{name.upper()}": str(value) for name, value in asdict(self.settings).items()}
        return {**os.environ, **told, "GRADER_TEST_TRAP": str(self.trap)}

    def worker(self, queues: Sequence[str] = ("cpu",)) -> ServiceProcess:
        """Start a worker."""
        arguments = ["-m", "tests.support.worker_process", str(self.processes), *queues]
        self.workers.append(ServiceProcess(arguments, self.environment(), self.log))
        return self.workers[-1]

    def serve(self) -> None:
        """Start the API where it does not live."""
        if self.api is None or not self.api.lives:
            command = ["-c", "from grader.cli import app; app()", "serve", "--port", str(self.api_port)]
            self.api = ServiceProcess(command, self.environment(), self.log)

    def upload(self, files: Mapping[str, bytes], idempotency_key: str) -> str:
        """Hand a batch in over HTTP, as often as it takes until the API answers; return the batch's id.

        Its process may be killed at any time: the key keeps a second request from making a second batch.
        """
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for key, data in files.items():
                archive.writestr(f"class/{key}/homework.ipynb", data)
        headers = {"Authorization": f"Bearer {self.secret}", "Idempotency-Key": idempotency_key}
        form = {"assignment": Path(self.settings.assignments).name, "training": "none"}
        answers: list[httpx.Response] = []

        def accepted() -> bool:
            upload = {"files": ("class.zip", content.getvalue())}
            url = f"http://127.0.0.1:{self.api_port}/v1/batches"
            try:
                answers.append(httpx.post(url, headers=headers, data=form, files=upload, timeout=30))
            except httpx.TransportError:
                return False
            assert answers[-1].status_code in {202, 503}, answers[-1].text
            return answers[-1].status_code == 202

        until(accepted, last_words=self.last_words)
        return str(answers[-1].json()["batch"])

    def zygotes(self) -> list[int]:
        """Return the warm processes of all workers."""
        living = [worker for worker in self.workers if worker.lives]
        graders = [pid for worker in living for pid in worker.children()]
        return [pid for pid, parent in processes() if parent in graders]

    def keep_working(self) -> None:
        """Start a worker where none lives, and the API where it was killed, as whatever runs a server would."""
        if not any(worker.lives for worker in self.workers):
            self.worker()
        if self.api is not None:
            self.serve()

    def set_trap(self, step: str) -> None:
        """Have the next process that comes to this step die there."""
        whole = self.trap.with_suffix(".new")
        whole.write_text(step)
        whole.rename(self.trap)

    def accept(self, files: Mapping[str, bytes], mode: Mode = Mode.NONE, assignment: str = DOUBLED) -> str:
        """Accept a batch of one notebook a submission by its key, and return its id; nothing is dispatched."""
        return self.accept_files({key: [("homework.ipynb", data)] for key, data in files.items()}, mode, assignment)

    def accept_files(
        self, files: Mapping[str, list[tuple[str, bytes]]], mode: Mode = Mode.NONE, assignment: str = DOUBLED
    ) -> str:
        """Accept a batch of submissions by their keys, with files by their names."""
        new = [NewSubmission(key, key, files=own) for key, own in files.items()]
        return accept_batch(self.store, self.token, assignment, mode, "", new).batch

    def enqueue(self) -> int:
        """Send what may be sent, as the API does after it accepted."""
        return enqueue_waiting_jobs(self.store, self.app, self.settings)

    def hand_in(self, files: Mapping[str, bytes], mode: Mode = Mode.NONE, assignment: str = DOUBLED) -> str:
        """Accept a batch and dispatch it."""
        batch = self.accept(files, mode, assignment)
        self.enqueue()
        return batch

    def states(self, *batches: str) -> dict[str, State]:
        """Return the state of each submission's grading, by the submission's key."""
        query = select(SubmissionRow.key, JobRow.state).join(JobRow, JobRow.submission == SubmissionRow.id)
        with self.store.read_session() as session:
            return dict(session.execute(query.where(SubmissionRow.batch.in_(batches))).all())

    def gradings(self, *batches: str) -> dict[str, JobRow]:
        """Return each submission's grading, by the submission's key."""
        query = select(SubmissionRow.key, JobRow).join(JobRow, JobRow.submission == SubmissionRow.id)
        with self.store.read_session() as session:
            return dict(session.execute(query.where(SubmissionRow.batch.in_(batches))).all())

    def done(self, *batches: str) -> bool:
        """Tell whether nothing of these batches is still to be graded."""
        return not {State.WAITING, State.LEASED} & set(self.states(*batches).values())

    def wait(self, batch: str, seconds: float = _DEADLINE) -> None:
        """Wait until a batch is done; workers that were killed are started again."""

        def done() -> bool:
            self.keep_working()
            return self.done(batch)

        until(done, seconds, self.last_words)

    def last_words(self) -> str:
        """Return the end of what the workers logged."""
        return self.log.read_text(errors="replace")[-6000:] if self.log.exists() else ""

    def reports(self, *batches: str) -> dict[str, list[Report]]:
        """Return all reports of each submission, by its key; a submission that has none is there as well."""
        query = select(SubmissionRow.key, ReportRow.sha256).join(
            ReportRow, ReportRow.submission == SubmissionRow.id, isouter=True
        )
        found: dict[str, list[Report]] = {}
        with self.store.read_session() as session:
            for key, sha256 in session.execute(query.where(SubmissionRow.batch.in_(batches))).all():
                own = found.setdefault(key, [])
                if sha256 is not None:
                    own.append(Report.from_json(self.store.blobs.get(sha256).decode()))
        return found

    def attempts(self, *batches: str) -> int:
        """Return how often stages of these batches were claimed."""
        query = select(func.sum(JobRow.fence)).join(SubmissionRow, SubmissionRow.id == JobRow.submission)
        with self.store.read_session() as session:
            return int(session.scalar(query.where(SubmissionRow.batch.in_(batches))) or 0)


def notebooks(count: int) -> dict[str, bytes]:
    """Return as many notebooks by their submission's key, no two the same; every third gets one item wrong."""
    halves = {0: "return X", 1: "return X / 2", 2: "return X * 0.5"}
    return {
        f"student-{number:04}": notebook_bytes(
            f"# {number}\ndef double(X): return X + X", f"def halve(X): {halves[number % 3]}"
        )
        for number in range(count)
    }


def until(true: Callable[[], bool], seconds: float = _DEADLINE, last_words: Callable[[], str] = lambda: "") -> None:
    """Wait until something is true; an AssertionError where that is hopeless."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited for {seconds:.0f} s\n{last_words()}")
        time.sleep(0.05)


def descendants(pid: int) -> list[int]:
    """Return all processes below one."""
    found = [pid]
    everybody = list(processes())
    for each in found:
        found += [child for child, parent in everybody if parent == each]
    return found[1:]


def processes() -> list[tuple[int, int]]:
    """Return each process of this machine that has not ended, and its parent."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] != "Z":
                found.append((int(folder.name), int(fields[1])))
    return found


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
