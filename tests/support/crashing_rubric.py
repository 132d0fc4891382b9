"""What tests of batches share: an assignment whose rubric breaks what grades it, and notes of what was said."""

from __future__ import annotations

from pathlib import Path

from grader.assignment import Assignment, load_assignment
from grader.collection import CollectedSubmission
from grader.results.journal import JournalRecord
from grader.results.report import Report
from tests.support.notebooks import notebook_bytes

__all__ = ["Noted", "handed_in", "moody"]

_RUBRIC = """
title = "A number"
points = 1
packages = ["torch"]
[sections]
1 = "Numbers"
[[items]]
id = "value"
section = "1"
title = "value gives a number"
points = 1
names = ["value"]
[limits]
cell_seconds = 5
submission_seconds = %(seconds)g
judge_seconds = %(seconds)g
search_seconds = 1
judging_memory_bytes = 1_073_741_824
"""
# The rubric runs in the process that grades, so it can do to it what a lack of memory or a bug of torch would.
_TEST = """
import os, signal, sys, time
from pathlib import Path
import torch
from grader.testing import Student, item

@item("value")
def test_value_gives_a_number(student: Student) -> None:
    value = student.value()
    if value == 13:
        print("last words", file=sys.__stderr__, flush=True)
        os._exit(7)
    died = Path(__file__).with_name("died")
    if value == 14 and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if value == 16:
        os.kill(os.getppid(), signal.SIGKILL)
    if value == 15:
        time.sleep(1000)
    if value == 17:
        bytearray(8 * 2**30)
    if value == 18:
        try:
            torch.ones(2**31)
        except RuntimeError as error:
            raise LookupError("another error") from error
    assert value > 0
"""


def moody(folder: Path, seconds: float = 20) -> Assignment:
    """Write an assignment whose values 13 to 18 break what grades.

    13 ends the process, 14 kills it once, 15 silences it for ever, and 16 kills the one it was forked from. 17 takes
    more memory than a process may, and 18 does so with a tensor and hides it behind another error.

    Args:
        folder: where to; it is made.
        seconds: for the cells of a submission, and for judging it.
    """
    folder.mkdir()
    folder.joinpath("rubric.toml").write_text(_RUBRIC % {"seconds": seconds})
    folder.joinpath("test_value.py").write_text(_TEST)
    return load_assignment(folder)


def handed_in(key: str, value: object, file: str = "") -> CollectedSubmission:
    """Return a submission of one notebook, in which `value` gives this."""
    notebook = notebook_bytes(f"def value(): return {value!r}")
    return CollectedSubmission(key, f"Student {key}", {"login": key}, ((file or f"{key}.ipynb", notebook),))


class Noted:
    """Notes what a batch says, and stops it after so many submissions."""

    def __init__(self, stop_after: int = 0) -> None:
        self.begun: tuple[int, int, int] = (0, 0, 0)
        self.steps: list[tuple[str, str]] = []
        self.records: dict[str, JournalRecord] = {}
        self._stop_after = stop_after

    def on_start(self, submissions: int, done: int, jobs: int) -> None:
        self.begun = (submissions, done, jobs)

    def on_step(self, process: int, key: str, what: str) -> None:
        self.steps.append((key, what))

    def on_end(self, record: JournalRecord, report: Report | None) -> None:
        self.records[record.key] = record
        if len(self.records) == self._stop_after:
            raise KeyboardInterrupt
