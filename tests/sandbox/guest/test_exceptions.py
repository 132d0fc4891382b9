"""What an exception says, and what it means for its cell."""

from __future__ import annotations

import ast
from typing import Any

import numpy
import pytest
import torch

from grader.sandbox.guest.exceptions import classify_exception, describe_exception, find_line
from grader.sandbox.guest.surroundings.install import OutputFlood
from grader.sandbox.protocol.stops import StopKind


class Unprintable(Exception):
    """An exception without a text."""

    def __str__(self) -> str:
        raise ValueError


def catch(source: str) -> BaseException:
    try:
        exec(compile(source, "cell", "exec"), {"numpy": numpy, "torch": torch})
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("1 / 0", StopKind.RAISED),
        ("raise MemoryError", StopKind.RAISED),
        ("def f(): raise MemoryError('mine')\nf()", StopKind.RAISED),
        ('raise RuntimeError("can\'t allocate memory")', StopKind.RAISED),
        ("bytearray(10**14)", StopKind.OUT_OF_MEMORY),
        ("numpy.zeros(10**14)", StopKind.OUT_OF_MEMORY),
        ("torch.zeros(10**14)", StopKind.OUT_OF_MEMORY),
        ("try:\n    bytearray(10**14)\nfinally:\n    x = 1", StopKind.OUT_OF_MEMORY),
        ("raise KeyboardInterrupt", StopKind.INTERRUPTED),
        ("class Error(Exception): stop_kind = 'flooded'\nraise Error", StopKind.RAISED),
    ],
)
def test_the_kind_of_an_exception(source: str, kind: StopKind) -> None:
    assert classify_exception(catch(source)) is kind


def test_our_own_exceptions_say_their_kind() -> None:
    assert classify_exception(OutputFlood("too much")) is StopKind.FLOODED


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no"), "ValueError: no"),
        (SystemExit(), "SystemExit"),
        (SyntaxError("invalid", ("cell_1234.py", 3, 1, "x")), "SyntaxError: invalid"),
        (Unprintable(), "Unprintable"),
        (ValueError("x" * 10_000), f"ValueError: {'x' * 500}"),
    ],
)
def test_an_exception_is_described_in_one_short_text(error: Any, text: str) -> None:
    assert describe_exception(error) == text


def test_the_line_is_that_of_the_statement_not_of_the_function_it_calls() -> None:
    source = "def f():\n    return 1 / 0\nfor n in range(3):\n    f()"
    assert find_line(catch(source), ast.parse(source).body[1]) == 4
