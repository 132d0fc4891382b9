"""The live view has a line for each item, and says in full below what its lines cut, as far as there is space."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from grader.render.watch import render_live_view
from grader.results.report import File, ItemResult, Report, Verdict

MESSAGE = "the kernel is flipped, " + "and so is the image, " * 4 + "so turn one of them"
WRONG = ItemResult("corr2d.values", "1", "Values", 0, 6, Verdict.FAILED, MESSAGE, "hw2.ipynb", 0, line=3)
HANGING = ItemResult("conv2d_layer", "1", "Layer", 0, 4, Verdict.FAILED, "wrong", because_of="corr2d.values")
RIGHT = ItemResult("pool2d.max", "1", "Pooling", 3, 3, Verdict.PASSED, "right")
REPORT = Report("hw2", "HW2", "revision", (File("hw2.ipynb", "0" * 64, 26),), (RIGHT, HANGING, WRONG))


def view(width: int, height: int, more: str = "") -> str:
    output = io.StringIO()
    drawn = render_live_view(REPORT, (), {}, "all items in 2 s", more, height, width)
    Console(file=output, width=width).print(drawn)
    return output.getvalue()


@pytest.mark.parametrize("width", [40, 44, 80])
def test_a_message_that_its_line_cuts_is_whole_below(width: int) -> None:
    text = view(width, 24)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert "corr2d.values, hw2.ipynb, cell 1 of 26, line 3" in " ".join(text.split())
    assert MESSAGE in " ".join(text.split())
    assert text.count("because of corr2d") == (1 if width == 80 else 0)


@pytest.mark.parametrize("width", [40, 80])
def test_the_view_is_never_higher_than_the_terminal(width: int) -> None:
    for height in range(9, 24):
        assert len(view(width, height).splitlines()) <= height


def test_what_to_mend_first_stands_at_the_top() -> None:
    assert "Mend first: corr2d, 1 item hangs on it" in view(80, 24).splitlines()[1]


def test_hints_take_the_place_of_messages() -> None:
    text = view(44, 24, more="1. Look at the loop.")
    assert "Look at the loop" in text
    assert MESSAGE not in " ".join(text.split())
