"""nbgrader: one `nbgrader autograde` for each half of a class, in course folders of their own."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.assignment import QUESTIONS, BenchmarkQuestion, Notebook, a_class, question_of
from benchmarks.peers.environments import NBGRADER

__all__ = ["Nbgrader"]


class Nbgrader:
    """nbgrader, which grades serially; two processes share a class."""

    name = f"nbgrader {NBGRADER.version}"

    def commands(self, notebook: str, size: int, folder: Path) -> list[list[str]]:
        """Create the assignment in each course folder and write the submissions."""
        handed_in = list(a_class(notebook, size, with_test_cells).items())
        found = []
        for number, half in enumerate((handed_in[0::2], handed_in[1::2])):
            if half:
                course = folder / f"course{number}"
                release(notebook, course)
                for student, content in half:
                    write(course / "submitted" / student / notebook / f"{notebook}.ipynb", content)
                found.append([*command(course, "autograde"), notebook])
        return found

    def require_full_marks(self, notebook: str, size: int, folder: Path) -> None:
        """Export the grades and read them."""
        possible = float(sum(question.points for question in QUESTIONS))
        scores = []
        for course in sorted(folder.glob("course*")):
            grades = course / "grades.csv"
            subprocess.run([*command(course, "export"), "--to", str(grades)], check=True, capture_output=True)
            with open(grades, newline="") as file:
                scores += [(float(row["score"]), float(row["max_score"])) for row in csv.DictReader(file)]
        assert scores == [(possible, possible)] * size, f"points of {size} submissions: {scores}"


def command(course: Path, name: str) -> list[str]:
    """Return one of nbgrader's commands for a course folder."""
    return NBGRADER.command("nbgrader", name, f"--CourseDirectory.root={course}")


def release(notebook: str, course: Path) -> None:
    """Let nbgrader generate the assignment from its source."""
    ((_, source),) = a_class(notebook, 1, with_test_cells).items()
    write(course / "source" / notebook / f"{notebook}.ipynb", source)
    subprocess.run([*command(course, "generate_assignment"), notebook], check=True, capture_output=True)


def write(path: Path, content: bytes) -> None:
    """Write a file and its folders."""
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


def with_test_cells(notebook: Notebook) -> Notebook:
    """Mark the cells that answer questions, and add a cell after each that tests the answer."""
    cells = []
    for cell in notebook["cells"]:
        cells.append(cell)
        if question := question_of(cell):
            cell["metadata"] = {"nbgrader": marked(question.name, solution=True)}
            cells.append(test_cell(question))
    return {**notebook, "cells": cells}


def test_cell(question: BenchmarkQuestion) -> dict[str, Any]:
    """Return the locked cell that tests an answer."""
    return {
        "cell_type": "code",
        "id": f"test-{question.name}",
        "metadata": {"nbgrader": marked(f"test_{question.name}", grade=True, locked=True, points=question.points)},
        "source": f"{question.definition}\n{question.call}",
        "outputs": [],
        "execution_count": None,
    }


def marked(
    name: str, *, grade: bool = False, locked: bool = False, solution: bool = False, **more: int
) -> dict[str, Any]:
    """Return nbgrader's metadata of a cell, in version 3 of its schema."""
    kind = {"grade": grade, "locked": locked, "solution": solution, "task": False, "cell_type": "code"}
    return {"schema_version": 3, "grade_id": name, **kind, **more}
