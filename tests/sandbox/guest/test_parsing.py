"""Cells that are no Python as a whole are parsed in parts."""

from __future__ import annotations

import ast

import pytest

from grader.sandbox.guest.parsing import Unparsed, parse_statements

GOOD = "def f():\n    return 1\n"


def find_parts(source: str) -> list[tuple[str, int, int | None]]:
    return [
        ("" if isinstance(node, Unparsed) else type(node).__name__, node.lineno, node.end_lineno)
        for node in parse_statements(source, ast.parse).body
    ]


@pytest.mark.parametrize(
    ("source", "parts"),
    {
        "all of it": (GOOD, [("FunctionDef", 1, 2)]),
        "text above": (f"some text\n{GOOD}", [("", 1, 1), ("FunctionDef", 2, 3)]),
        "text below": (f"{GOOD}some text\n", [("FunctionDef", 1, 2), ("", 3, 3)]),
        "a function with a mistake": (f"def g()\n    x = 1\n{GOOD}", [("", 1, 2), ("FunctionDef", 3, 4)]),
        "indentation": (f"def g():\n    x = 1\n  y = 2\n{GOOD}", [("", 1, 3), ("FunctionDef", 4, 5)]),
        "an else": ("if a:\n    b\nelse:\n    c\n! x\n", [("If", 1, 4), ("", 5, 5)]),
        "a try": ("try:\n    a\nexcept E:\n    b\nfinally:\n    c\n! x\n", [("Try", 1, 6), ("", 7, 7)]),
        "a long text": ("a = '''\nb c\nd e\n'''\n! x\n", [("Assign", 1, 4), ("", 5, 5)]),
        "a bracket": ("a = [\n1,\n]\n! x\n", [("Assign", 1, 3), ("", 4, 4)]),
        "a bracket left open": (f"a = (1\n{GOOD}", [("", 1, 1), ("FunctionDef", 2, 3)]),
        "nothing else": ("    indented\n  less", [("", 1, 2)]),
    }.values(),
)
def test_the_statements_around_a_mistake_are_found(source: str, parts: list[tuple[str, int, int]]) -> None:
    assert find_parts(source) == parts


def test_the_first_mistake_is_told_as_python_tells_it() -> None:
    source = f"{GOOD}x = = 1\n{GOOD}"
    with pytest.raises(SyntaxError) as expected:
        ast.parse(source)
    (found,) = [node for node in parse_statements(source, ast.parse).body if isinstance(node, Unparsed)]
    assert (found.error.msg, found.error.lineno) == (expected.value.msg, 3)


@pytest.mark.parametrize("source", ["a b\n" * 1000, f"{GOOD}{'x' * 300_000} y"], ids=["a long text", "a long line"])
def test_what_is_hardly_python_is_refused_as_a_whole(source: str) -> None:
    with pytest.raises(SyntaxError):
        parse_statements(source, ast.parse)
