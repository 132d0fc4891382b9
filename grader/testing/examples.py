"""Examples of an interpreter's session in a test: what an expression shows, as doctest compares it."""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy

from grader.results.evidence import clip
from grader.student import StudentFault
from grader.testing.failures import Mismatch, Pending
from grader.testing.quoting import QUOTED, find_statement

__all__ = ["Shown"]


class Shown:
    """What one example shows: the value that it gives to what `with` binds, and what it prints.

        with Shown("4") as show:
            show(square(2))

    Args:
        expected: what a session shows after the example.
        options: names of doctest's options, such as "ELLIPSIS".
        raises: the last line of the traceback, where the example is to raise.
    """

    def __init__(self, expected: str = "", *options: str, raises: str = "") -> None:
        self._expected = expected + "\n" if expected and not expected.endswith("\n") else expected
        self._options = sum(doctest.OPTIONFLAGS_BY_NAME[name] for name in options)
        self._raises = raises
        self._output = io.StringIO()
        self._older: list[tuple[str, str]] = []
        self._redirected = contextlib.redirect_stdout(self._output)

    def __enter__(self) -> Callable[[Any], None]:
        self._redirected.__enter__()
        return self._show

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        self._redirected.__exit__(None, None, None)
        if isinstance(error, Pending) or not isinstance(error, Exception | None):
            return False
        if error is not None and not self._raises:
            return False
        found = self._output.getvalue() if error is None else _last_line(error)
        if not self._is_as_expected(found, error):
            expected = self._raises or self._expected
            place = _example_of(sys._getframe(1).f_code.co_filename, sys._getframe(1).f_lineno)
            message = f"{place}: expected {expected.strip() or 'nothing'}, found {found.strip() or 'nothing'}"
            raise Mismatch(clip(message, QUOTED), expected=expected, found=found) from None
        return True

    def _show(self, value: Any) -> None:
        if value is None:
            return
        text = repr(value)
        with numpy.printoptions(legacy="1.25"):
            self._older.append((text, repr(value)))
        self._output.write(f"{text}\n")

    def _is_as_expected(self, found: str, error: Exception | None) -> bool:
        check = doctest.OutputChecker().check_output
        if self._raises:
            expected = self._raises.rstrip("\n") + "\n"
            if self._options & doctest.IGNORE_EXCEPTION_DETAIL:
                expected, found = _class_of(expected), _class_of(found)
            return error is not None and check(expected, found, self._options)
        if check(self._expected, found, self._options):
            return True
        # numpy 2 shows its numbers in another way than the numpy for which most examples were written.
        for text, older in self._older:
            found = found.replace(text, older, 1)
        return check(self._expected, found, self._options)


def _last_line(error: Exception) -> str:
    if isinstance(error, StudentFault):
        return error.message.removeprefix("raises ") + "\n"
    return traceback.format_exception_only(error)[-1]


def _class_of(line: str) -> str:
    """Return the name of the class in the last line of a traceback."""
    return line.partition(":")[0].rpartition(".")[2].strip() + "\n"


def _example_of(file: str, line: int) -> str:
    """Return the example whose `with` stands in a line."""
    found = find_statement(file, line)
    example = found.body[0] if isinstance(found, ast.With) else found
    if isinstance(example, ast.Expr) and isinstance(example.value, ast.Call) and len(example.value.args) == 1:
        return ast.unparse(example.value.args[0])
    return ast.unparse(example) if example is not None else "the example"
