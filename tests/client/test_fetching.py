"""A batch in a folder: whole files, safe names whatever a server says, and nothing fetched twice.

The server is a connection that answers from memory; the real API is requests in tests/cli/test_remote.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from grader.client.connection import Client
from grader.client.fetching import fetch, fetch_own
from grader.errors import InputError
from grader.results.journal import Status, read_journal


@dataclass
class Memory(Client):
    """A client that answers from memory, and records the requests for reports."""

    rows: list[dict[str, Any]]
    id: str = "b1"
    requests: list[str] = field(default_factory=list)

    def get_batch(self, batch: str) -> dict[str, Any]:
        return {"id": self.id, "title": "Week 3"}

    def list_submissions(self, batch: str) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def get_report(self, submission: str, form: str = "json") -> bytes:
        self.requests.append(f"{submission}.{form}")
        return f"{form} of {submission}".encode()

    def get_gradebook(self, batch: str) -> bytes:
        return b"key,score\n"

    def get_overview(self, batch: str, form: str = "json") -> bytes:
        return form.encode()


def row(key: str, *, revision: str = "r1", marks: str = "", state: str = "graded", message: str = "") -> dict[str, Any]:
    points = {"revision": revision, "score": 1, "max_score": 2, "pending_points": 0, "marks": marks}
    return {
        "id": f"id of {key}",
        "key": key,
        "name": f"<{key}>",
        "state": state,
        "message": message,
        "training": "none",
        "points": points if state == "graded" else None,
        "identifiers": {"login": key},
        "notebooks": [{"name": "hw2.ipynb", "sha256": "0" * 64}],
    }


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_all_files_are_written_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    fetched = fetch(Memory([row("kim"), row("박지민")]), "b1", tmp_path / "new" / "out")
    assert (fetched.reports, fetched.without) == (2, {})
    reports = {f"reports/{key}.{form}" for key in ("kim", "박지민") for form in ("json", "html")}
    others = {"gradebook.csv", "summary.html", "overview.json", "batch.json", "batch.jsonl"}
    assert files(tmp_path / "new" / "out") == reports | others
    assert (tmp_path / "new" / "out" / "reports" / "kim.html").read_bytes() == b"html of id of kim"
    assert (tmp_path / "new" / "out" / "reports" / "kim.json").stat().st_mode & 0o077 == 0


def test_the_journal_is_one_that_other_commands_read(tmp_path: Path) -> None:
    fetch(
        Memory([row("kim"), row("lee", state="failed", message="a system error"), row("yu", state="leased")]),
        "b1",
        tmp_path,
    )
    journal = read_journal(tmp_path)
    assert set(journal) == {"kim", "lee"}  # yu's is not done with
    assert journal["kim"].report == "reports/kim.json"
    assert journal["kim"].identifiers == {"login": "kim"}
    assert (journal["lee"].status, journal["lee"].message) == (Status.FAILED, "a system error")


def test_missing_reports_are_listed_with_the_reason(tmp_path: Path) -> None:
    fetched = fetch(
        Memory([row("lee", state="failed", message="no notebook"), row("yu", state="waiting")]), "b1", tmp_path
    )
    assert fetched.without == {"lee": "no notebook", "yu": "waiting"}


def test_only_new_reports_are_fetched(tmp_path: Path) -> None:
    fetch(Memory([row("kim"), row("lee"), row("yu", state="waiting")]), "b1", tmp_path)
    (tmp_path / "reports" / "lee.html").unlink()
    again = Memory([row("kim"), row("lee"), row("yu")])
    fetch(again, "b1", tmp_path)
    assert again.requests == ["id of lee.html", "id of yu.json", "id of yu.html"]
    regraded = Memory([row("kim", revision="r2"), row("lee"), row("yu")])
    fetch(regraded, "b1", tmp_path)
    assert regraded.requests == ["id of kim.json", "id of kim.html"]


def test_a_report_is_fetched_again_after_its_marks_have_changed(tmp_path: Path) -> None:
    for marks, requests in (("", 2), ("1 until noon", 2), ("1 until noon", 0), ("", 2)):
        client = Memory([row("kim", marks=marks)])
        fetch(client, "b1", tmp_path)
        assert len(client.requests) == requests


def test_only_the_requested_formats_and_json_are_written(tmp_path: Path) -> None:
    fetch(Memory([row("kim")]), "b1", tmp_path, ["json"])
    assert not [name for name in files(tmp_path) if name.endswith(".html")]
    fetch(Memory([row("kim")]), "b1", tmp_path / "html", ["html"])
    assert {"reports/kim.json", "reports/kim.html", "summary.html"} <= files(tmp_path / "html")


HOSTILE = ["../../escape", "/etc/passwd", "..", "", ".ssh", "a/b", "A", "a", "con\x00trol\n", "x" * 5000, "-rf", "a-2"]


def test_file_names_stay_in_the_folder_and_apart_whatever_the_server_says(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "down" / "out"
    fetched = fetch(Memory([row(key) for key in HOSTILE]), "b1", out)
    assert fetched.reports == len(HOSTILE)
    assert all(path.is_relative_to(out) for path in tmp_path.rglob("*") if path.is_file())
    reports = [path.name for path in (out / "reports").iterdir()]
    assert len({name.casefold() for name in reports}) == len(reports) == 2 * len(HOSTILE)
    assert not [name for name in reports if name[0] in ".-" or not name.isprintable() or len(name.encode()) > 160]


def test_a_folder_of_another_batch_is_refused(tmp_path: Path) -> None:
    fetch(Memory([row("kim")]), "b1", tmp_path)
    with pytest.raises(InputError, match="holds the batch b1; give another folder"):
        fetch(Memory([row("lee")], id="b2"), "b2", tmp_path)


def test_an_unusable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        fetch(Memory([]), "b1", tmp_path / "file")
    (tmp_path / "batch.jsonl").write_text("")
    with pytest.raises(InputError, match="graded; give another folder"):
        fetch(Memory([]), "b1", tmp_path)


def test_a_submission_s_report_is_written_under_its_id_and_anew_each_time(tmp_path: Path) -> None:
    memory = Memory([])
    out = tmp_path / "new" / "out"
    assert fetch_own(memory, "s1", out) == [out / "s1.json", out / "s1.html"]
    assert fetch_own(memory, "s1", out, ["html"]) == [out / "s1.json", out / "s1.html"]
    assert fetch_own(memory, "s2", out, ["json"]) == [out / "s2.json"]
    assert memory.requests == ["s1.json", "s1.html", "s1.json", "s1.html", "s2.json"]
    assert files(out) == {"s1.json", "s1.html", "s2.json"}
    assert (out / "s1.html").read_bytes() == b"html of s1"
    assert (out / "s1.json").stat().st_mode & 0o077 == 0


def test_a_submission_s_report_stays_in_the_folder_and_an_unusable_folder_is_refused(tmp_path: Path) -> None:
    for name in HOSTILE:
        assert {each.parent for each in fetch_own(Memory([]), name, tmp_path / "out")} == {tmp_path / "out"}
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file: cannot be written"):
        fetch_own(Memory([]), "s1", tmp_path / "file")
