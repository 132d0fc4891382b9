"""What tests put into a store: tokens, batches, claimed jobs and made-up reports."""

from __future__ import annotations

from sqlalchemy import text

from grader.models.recipe import Mode
from grader.results.report import ItemResult, Report, Verdict
from grader.service.store.database import Store
from grader.service.store.queries.dispatch import mark_dispatched
from grader.service.store.queries.hand_ins import NewSubmission, accept_batch
from grader.service.store.queries.leases import Lease, claim_lease
from grader.service.store.queries.tokens import Role, Token, create_token, find_token

__all__ = ["claimed", "gradings", "hand_in", "leased", "report", "somebody_waits", "token"]


def token(store: Store, name: str, role: Role = Role.INSTRUCTOR, person: str = "") -> Token:
    found = find_token(store, create_token(store, name, role, person))
    assert found
    return found


def hand_in(store: Store, owner: Token, count: int = 1, mode: Mode = Mode.NONE, person: str = "") -> str:
    """Hand in a batch of so many submissions (s0, s1, ...) and return its id."""
    submissions = [
        NewSubmission(f"s{number}", f"Student {number}", {"id": str(number)}, [("a.ipynb", b"%d" % number)], person)
        for number in range(count)
    ]
    return accept_batch(store, owner, "hw2", mode, "Homework 2", submissions).batch


def gradings(store: Store, count: int) -> list[str]:
    """Return the ids of so many gradings in the order in which they are to be graded."""
    published = [each.grading for each in mark_dispatched(store, share=count, republish_seconds=1000)]
    assert len(published) == count
    return published


def leased(store: Store, owner: Token, mode: Mode = Mode.NONE, seconds: float = 60) -> Lease:
    """Hand in a submission and claim its grading."""
    hand_in(store, owner, mode=mode)
    (grading,) = gradings(store, 1)
    return claimed(store, grading, seconds)


def claimed(store: Store, grading: str, seconds: float = 60) -> Lease:
    lease = claim_lease(store, grading, "worker-1", seconds, "cpu") or claim_lease(
        store, grading, "worker-1", seconds, "gpu"
    )
    assert lease
    return lease


def report(points: float = 1, revision: str = "revision-1") -> Report:
    item = ItemResult("relu", "7.1", "ReLU", points, 2, Verdict.PARTIAL, "right in some cases")
    return Report("hw2", "Homework 2", revision, (), (item,))


def somebody_waits(store: Store) -> bool:
    """Tell whether a transaction waits for another (PostgreSQL only)."""
    with store.reading() as session:
        return bool(session.scalars(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).one())
