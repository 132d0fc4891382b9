"""A report in Markdown, read by a Markdown parser: a table of items in which no student's text is markup."""

from __future__ import annotations

from typing import Any

import pytest
from markdown_it import MarkdownIt

from grader.render import markdown
from grader.render.markdown import render_markdown, score_line
from grader.report import CellResult, File, ItemResult, Report, Verdict

HOSTILE = (
    "<script>alert(1)</script> <img src=x> | [a](javascript:b) ![i](u) `code` *bold* _it_ ~~s~~ https://evil.example "
    "www.evil.example $x$ @all #12 &lt; \\ <b>\n# heading\n- list\n\n> quote\n```\nfence\x1b[31m\u202e\ud800"
)


def item(verdict: Verdict, points: float = 0, message: str = "right", **others: Any) -> ItemResult:
    return ItemResult("corr2d.values", "7.2.1", "Cross-correlation", points, 6, verdict, message, **others)


def report_of(*items: ItemResult, **others: Any) -> Report:
    return Report("hw2", "HW2", "revision", (File("hw2.ipynb", "0" * 64),), items, **others)


def read(text: str) -> tuple[set[str], list[list[str]]]:
    """Return the kinds of elements a parser finds, and the table's rows as text."""
    kinds: set[str] = set()
    rows: list[list[str]] = []
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for token in parser.parse(text):
        kinds.add(token.type)
        if token.type == "tr_open":
            rows.append([])
        for child in token.children or ():
            kinds.add(f"html {child.content}" if child.type == "html_inline" else child.type)
        if token.type == "inline" and rows:
            rows[-1].append("".join(child.content for child in token.children or () if child.type != "html_inline"))
    return kinds, rows


def test_the_public_names_are_sorted() -> None:
    assert markdown.__all__ == sorted(markdown.__all__)


def test_the_score_comes_first_and_each_item_is_a_row() -> None:
    text = render_markdown(
        report_of(
            item(Verdict.PASSED, 6, file="hw2.ipynb", cell=3),
            item(Verdict.FAILED, 0, "wrong", file="a|b.ipynb", cell=4),
            item(Verdict.PENDING, 0, "waits"),
        )
    )
    assert text.startswith("## HW2\n\n6 of 18 points, 6 pending\n")
    _, rows = read(text)
    assert rows[1:] == [
        ["✓ passed", "corr2d.values", "6 / 6", "right"],
        ["✗ failed", "corr2d.values", "0 / 6", "wronga|b.ipynb, cell 4"],
        ["… pending", "corr2d.values", "0 / 6", "waits"],
    ]


def test_nothing_pending_is_not_spoken_of() -> None:
    assert score_line(report_of(item(Verdict.PARTIAL, 0.5))) == "0.5 of 6 points"


def test_no_text_of_a_students_is_markup() -> None:
    hostile = report_of(
        item(Verdict.FAILED, 0, HOSTILE, file=HOSTILE, cell=1),
        cells=(CellResult(HOSTILE, 2, "raised", HOSTILE),),
        limits_hit=(HOSTILE,),
        notices=(HOSTILE,),
    )
    plain = report_of(
        item(Verdict.FAILED, 0, "a\nb", file="c", cell=1),
        cells=(CellResult("d", 2, "raised", "e"),),
        limits_hit=("f",),
        notices=("g",),
    )
    kinds, rows = read(render_markdown(hostile))
    # Escapes are tokens of their own only until they are joined with the text around them.
    assert kinds - {"text_special"} == read(render_markdown(plain))[0]
    assert len(rows) == 2
    assert len(rows[1]) >= 4
    for address in ("https://evil", "www.evil"):
        assert address not in render_markdown(hostile)


@pytest.mark.parametrize("most", [700, 5_000, 50_000])
def test_what_finds_no_room_is_counted(most: int) -> None:
    report = report_of(*[item(Verdict.FAILED, 0, "과" * 40)] * 1000)
    text = render_markdown(report, most)
    shown = len(read(text)[1]) - 1
    assert most - 400 < len(text.encode()) <= most
    assert 0 < shown < 1000
    assert f"no room for {1000 - shown} more items" in text


def test_what_fits_exactly_is_shown_whole() -> None:
    report = report_of(*[item(Verdict.FAILED)] * 50, notices=("a notice",))
    text = render_markdown(report)
    assert render_markdown(report, len(text.encode())) == text
    assert "a notice" in text
    assert "no room" in render_markdown(report, len(text.encode()) - 1)
