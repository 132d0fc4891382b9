"""otter-grader: `otter.api.grade_submission`, which `otter run` calls, in two processes that each grade half a class.

That is faster than a command for each notebook, because otter itself is imported only once. Its batch command needs
Docker.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from benchmarks.assignment import QUESTIONS, BenchmarkQuestion, Notebook, a_class, question_of
from benchmarks.peers.environments import OTTER

__all__ = ["Otter"]

_LOOP = """
import sys
from otter.api import grade_submission
for path in sys.argv[2:]:
    results = grade_submission(path, sys.argv[1], quiet=True)
    with open(path + ".points", "w") as file:
        file.write(f"{results.total} {results.possible}")
"""


class Otter:
    """otter-grader without Docker."""

    name = f"otter-grader {OTTER.version}"

    def commands(self, notebook: str, size: int, folder: Path) -> list[list[str]]:
        """Write the tests as otter's configuration, and a notebook for each student."""
        with zipfile.ZipFile(folder / "autograder.zip", "w") as archive:
            archive.writestr("otter_config.json", json.dumps({"lang": "python"}))
            for question in QUESTIONS:
                archive.writestr(f"tests/{question.name}.py", test_file(question))
        paths = []
        for student, content in a_class(notebook, size, with_tests_named).items():
            paths.append(folder / f"{student}.ipynb")
            paths[-1].write_bytes(content)
        loop = OTTER.command("python", "-c", _LOOP, str(folder / "autograder.zip"))
        return [[*loop, *map(str, half)] for half in (paths[0::2], paths[1::2]) if half]

    def require_full_marks(self, notebook: str, size: int, folder: Path) -> None:
        """Read otter's results."""
        possible = float(sum(question.points for question in QUESTIONS))
        found = [tuple(map(float, path.read_text().split())) for path in folder.glob("*.points")]
        assert found == [(possible, possible)] * size, f"points of {size} submissions: {found}"


def test_file(question: BenchmarkQuestion) -> str:
    """Return a test file in otter's format of exceptions."""
    imports, _, function = question.definition.rpartition("\n\n")
    decorator = f"@test_case(points={question.points})"
    settings = f"OK_FORMAT = False\nname = {question.name!r}\npoints = {question.points}"
    return f"from otter.test_files import test_case\n{imports}\n\n{settings}\n\n{decorator}\n{function}"


def with_tests_named(notebook: Notebook) -> Notebook:
    """Add otter's check of a question right after the cell that answers it."""
    for cell in notebook["cells"]:
        if question := question_of(cell):
            cell["metadata"] = {"otter": {"tests": [question.name]}}
    return notebook
