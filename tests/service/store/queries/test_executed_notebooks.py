"""Executed notebooks are kept beside their report."""

from __future__ import annotations

from typing import Any

from grader.models.recipe import Mode
from grader.service.store.database import Store
from grader.service.store.queries.executed_notebooks import find_executed_notebook
from grader.service.store.queries.leases import Finish, finish_job
from grader.service.store.queries.regrades import create_regrade, publish_drafts
from grader.service.store.queries.tokens import Token
from grader.submission.executed_notebook import ExecutedNotebook
from tests.support.store_content import claimed, jobs, leased, report


def executed(source: str) -> ExecutedNotebook:
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "cell-0",
        "metadata": {},
        "source": source,
        "execution_count": None,
    }
    return ExecutedNotebook("a.ipynb", ({**cell, "outputs": []},))


def test_a_notebook_is_there_as_it_was_run(store: Store, instructor: Token) -> None:
    lease = leased(store, instructor)
    assert find_executed_notebook(store, lease.submission, "a.ipynb") is None
    assert finish_job(store, lease, report(), [executed("1")]) is Finish.REPORTED
    assert find_executed_notebook(store, lease.submission, "a.ipynb") == executed("1")
    assert find_executed_notebook(store, lease.submission, "b.ipynb") is None


def test_a_report_without_them_has_none(store: Store, instructor: Token) -> None:
    lease = leased(store, instructor)
    finish_job(store, lease, report())
    assert find_executed_notebook(store, lease.submission, "a.ipynb") is None


def test_those_of_the_first_stage_stay_when_trainings_are_joined(store: Store, instructor: Token) -> None:
    first = leased(store, instructor, Mode.FULL)
    assert finish_job(store, first, report(), [executed("definitions")]) is Finish.PART_KEPT
    (job,) = jobs(store, 1)
    second = claimed(store, job)
    assert find_executed_notebook(store, second.submission, "a.ipynb") is None
    assert finish_job(store, second, report()) is Finish.REPORTED
    assert find_executed_notebook(store, second.submission, "a.ipynb") == executed("definitions")


def test_those_of_a_draft_are_seen_once_it_is_published(store: Store, instructor: Token) -> None:
    lease = leased(store, instructor)
    finish_job(store, lease, report(revision="1"), [executed("first")])
    assert create_regrade(store, lease.batch, "2", Mode.NONE) == 1
    (job,) = jobs(store, 1)
    finish_job(store, claimed(store, job), report(revision="2"), [executed("second")])
    assert find_executed_notebook(store, lease.submission, "a.ipynb") == executed("first")
    assert find_executed_notebook(store, lease.submission, "a.ipynb", draft=True) == executed("second")
    publish_drafts(store, lease.batch)
    assert find_executed_notebook(store, lease.submission, "a.ipynb") == executed("second")


def test_whoever_lost_the_lease_leaves_nothing(store: Store, instructor: Token) -> None:
    lease = leased(store, instructor)
    finish_job(store, lease, report(), [executed("first")])
    assert finish_job(store, lease, report(), [executed("second")]) is Finish.REFUSED
    assert find_executed_notebook(store, lease.submission, "a.ipynb") == executed("first")
