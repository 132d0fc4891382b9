"""Workflow commands name the right file and line, and no student's text is one."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from grader.render import github
from grader.render.github import SUMMARY_BYTES, render_github, render_step_outputs, render_step_summary
from grader.results.report import File, ItemResult, Report, Verdict
from tests.support.notebooks import notebook_bytes

HOSTILE = "50% :: a,b: c\r\n::error::forged\n::set-output name=result::x ##[error]y\x1b[31m\u202e\ud800"
DATA = notebook_bytes("a = 1", "def corr2d(X, K):\n    return X")


def item(verdict: Verdict, points: float = 0, message: str = "is wrong", **others: Any) -> ItemResult:
    return ItemResult("corr2d.values", "7.2.1", "Cross-correlation", points, 6, verdict, message, **others)


def report_of(*items: ItemResult, names: tuple[str, ...] = ("hw2.ipynb",), data: bytes = DATA) -> Report:
    digest = hashlib.sha256(data).hexdigest()
    return Report("hw2", "HW2", "revision", tuple(File(name, digest) for name in names), items)


def obeyed(text: str) -> list[tuple[str, dict[str, str], str]]:
    """Read commands as actions/runner does: name, properties and message of each line, all unescaped."""
    found = []
    for each in text.splitlines():
        match = re.fullmatch(r"::([a-z-]+) ?([^:]*)::(.*)", each)
        assert match, each
        pairs = (pair.split("=", 1) for pair in match[2].split(",") if pair)
        found.append((match[1], {name: unescaped(value) for name, value in pairs}, unescaped(match[3])))
    return found


def unescaped(text: str) -> str:
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "week 2" / "hw2.ipynb"
    path.parent.mkdir()
    path.write_bytes(DATA)
    return path


def test_the_public_names_are_sorted() -> None:
    assert github.__all__ == sorted(github.__all__, key=lambda name: (not name.isupper(), name))


def test_lost_points_are_annotated_at_the_lines_of_the_cell(notebook: Path, tmp_path: Path) -> None:
    lost = item(Verdict.FAILED, 0, "the kernel is flipped", file="hw2.ipynb", cell=1)
    score, (name, properties, message) = obeyed(
        render_github(report_of(item(Verdict.PASSED, 6), lost), {"hw2.ipynb": notebook}, tmp_path)
    )
    assert score == ("notice", {"title": "HW2"}, "6 of 12 points")
    assert (name, message) == ("error", "the kernel is flipped")
    assert (properties["file"], properties["title"]) == ("week 2/hw2.ipynb", "corr2d.values, cell 2")
    lines = DATA.decode().split("\n")
    assert "def corr2d" in lines[int(properties["line"]) - 1]
    assert "return X" in lines[int(properties["endLine"]) - 1]


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.PASSED])
def test_pending_items_are_notices_and_others_errors(verdict: Verdict, notebook: Path, tmp_path: Path) -> None:
    _, (name, _, _) = obeyed(render_github(report_of(item(verdict)), {"hw2.ipynb": notebook}, tmp_path))
    assert name == ("notice" if verdict is Verdict.PENDING else "error")


def test_a_missing_definition_is_annotated_at_the_top_of_the_only_notebook(notebook: Path, tmp_path: Path) -> None:
    absent = item(Verdict.ABSENT)
    _, (_, properties, _) = obeyed(render_github(report_of(absent), {"hw2.ipynb": notebook}, tmp_path))
    assert (properties["file"], properties["line"]) == ("week 2/hw2.ipynb", "1")
    names = ("a.ipynb", "b.ipynb")
    _, (_, properties, _) = obeyed(
        render_github(report_of(absent, names=names), dict.fromkeys(names, notebook), tmp_path)
    )
    assert "file" not in properties


def test_a_student_s_text_is_never_a_command(notebook: Path, tmp_path: Path) -> None:
    report = report_of(item(Verdict.ERROR, 0, HOSTILE, file=HOSTILE, cell=0), names=(HOSTILE,))
    hostile = tmp_path / "a,b:c%.ipynb"
    hostile.write_bytes(DATA)
    text = render_github(report, {HOSTILE: hostile}, tmp_path)
    _, (name, properties, message) = obeyed(text)
    assert (name, properties["file"]) == ("error", "a,b:c%.ipynb")
    assert message.startswith("50% :: a,b: c\n::error::forged\n")
    assert not {"\r", "\x1b", "\u202e", "\ud800"} & set(text)


def test_a_file_that_changed_or_went_away_is_annotated_at_its_top(notebook: Path, tmp_path: Path) -> None:
    lost = report_of(item(Verdict.FAILED, file="hw2.ipynb", cell=1))
    for change in (lambda: notebook.write_bytes(b"{"), notebook.unlink):
        change()
        _, (_, properties, _) = obeyed(render_github(lost, {"hw2.ipynb": notebook}, tmp_path))
        assert (properties["line"], properties["endLine"]) == ("1", "1")


def test_an_annotation_stands_at_the_line_of_code_and_quotes_it(notebook: Path, tmp_path: Path) -> None:
    lost = item(Verdict.FAILED, file="hw2.ipynb", cell=1, line=2, code="return X")
    _, (_, properties, message) = obeyed(render_github(report_of(lost), {"hw2.ipynb": notebook}, tmp_path))
    assert "return X" in DATA.decode().split("\n")[int(properties["line"]) - 1]
    assert properties["line"] == properties["endLine"]
    assert (properties["title"], message) == ("corr2d.values, cell 2, line 2", "is wrong\nreturn X")


def test_there_are_at_most_ten_annotations_and_the_most_valuable_ones_come_first(tmp_path: Path) -> None:
    def lost(name: str, points: float, **others: Any) -> ItemResult:
        return ItemResult(name, "1", name, 0, points, Verdict.FAILED, "is wrong", **others)

    own = [lost(f"item{number}", number) for number in range(1, 10)]
    hanging = lost("hanging", 50, because_of="item1")
    for items, more in (([*own], ""), ([*own, hanging], "2 more items"), (own * 3, "19 more items")):
        score, *annotations = obeyed(render_github(report_of(*items), {}, tmp_path))
        assert len(annotations) == 9
        assert annotations[0][1]["title"] == "item9"
        assert annotations[-1][1]["title"] == (more or "item1")
        assert score[2].startswith("0 of ")
    assert annotations[-1][2].endswith("see the summary of this job")
    score, *annotations = obeyed(render_github(report_of(*own, hanging), {}, tmp_path))
    assert score[2] == "0 of 95 points\nMend first: item1, 1 item hangs on it"
    assert annotations[-1][2] == "item1 (0 of 1), hanging (0 of 50): see the summary of this job"


def test_written_answers_have_no_annotation(tmp_path: Path) -> None:
    waiting = item(Verdict.PENDING, evidence={"kind": "discussion", "text": "words"})
    commented = item(Verdict.PARTIAL, 3, evidence={"kind": "discussion", "text": "words"})
    (score,) = obeyed(render_github(report_of(waiting, commented), {}, tmp_path))
    assert score[2] == "3 of 12 points, 6 pending"


def test_a_notebook_outside_of_the_repository_is_named_whole(notebook: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    lost = report_of(item(Verdict.FAILED, file="hw2.ipynb", cell=1))
    _, (_, properties, _) = obeyed(render_github(lost, {"hw2.ipynb": notebook}, tmp_path / "other"))
    assert properties["file"] == str(notebook)


def test_a_steps_outputs_are_lines_of_name_and_value() -> None:
    report = report_of(item(Verdict.FAILED, 1.5, HOSTILE), item(Verdict.PENDING))
    outputs = dict(each.split("=", 1) for each in render_step_outputs(report).splitlines())
    assert outputs.keys() == {"score", "max-score", "pending-points", "result"}
    assert (outputs["score"], outputs["max-score"], outputs["pending-points"]) == ("1.5", "12", "6")
    assert json.loads(base64.b64decode(outputs["result"], validate=True))["max_score"] == 12


def test_a_summary_stays_within_github_s_limit() -> None:
    report = report_of(*[item(Verdict.FAILED, 0, "과" * 1900)] * 400)
    assert SUMMARY_BYTES - 10_000 < len(render_step_summary(report).encode()) <= SUMMARY_BYTES
    assert len(render_step_summary(report, 500_000).encode()) <= SUMMARY_BYTES - 500_000
    assert "do not fit here" in render_step_summary(report)
