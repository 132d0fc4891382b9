"""The capacity of the store: whole lives of submissions on SQLite and PostgreSQL, dispatch in a long queue, blobs."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import Engine, event, text

from benchmarks.service_limits.grading import ASSIGNMENT, Figures, graded_once
from benchmarks.service_limits.processor import postgresql_cpu_seconds
from grader.models.recipe import Mode
from grader.results.report import Report
from grader.service.settings import Settings
from grader.service.store.blobs import Blobs
from grader.service.store.database import Store, migrate
from grader.service.store.queries.hand_ins import NewSubmission, accept_batch
from grader.service.store.queries.leases import claim_lease, finish_job, renew_lease
from grader.service.store.queries.queue import mark_enqueued
from grader.service.store.queries.tokens import Role, Token, create_token, find_token
from grader.service.store.queries.totals import count_totals
from tests.support.postgresql import server

__all__ = ["DURABLE", "blobs", "dispatching", "lives"]

# As in deployment: a commit survives a power cut.
DURABLE = ("max_connections=200",)

_LIVES = 200  # of submissions, from acceptance to the report
_OWNERS = 8  # who submit at once
_BLOBS = 500
_DISPATCHES = 10


@contextmanager
def _opened_store(database: str, folder: Path) -> Iterator[tuple[Store, list[Token]]]:
    """Yield a store that holds nothing but the tokens of some submitters."""
    settings = Settings(database=database, blobs=f"file://{folder}/blobs")
    migrate(settings)
    store = Store.open(settings)
    try:
        yield store, [_owner(store, f"class {number}") for number in range(_OWNERS)]
    finally:
        store.close()


def _owner(store: Store, name: str) -> Token:
    found = find_token(store, create_token(store, name, Role.INSTRUCTOR))
    assert found
    return found


def lives() -> Figures:
    """Take submissions through the store, from acceptance to the report, on either database."""
    report = graded_once()
    figures: Figures = {}
    with ExitStack() as stack:
        # On a disk: a file system in memory does not sync.
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd()))
        file = Path(folder, "grader.sqlite")
        store, owners = stack.enter_context(_opened_store(f"sqlite:///{file}", Path(folder)))
        before_bytes = file.stat().st_size
        seconds, transactions = _lived(store, owners, report)
        store.close()  # moves the log into the file
        figures["sqlite_submissions_per_second"] = _LIVES / seconds
        figures["sqlite_bytes_per_submission"] = (file.stat().st_size - before_bytes) / _LIVES
        figures["transactions_per_submission"] = transactions / _LIVES
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        running = stack.enter_context(server(DURABLE))
        store, owners = stack.enter_context(_opened_store(running.create(), Path(folder)))
        before_bytes, before_cpu = _database_bytes(store), postgresql_cpu_seconds()
        seconds, _ = _lived(store, owners, report)
        figures["postgresql_submissions_per_second"] = _LIVES / seconds
        figures["postgresql_cpu_seconds_per_submission"] = (postgresql_cpu_seconds() - before_cpu) / _LIVES
        figures["postgresql_bytes_per_submission"] = (_database_bytes(store) - before_bytes) / _LIVES
    return figures


def _lived(store: Store, owners: Sequence[Token], report: Report) -> tuple[float, int]:
    """Take submissions through their lives, several at once; return the seconds and the number of transactions."""
    transactions = 0
    counted = threading.Lock()

    def count(_: object) -> None:
        nonlocal transactions
        with counted:
            transactions += 1

    def live(number: int) -> None:
        """Accept one submission and finish any that waits, as the API and a worker do, without grading."""
        new = NewSubmission(f"s{number}", f"Student {number}", files=[("homework.ipynb", b"%d" % number)])
        accept_batch(store, owners[number % len(owners)], ASSIGNMENT, Mode.NONE, "", [new])
        # A worker dispatches after each job, so the last dispatch finds nothing.
        while waiting := mark_enqueued(store, share=_LIVES, republish_seconds=1000):
            for publication in waiting:
                lease = claim_lease(store, publication.job, "worker", 60, "cpu")
                assert lease
                assert renew_lease(store, lease, 60)
                finish_job(store, lease, report)

    event.listen(Engine, "begin", count)
    started = time.perf_counter()
    with ThreadPoolExecutor(len(owners)) as threads:
        list(threads.map(live, range(_LIVES)))
    seconds = time.perf_counter() - started
    event.remove(Engine, "begin", count)
    found = count_totals(store)
    assert found.reports == _LIVES, f"{found.reports} reports of {_LIVES} submissions"
    return seconds, transactions


def _database_bytes(store: Store) -> int:
    """Return the size of a PostgreSQL database."""
    with store.read_session() as session:
        return int(session.scalars(text("SELECT pg_database_size(current_database())")).one())


def dispatching() -> Figures:
    """Time `dispatch` on PostgreSQL with 10,000 and 100,000 unfinished jobs, and a scrape of the metrics."""
    figures: Figures = {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        running = stack.enter_context(server(DURABLE))
        store, owners = stack.enter_context(_opened_store(running.create(), Path(folder)))
        _accept_many(store, owners, 80)
        figures |= _dispatched(store, 80)
        _accept_many(store, owners, 9_920)
        figures |= _dispatched(store, 10_000)
        _multiply_by_ten(store)
        figures |= _dispatched(store, 100_000)
        figures["metrics_seconds_at_100000"] = _median_seconds(lambda: count_totals(store))
    return figures


def _accept_many(store: Store, owners: Sequence[Token], count: int) -> None:
    """Accept `count` submissions without notebooks; each owner submits one batch."""
    share = count // len(owners)
    for each in owners:
        accept_batch(store, each, ASSIGNMENT, Mode.NONE, "", [NewSubmission(f"s{n}", "") for n in range(share)])


def _multiply_by_ten(store: Store) -> None:
    """Add nine copies of each submission and its job inside the database, which is faster."""
    copies = "generate_series(1, 9) AS copy"
    with store.session() as session:
        session.execute(
            text(
                "INSERT INTO submission (id, key, batch, name, identifiers, person)"
                " SELECT id || '-' || copy, key || '-' || copy, batch, name, identifiers, person"
                f" FROM submission, {copies}"
            )
        )
        counts = "attempts, fence, publications"
        columns = f"newest, assignment, mode, stage, state, {counts}, worker, message, refused, created_at"
        session.execute(
            text(
                f"INSERT INTO grading (id, submission, {columns})"
                f" SELECT id || '-' || copy, submission || '-' || copy, {columns} FROM grading, {copies}"
            )
        )


def _dispatched(store: Store, unfinished: int) -> Figures:
    """Return the time of a dispatch as it is after each job: all shares are used up except for one place."""
    with store.session() as session:
        session.execute(text("ANALYZE"))
    mark_enqueued(store, share=16, republish_seconds=100_000)
    shares, before = iter(range(17, 17 + _DISPATCHES)), postgresql_cpu_seconds()
    wall = _median_seconds(lambda: mark_enqueued(store, share=next(shares), republish_seconds=100_000), _DISPATCHES)
    used = (postgresql_cpu_seconds() - before) / _DISPATCHES
    return {f"dispatch_seconds_at_{unfinished}": wall, f"dispatch_cpu_seconds_at_{unfinished}": used}


def _median_seconds(do: Callable[[], object], times: int = 5) -> float:
    """Return the median seconds of a few calls."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        do()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def blobs() -> Figures:
    """Write notebooks of typical size to this disk as the API does: 16 at once, each synced."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder, ThreadPoolExecutor(16) as writers:
        kept = Blobs(f"file://{folder}")
        started = time.perf_counter()
        list(writers.map(lambda number: kept.put(b"%9d" % number * 3000), range(_BLOBS)))
        return {"blobs_per_second": _BLOBS / (time.perf_counter() - started)}
