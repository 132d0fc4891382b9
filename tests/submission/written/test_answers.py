"""What a student wrote about a section is found with any kind of heading, and waits for a person."""

from __future__ import annotations

import base64
import json

import nbformat
import pytest

from grader.assignment import Assignment
from grader.results.report import ItemResult, Verdict
from grader.submission.submission import CompanionFile, Notebook, Submission, read_notebook
from grader.submission.written.answers import add_written_answers
from grader.submission.written.passages import read_passages


def notebook(*cells: str, name: str = "homework.ipynb") -> Notebook:
    """Return a notebook of Markdown cells; a cell that starts with `%` is code."""
    made = [
        nbformat.v4.new_code_cell(cell[1:]) if cell.startswith("%") else nbformat.v4.new_markdown_cell(cell)
        for cell in cells
    ]
    return read_notebook(name, nbformat.writes(nbformat.v4.new_notebook(cells=made)).encode())


def found(assignment: Assignment, *notebooks: Notebook) -> dict[str, ItemResult]:
    """Return what waits for a person, by the number of its section."""
    return {result.section: result for result in add_written_answers([], Submission(notebooks), assignment)}


def texts(assignment: Assignment, *cells: str) -> dict[str, str]:
    """Return the texts that were found, without the headings."""
    return {
        " ".join(passage.places): "\n".join(piece.text for piece in passage.pieces)
        for passage in read_passages(notebook(*cells), assignment)
        if passage.is_asked
    }


@pytest.mark.parametrize(
    "heading",
    [
        "## Discussion",
        "## Discussions",
        "##Discussion",
        "#### DISCUSSIONS / TAKEAWAYS / EXERCISES ####",
        "## **Takeaways**",
        "## Take-away message",
        "## Exercises and answers",
        "## Summary",
        "## My conclusions",
        "## 7.2.7. Summary and Discussion",
        "**Discussion**",
        "**Exercises:**",
        "Discussion\n----------",
        "<h3 style='color:red'>Discussion</h3>",
        "## 💡 Discussion",
        "## 토론",
        "## 7.2.5 토론 및 논의",
        "### 7.2절 고찰",
        "## 연습 문제",
        "## 연습문제 풀이",
        "## 느낀 점",
        "## 배운점",
        "## 내용 정리",
        "## 요약 및 결론",
        "## \u1110\u1169\u1105\u1169\u11ab",  # decomposed, as macOS types it
    ],
)
def test_a_heading_that_asks_for_a_students_words_is_known(hw2: Assignment, heading: str) -> None:
    given = texts(hw2, "# 7.2. Convolutions for Images", heading + "\n\nA kernel slides.")
    assert list(given.values()) == ["A kernel slides."]
    assert next(iter(given)).startswith("7.2")


@pytest.mark.parametrize(
    "heading",
    [
        "## Model summary",
        "## Training",
        "A discussion of kernels is below",
        "# 정리되지 않은 코드",
        "## Exercised K",
        "**K**",
    ],
)
def test_a_heading_of_something_else_is_none(hw2: Assignment, heading: str) -> None:
    assert texts(hw2, "# 7.2. Convolutions for Images", heading + "\n\nA kernel slides.") == {}


def test_a_section_is_known_by_its_number_or_by_its_title(hw2: Assignment) -> None:
    assert texts(hw2, "# 7.3 Padding", "## Discussion\na") == {"7.3": "a"}
    assert texts(hw2, "# Convolutions for Images", "## Discussion\na", "# Pooling", "## Discussion\nb") == {
        "7.2": "a",
        "7.5": "b",
    }
    assert texts(hw2, "## Discussion of 7.4\na") == {"7.4": "a"}
    assert texts(hw2, "## Pooling: Discussion\na") == {"7.5": "a"}


def test_a_sections_own_part_of_another_sections_title_stays_a_part(hw2: Assignment) -> None:
    assert texts(hw2, "# Pooling", "## Padding and Stride", "code below", "## Exercises\na") == {"7.5.2": "a"}


