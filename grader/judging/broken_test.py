"""A rubric's test that ended in an exception which it is not meant to raise."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path

from grader.memory_limit import is_memory_refused
from grader.render.text import sanitise_text
from grader.testing.cases import WrongCases

__all__ = ["BrokenTest", "TooLong", "describe_broken"]

_LONGEST = 300  # characters of an exception's text


class TooLong(Exception):
    """A test computed for longer than it may."""


@dataclass(frozen=True)
class BrokenTest:
    """How a rubric's test broke.

    Attributes:
        file, line, test: where; the line is 0 if the exception passed no line of the assignment.
        error: the exception's class and text.
        case: the description of the case, or "".
        ran_out_of_time: whether it computed for too long.
        lacked_memory: whether memory was refused.
        is_machines: whether the machine may be the reason, which lacks memory or cannot read a file.
    """

    file: str
    line: int
    test: str
    error: str
    case: str = ""
    ran_out_of_time: bool = False
    lacked_memory: bool = False
    is_machines: bool = False

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}, {self.test}" if self.line else f"{self.file}, {self.test}"
        return f"{place}{f', with {self.case}' if self.case else ''}: {self.error}"


def describe_broken(error: BaseException, path: Path, test: str) -> BrokenTest:
    """Describe how a test broke.

    Args:
        error: the exception that it ended in.
        path: the test's file.
        test: the test's name.
    """
    case = ""
    if isinstance(error, WrongCases):
        case = error.case.description
        error = error.first
    lines = [
        (Path(frame.filename).name, frame.lineno or 0)
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(path.parent)
    ]
    lacked_memory = is_memory_refused(error)
    file, line = lines[-1] if lines else (path.name, 0)
    return BrokenTest(
        file,
        line,
        test,
        _describe_error(error),
        case,
        ran_out_of_time=isinstance(error, TooLong),
        lacked_memory=lacked_memory,
        is_machines=lacked_memory or isinstance(error, OSError),
    )


def _describe_error(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # making the text raises too
        text = ""
    # The text may repeat what a student's code returned, and goes into files and databases.
    line = " ".join(sanitise_text(text, _LONGEST).split())
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
