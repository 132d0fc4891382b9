"""Written answers are shown on pages formatted, with tables and formulas; a terminal shows the verdict only."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from rich.console import Console

from grader.render import render_html, render_terminal
from grader.render.written import read_written_answer
from grader.results.report import File, ItemResult, Report, Verdict
from tests.support.html_pages import HOSTILE, Page

CELLS = [{"file": "hw2.ipynb", "cell": 3}, {"file": "hw2.ipynb", "cell": 5}, {"file": "둘.ipynb", "cell": 1}]
LONG = "## 토론\n\n" + "합성곱은 이동에 등변이다. " * 500 + "끝"


def evidence(text: str, cells: Any = CELLS) -> dict[str, Any]:
    return {"kind": "discussion", "text": text, "cells": cells, "words": 3}


def report_of(verdict: Verdict, text: str, message: str = "waits for a person (3 words)") -> Report:
    item = ItemResult(
        "discussion.7.2", "7.2", "Discussion", 0, 0.75, verdict, message, "hw2.ipynb", 3, evidence=evidence(text)
    )
    return Report("hw2", "Homework 2", "revision", (File("hw2.ipynb", "0" * 64),), (item,))


def test_the_whole_text_stands_on_the_page_with_its_places() -> None:
    page = Page(render_html(report_of(Verdict.PENDING, LONG)))
    assert LONG.removeprefix("## ").replace("\n\n", "\n") in page.text
    assert page.all("h4")  # below those of the page
    assert "hw2.ipynb, cell 4, cell 6" in page.text
    assert "둘.ipynb, cell 2" in page.text


def test_tables_formulas_and_code_are_formatted() -> None:
    text = (
        "| a | $b$ |\n|---|---|\n| 1 | `c` |\n\n- so\n\n$$\\frac{1}{2}$$\n\n```\nd = 1\n```\n[e](https://example.org)"
    )
    page = Page(render_html(report_of(Verdict.PENDING, text)))
    assert page.balanced
    found = [tag for tag, _ in page.elements]
    assert (found.count("math"), found.count("mfrac"), found.count("td")) == (2, 1, 2)
    assert page.all("a")[-1]["rel"] == "noopener noreferrer nofollow"


def test_hostile_markdown_and_html_stay_text() -> None:
    page = Page(render_html(report_of(Verdict.PARTIAL, f"[a](javascript:alert(1)) <b>x</b>\n{HOSTILE}", HOSTILE)))
    assert page.balanced
    assert not [name for name, _ in page.elements if name in {"script", "img"}]
    assert "<b>x</b>" in page.text
    assert "[a](javascript:alert(1))" in page.text
    assert not page.all("a")
    assert not {"\x1b", "\u202e", "\x00"} & set(page.text)


def test_the_answers_of_a_whole_report_stay_bounded() -> None:
    for part in ("$x$ ", "|a" * 300 + "|\n" + "|-" * 300 + "|\n" + "|\n" * 60 + "\n"):
        page = render_html(report_of(Verdict.PENDING, part * (20_000 // len(part))))
        assert len(page) < 1_000_000
        assert Page(page).balanced


def test_a_terminal_shows_the_verdict_only() -> None:
    for verdict, message in ((Verdict.PENDING, "waits for a person (3 words)"), (Verdict.FAILED, "too short")):
        file = io.StringIO()
        render_terminal(report_of(verdict, LONG, message), Console(file=file, width=80))
        assert message in file.getvalue()
        assert "합성곱" not in file.getvalue()
        assert file.getvalue().count("discussion.7.2") == 1


def test_without_an_answer_the_page_says_where_it_is_expected() -> None:
    page = Page(render_html(report_of(Verdict.PENDING, "")))
    assert "There are no words of the student in section 7.2" in page.text


def test_pictures_are_shown_and_nothing_else_is_taken_for_one() -> None:
    url = "data:image/png;base64,iVBORw0KGgo="
    others = [
        'x" onerror="alert(1)',
        "https://example.org/a.png",
        "data:image/svg+xml;base64,PHN2Zz4=",
        3,
        f'{url}"',
    ]
    report = report_of(Verdict.PENDING, "[picture 1]")
    item = replace(report.items[0], evidence={**report.items[0].evidence, "pictures": [*others, url]})
    page = Page(render_html(replace(report, items=(item,))))
    assert [attributes["src"] for name, attributes in page.elements if name == "img"] == [url]
    assert read_written_answer({**evidence("a"), "pictures": "none"}) == read_written_answer(evidence("a"))


def test_other_evidence_shows_nothing() -> None:
    for other in ({}, {"kind": "discussion"}, evidence(" \n"), {"text": "a", "cells": []}):
        assert read_written_answer(other) is None
    found = read_written_answer(evidence("a", cells="none"))
    assert found
    assert found.places == ()
    assert read_written_answer(evidence("a", cells=[3, {}, {"file": None}])) is not None
