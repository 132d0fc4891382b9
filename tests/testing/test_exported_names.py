"""What rubric authors may import, and what a rubric and the reference may import themselves."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import grader.testing
import reference

ROOT = Path(reference.__file__).parent.parent


@pytest.mark.parametrize("module", [grader.testing, reference])
def test_exported_names_are_sorted_and_exist(module: object) -> None:
    names: list[str] = module.__all__  # type: ignore[attr-defined]
    # As the linter does: VGG, all in capitals, stands before the other classes.
    assert names == sorted(names, key=lambda name: (not name.isupper(), name))
    assert all(hasattr(module, name) for name in names)


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [("reference", {"reference", "torch"}), ("rubrics", {"reference", "torch", "grader.testing"})],
)
def test_rubrics_see_the_test_api_and_the_reference_and_the_reference_sees_torch(
    folder: str, allowed: set[str]
) -> None:
    standard = {"__future__", "collections.abc", "math", "typing"}
    for path in (ROOT / folder).rglob("*.py"):
        if path.parent.name == "alternatives":
            continue  # they are what a student might hand in
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                known = module in standard | allowed or any(str(module).startswith(f"{root}.") for root in allowed)
                assert known, f"{path.name} imports {module}"
