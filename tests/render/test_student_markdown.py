"""Markdown of students is shown formatted, and what would become far too long as it was written."""

from __future__ import annotations

import time

import pytest

from grader.render.notebook import render_notebook
from grader.render.student_markdown import render_student_markdown
from tests.support.html_pages import Page

_MOST = 600_000  # characters of HTML
_SENTENCE = "Shown as it was written: as formatted text it would be too long for this page."

_LONG_TABLE = "|a" * 300 + "|\n" + "|-" * 300 + "|\n" + "|\n" * 218 + "\n"
_TOO_LONG = {
    "a table whose rows are filled up": "|a" * 400 + "|\n" + "|-" * 400 + "|\n" + "|\n" * 8_000,
    "many tables whose rows are filled up": _LONG_TABLE * 12,
    "a long address under a short name": f"[a]: http://{'x' * 5_000}\n\n" + "[a] " * 3_500,
    "a long title under a short name": f"[a]: http://b '{'x' * 5_000}'\n\n" + "[a] " * 3_500,
    "a long address of a picture": f"[a]: http://{'x' * 5_000}\n\n" + "![a] " * 3_500,
}


@pytest.mark.parametrize("source", _TOO_LONG.values(), ids=_TOO_LONG.keys())
def test_what_becomes_too_long_is_shown_as_it_was_written(source: str) -> None:
    shown = str(render_student_markdown(source, {}))
    assert _SENTENCE in shown
    assert "|a|a" in shown or "[a]" in shown
    assert len(shown) < 10 * len(source)


@pytest.mark.parametrize(
    "part",
    [
        "*a",
        "**a*_b",
        "`",
        "[",
        "![",
        "[a](",
        "<",
        "> ",
        "- ",
        "1. ",
        "#",
        "|",
        "&#",
        "~~a",
        "<!--",
        "\\",
        "\u202e",
        "_",
    ],
)
def test_text_of_any_form_becomes_little_more(part: str) -> None:
    assert len(render_student_markdown(part * (20_000 // len(part)), {})) < _MOST


def test_a_picture_that_is_shown_often_is_embedded_a_few_times() -> None:
    url = "data:image/png;base64," + "A" * 1_000_000
    shown = str(render_student_markdown("![a](attachment:b)" * 1_000, {"attachment:b": url}))
    assert 1 <= shown.count(url) <= 4


def test_pictures_inside_each_other_s_names_end_in_text() -> None:
    shown = str(render_student_markdown("![" * 4_000 + "](b)" * 3_000, {}))
    assert Page(shown).balanced
    assert len(shown) < _MOST


def test_long_tables_and_texts_of_usual_notebooks_are_formatted() -> None:
    table = "| a | b | c |\n|---|---|---|\n" + "| 1 | 2 | 3 |\n" * 800
    shown = str(render_student_markdown(table, {}))
    assert _SENTENCE not in shown
    assert shown.count("<tr>") == 801
    assert str(render_student_markdown("# A\n\nb *c*", {})) == "<h2>A</h2>\n<p>b <em>c</em></p>\n"


def test_the_pages_of_a_notebook_with_many_such_cells_stay_small() -> None:
    cells = [{"cell_type": "markdown", "source": source} for source in _TOO_LONG.values()] * 100
    assert len(render_notebook({"cells": cells})) < 13 * 2**20


@pytest.mark.parametrize("source", ["|a" * 300 + "|\n" + "|-" * 300 + "|\n" + "|\n" * rows for rows in (60, 200)])
def test_a_notebook_of_many_wide_tables_is_shown_in_seconds(source: str) -> None:
    started = time.process_time()
    shown = render_notebook({"cells": [{"cell_type": "markdown", "source": source}] * 200})
    assert time.process_time() - started < 15  # without a bound on the work, 30 s and more
    assert Page(shown).balanced
