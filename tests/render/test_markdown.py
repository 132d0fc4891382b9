"""A report in Markdown, read by GitHub's own parser: a table of items in which no student's text is markup."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from cmarkgfm import github_flavored_markdown_to_html
from cmarkgfm.cmark import Options

from grader.render import markdown
from grader.render.markdown import describe_score, render_markdown
from grader.results.notice import Notice
from grader.results.report import CellResult, File, ItemResult, Report, Verdict

HOSTILE = (
    "<script>alert(1)</script> <img src=x> | [a](javascript:b) ![i](u) `code` *bold* _it_ ~~s~~ https://evil.example "
    "www.evil.example $x$ @all a@b.example "
    "mailto:a@b.example xmpp:a@b.example #12 &lt; \\ <b>\n# heading\n- list\n\n> quote\n```\nfence\x1b[31m\u202e\ud800"
)


def item(verdict: Verdict, points: float = 0, message: str = "right", **others: Any) -> ItemResult:
    return ItemResult("corr2d.values", "7.2.1", "Cross-correlation", points, 6, verdict, message, **others)


def report_of(*items: ItemResult, **others: Any) -> Report:
    return Report("hw2", "HW2", "revision", (File("hw2.ipynb", "0" * 64),), items, **others)


class Page(HTMLParser):
    """What GitHub makes of Markdown: the kinds of elements, their links, and the table's rows as text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.kinds: set[str] = set()
        self.rows: list[list[str]] = []
        self.text = ""
        # Unsafe, so that HTML which is no text would be an element here.
        self.feed(github_flavored_markdown_to_html(text, Options.CMARK_OPT_UNSAFE))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element, and where a row or an entry begins."""
        self.kinds.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        """Add text to the entry that it stands in."""
        self.text += data
        if self.rows and "\n" not in data:
            self.rows[-1][-1] += data


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
    assert Page(text).rows[1:] == [
        ["✗ failed", "corr2d.values", "0 / 6", "wronga|b.ipynb, cell 5"],
        ["✓ passed", "corr2d.values", "6 / 6", "right"],
        ["… pending", "corr2d.values", "0 / 6", "waits"],
    ]


def test_pending_points_are_mentioned_only_if_there_are_any() -> None:
    assert describe_score(report_of(item(Verdict.PARTIAL, 0.5))) == "0.5 of 6 points"


def test_a_student_s_text_is_never_markup() -> None:
    hostile = report_of(
        item(Verdict.FAILED, 0, HOSTILE, file=HOSTILE, cell=1),
        cells=(CellResult(HOSTILE, 2, "raised", HOSTILE),),
        limits_hit=(HOSTILE,),
        notices=(Notice(HOSTILE),),
    )
    plain = report_of(
        item(Verdict.FAILED, 0, "a\nb", file="c", cell=1),
        cells=(CellResult("d", 2, "raised", "e"),),
        limits_hit=("f",),
        notices=(Notice("g"),),
    )
    page, harmless = Page(render_markdown(hostile)), Page(render_markdown(plain))
    assert page.kinds == harmless.kinds
    assert [len(row) for row in page.rows] == [len(row) for row in harmless.rows]
    for part in (
        "<script>alert(1)</script>",
        "www.evil.example",
        "a@b.example",
        "&lt;",
        "`code`",
        "# heading",
        "- list",
    ):
        assert part in page.text


@pytest.mark.parametrize(
    "text", ["- a", "+ a", "* a", "1. a", "2) a", "---", "===", "# a", "> a", "| a |", "```", "~~~"]
)
def test_a_file_name_never_begins_a_block(text: str) -> None:
    page, harmless = (
        Page(render_markdown(report_of(notices=(Notice("before"), Notice(each))))) for each in (text, "a")
    )
    assert page.kinds == harmless.kinds
    assert text in page.text


@pytest.mark.parametrize("most", [700, 5_000, 50_000])
def test_items_that_do_not_fit_are_counted(most: int) -> None:
    report = report_of(*[item(Verdict.FAILED, 0, "과" * 40)] * 1000)
    text = render_markdown(report, most)
    shown = len(Page(text).rows) - 1
    assert most - 400 < len(text.encode()) <= most
    assert 0 < shown < 1000
    assert f"{1000 - shown} more items do not fit here" in text


def test_a_report_of_exactly_the_limit_is_complete() -> None:
    report = report_of(*[item(Verdict.FAILED)] * 50, notices=(Notice("a notice"),))
    text = render_markdown(report)
    assert render_markdown(report, len(text.encode())) == text
    assert "a notice" in text
    assert "do not fit here" in render_markdown(report, len(text.encode()) - 1)
