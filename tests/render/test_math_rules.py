"""Formulas are found in Markdown wherever Jupyter and Colab find them, and prices are none."""

from __future__ import annotations

import time

import pytest

from grader.render.student_markdown import render_student_markdown
from tests.support.html_pages import Page


def show(source: str) -> str:
    return str(render_student_markdown(source, {}))


@pytest.mark.parametrize(
    ("source", "display"),
    [
        ("so $x_i*y*z$ is", "inline"),
        (r"so \(x_i\) is", "inline"),
        (r"so \\(x_i\\) is", "inline"),
        ("so $$x_i$$ is", "block"),
        ("$$\ny = x\n- b\n= c\n$$", "block"),
        (r"\[ x_i \]", "block"),
        ("\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}", "block"),
        ("- item\n\n  $$\n  x\n  $$", "block"),
        ("> $$\n> x\n> $$", "block"),
        ("a sentence\n$$\nx\n$$\ngoes on", "block"),
        ("| a | b |\n|---|---|\n| $x$ | 1 |", "inline"),
    ],
)
def test_a_formula_between_any_marks_is_found(source: str, display: str) -> None:
    page = Page(show(source))
    assert page.balanced
    assert [attributes["display"] for attributes in page.all("math")] == [display]
    assert not {tag for tag, _ in page.elements} & {"em", "h2", "h3"}


@pytest.mark.parametrize(
    "source",
    [
        "It costs $5 and $10.",
        r"\$x\$",
        "`$x$`",
        "```\n$$\nx\n$$\n```",
        "$ x $",
        "$x",
        "$$",
        "$$$$",
        r"\( x",
        r"\[",
        "    $$x$$",
    ],
)
def test_what_is_no_formula_stays_text(source: str) -> None:
    assert "<math" not in show(source)


def test_marks_inside_a_formula_are_no_markdown() -> None:
    assert "<em>" not in show("$a_{i}b_{j}$ and $c_{k} * d * e$")
    assert "<em>text</em>" in show("$a$ *text* $b$")


@pytest.mark.parametrize(
    "part",
    [
        "$",
        "$$",
        r"\(",
        r"\[",
        "\\[\n",
        "$$\n",
        r"\begin{a}",
        "\\begin{a}\n",
        "$a",
        "$x$ ",
        "$a\n",
        "$$a$$\n",
        "- $$\n",
        "> \\[\n",
    ],
)
def test_any_text_is_read_in_bounded_time_and_space(part: str) -> None:
    source = part * (20_000 // len(part))
    started = time.process_time()
    shown = show(source)
    assert time.process_time() - started < 10
    assert len(shown) < 900_000
    assert Page(shown).balanced
