"""Executed notebooks are sent to those who may see the report, once they may."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest

from grader.service.store.queries.leases import finish_job
from grader.submission.executed_notebook import ExecutedNotebook
from tests.support.api_batches import claimed, graded, hand_in_own, report
from tests.support.api_server import Api


def executed(text: str) -> ExecutedNotebook:
    output = {"output_type": "stream", "name": "stdout", "text": text}
    cell: dict[str, Any] = {"cell_type": "code", "id": "cell-0", "metadata": {}, "source": "x", "execution_count": None}
    return ExecutedNotebook("hw2.ipynb", ({**cell, "outputs": [output]},))


@pytest.fixture
def own(api: Api) -> str:
    """A graded submission of kim."""
    submission: str = hand_in_own(api["kim"]).json()["submission"]
    (lease,) = claimed(api.store)
    finish_job(api.store, lease, report(lease), [executed("<script> 가")])
    return submission


def test_a_notebook_comes_as_it_was_run(api: Api, own: str) -> None:
    answer = api["kim"].get(f"/v1/submissions/{own}/executed/hw2.ipynb")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ipynb+json"
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''hw2.ipynb")
    assert answer.text == executed("<script> 가").to_json()
    nbformat.validate(answer.json())


def test_others_learn_nothing(api: Api, own: str) -> None:
    path = f"/v1/submissions/{own}/executed/hw2.ipynb"
    assert [api[who].get(path).status_code for who in ("staff", "lee", "ci")] == [200, 404, 404]
    assert api["kim"].get(f"/v1/submissions/{own}/executed/other.ipynb").json()["type"] == "/problems/not-found"


def test_drafts_are_for_staff(api: Api, own: str) -> None:
    path = f"/v1/submissions/{own}/executed/hw2.ipynb?draft=true"
    assert [api[who].get(path).status_code for who in ("staff", "kim")] == [200, 403]


def test_where_there_is_none_the_answer_says_why(api: Api) -> None:
    submission = hand_in_own(api["kim"]).json()["submission"]
    path = f"/v1/submissions/{submission}/executed/hw2.ipynb"
    assert "waiting" in api["kim"].get(path).json()["detail"]
    graded(api.store)
    problem = api["kim"].get(path).json()
    assert (problem["status"], problem["type"]) == (404, "/problems/no-report")
    assert "were not kept" in problem["detail"]
