"""What a batch came to, fetched into a folder as `grader batch` would have written it.

FOLDER/reports/<key>.json, .html     a report for each submission
FOLDER/gradebook.csv                 everybody's points
FOLDER/summary.html, overview.json   what the batch came to
FOLDER/batch.jsonl                   the journal, which `grader gradebook` reads
FOLDER/batch.json                    which batch this is

A student's own submission is FOLDER/<id>.json and .html, beside those fetched before.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.cache_folder import write_whole
from grader.client.connection import Client
from grader.errors import InputError
from grader.results.journal import JOURNAL, JournalRecord, Status, append_record, read_journal

__all__ = ["FORMATS", "FetchedBatch", "fetch", "fetch_own"]

FORMATS = ("json", "html")

_UNSAFE = re.compile(r"[^\w.-]")
_NAME_BYTES = 150  # with an ending it stays below what file systems allow
_PRIVATE = 0o600  # students' work
_Json = Mapping[str, Any]


@dataclass(frozen=True)
class FetchedBatch:
    """What was fetched: how many reports are in the folder, and who has none and why."""

    reports: int
    without: Mapping[str, str]


def fetch(
    client: Client,
    batch: str,
    folder: Path,
    formats: Collection[str] = FORMATS,
    progress: Callable[[str], None] = lambda _: None,
) -> FetchedBatch:
    """Write a batch's reports, gradebook and overview into a folder; what is there already is not fetched again.

    Args:
        client: the server.
        batch: the batch's id.
        folder: where to; it is made where it is missing.
        formats: some of `FORMATS`.
        progress: told whose report is being fetched.

    Raises:
        InputError: there is no such batch, or the folder cannot be written or holds another.
        SystemFault: the server is down.
    """
    about = client.batch(batch)
    try:
        _claim(folder, about)
        known = read_journal(folder) if (folder / JOURNAL).exists() else {}
        names: set[str] = set()
        reports, without = 0, {}
        for submission in client.submissions(batch):
            record = _record(submission, _file_name(str(submission["key"]), names))
            progress(record.name)
            if record.status is not Status.GRADED:
                without[record.key] = record.message or str(submission["state"])
                if submission["state"] != "failed":
                    continue  # it is not done with
            else:
                _write_report(client, str(submission["id"]), record, folder, formats, known)
                reports += 1
            if known.get(record.key) != record:
                append_record(folder, record)
        _write(folder / "gradebook.csv", client.gradebook(batch))
        for form, name in (("json", "overview.json"), ("html", "summary.html")):
            if form in formats:
                _write(folder / name, client.overview(batch, form))
    except OSError as error:
        raise _unwritable(folder, error) from None
    return FetchedBatch(reports, without)


def fetch_own(client: Client, submission: str, folder: Path, formats: Collection[str] = FORMATS) -> list[Path]:
    """Write one submission's report into a folder, JSON in any case, and return the files.

    Args:
        client: the server.
        submission: its id; it has a report.
        folder: where to; it is made where it is missing.
        formats: some of `FORMATS`.

    Raises:
        InputError: there is no such report, or the folder cannot be written.
        SystemFault: the server is down.
    """
    name = _file_name(submission, set())
    files = {form: folder / f"{name}.{form}" for form in FORMATS if form == "json" or form in formats}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for form, file in files.items():
            _write(file, client.report(submission, form))
    except OSError as error:
        raise _unwritable(folder, error) from None
    return list(files.values())


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(f"{folder}: cannot be written ({error.strerror}); give another folder")


def _claim(folder: Path, about: _Json) -> None:
    """Make the folder this batch's, or see that it is."""
    (folder / "reports").mkdir(parents=True, exist_ok=True)
    mark = folder / "batch.json"
    if mark.exists():
        try:
            holds = json.loads(mark.read_text("utf-8"))["id"]
        except (ValueError, KeyError, TypeError):
            holds = "something else"
        if holds != about["id"]:
            raise InputError(f"{folder} holds the batch {holds}; give another folder")
    elif (folder / JOURNAL).exists():
        raise InputError(f"{folder} holds what `grader batch` graded here; give another folder")
    _write(mark, (json.dumps(dict(about), ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode())


def _record(submission: _Json, key: str) -> JournalRecord:
    points = submission["points"]
    return JournalRecord(
        key=key,
        name=str(submission["name"]),
        files={str(each["name"]): str(each["sha256"]) for each in submission["notebooks"]},
        revision=str(points["revision"]) if points else "",
        mode=str(submission["training"]),
        status=Status.GRADED if points else Status.FAILED,
        message="" if points else str(submission["message"]),
        report=f"reports/{key}.json" if points else "",
        marks=str(points.get("marks", "")) if points else "",
        identifiers={str(name): str(value) for name, value in submission["identifiers"].items()},
    )


def _write_report(
    client: Client,
    submission: str,
    record: JournalRecord,
    folder: Path,
    formats: Collection[str],
    known: Mapping[str, JournalRecord],
) -> None:
    """Fetch a report in each format, JSON in any case: the journal points to it."""
    # One submission has one report under one revision and with one set of marks, so what was fetched stays right.
    kept = known.get(record.key) == record
    for form in FORMATS:
        path = folder / "reports" / f"{record.key}.{form}"
        if (form == "json" or form in formats) and not (kept and path.exists()):
            _write(path, client.report(submission, form))


def _file_name(key: str, taken: set[str]) -> str:
    """Return a name that is one part of a path and no other's, whatever the server says."""
    safe = _UNSAFE.sub("_", unicodedata.normalize("NFC", key)).strip("._-")
    stem = safe.encode()[:_NAME_BYTES].decode(errors="ignore") or "submission"
    name, number = stem, 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name.casefold())
    return name


def _write(path: Path, content: bytes) -> None:
    write_whole(path, content, _PRIVATE)
