"""The model solution as a notebook, and other definitions in the place of its own."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from grader.assignment import Assignment
from grader.errors import AssignmentError
from grader.judging.solution import Solution, SolutionCell, load_solution, read_cells

REFERENCE = {
    "__init__.py": 'from reference.a import a\n__all__ = ["a"]',
    "a.py": '''
        """The first."""
        from __future__ import annotations
        import math
        import torch
        from torch import (
            Tensor,
            nn,
        )

        __all__ = ["A", "a"]
        SIZE = 3

        def a():
            return 1

        @torch.jit.ignore
        @torch.no_grad()
        def decorated():
            return 4

        class A(nn.Module):
            """A class."""

            x = 1
    ''',
    "b.py": '''
        """The second."""
        import torch
        from torch import Tensor, nn
        from reference.a import a
        from . import a as other
        import reference, hw
        from hw import something

        __all__ = ["b"]

        def b():
            return a() + SIZE
    ''',
}
SHOWN = '''
    """What is shown besides."""
    import numpy
    from reference import b

    X = b()
    print(X)
'''


def assignment(folder: Path, *, reference: dict[str, str] | None = None, shown: str | None = SHOWN) -> Assignment:
    rubric, files = folder / "hw", folder / "reference"
    for each in (rubric, files):
        each.mkdir()
    for name, source in (REFERENCE if reference is None else reference).items():
        (files / name).write_text(dedent(source))
    if shown is not None:
        (rubric / "solution.py").write_text(dedent(shown))
    return Assignment("hw", "HW", rubric, 1, (), {}, "revision", reference=files)


def solution(*cells: tuple[str, str]) -> Solution:
    return Solution(tuple(SolutionCell(*cell) for cell in cells))


def cells(made: Solution) -> list[tuple[str, str]]:
    return [(cell.name, cell.source) for cell in made.cells]


def test_the_solution_is_its_imports_the_references_definitions_and_what_is_shown(tmp_path: Path) -> None:
    made = load_solution(assignment(tmp_path))
    assert [cell.name for cell in made.cells] == ["", "", "a", "decorated", "A", "b", "", ""]
    assert [cell.source for cell in made.cells if not cell.name][1:] == ["SIZE = 3", "X = b()", "print(X)"]


def test_imports_are_one_cell_in_which_none_stands_twice_and_none_is_our_own(tmp_path: Path) -> None:
    imports = load_solution(assignment(tmp_path)).cells[0]
    assert imports.is_import
    namespace: dict[str, object] = {}
    exec(imports.source, namespace)
    assert {"math", "torch", "Tensor", "nn", "numpy"} <= namespace.keys()
    assert imports.source.splitlines().count("import torch") == 1
    assert not any(name in imports.source for name in ("reference", "hw", "__future__", "grader"))


@pytest.mark.parametrize(
    "reference",
    [
        {"a.py": "from torch import (\n    Tensor,\n    nn,\n)\n", "b.py": "from math import (\n    pi,\n)\nx = 1"},
        {"a.py": "from torch import (\n    nn,\n)", "b.py": "from torch import (\n    Tensor,\n    nn,\n)"},
    ],
)
def test_imports_over_several_lines_can_be_merged(tmp_path: Path, reference: dict[str, str]) -> None:
    imports = load_solution(assignment(tmp_path, reference=reference)).cells[0]
    namespace: dict[str, object] = {}
    exec(imports.source, namespace)
    assert {"Tensor", "nn"} <= namespace.keys()


def test_decorated_definitions_keep_their_decorators_and_their_own_docstring(tmp_path: Path) -> None:
    made = dict(cells(load_solution(assignment(tmp_path))))
    assert made["decorated"] == "@torch.jit.ignore\n@torch.no_grad()\ndef decorated():\n    return 4"
    assert made["A"] == 'class A(nn.Module):\n    """A class."""\n\n    x = 1'


def test_a_solution_needs_nothing_beside_the_rubric(tmp_path: Path) -> None:
    made = load_solution(assignment(tmp_path, shown=None))
    assert [cell.name for cell in made.cells if cell.name] == ["a", "decorated", "A", "b"]


def test_a_rubric_without_a_reference_has_no_solution(tmp_path: Path) -> None:
    without = Assignment("hw", "HW", tmp_path, 1, (), {}, "revision")
    with pytest.raises(AssignmentError, match=r"rubric.toml names no reference: add reference ="):
        load_solution(without)


def test_what_is_no_python_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\ndef f(:\n")
    with pytest.raises(AssignmentError, match=r"a.py, line 2 is no Python: invalid syntax"):
        list(read_cells(tmp_path / "a.py"))


def test_the_statements_of_a_file_are_cells_without_what_a_notebook_does_not_have(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(
        '"""Docstring."""\n__all__ = ["f"]\nimport hw.a, hw\nfrom grader import cli\n"shown"\ndef f(): ...\n'
    )
    assert [(cell.name, cell.source) for cell in read_cells(path, ["hw"])] == [
        ("", '"shown"'),
        ("f", "def f(): ..."),
    ]


def test_definitions_stand_in_the_place_of_those_of_the_same_name() -> None:
    made = solution(("", "import torch"), ("a", "def a(): 1"), ("b", "def b(): 2"), ("", "print(a())"))
    changed = made.with_definitions([SolutionCell("b", "def b(): 3")])
    assert cells(changed) == [("", "import torch"), ("a", "def a(): 1"), ("b", "def b(): 3"), ("", "print(a())")]
    assert cells(made)[2] == ("b", "def b(): 2")


def test_what_has_no_name_comes_after_the_imports_and_before_everything_else() -> None:
    made = solution(("", "import torch"), ("a", "def a(): 1"), ("", "print(a())"))
    first = [SolutionCell("", "import math"), SolutionCell("", "torch.set_default_dtype(torch.float64)")]
    changed = made.with_definitions([*first, SolutionCell("a", "def a(): 2")])
    assert [cell.source for cell in changed.cells] == [
        "import torch",
        "import math",
        "torch.set_default_dtype(torch.float64)",
        "def a(): 2",
        "print(a())",
    ]


def test_a_new_name_comes_before_the_first_definition_that_may_need_it() -> None:
    made = solution(("", "import torch"), ("a", "def a(): 1"), ("", "print(a())"))
    changed = made.with_definitions([SolutionCell("helper", "def helper(): 1"), SolutionCell("a", "class a(B): 1")])
    assert [cell.name for cell in changed.cells] == ["", "helper", "a", ""]


def test_nothing_may_be_put_into_an_empty_notebook() -> None:
    assert Solution(()).with_definitions([]).cells == ()
    assert cells(Solution(()).with_definitions([SolutionCell("a", "def a(): 1")])) == [("a", "def a(): 1")]


def test_the_namespace_has_imports_and_definitions_and_runs_nothing_of_what_is_shown() -> None:
    made = solution(("", "import math"), ("a", "def a(): return math.pi"), ("", "shown = a()"), ("", "1 / 0"))
    namespace = made.namespace()
    assert namespace["a"]() > 3
    assert "shown" not in namespace
    assert namespace["a"].__module__ == "solution"


def test_the_namespace_of_a_changed_solution_has_the_imports_of_what_was_put_in() -> None:
    made = solution(("", "import math"), ("a", "def a(): return 1"))
    new = [SolutionCell("", "import json"), SolutionCell("a", "def a(): return json.loads('2')")]
    assert made.with_definitions(new).namespace()["a"]() == 2
