"""Formulas become MathML that holds nothing but symbols, and what cannot be read stays as it was written."""

from __future__ import annotations

import time

import pytest

from grader.render.formulas import MAX_FORMULA, render_formula
from tests.support.html_pages import Page


def show(source: str, *, is_display: bool = False) -> str:
    return str(render_formula(source, is_display=is_display))


def test_a_formula_of_the_book_is_mathml() -> None:
    shown = show(r"[\mathbf{H}]_{i, j} = \sum_{a = -\Delta}^{\Delta} [\mathsf{V}]_{a, b}", is_display=True)
    assert '<math display="block">' in shown
    assert Page(shown).all("span") == [{"class": "formula", "role": "group", "aria-label": "formula", "tabindex": "0"}]
    assert Page(show("x", is_display=True)).all("span") == [{"class": "formula"}]
    assert "<munderover>" in shown
    assert "\N{MATHEMATICAL BOLD CAPITAL H}" in shown
    assert Page(shown).balanced


@pytest.mark.parametrize(
    "source",
    [
        r"\frac{n_h - k_h + p_h + s_h}{s_h}",
        r"\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}",
        r"\begin{cases} 1 & x > 0 \\ 0 & \text{sonst} \end{cases}",
        r"\hat{y} = \operatorname{softmax}(\mathbf{o}) \in \mathbb{R}^{n \times q}",
        r"\lfloor x \rfloor \leq \sqrt[3]{y}, \; \partial_x f' \to \infty",
        r"\text{출력 크기} = 5",
        "a < b",
    ],
)
def test_usual_formulas_are_read(source: str) -> None:
    shown = show(source)
    assert shown.startswith("<math")
    assert Page(shown).balanced


@pytest.mark.parametrize("source", [r"\frac{1}", r"\left( x", "x^", "{" * 50, r"\begin{a} x", "", " ", "_" * 500])
def test_what_is_no_formula_stays_as_it_was_written(source: str) -> None:
    shown = show(source)
    assert Page(shown).balanced
    assert "<code" in shown or "<math" in shown


@pytest.mark.parametrize(
    "source",
    [
        r"\text{<script>alert(1)</script>}",
        r"\href{javascript:alert(1)}{x}",
        r"\style{position:fixed}{x}",
        r"\class{site}{x}",
        r"\text{&lt;img src=x onerror=alert(1)&gt;}",
        r"\mbox{</math><img src=x>}",
        r"\color{red\" onclick=\"x}{y}",
        r"\unicode{x3c}script",
        r"\foo{<b>}$",
    ],
)
def test_no_formula_brings_an_element_or_an_attribute_of_its_own(source: str) -> None:
    page = Page(show(source))
    assert page.balanced
    assert not {tag for tag, _ in page.elements} & {"script", "img", "a", "b", "style"}
    names = {name for _, attributes in page.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")} | names & {"href", "style", "src", "id"}
    assert {attributes.get("class") for _, attributes in page.elements} <= {None, "formula"}


def test_no_space_in_a_formula_is_wider_than_a_few_letters() -> None:
    assert "9999" not in show(r"a \hspace{9999em} b \rule{999em}{999em}")
    assert 'width="2em"' in show(r"a \hspace{2em} b")


@pytest.mark.parametrize(
    "source",
    [
        r"\sideset{}{}{" * 20 + "x" + "}" * 20,
        r"\newcommand{\a}{xx}\newcommand{\b}{\a\a}\b",
        r"\def\a{\b\b}\a",
        "x" * (MAX_FORMULA + 1),
        "{" * 900 + "x" + "}" * 900,
        r"\frac{1}{2}" * 150,
        r"\begin{align}" + r"a&\\" * 390 + r"\end{align}",
        r"\sqrt" * 390,
        "x_{" * 400 + "}" * 400,
    ],
    ids=range(9),
)
def test_a_formula_takes_little_time_and_space_whatever_it_is(source: str) -> None:
    started = time.process_time()
    shown = show(source)
    assert time.process_time() - started < 2
    assert len(shown) < 70_000
    assert Page(shown).balanced


def test_what_finds_no_room_stays_as_it_was_written() -> None:
    assert str(render_formula("x^2", is_display=False, room=10)) == '<code class="formula">$x^2$</code>'
    assert str(render_formula("x^2", is_display=False, room=0)) == '<code class="formula">$x^2$</code>'
