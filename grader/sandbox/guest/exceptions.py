"""What an exception of a student's statement says, and what it means for the cell."""

from __future__ import annotations

import ast
import asyncio
import dis
from types import TracebackType

from grader.sandbox.protocol.stops import StopKind

__all__ = ["classify_exception", "describe_exception", "find_extent", "find_line", "is_refused_memory"]

_MOST_TEXT = 500
_INTERRUPTS = (KeyboardInterrupt, asyncio.CancelledError, GeneratorExit)
_REFUSED = ("can't allocate memory", "std::bad_alloc")
_RAISE = dis.opmap["RAISE_VARARGS"]


def classify_exception(error: BaseException) -> StopKind:
    """Return what kind of stop an exception is. Our own exceptions have it as their `stop_kind`."""
    if isinstance(error, _INTERRUPTS):
        return StopKind.INTERRUPTED
    if is_refused_memory(error):
        return StopKind.OUT_OF_MEMORY
    kind = getattr(error, "stop_kind", None)
    return kind if isinstance(kind, StopKind) else StopKind.RAISED


def describe_exception(error: BaseException) -> str:
    """Return an exception's name, and its text if it has one."""
    name, text = type(error).__name__, _read_text(error)
    return f"{name}: {text}" if text else name


def find_line(error: BaseException, statement: ast.stmt) -> int:
    """Return the line of a statement in which an exception was raised, its first line if it was in no line of it."""
    first, last = find_extent(statement)
    line = error.lineno if isinstance(error, SyntaxError) else None
    for entry in _list_entries(error):
        if entry.tb_frame.f_code.co_name == "<module>":
            line = entry.tb_lineno
            break
    return line if line is not None and first <= line <= last else first


def find_extent(statement: ast.stmt) -> tuple[int, int]:
    """Return the first and the last line of a statement, with its decorators."""
    above = [decorator.lineno for decorator in getattr(statement, "decorator_list", ())]
    return min([statement.lineno, *above]), statement.end_lineno or statement.lineno


def is_refused_memory(error: BaseException) -> bool:
    """Return whether memory was refused, rather than an exception raised that only says so."""
    says_so = isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(text in _read_text(error) for text in _REFUSED)
    )
    return says_so and not _is_raised_by_a_statement(error)


def _is_raised_by_a_statement(error: BaseException) -> bool:
    entries = _list_entries(error)
    if not entries:
        return False
    code = entries[-1].tb_frame.f_code.co_code
    return 0 <= entries[-1].tb_lasti < len(code) and code[entries[-1].tb_lasti] == _RAISE


def _list_entries(error: BaseException) -> list[TracebackType]:
    entries, entry = [], error.__traceback__
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    return entries


def _read_text(error: BaseException) -> str:
    try:
        # Python adds the name of the file, which has the kernel's process number in it.
        return str(error.msg if isinstance(error, SyntaxError) else error)[:_MOST_TEXT]
    except Exception:  # a student's exception may not even have a text
        return ""
