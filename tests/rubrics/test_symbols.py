"""Every name that evidence of hw2 may show is explained by the rubric."""

from __future__ import annotations

import ast
from pathlib import Path

from grader.assignment import find_assignment
from grader.testing import images


def test_every_name_in_a_case_is_explained() -> None:
    assignment = find_assignment("hw2")
    files = [*assignment.folder.glob("test_*.py"), Path(images.__file__)]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))]
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    names = {keyword.arg for call in calls for keyword in call.keywords if call.func.id == "Case"}  # type: ignore[attr-defined]
    assert {"X", "K", "b", "G", "size"} <= names
    assert names - assignment.symbols.keys() == set()
