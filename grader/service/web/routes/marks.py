"""Pages of marking: what was written beside points and a comment, and from each to the next that waits."""

from __future__ import annotations

import math
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Response

from grader.render.notebook import render_markdown_cell
from grader.render.written import read_written_answer
from grader.results.marks import LONGEST_COMMENT
from grader.results.report import ItemResult
from grader.service.api.access import Staff, get_batch, get_submission
from grader.service.api.problems import not_found
from grader.service.api.service import Given, Service
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
from grader.service.web.page import SMALL, redirect, render_page

__all__ = ["list_steps", "router"]

_STEPS = (1.0, 0.5, 0.25)  # of points, the largest that fits
_MOST_STEPS = 9  # a key each, from 0 to 9

router = APIRouter(prefix="/batches/{batch}/marking", max_body_size=SMALL)


@router.get("")
def show_marks(token: Staff, service: Given, batch: str) -> Response:
    """Show how much is marked of each item."""
    found = get_batch(service, token, batch)
    waiting = find_unmarked(service.store, found.id)
    titles = {item.id: item.title for item in service.catalog.at(found.assignment).items}
    rows = []
    for item, count in count_marked_items(service.store, found.id).items():
        left = [each for each in waiting if each.item == item]
        rows.append((item, titles.get(item, ""), count - len(left), count, _place(found.id, left[0]) if left else ""))
    first = _place(found.id, waiting[0]) if waiting else ""
    return render_page("marking", token, batch=found, rows=rows, left=len(waiting), first=first)


@router.get("/{submission}/{item}")
def show_answer(token: Staff, service: Given, batch: str, submission: str, item: str) -> Response:
    """Show what was written, with the mark that it has."""
    found, result = _item(token, service, batch, submission, item)
    waiting = find_unmarked(service.store, batch)
    text = read_written_answer(result.evidence)
    following = _following(waiting, found, item)
    return render_page(
        "mark",
        token,
        batch=get_batch(service, token, batch),
        found=found,
        item=result,
        places=text.places if text else (),
        notebook=_in_the_notebook(found, result),
        text=render_markdown_cell(str(result.evidence.get("text", ""))),
        mark=next((each for each in find_marks(service.store, found.id) if each.item == item), None),
        steps=list_steps(result.max_points),
        longest=LONGEST_COMMENT,
        left=len(waiting),
        count=sum(count_marked_items(service.store, batch).values()),
        following=_place(batch, following) if following else f"/batches/{batch}/marking",
    )


@router.post("/{submission}/{item}")
def save_mark(
    token: Staff,
    service: Given,
    batch: str,
    submission: str,
    item: str,
    points: Annotated[float, Form(allow_inf_nan=False)],
    comment: Annotated[str, Form(max_length=2 * LONGEST_COMMENT)] = "",
) -> Response:
    """Keep a mark, and go on to the next that waits."""
    found, _ = _item(token, service, batch, submission, item)
    # A browser sends each end of a line as two characters.
    set_mark(service.store, found.id, item, points, comment.replace("\r\n", "\n"), token.id)
    following = _following(find_unmarked(service.store, batch), found, item)
    return redirect(_place(batch, following) if following else f"/batches/{batch}/marking")


@router.post("/{submission}/{item}/clear")
def delete_mark(token: Staff, service: Given, batch: str, submission: str, item: str) -> Response:
    """Let an item wait again."""
    found, result = _item(token, service, batch, submission, item)
    clear_mark(service.store, found.id, result.id)
    return redirect(_place(batch, Unmarked(found.id, found.key, found.name, item)))


def list_steps(max_points: float) -> list[float]:
    """Return points to choose from, a key each: in the largest step that leads to the most there is."""
    fitting = (step for step in _STEPS if math.isclose(max_points % step, 0, abs_tol=1e-9) and max_points >= step)
    step = next((step for step in fitting if max_points / step <= _MOST_STEPS), max_points / 4)
    return [round(number * step, 4) for number in range(round(max_points / step) + 1)] if step else [0.0]


def _item(
    token: Token, service: Service, batch: str, submission: str, item: str
) -> tuple[SubmissionStatus, ItemResult]:
    """Return a submission of this batch, and the item of its newest report."""
    found = get_submission(service, token, submission)
    report = load_stored_report(service.store, found.id, draft=True, all_marks=True)
    results = report.items if report and found.batch == batch else ()
    result = next((each for each in results if each.id == item and each.by_person), None)
    if result is None:
        raise not_found()
    return found, result


def _in_the_notebook(found: SubmissionStatus, result: ItemResult) -> str:
    """Return where it stands in the notebook that was handed in, "" where that is not known."""
    names = [name for name, _ in found.files]
    if result.file not in names:
        return ""
    cell = "" if result.cell is None else f"#cell-{result.cell}"
    return f"/submissions/{found.id}/notebooks/{names.index(result.file)}{cell}"


def _following(waiting: list[Unmarked], here: SubmissionStatus, item: str) -> Unmarked | None:
    """Return the next that waits: of the same item first, so that all answers to one question are read in a row."""
    others = [each for each in waiting if (each.submission, each.item) != (here.id, item)]
    further = (each for each in others if each.item == item and each.key > here.key)
    return next(further, next(iter(others), None))


def _place(batch: str, found: Unmarked) -> str:
    return f"/batches/{batch}/marking/{found.submission}/{quote(found.item, safe='')}"
