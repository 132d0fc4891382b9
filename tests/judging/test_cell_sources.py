"""The source of a cell tells where it binds a name, whatever else stands there, and nothing of it is run."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from grader.judging.cell_sources import Mention, read_cell
from grader.submission.submission import Cell


def mentions(source: str, name: str = "LeNet", kind: Any = "code") -> list[Mention]:
    return list(read_cell(Cell(0, kind, dedent(source).strip("\n"))).find(name))


@pytest.mark.parametrize(
    "source",
    [
        *["class LeNet: pass", "def LeNet(): pass", "async def LeNet(): pass", "LeNet = 1", "LeNet: int = 1"],
        *["import x as LeNet", "from x import LeNet", "from x import y as LeNet", "import LeNet.y", "LeNet += 1"],
        *["a, (b, LeNet) = 1, (2, 3)", "for LeNet in ():\n    pass", "with x as LeNet:\n    pass", "(LeNet := 1)"],
    ],
)
def test_every_statement_that_binds_a_name_is_found(source: str) -> None:
    assert [mention.place for mention in mentions(source)] in (["top"], ["block"])


def test_a_definition_is_known_by_its_statement() -> None:
    (mention,) = mentions(
        """
        import torch
        @decorated
        @twice
        class LeNet:
            pass
        x = 1
        """
    )
    assert (mention.first, mention.line, mention.last) == (2, 4, 5)


@pytest.mark.parametrize("block", ["if x:", "try:", "with x:", "for x in y:", "while x:"])
def test_a_definition_in_a_block_belongs_to_the_whole_block(block: str) -> None:
    source = f"{block}\n    class LeNet: pass\n" + ("finally:\n    pass" if block == "try:" else "")
    (mention,) = mentions(source)
    assert (mention.place, mention.first, mention.line) == ("block", 1, 2)


def test_a_definition_inside_a_function_or_class_is_no_global_one() -> None:
    (mention,) = mentions("def build():\n    if x:\n        class LeNet: pass\n    return LeNet")
    assert (mention.place, mention.inside) == ("function", "build")
    (mention,) = mentions("class Models:\n    LeNet = 1")
    assert (mention.place, mention.inside) == ("class", "Models")


def test_an_import_of_everything_may_bind_every_name() -> None:
    (mention,) = mentions("from my_layers import *")
    assert (mention.name, mention.module) == ("*", "my_layers")


@pytest.mark.parametrize(
    "source",
    [
        *["%matplotlib inline\n!ls\nclass LeNet: pass", "%%time\n\nclass LeNet: pass", "x?\n?x\nclass LeNet: pass"],
        *["files = !ls\ny = %pwd\nclass LeNet: pass", "if x:\n    !ls\n\nclass LeNet: pass"],
    ],
)
def test_magics_hide_nothing(source: str) -> None:
    (mention,) = mentions(source)
    assert (mention.place, mention.line) == ("top", source.count("\n") + 1)


def test_a_cell_of_another_language_binds_nothing() -> None:
    assert mentions("%%bash\nLeNet=1") == []
    assert mentions("%%writefile my_layers.py\nclass LeNet: pass") == []


@pytest.mark.parametrize(
    ("source", "kind", "place"),
    [
        ("# class LeNet:\n#     pass\nx = 1", "code", "comment"),
        ('"""\nclass LeNet:\n    pass\n"""', "code", "text"),
        ("```python\nclass LeNet:\n```", "markdown", "prose"),
        ("class LeNet:\n    pass", "raw", "prose"),
        ("x = = 1\nclass LeNet: pass", "code", "unparsed"),
        ("class LeNet:\npass", "code", "unparsed"),
    ],
)
def test_what_is_not_run_is_told_apart(source: str, kind: str, place: str) -> None:
    assert [mention.place for mention in mentions(source, kind=kind)] == [place]


def test_a_syntax_error_has_its_line() -> None:
    assert read_cell(Cell(0, "code", "x = 1\ny = = 2")).error == (2, "SyntaxError: invalid syntax")
    assert read_cell(Cell(0, "code", "x = 1")).error is None


@pytest.mark.parametrize("source", ["(" * 100_000, "x = " + "-" * 100_000 + "1", "a\0b", "1 +" * 50_000 + "1"])
def test_hostile_source_is_read_too(source: str) -> None:
    found = mentions(source + "\nLeNet = 1")
    assert found in (
        [],
        [Mention("LeNet", 2, 2, 2, "unparsed")],
        [Mention("LeNet", 2, 2, 2, "top")],
    )


def test_a_comparison_is_no_definition() -> None:
    assert mentions("LeNet == 1") == []
    assert mentions("x = = 1\nLeNet == 1") == []
    assert mentions("print(LeNet)") == []
