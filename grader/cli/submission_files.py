"""The submission that a command line names: files, folders, or a notebook on standard input."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grader.errors import InputError

if TYPE_CHECKING:
    from grader.submission.submission import Submission

__all__ = ["is_standard_input", "read_named"]

_STANDARD_INPUT = Path("-")
_NAME = "standard-input.ipynb"  # in the report


def is_standard_input(paths: Sequence[Path]) -> bool:
    """Tell whether the submission is to be read from standard input."""
    return _STANDARD_INPUT in paths


def read_named(paths: Sequence[Path]) -> Submission:
    """Read the submission that these words of a command line name; "-" is a notebook on standard input.

    Raises:
        InputError: "-" was given beside files, or standard input is a terminal.
        SubmissionError: a file does not exist or cannot be read.
    """
    if is_standard_input(paths):
        return _read_standard_input(paths)
    from grader.collection import read_submission

    for path in dict.fromkeys(path for path in paths if paths.count(path) > 1):
        _note(f"{path} was given {paths.count(path)} times; it counts once")
    return read_submission(paths)


def _read_standard_input(paths: Sequence[Path]) -> Submission:
    from grader.collection.reading import collect_submission
    from grader.submission.notebook_json import DEFAULT_BOUNDS

    if len(paths) > 1:
        raise InputError("- is one notebook on standard input, and takes no files beside: name the files, without -")
    if sys.stdin.isatty():
        raise InputError(
            "- reads a notebook from standard input, which is a terminal: write grader check - < hw2.ipynb"
        )
    data = sys.stdin.buffer.read(DEFAULT_BOUNDS.file_bytes + 1)  # one byte too many is refused with the reason
    return collect_submission([(_NAME, data)]).read()


def _note(text: str) -> None:
    from grader.render.text import sanitise_line

    print("note:", sanitise_line(text), file=sys.stderr)
