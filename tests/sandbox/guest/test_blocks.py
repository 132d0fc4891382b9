"""Lines of running code are told as lines of the cell."""

from __future__ import annotations

from grader.sandbox.guest.blocks import Block


def test_lines_of_a_cell_stay_what_they_are() -> None:
    assert Block("a\nb\nc", "a\nb\nc\n").locate(2, 3) == (2, 3)


def test_blank_lines_above_are_counted() -> None:
    assert Block("\n\na\nb", "a\nb\n").locate(2, 2) == (4, 4)


def test_a_command_of_several_lines_counts_with_all_of_them() -> None:
    block = Block("x\n!a \\\n  b\ny", "x\nget_ipython().system('a   b')\ny\n")
    assert [block.locate(line, line) for line in (1, 2, 3)] == [(1, 1), (2, 3), (4, 4)]


def test_the_body_of_a_magic_stands_below_its_line() -> None:
    cell = Block("%%capture\n%%time\na\nb", "get_ipython().run_cell_magic('capture', '', '%%time\\na\\nb\\n')\n")
    capture = Block("%%time\na\nb\n", "get_ipython().run_cell_magic('time', '', 'a\\nb\\n')\n", cell)
    time = Block("a\nb\n", "a\nb\n", capture)
    assert cell.locate(1, 1) == (1, 4)
    assert time.locate(2, 2) == (4, 4)


def test_code_that_is_not_in_the_cell_stands_where_it_is_run() -> None:
    cell = Block("a = 1\nrun_cell(text)", "a = 1\nrun_cell(text)", running=(2, 2))
    nested = Block("other\nlines", "other\nlines", cell)
    assert nested.locate(2, 2) == (2, 2)
