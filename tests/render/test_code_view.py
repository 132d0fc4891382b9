"""The code beside a result: a short cell whole, of a long one the function that the line stands in."""

from __future__ import annotations

from grader.render.code_view import make_code_view

LONG = "\n".join([f"x{number} = {number}" for number in range(50)])
FUNCTION = "@decorated\ndef corr2d(X, K):\n    Y = 0\n\n    return (\n        Y\n    )"


def shown(source: str, line: int | None) -> list[str]:
    view = make_code_view(source, line)
    assert view
    return [f"{'>' if row.is_marked else ' '}{row.number} {row.text}" for row in view.lines]


def test_a_short_cell_is_shown_whole_with_its_line_marked() -> None:
    assert shown("a = 1\nb = 2\n", 2) == [" 1 a = 1", ">2 b = 2"]
    assert shown("a = 1", None) == [" 1 a = 1"]


def test_of_a_long_cell_the_function_around_the_line_is_shown() -> None:
    view = make_code_view(f"{LONG}\n{FUNCTION}\n{LONG}", 53)
    assert view
    assert (view.above, view.below) == (50, 50)
    assert [str(row.text) for row in view.lines] == FUNCTION.split("\n")
    assert [row.number for row in view.lines if row.is_marked] == [53]


def test_of_a_long_function_the_lines_around_the_marked_one_are_shown() -> None:
    body = "\n".join(f"    x = {number}" for number in range(500))
    view = make_code_view(f"def f():\n{body}", 300)
    assert view
    assert len(view.lines) <= 60
    assert [row.number for row in view.lines if row.is_marked] == [300]
    assert view.above + len(view.lines) + view.below == 501


def test_a_line_that_no_cell_has_is_not_marked() -> None:
    for line in (0, -1, 99):
        assert shown("a = 1", line) == [" 1 a = 1"]
    view = make_code_view(LONG, 99)
    assert view
    assert (view.above, len(view.lines), view.below) == (0, 40, 10)


def test_an_empty_cell_has_nothing_to_show() -> None:
    assert make_code_view(" \n", 1) is None


def test_code_is_text_and_long_lines_are_cut() -> None:
    (row,) = shown("</pre><script>\u202e\x1b[31m" + "x" * 100_000, 1)
    assert "&lt;/pre&gt;&lt;script&gt;" in row
    assert len(row) < 400
    assert not {"\u202e", "\x1b", "<"} & set(row)
