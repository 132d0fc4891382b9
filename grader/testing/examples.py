"""Examples of an interactive session in a test: compare what an expression shows, as doctest does."""

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
    """One example: require it to show what an interactive session shows.

    Inside the `with` block, pass the value of the example to `show`. What the example prints is compared too.

        with Shown("4") as show:
            show(square(2))

    Args:
        expected: the output of a session after the example.
        options: names of doctest's options, such as "ELLIPSIS".
        raises: the last line of the traceback, if the example should raise.
    """

    def __init__(self, expected: str = "", *options: str, raises: str = "") -> None:
        self._expected = expected + "\n" if expected and not expected.endswith("\n") else expected
        self._options = sum(doctest.OPTIONFLAGS_BY_NAME[name] for name in options)
        self._raises = raises
        self._output = io.StringIO()
        self._legacy: list[tuple[str, str]] = []
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
        found = self._output.getvalue() if error is None else _format_last_line(error)
        if not self._is_as_expected(found, error):
            expected = self._raises or self._expected
            example = _find_example(sys._getframe(1).f_code.co_filename, sys._getframe(1).f_lineno)
            message = f"{example}: expected {expected.strip() or 'nothing'}, found {found.strip() or 'nothing'}"
            raise Mismatch(clip(message, QUOTED), expected=expected, found=found) from None
        return True

    def _show(self, value: Any) -> None:
        if value is None:
            return
        text = repr(value)
        with numpy.printoptions(legacy="1.25"):
            self._legacy.append((text, repr(value)))
        self._output.write(f"{text}\n")

    def _is_as_expected(self, found: str, error: Exception | None) -> bool:
        check = doctest.OutputChecker().check_output
        if self._raises:
            expected = self._raises.rstrip("\n") + "\n"
            if self._options & doctest.IGNORE_EXCEPTION_DETAIL:
                expected, found = _get_class(expected), _get_class(found)
            return error is not None and check(expected, found, self._options)
        if check(self._expected, found, self._options):
            return True
        # numpy 2 formats scalars in another way than the numpy for which most examples were written.
        for text, legacy in self._legacy:
            found = found.replace(text, legacy, 1)
        return check(self._expected, found, self._options)


def _format_last_line(error: Exception) -> str:
    if isinstance(error, StudentFault):
        return error.message.removeprefix("raises ") + "\n"
    return traceback.format_exception_only(error)[-1]


def _get_class(line: str) -> str:
    """Return the name of the class in the last line of a traceback."""
    return line.partition(":")[0].rpartition(".")[2].strip() + "\n"


def _find_example(file: str, line: int) -> str:
    """Return the source of the example in the `with` block at a line."""
    statement = find_statement(file, line)
    example = statement.body[0] if isinstance(statement, ast.With) else statement
    if isinstance(example, ast.Expr) and isinstance(example.value, ast.Call) and len(example.value.args) == 1:
        return ast.unparse(example.value.args[0])
    return ast.unparse(example) if example is not None else "the example"
