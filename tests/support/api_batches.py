"""What tests hand in, and what stands in for workers: real claims and finishes of the store, with made-up reports."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import httpx
from sqlalchemy import select

from grader.models.recipe import Mode
from grader.results.report import File, ItemResult, Report, Verdict
from grader.service.store.database import Store
from grader.service.store.queries.leases import Lease, claim_lease, finish_job
from grader.service.store.schema import JobRow, State
from tests.support.notebooks import notebook_bytes

__all__ = ["CLASS", "WRITTEN", "claimed", "graded", "hand_in", "hand_in_own", "notebook", "report", "zipped"]

CLASS = ("kim", "lee", "park")
WRITTEN = "discussion.7.2"  # the item of made-up reports that a person marks


def notebook(text: str = "x = 1") -> bytes:
    return notebook_bytes(text)


def zipped(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return written.getvalue()


def hand_in(client: httpx.Client, *names: str, key: str = "", **fields: str) -> httpx.Response:
    """Post a batch: a zip file with one folder for each of these students."""
    data = zipped({f"{name}/hw2.ipynb": notebook(f"mine = {name!r}") for name in names or CLASS})
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/v1/batches", files={"files": ("class.zip", data)}, data=fields, headers=headers)


def hand_in_own(client: httpx.Client, text: str = "x = 1") -> httpx.Response:
    return client.post("/v1/submissions", files={"files": ("hw2.ipynb", notebook(text))})


def report(
    lease: Lease, points: float = 4.0, revision: str = "r1", message: str = "right", *, written: bool = False
) -> Report:
    """Return a report of one item of 6 points, and where it is `written` of one of 2 that waits for a person."""
    verdict = Verdict.PASSED if points == 6 else Verdict.PARTIAL
    item = ItemResult("corr2d.values", "7.2.1", "corr2d computes", points, 6.0, verdict, message, "hw2.ipynb", 0)
    timing: dict[str, Any] = {"total_seconds": 1.5, "cells": []}
    files = tuple(File(*file) for file in lease.files)
    evidence = {"kind": "discussion", "text": "because", "cells": [], "words": 1}
    waiting = ItemResult(WRITTEN, "7.2", "Discussion", 0, 2.0, Verdict.PENDING, "waits", evidence=evidence)
    return Report("hw2", "Homework 2", revision, files, (item, waiting) if written else (item,), timing=timing)


def claimed(store: Store, submission: str | None = None) -> list[Lease]:
    """Claim what waits, as workers do; of one submission, or all."""
    waiting = select(JobRow.id).where(JobRow.state == State.WAITING)
    if submission:
        waiting = waiting.where(JobRow.submission == submission)
    with store.read_session() as session:
        found = session.scalars(waiting).all()
    leases = [claim_lease(store, grading, "worker", 60, "cpu") for grading in found]
    return [lease for lease in leases if lease]


def graded(
    store: Store, submission: str | None = None, points: float = 4.0, revision: str = "r1", *, written: bool = False
) -> int:
    """Grade what waits."""
    leases = claimed(store, submission)
    for lease in leases:
        assert lease.mode is not Mode.FULL
        finish_job(store, lease, report(lease, points, revision, written=written))
    return len(leases)