def test_a_title_that_several_sections_have_is_a_part_of_the_section_it_stands_in(hw2: Assignment) -> None:
    assert texts(hw2, "# 7.6 LeNet", "## Training", "## Discussion\na") == {"7.6.2": "a"}
    assert texts(hw2, "# Some notebook", "## Training", "## Discussion\na") == {"": "a"}


def test_numbers_that_are_no_sections_are_not_taken_for_some(hw2: Assignment) -> None:
    assert texts(hw2, "# 7.2", "## Discussion with Python 3.11\na") == {"7.2": "a"}
    assert texts(hw2, "# 7.2", "## 2. Discussion\na") == {"7.2": "a"}


def test_an_answer_goes_on_after_a_code_cell_and_ends_at_the_next_heading(hw2: Assignment) -> None:
    result = found(
        hw2, notebook("# 7.2", "## Exercises\none", "%print(1)", "two", "### a)\nthree", "## Code\nno", "# 7.3\nno")
    )["7.2"]
    assert result.evidence["text"] == ("## Exercises\n\none\n\n```python\nprint(1)\n```\n\ntwo\n\n### a)\n\nthree")
    assert [place["cell"] for place in result.evidence["cells"]] == [1, 2, 3, 4]
    assert (result.file, result.cell) == ("homework.ipynb", 1)
    assert result.message == "waits for a person (3 words, 1 code cell)"


def test_the_next_section_ends_an_answer_even_where_its_heading_is_smaller(hw2: Assignment) -> None:
    given = texts(hw2, "# 7.2", "# Discussion\na", "## 7.3 Padding\nnotes")
    assert given == {"7.2": "a"}


def test_answers_of_all_sections_may_stand_together_at_the_end(hw2: Assignment) -> None:
    cells = ["# 7. CNN", "## 7.2", "%x = 1", "# 7. Discussions & Exercises", "## 7.1 Layers\na", "## 7.3.4 Padding\nb"]
    assert texts(hw2, *cells) == {"7.1": "a", "7.3.4": "b"}


def test_what_is_written_about_a_whole_chapter_is_shown_with_each_section_that_has_nothing_else(
    hw2: Assignment,
) -> None:
    results = found(hw2, notebook("# 7. CNN", "## 7.2", "### Discussion\nown", "# Discussion of chapter 7\nwhole"))
    assert "own" in results["7.2"].evidence["text"]
    assert "whole" not in results["7.2"].evidence["text"]
    assert all("whole" in results[section].evidence["text"] for section in ("7.1", "7.3", "7.6"))
    assert results["8.2"].evidence["text"] == ""


def test_all_headings_of_a_section_in_all_notebooks_come_together(hw2: Assignment) -> None:
    first = notebook("# 8.2", "## Discussion\none")
    second = notebook("# 8.2", "## Takeaways\ntwo", "## 8.2.3 Exercises\nthree", name="second.ipynb")
    evidence = found(hw2, first, second)["8.2"].evidence
    assert [word in evidence["text"] for word in ("one", "two", "three")] == [True] * 3
    assert evidence["cells"] == [
        {"file": "homework.ipynb", "cell": 1},
        {"file": "second.ipynb", "cell": 1},
        {"file": "second.ipynb", "cell": 2},
    ]


def test_where_nothing_was_found_a_person_decides_all_the_same(hw2: Assignment) -> None:
    results = found(hw2, notebook("# 7.2", "## 7.2.6 Discussion", "# 7.3", "%x = 1"))
    assert set(results) == {"7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "8.2", "8.6"}
    assert {result.verdict for result in results.values()} == {Verdict.PENDING}
    assert {result.message for result in results.values()} == {"waits for a person; no discussion found"}
    assert all(result.by_person and result.file is None for result in results.values())


def test_headings_in_code_are_code(hw2: Assignment) -> None:
    assert texts(hw2, "# 7.2", "## Discussion\n```python\n# 7.3 Discussion\n```\nend") == {
        "7.2": "```python\n# 7.3 Discussion\n```\nend"
    }


def test_a_rule_below_a_paragraph_ends_nothing(hw2: Assignment) -> None:
    assert texts(hw2, "# 7.2", "## Discussion\n\none\n---\ntwo") == {"7.2": "one\ntwo"}


def test_pictures_leave_the_text_and_come_with_it(hw2: Assignment) -> None:
    png = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(300)).decode()
    pasted = f"## Discussion\n![a plot](data:image/png;base64,{png})\nseen, and <img src='plot.gif'>"
    attached = nbformat.v4.new_markdown_cell("![](attachment:b.png)", attachments={"b.png": {"image/png": png}})
    stored = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"# 7.2\n{pasted}"), attached])
    files = (CompanionFile("plot.gif", b"GIF89a" + bytes(9)),)
    submission = Submission((read_notebook("a.ipynb", nbformat.writes(stored).encode()),), files)
    result = next(item for item in add_written_answers([], submission, hw2) if item.section == "7.2")
    assert result.evidence["text"] == "## Discussion\n\n[picture 1: a plot]\nseen, and [picture 2]\n\n[picture 3]"
    assert [url.partition(",")[0] for url in result.evidence["pictures"]] == [
        "data:image/png;base64",
        "data:image/gif;base64",
        "data:image/png;base64",
    ]
    assert result.message == "waits for a person (2 words, 3 pictures)"


