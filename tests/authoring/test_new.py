"""A new assignment is correct from the start, and docs/authoring.md is true."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from grader.assignment import Assignment, load_assignment
from grader.authoring.new import TEMPLATE, new_assignment
from grader.authoring.verify import verify
from grader.errors import InputError
from grader.grading.grade import grade
from grader.judging.loading import load_rubric
from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.protocol.limits import Limits
from tests.support.notebooks import submission
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "authoring.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
FILES = [
    "alternatives/plain_loops.py",
    "example.ipynb",
    "misconceptions/classification.py",
    "reference/classification.py",
    "rubric.toml",
    "test_classification.py",
]

Ran = subprocess.CompletedProcess[str]


def shell(command: str, folder: Path) -> Ran:
    """Run a command as an instructor would, in a terminal of 100 columns."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-e", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path, "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_a_new_assignment_is_verified_without_a_change(tmp_path: Path, zygote: Zygote) -> None:
    new_assignment("first", tmp_path)
    verification = verify(load_assignment(tmp_path / "first"), zygote)
    assert verification.perfect, verification.to_json()
    assert {each.kind for each in verification.checked} == {"solution", "empty", "alternative", "mutant"}
    assert verification.unneeded == ()
    assert all(set(each.named) <= {each.name.replace(" ", "_")} for each in verification.mutants)


def test_a_new_assignment_is_a_copy_of_the_template_and_nothing_else(tmp_path: Path) -> None:
    written = new_assignment("과제-3", tmp_path)
    assert [str(path.relative_to(tmp_path / "과제-3")) for path in written] == FILES
    assert everything_in(tmp_path / "과제-3") == FILES
    for path in written:
        assert path.read_bytes() == (TEMPLATE / path.relative_to(tmp_path / "과제-3")).read_bytes()


def test_a_new_assignment_has_a_hidden_item_and_points_for_every_item_in_sight(tmp_path: Path) -> None:
    new_assignment("first", tmp_path)
    assignment = load_assignment(tmp_path / "first")
    assert [item.visible for item in assignment.items] == [True, False, True]
    assert assignment.reference == tmp_path / "first" / "reference"


def test_the_template_imports_what_every_instructor_has() -> None:
    for path in TEMPLATE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                modules.append(str(node.module))
            assert set(modules) <= {"collections.abc", "grader.testing", "math", "torch"}, path


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a/b", "/tmp/a", "../a", "-a", "_a", "a.b", "a\n", "a\x1b[31m"])
def test_a_name_that_no_folder_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of an assignment: use letters"):
        new_assignment(name, tmp_path)
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize("name", ["torch", "math", "grader"])
def test_a_name_that_would_hide_a_module_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="give another name"):
        new_assignment(name, tmp_path)


def test_what_exists_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "folder", "link"):
        with pytest.raises(InputError, match=f"{name} exists already, and nothing was changed"):
            new_assignment(name, tmp_path)
    assert everything_in(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_an_unusable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(InputError, match="is not a folder: create it first"):
            new_assignment("first", folder)
    with pytest.raises(InputError, match="cannot create /proc/first: "):
        new_assignment("first", Path("/proc"))
    with pytest.raises(InputError, match="File name too long"):
        new_assignment("a" * 300, tmp_path)


def test_an_assignment_that_cannot_be_written_completely_is_removed(tmp_path: Path) -> None:
    write = "import grader.authoring.new as a, pathlib; a.new_assignment('first', pathlib.Path())"
    ran = shell(f"ulimit -f 1; exec '{sys.executable}' -B -c \"{write}\"", tmp_path)
    assert "InputError: cannot write to first: File too large; give another folder with --into" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_changed_reference_is_another_revision_and_is_what_tests_compare_with(tmp_path: Path) -> None:
    new_assignment("first", tmp_path)
    path = tmp_path / "first" / "reference" / "classification.py"
    before = load_assignment(tmp_path / "first")
    (module,) = load_rubric(before).tests.values()
    assert vars(module)["accuracy"].__doc__.startswith("Return the fraction")
    path.write_text(path.read_text().replace("Return the fraction", "Give the fraction"))
    after = load_assignment(tmp_path / "first")
    assert after.revision != before.revision
    (module,) = load_rubric(after).tests.values()
    assert vars(module)["accuracy"].__doc__.startswith("Give the fraction")


@pytest.mark.slow
def test_a_notebook_sees_nothing_of_the_assignment_it_is_graded_with(zygote: Zygote, hw2: Assignment) -> None:
    # In the environment, which a sandbox can read: what is covered there is covered everywhere.
    with tempfile.TemporaryDirectory(dir=sys.prefix) as folder:
        Path(folder).chmod(0o755)
        files = [str(path) for path in new_assignment("first", Path(folder))]
        notebook = submission(*(f"open({file!r}).close()" for file in files))
        seen = [cell.message for cell in grade(notebook, hw2, zygote).cells]
        report = grade(notebook, load_assignment(Path(folder, "first")), zygote)
    assert seen == [""] * len(FILES)
    assert report.score == 0
    assert all("FileNotFoundError" in cell.message for cell in report.cells)


def test_the_command_lists_its_files_and_the_next_commands(tmp_path: Path) -> None:
    (tmp_path / "fall 2026").mkdir()
    ran = shell("grader assignment new first --into 'fall 2026'", tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    wrote = [f"wrote fall 2026/first/{file}" for file in FILES]
    assert ran.stdout.splitlines() == [
        *wrote,
        "",
        "Try it:",
        "    grader rubric verify './fall 2026/first'",
        "    grader check './fall 2026/first/example.ipynb' --assignment './fall 2026/first'",
    ]


def test_the_command_refuses_with_one_line_and_exit_code_2(tmp_path: Path) -> None:
    for command in ("new torch", "new 'a b'", "new first --into missing", "new first --into /proc"):
        ran = shell(f"grader assignment {command}", tmp_path)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr.startswith("grader: ")
        assert ran.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_every_command_of_the_page_does_what_the_page_shows(tmp_path: Path) -> None:
    scripts = [(kind, text) for kind, text in BLOCKS if kind in ("sh", "console")]
    assert len(scripts) >= 3
    for kind, text in scripts:
        if kind == "sh":
            ran = shell(text, tmp_path)
            assert ran.returncode == 0, ran.stderr
            continue
        for each in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, shown = each.partition("\n")
            expected = re.search(r"# exit code (\d)", command)
            ran = shell(command, tmp_path)
            assert ran.returncode == (int(expected[1]) if expected else 0), ran.stdout + ran.stderr
            printed = [line.rstrip() for line in ran.stdout.splitlines()]
            assert [line for line in shown.splitlines() if line and line not in printed] == [], ran.stdout


def test_the_python_code_of_the_page_is_from_real_assignments() -> None:
    files = [*TEMPLATE.rglob("*.py"), *(ROOT / "rubrics").rglob("*.py")]
    sources = [path.read_text(encoding="utf-8") for path in files]
    blocks = [text for kind, text in BLOCKS if kind == "python"]
    assert blocks
    for block in blocks:
        assert any(block in source for source in sources), block


def test_the_names_and_files_of_the_page_exist() -> None:
    import grader.testing

    known = {*grader.testing.__all__, *vars(Limits)}
    for name in re.findall(r"`(assert_\w+|run|given|Searchable|Mismatch|\w+_seconds|\w+_bytes)`", PAGE):
        assert name in known, name
    for file in re.findall(r"`((?:rubrics|grader|tests)/[\w/]+\.py)`", PAGE):
        assert (ROOT / file).is_file(), file
    assert len(PAGE.splitlines()) < 120
