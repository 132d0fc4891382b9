"""What tests put into a store: tokens, batches, claimed jobs and made-up reports."""

from __future__ import annotations

from sqlalchemy import text

from grader.models.recipe import Mode
from grader.results.notice import Notice, NoticeKind
from grader.results.report import ItemResult, Report, Verdict
from grader.service.store.database import Store
from grader.service.store.queries.hand_ins import NewSubmission, accept_batch
from grader.service.store.queries.leases import Lease, claim_lease
from grader.service.store.queries.queue import mark_enqueued
from grader.service.store.queries.tokens import Role, Token, create_token, find_token
from grader.service.store.schema import JobRow

__all__ = ["claimed", "hand_in", "jobs", "leased", "report", "somebody_waits", "token", "unreadable_report"]


def token(store: Store, name: str, role: Role = Role.INSTRUCTOR, person: str = "") -> Token:
    found = find_token(store, create_token(store, name, role, person))
    assert found
    return found


def hand_in(store: Store, owner: Token, count: int = 1, mode: Mode = Mode.NONE, person: str = "") -> str:
    """Hand in a batch of `count` submissions (s0, s1, ...) and return its id."""
    submissions = [
        NewSubmission(f"s{number}", f"Student {number}", {"id": str(number)}, [("a.ipynb", b"%d" % number)], person)
        for number in range(count)
    ]
    return accept_batch(store, owner, "hw2", mode, "Homework 2", submissions).batch


def jobs(store: Store, count: int) -> list[str]:
    """Return the ids of `count` jobs in the order in which they are due."""
    enqueued = [job.job for job in mark_enqueued(store, share=count, republish_seconds=1000)]
    assert len(enqueued) == count
    return enqueued


def leased(store: Store, owner: Token, mode: Mode = Mode.NONE, seconds: float = 60) -> Lease:
    """Hand in a submission and claim its job."""
    hand_in(store, owner, mode=mode)
    (job,) = jobs(store, 1)
    return claimed(store, job, seconds)


def claimed(store: Store, job: str, seconds: float = 60) -> Lease:
    with store.read_session() as session:
        queue = session.get_one(JobRow, job).queue
    lease = claim_lease(store, job, "worker-1", seconds, queue)
    assert lease
    return lease


def report(points: float = 1, revision: str = "revision-1") -> Report:
    item = ItemResult("relu", "7.1", "ReLU", points, 2, Verdict.PARTIAL, "right in some cases")
    return Report("hw2", "Homework 2", revision, (), (item,))


def unreadable_report(why: str = "this is no notebook", file: str = "a.ipynb", revision: str = "revision-1") -> Report:
    """Return the report of a submission whose only file is no notebook."""
    item = ItemResult("relu", "7.1", "ReLU", 0, 2, Verdict.PENDING, "nothing was judged")
    notice = Notice(why, NoticeKind.UNREADABLE_FILE, file, file)
    return Report("hw2", "Homework 2", revision, (), (item,), notices=(notice,))


def somebody_waits(store: Store) -> bool:
    """Tell whether a transaction waits for another (PostgreSQL only)."""
    with store.read_session() as session:
        return bool(session.scalars(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).one())