@pytest.mark.parametrize("data", ["iVBO" * 9000, "PHN2Zz4=", "aGVsbG8=", "", "=", "A" * 5_000_000])
def test_what_is_no_small_picture_is_not_shown(hw2: Assignment, data: str) -> None:
    evidence = found(hw2, notebook("# 7.2", f"## Discussion\n![a](data:image/png;base64,{data})\nseen"))["7.2"].evidence
    assert evidence["text"] == "## Discussion\n\n[picture, not shown: a]\nseen"
    assert evidence["pictures"] == []


def test_hostile_text_is_bounded_and_stays_text(hw2: Assignment) -> None:
    cells = [f"## Discussion {number}\n" + "<script>\0\x1b[31m" * 30 for number in range(500)]
    evidence = found(hw2, notebook("# 7.2", *cells, "#" * 100_000, "_" * 100_000, "<" * 100_000))["7.2"].evidence
    assert len(evidence["text"]) < 20_100
    assert evidence["text"].endswith("more characters are in the notebook)")
    assert len(evidence["cells"]) == 100
    json.dumps(evidence)


@pytest.mark.parametrize(
    "text",
    [
        "<img " + "src=a " * 300_000,
        "<img src=" + "a" * 1_000_000,
        "## 7.2" + " " * 1_000_000 + "x",
        "# a" + " #" * 500_000 + "x",
    ],
)
def test_long_text_of_one_form_is_not_searched_for_hours(hw2: Assignment, text: str) -> None:
    """Each of these once took hours: the suite's time limit ends this test if one does again."""
    assert "seen" in found(hw2, notebook("# 7.2", "## Discussion\nseen", text))["7.2"].evidence["text"]


def test_a_mark_of_a_picture_that_a_student_writes_stays_text(hw2: Assignment) -> None:
    evidence = found(hw2, notebook("# 7.2", "## Discussion\n![a](picture:1) ![b](picture:99999)\nseen"))["7.2"].evidence
    assert "![a](picture:1) ![b](picture:99999)\nseen" in evidence["text"]
    assert evidence["pictures"] == []


@pytest.mark.parametrize(
    "line", ["# " + "我的" * 150 + "X", " " * 390 + ":", "[" * 200 + "](" * 90, "<h1>" * 90, "a " * 190 + ":"]
)
def test_no_heading_is_read_in_all_ways_to_read_it(hw2: Assignment, line: str) -> None:
    """Each of these once took minutes: the suite's time limit ends this test if one does again."""
    assert "seen" in found(hw2, notebook("# 7.2", f"{line}\n\n## Discussion\nseen"))["7.2"].evidence["text"]


def test_results_keep_the_rubrics_order(hw2: Assignment) -> None:
    judged = [
        ItemResult(item.id, item.section, item.title, item.points, item.points, Verdict.PASSED, "right")
        for item in hw2.items
        if not item.by_person
    ]
    results = add_written_answers(reversed(judged), Submission((notebook("text"),)), hw2)
    assert [result.id for result in results] == [item.id for item in hw2.items]
    assert add_written_answers([], Submission((notebook("text"),)), hw2, only={"corr2d.values"}) == []
