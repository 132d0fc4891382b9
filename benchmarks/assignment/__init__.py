"""The assignment that every grader gets: two notebooks, and a class that submits them.

`chapter_7` has 24 code cells and answers nine questions; every grader grades it. `hw2_definitions` also defines the
models of chapters 7 and 8, so that every item of hw2 except the trainings is judged; only this grader gets it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.assignment.questions import QUESTIONS, BenchmarkQuestion

__all__ = [
    "CHAPTER_7",
    "DEFINITIONS",
    "POINTS",
    "QUESTIONS",
    "BenchmarkQuestion",
    "Notebook",
    "a_class",
    "path_of",
    "question_of",
]

Notebook = dict[str, Any]

CHAPTER_7 = "chapter_7"
DEFINITIONS = "hw2_definitions"
# Points of a right notebook under this grader's rubric: those of hw2 without the omitted chapters and trainings.
POINTS = {CHAPTER_7: 52, DEFINITIONS: 76}


def path_of(name: str) -> Path:
    """Return the path of one of the assignment's notebooks."""
    return Path(__file__).parent / f"{name}.ipynb"


def a_class(
    name: str, size: int, change: Callable[[Notebook], Notebook] = lambda notebook: notebook
) -> dict[str, bytes]:
    """Return the files of a class. No two are the same bytes: each has a comment of its own in the last cell.

    Args:
        name: the notebook's name.
        size: the number of students.
        change: adapts the notebook to the grader.
    """
    right = json.loads(path_of(name).read_text("utf-8"))
    found = {}
    for number in range(size):
        notebook = copy.deepcopy(right)
        notebook["cells"][-1]["source"].append(f"\n# student {number}")
        found[f"student{number:04}"] = json.dumps(change(notebook)).encode()
    return found


def question_of(cell: dict[str, Any]) -> BenchmarkQuestion | None:
    """Return the question that a cell of the notebook answers."""
    name = cell["metadata"].get("question")
    return next((question for question in QUESTIONS if question.name == name), None)
