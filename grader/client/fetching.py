"""Download a batch into a folder, in the layout that `grader batch` writes.

FOLDER/reports/<key>.json, .html     a report for each submission
FOLDER/gradebook.csv                 the points of all students
FOLDER/summary.html, overview.json   the overview of the batch
FOLDER/batch.jsonl                   the journal, which `grader gradebook` reads
FOLDER/batch.json                    the batch itself

The report of a student's own submission is FOLDER/<id>.json and .html.
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
_NAME_BYTES = 150  # with a suffix this stays below the limit of file systems
_PRIVATE = 0o600  # students' work
_Json = Mapping[str, Any]


@dataclass(frozen=True)
class FetchedBatch:
    """The result of a download: the number of reports, and the reasons for the missing ones by submission."""

    reports: int
    without: Mapping[str, str]


def fetch(
    client: Client,
    batch: str,
    folder: Path,
    formats: Collection[str] = FORMATS,
    progress: Callable[[str], None] = lambda _: None,
) -> FetchedBatch:
    """Write a batch's reports, gradebook and overview into a folder. Existing reports are not downloaded again.

    Args:
        client: a connection to the server.
        batch: the id of the batch.
        folder: the folder, which is created if it is missing.
        formats: some of `FORMATS`.
        progress: called with the name of each submission.

    Raises:
        InputError: there is no such batch, or the folder cannot be written or holds another batch.
        SystemFault: the server is down.
    """
    about = client.get_batch(batch)
    try:
        _claim(folder, about)
        known = read_journal(folder) if (folder / JOURNAL).exists() else {}
        names: set[str] = set()
        reports, without = 0, {}
        for submission in client.list_submissions(batch):
            record = _make_record(submission, _make_file_name(str(submission["key"]), names))
            progress(record.name)
            if not record.report:
                without[record.key] = record.message or str(submission["state"])
                if submission["state"] != "failed":
                    continue  # it has not ended
            else:
                _write_report(client, str(submission["id"]), record, folder, formats, known)
                reports += 1
            if known.get(record.key) != record:
                append_record(folder, record)
        _write(folder / "gradebook.csv", client.get_gradebook(batch))
        for form, name in (("json", "overview.json"), ("html", "summary.html")):
            if form in formats:
                _write(folder / name, client.get_overview(batch, form))
    except OSError as error:
        raise _make_error(folder, error) from None
    return FetchedBatch(reports, without)


def fetch_own(client: Client, submission: str, folder: Path, formats: Collection[str] = FORMATS) -> list[Path]:
    """Write one submission's report into a folder, always as JSON too, and return the files.

    Args:
        client: a connection to the server.
        submission: the id of a submission with a report.
        folder: the folder, which is created if it is missing.
        formats: some of `FORMATS`.

    Raises:
        InputError: there is no such report, or the folder cannot be written.
        SystemFault: the server is down.
    """
    name = _make_file_name(submission, set())
    files = {form: folder / f"{name}.{form}" for form in FORMATS if form == "json" or form in formats}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for form, file in files.items():
            _write(file, client.get_report(submission, form))
    except OSError as error:
        raise _make_error(folder, error) from None
    return list(files.values())


def _make_error(folder: Path, error: OSError) -> InputError:
    return InputError(f"{folder}: cannot be written ({error.strerror}); give another folder")


def _claim(folder: Path, about: _Json) -> None:
    """Mark the folder as this batch's, or check that it is.

    Raises:
        InputError: it holds something else.
    """
    (folder / "reports").mkdir(parents=True, exist_ok=True)
    mark = folder / "batch.json"
    if mark.exists():
        try:
            owner = json.loads(mark.read_text("utf-8"))["id"]
        except (ValueError, KeyError, TypeError):
            owner = "something else"
        if owner != about["id"]:
            raise InputError(f"{folder} holds the batch {owner}; give another folder")
    elif (folder / JOURNAL).exists():
        raise InputError(f"{folder} holds a batch that `grader batch` graded; give another folder")
    _write(mark, (json.dumps(dict(about), ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode())


def _make_record(submission: _Json, key: str) -> JournalRecord:
    points = submission["points"]
    return JournalRecord(
        key=key,
        name=str(submission["name"]),
        files={
            str(file["name"]): str(file["sha256"])
            for file in (*submission["notebooks"], *submission.get("companions", ()))
        },
        revision=str(points["revision"]) if points else "",
        mode=str(submission["training"]),
        status=_choose_status(submission),
        message=str(submission["message"]) if submission.get("refused") or not points else "",
        report=f"reports/{key}.json" if points else "",
        marks=str(points.get("marks", "")) if points else "",
        identifiers={str(name): str(value) for name, value in submission["identifiers"].items()},
    )


def _choose_status(submission: _Json) -> Status:
    if submission.get("refused"):
        return Status.UNREADABLE
    return Status.GRADED if submission["points"] else Status.FAILED


def _write_report(
    client: Client,
    submission: str,
    record: JournalRecord,
    folder: Path,
    formats: Collection[str],
    known: Mapping[str, JournalRecord],
) -> None:
    """Download a report in each format, and always as JSON, to which the journal refers."""
    # A report is determined by submission, revision and marks, so an existing file with the same record is current.
    is_current = known.get(record.key) == record
    for form in FORMATS:
        path = folder / "reports" / f"{record.key}.{form}"
        if (form == "json" or form in formats) and not (is_current and path.exists()):
            _write(path, client.get_report(submission, form))


def _make_file_name(key: str, taken: set[str]) -> str:
    """Return a unique name that is a single path component, whatever the server sent."""
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
