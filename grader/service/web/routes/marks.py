"""Pages of marking: a written answer beside its points and comment, and links to the next unmarked one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Response

from grader.place import describe_cell
from grader.render.written import read_written_answer
from grader.results.marks import LONGEST_COMMENT, describe_waiting
from grader.results.report import ItemResult
from grader.service.api.access import Staff, get_batch, get_submission
from grader.service.api.problems import not_found
from grader.service.api.service import Service, ServiceDep
from grader.service.store.queries.marks import (
    Unmarked,
    clear_mark,
    count_marked_items,
    find_marks,
    find_unmarked,
    set_mark,
)
from grader.service.store.queries.reports import load_stored_report
from grader.service.store.queries.submissions import SubmissionStatus
from grader.service.store.queries.tokens import Token
from grader.service.web.page import FORM_BYTES, redirect, render_page

__all__ = ["list_steps", "router"]

_STEPS = (1.0, 0.5, 0.25)  # points; the largest one that fits is used
_MOST_STEPS = 9  # one key for each, 0 to 9

router = APIRouter(prefix="/batches/{batch}/marking", max_body_size=FORM_BYTES)


@router.get("")
def show_marks(token: Staff, service: ServiceDep, batch: str) -> Response:
    """Show how many answers are marked, item by item."""
    status = get_batch(service, token, batch)
    unmarked = find_unmarked(service.store, status.id)
    titles = {item.id: item.title for item in service.catalog.load(status.assignment).items}
    rows = []
    for item, count in count_marked_items(service.store, status.id).items():
        left = [answer for answer in unmarked if answer.item == item]
        following = _make_path(status.id, left[0]) if left else ""
        rows.append((item, titles.get(item, ""), count - len(left), count, following))
    first = _make_path(status.id, unmarked[0]) if unmarked else ""
    return render_page("marking", token, batch=status, rows=rows, left=len(unmarked), first=first)


@router.get("/{submission}/{item}")
def show_answer(token: Staff, service: ServiceDep, batch: str, submission: str, item: str) -> Response:
    """Show what a person marks, a written answer or what the grader could not decide, and its mark."""
    status, result = _find_item(token, service, batch, submission, item)
    unmarked = find_unmarked(service.store, batch)
    text = read_written_answer(result.evidence)
    following = _choose_following(unmarked, status, item)
    return render_page(
        "mark",
        token,
        batch=get_batch(service, token, batch),
        submission=status,
        item=result,
        places=_link_to_cells(status, text.places if text else _find_place(result)),
        pictures=text.pictures if text else (),
        text=text.text if text else "",
        undecided="" if result.is_written_answer else describe_waiting(result.evidence),
        mark=next((mark for mark in find_marks(service.store, status.id) if mark.item == item), None),
        steps=list_steps(result.max_points),
        longest=LONGEST_COMMENT,
        left=len(unmarked),
        count=sum(count_marked_items(service.store, batch).values()),
        following=_make_path(batch, following) if following else f"/batches/{batch}/marking",
    )


@router.post("/{submission}/{item}")
def save_mark(
    token: Staff,
    service: ServiceDep,
    batch: str,
    submission: str,
    item: str,
    points: Annotated[float, Form(allow_inf_nan=False)],
    comment: Annotated[str, Form(max_length=2 * LONGEST_COMMENT)] = "",
) -> Response:
    """Save a mark and go to the next unmarked answer."""
    status, _ = _find_item(token, service, batch, submission, item)
    # Browsers send line breaks as two characters.
    set_mark(service.store, status.id, item, points, comment.replace("\r\n", "\n"), token.id)
    following = _choose_following(find_unmarked(service.store, batch), status, item)
    return redirect(_make_path(batch, following) if following else f"/batches/{batch}/marking")


@router.post("/{submission}/{item}/clear")
def delete_mark(token: Staff, service: ServiceDep, batch: str, submission: str, item: str) -> Response:
    """Remove a mark."""
    status, result = _find_item(token, service, batch, submission, item)
    clear_mark(service.store, status.id, result.id)
    return redirect(_make_path(batch, Unmarked(status.id, status.key, status.name, item)))


def list_steps(max_points: float) -> list[float]:
    """Return the points to choose from, one for each key, in the largest step that reaches `max_points`."""
    fitting = (step for step in _STEPS if math.isclose(max_points % step, 0, abs_tol=1e-9) and max_points >= step)
    step = next((step for step in fitting if max_points / step <= _MOST_STEPS), max_points / 4)
    return [round(number * step, 4) for number in range(round(max_points / step) + 1)] if step else [0.0]


def _find_item(
    token: Token, service: Service, batch: str, submission: str, item: str
) -> tuple[SubmissionStatus, ItemResult]:
    """Return a submission of this batch, and an item of its newest report that is marked by hand."""
    status = get_submission(service, token, submission)
    report = load_stored_report(service.store, status.id, draft=True, all_marks=True)
    results = report.items if report and status.batch == batch else ()
    result = next((result for result in results if result.id == item and result.by_person), None)
    if result is None:
        raise not_found()
    return status, result


def _find_place(result: ItemResult) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return () if result.file is None or result.cell is None else ((result.file, (result.cell,)),)


def _link_to_cells(
    submission: SubmissionStatus, places: Iterable[tuple[str, tuple[int, ...]]]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return for each notebook its cells in words, each with the path of the cell; "" if it is unknown."""
    numbers = {name: number for number, (name, _) in enumerate(submission.files)}
    return [
        (file, [(describe_cell(cell), _make_cell_path(submission, numbers.get(file), cell)) for cell in cells])
        for file, cells in places
    ]


def _make_cell_path(submission: SubmissionStatus, number: int | None, cell: int) -> str:
    return "" if number is None else f"/submissions/{submission.id}/notebooks/{number}#cell-{cell + 1}"


def _choose_following(unmarked: list[Unmarked], current: SubmissionStatus, item: str) -> Unmarked | None:
    """Return the next unmarked answer, first of the same item, so that answers to one question come in a row."""
    others = [answer for answer in unmarked if (answer.submission, answer.item) != (current.id, item)]
    further = (answer for answer in others if answer.item == item and answer.key > current.key)
    return next(further, next(iter(others), None))


def _make_path(batch: str, answer: Unmarked) -> str:
    return f"/batches/{batch}/marking/{answer.submission}/{quote(answer.item, safe='')}"
