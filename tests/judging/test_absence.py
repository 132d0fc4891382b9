"""A name that is not there: the reason is read from the cells and from how they ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grader.judging.absence import AbsenceReasons
from grader.results.notice import CellStop, Notice, NoticeKind
from grader.results.report import CellResult
from grader.submission.submission import Cell, Notebook


def reasons(
    *cells: str,
    ended: Mapping[int, tuple[str, str]] | None = None,
    stops: Mapping[int, tuple[int, str]] | None = None,
    notices: tuple[Notice, ...] = (),
    kinds: Mapping[int, Any] | None = None,
) -> AbsenceReasons:
    """Return the reasons for cells that all end well, but for those in `ended` (status, message) and `stops`."""
    kinds = kinds or {}
    read = tuple(Cell(index, kinds.get(index, "code"), source) for index, source in enumerate(cells))
    results = []
    for index in range(len(cells)):
        status, message = (ended or {}).get(index, ("ok", ""))
        stop = (stops or {}).get(index)
        status = "raised" if stop else status
        results.append(CellResult("hw.ipynb", index, status, message, (CellStop(*stop),) if stop else ()))
    return AbsenceReasons((Notebook("hw.ipynb", "", read, {}),), results, notices)


def test_nothing_is_said_of_what_stands_nowhere() -> None:
    assert reasons("x = 1").describe("LeNet") == "LeNet is not defined in this submission"
    assert AbsenceReasons().describe("LeNet") == "LeNet is not defined in this submission"


def test_a_cell_that_was_not_run_names_the_end_of_the_kernel() -> None:
    made = reasons("x = 1", "import os", "class LeNet: pass", ended={1: ("ended the kernel", ""), 2: ("not run", "")})
    assert made.describe("LeNet") == "LeNet is in cell 3, which was not run: cell 2 ended the kernel"


def test_a_statement_that_raised_is_named_with_what_it_missed() -> None:
    made = reasons(
        "import x\nimport d2l",
        "\n\nclass LeNet(d2l.Module):\n    pass",
        stops={0: (2, "ModuleNotFoundError: No module named 'd2l'"), 1: (3, "NameError: name 'd2l' is not defined")},
    )
    assert made.describe("LeNet") == (
        "LeNet (cell 2, line 3) was not defined: the statement raised NameError: name 'd2l' is not defined; "
        "d2l is missing because cell 1 stopped at line 2: ModuleNotFoundError: No module named 'd2l'"
    )


def test_a_name_that_is_missing_for_its_own_sake_ends_the_chain() -> None:
    made = reasons("LeNet = LeNet()", stops={0: (1, "NameError: name 'LeNet' is not defined")})
    assert made.describe("LeNet") == (
        "LeNet (cell 1, line 1) was not defined: the statement raised NameError: name 'LeNet' is not defined"
    )


def test_a_cell_that_stopped_without_a_line_is_named_with_its_message() -> None:
    made = reasons("x = 1 / 0\nLeNet = 1", ended={0: ("raised", "ZeroDivisionError: division by zero")})
    assert made.describe("LeNet") == "LeNet is in cell 1, which stopped: ZeroDivisionError: division by zero"


def test_a_cell_past_its_time_is_named() -> None:
    made = reasons("while True: pass\nclass LeNet: pass", ended={0: ("timed out", "ran past 60 s")})
    assert made.describe("LeNet") == "LeNet is in cell 1, which ran past its time (ran past 60 s)"


def test_a_cell_that_is_not_python_is_named_with_the_version_that_it_needs() -> None:
    cell = "x = = 1\nclass LeNet: pass"
    broken = "LeNet is not defined because cell 1 has a SyntaxError in line 1: invalid syntax (`x = = 1`)"
    assert reasons(cell).describe("LeNet") == broken
    newer = "written for Python 3.12 or newer; this grader runs 3.11"
    notice = Notice(newer, NoticeKind.VERSION, "3.12", "hw.ipynb", 0)
    assert reasons(cell, notices=(notice,)).describe("LeNet") == f"{broken}; {newer}"
    assert reasons(cell, ended={0: ("raised", newer)}).describe("LeNet") == f"{broken}; {newer}"


def test_an_import_of_a_missing_module_is_named() -> None:
    expected = "LeNet is imported from my_layers (cell 1), which is neither in this submission nor installed here"
    stop = "ModuleNotFoundError: No module named 'my_layers'"
    assert reasons("from my_layers import LeNet", stops={0: (1, stop)}).describe("LeNet") == expected
    assert reasons("from my_layers import LeNet", ended={0: ("raised", stop)}).describe("LeNet") in (
        expected,
        f"LeNet is in cell 1, which stopped: {stop}",
    )
    notice = Notice("my_layers is not installed here", NoticeKind.MISSING_PACKAGE, "my_layers")
    assert reasons("from my_layers import LeNet", notices=(notice,)).describe("LeNet") == expected
    everything = reasons("from my_layers import *", notices=(notice,)).describe("LeNet")
    assert everything == expected.replace("is imported", "may come")


def test_a_definition_where_nothing_binds_it_globally_is_named() -> None:
    for cell, kind, expected in (
        (
            "def f():\n    class LeNet: pass",
            "code",
            "LeNet is defined inside f (cell 1), not at the top level of a cell",
        ),
        ("# class LeNet:", "code", "LeNet stands only in a comment (cell 1, line 1)"),
        ("'''\nclass LeNet: pass\n'''", "code", "LeNet stands only in a text in quotes (cell 1, line 2)"),
        ("class LeNet:", "markdown", "LeNet stands in cell 1, a markdown cell, which is not run: make it a code cell"),
        (
            "if x:\n    class LeNet: pass",
            "code",
            "LeNet (cell 1, line 2) stands in a block that was not run, or not to its end",
        ),
        ("LeNet = 1", "code", "LeNet (cell 1, line 1) is no function, class or model there, or is deleted later"),
        ("def Lenet(): pass", "code", "LeNet is not defined in this submission; did you mean Lenet (cell 1)?"),
    ):
        assert reasons(cell, kinds={0: kind}).describe("LeNet") == expected


def test_the_file_is_named_if_there_are_several() -> None:
    notebooks = [Notebook(name, "", (Cell(0, "code", "class LeNet: pass"),), {}) for name in ("a.ipynb", "b.ipynb")]
    made = AbsenceReasons(notebooks, [CellResult("b.ipynb", 0, "timed out")])
    assert made.describe("LeNet") == "LeNet is in b.ipynb, cell 1, which ran past its time"


def test_an_error_of_a_missing_name_is_traced() -> None:
    made = reasons("import torch", "def f(): pass", stops={0: (1, "ImportError: no torch")})
    assert made.describe_cause("raises NameError: name 'torch' is not defined") == (
        "torch is missing because cell 1 stopped at line 1: ImportError: no torch"
    )
    assert made.describe_cause("raises NameError: name 'other' is not defined") == ""
    assert made.describe_cause("expected 1, found 2") == ""


def test_the_first_thing_that_went_wrong_is_known() -> None:
    assert reasons("x = 1").first_stop() == ""
    assert reasons("x", ended={0: ("training withheld", "left out")}).first_stop() == ""
    assert reasons("x", stops={0: (1, "NameError: x")}).first_stop() == "cell 1 stopped at line 1: NameError: x"
    assert reasons("x", ended={0: ("raised", "NameError: x")}).first_stop() == "cell 1 stopped: NameError: x"
