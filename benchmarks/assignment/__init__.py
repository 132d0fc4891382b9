"""The assignment that every grader gets: two notebooks, and the class that handed them in.

`chapter_7` has 24 code cells and answers nine questions; every grader grades it. `hw2_definitions` defines the models
of chapters 7 and 8 besides, so that every item of hw2 but the trainings is judged; only this grader gets it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.assignment.questions import QUESTIONS, Question

__all__ = [
    "CHAPTER_7",
    "DEFINITIONS",
    "POINTS",
    "QUESTIONS",
    "Notebook",
    "Question",
    "a_class",
    "path_of",
    "question_of",
]

Notebook = dict[str, Any]

CHAPTER_7 = "chapter_7"
DEFINITIONS = "hw2_definitions"
# What a right notebook gets from this grader's rubric: hw2's points without those of chapters and trainings left out.
POINTS = {CHAPTER_7: 52, DEFINITIONS: 76}


def path_of(name: str) -> Path:
    """Return where a notebook of the assignment is."""
    return Path(__file__).parent / f"{name}.ipynb"


def a_class(
    name: str, size: int, change: Callable[[Notebook], Notebook] = lambda notebook: notebook
) -> dict[str, bytes]:
    """Return the files of so many students, no two of the same bytes: each has a comment of its own in the last cell.

    Args:
        name: of the notebook.
        size: how many students.
        change: makes of the notebook what a grader wants to be handed.
    """
    right = json.loads(path_of(name).read_text("utf-8"))
    found = {}
    for number in range(size):
        notebook = copy.deepcopy(right)
        notebook["cells"][-1]["source"].append(f"\n# student {number}")
        found[f"student{number:04}"] = json.dumps(change(notebook)).encode()
    return found


def question_of(cell: dict[str, Any]) -> Question | None:
    """Return the question that a cell of the notebook answers."""
    name = cell["metadata"].get("question")
    return next((question for question in QUESTIONS if question.name == name), None)
