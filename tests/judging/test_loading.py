"""The Python side of an assignment is loaded once for each revision, and what an author got wrong is named."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from grader.assignment import load_assignment
from grader.errors import AssignmentError
from grader.judging.loading import Rubric, load_rubric

MISTAKES = """
    from grader.testing import misconception

    @misconception("double", breaks=("double",), says="it triples", look="twice is enough")
    def tripled(x):
        return increased(x) - 1 + 2 * x

    @misconception("double", breaks=("double",), says="it squares", look="twice is enough")
    def squared(x):
        return x * x
"""


def folder(root: Path, **files: str) -> Path:
    (root / "hw").mkdir(exist_ok=True)
    (root / "hw" / "rubric.toml").write_text(
        'title = "T"\npoints = 3\nreference = "../answers"\n[sections]\n1 = "One"\n'
        '[[items]]\nid = "double"\nsection = "1"\ntitle = "Doubles"\npoints = 3\nnames = ["double"]\n'
    )
    contents = {
        "answers/double.py": "def double(x):\n    return 2 * x\n\n\ndef increased(x):\n    return x + 1\n",
        "hw/test_a.py": "A = 1",
        "hw/misconceptions/double.py": MISTAKES,
        **{name.replace("__", "/") + ".py": source for name, source in files.items()},
    }
    for name, source in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(dedent(source))
    return root / "hw"


def loaded(root: Path, **files: str) -> Rubric:
    return load_rubric(load_assignment(folder(root, **files)))


def test_a_rubric_has_its_tests_misconceptions_and_solution(tmp_path: Path) -> None:
    rubric = loaded(tmp_path, hw__test_b="B = 2", hw__notes="C = 3")
    assert [(path.name, hasattr(module, "B")) for path, module in rubric.tests.items()] == [
        ("test_a.py", False),
        ("test_b.py", True),
    ]
    assert [each.id for each in rubric.misconceptions] == ["tripled", "squared"]
    assert [cell.name for cell in rubric.solution.cells if cell.name] == ["double", "increased"]
    assert rubric.own_packages == ("hw", "answers")


def test_a_namespace_is_the_solution_with_one_mistake_among_it(tmp_path: Path) -> None:
    rubric = loaded(tmp_path)
    tripled, squared = (rubric.namespace(mistake) for mistake in rubric.misconceptions)
    assert (tripled["double"](5), squared["double"](5)) == (15, 25)
    assert tripled["increased"](5) == 6
    assert "tripled" not in tripled
    assert rubric.namespace(rubric.misconceptions[0]) is tripled  # made once: a class must stay the same class


def test_a_rubric_needs_no_misconceptions(tmp_path: Path) -> None:
    where = folder(tmp_path)
    (where / "misconceptions" / "double.py").unlink()
    assert load_rubric(load_assignment(where)).misconceptions == ()
    (where / "misconceptions").rmdir()
    assert load_rubric(load_assignment(where)).misconceptions == ()


def test_the_same_revision_is_loaded_once_and_another_anew(tmp_path: Path) -> None:
    first = loaded(tmp_path)
    assert loaded(tmp_path) is first
    changed = loaded(tmp_path, hw__misconceptions__double=MISTAKES.replace("tripled", "threefold"))
    assert changed is not first
    assert [each.id for each in changed.misconceptions] == ["threefold", "squared"]
    assert [each.id for each in first.misconceptions] == ["tripled", "squared"]
    other = loaded(tmp_path, answers__double="def double(x):\n    return x + x + 0.5\n")
    assert other.solution.namespace()["double"](1) == 2.5


def test_a_rubric_that_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    assignment = load_assignment(folder(tmp_path))
    (tmp_path / "hw" / "misconceptions" / "double.py").write_text("")
    with pytest.raises(AssignmentError, match="has changed since it was loaded: load the assignment again"):
        load_rubric(assignment)


def test_two_assignments_may_have_files_of_one_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one = loaded(tmp_path / "one", hw__test_a="A = 'one'")
    two = loaded(tmp_path / "two", hw__test_a="A = 'two'")
    assert [next(iter(rubric.tests.values())).A for rubric in (one, two)] == ["one", "two"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(:", r"double\.py, line 1 cannot be imported: SyntaxError: invalid syntax"),
        ("import nowhere", r"double\.py cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        (MISTAKES.replace('"double",)', '"dbl",)'), r"double\.py: misconception tripled breaks dbl: name items"),
    ],
)
def test_a_misconception_that_cannot_be_loaded_is_the_authors(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(AssignmentError, match=message):
        _ = loaded(tmp_path, hw__misconceptions__double=source).misconceptions


def test_a_reference_that_is_a_package_is_imported_by_its_name(tmp_path: Path) -> None:
    try:
        for name in ("first", "second"):  # two assignments may both call their reference `answers`
            answers = tmp_path / name / "answers"
            answers.mkdir(parents=True)
            (answers / "__init__.py").write_text("from answers.double import double\n")
            (module,) = loaded(tmp_path / name, hw__test_a="import answers").tests.values()
            assert module.answers.double(2) == 4
            assert Path(module.answers.__file__).parent == answers
    finally:
        for module_name in [each for each in sys.modules if each.partition(".")[0] == "answers"]:
            del sys.modules[module_name]
