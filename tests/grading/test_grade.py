"""`grade()` returns the same report for the same input, and the report reveals no secrets."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import os
import shutil
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import pytest

from grader.assignment import Assignment, load_assignment
from grader.collection import read_submission
from grader.errors import AssignmentError, InputError, RubricFault, SystemFault
from grader.grading.grade import grade
from grader.installation_key import InstallationKey
from grader.results.report import Report, Verdict, load_report_schema
from grader.sandbox.host.sandbox import Zygote
from grader.submission.submission import Submission, read_notebook
from tests.support.keys import KEY
from tests.support.notebooks import CORR2D, CORR2D_POINTS, notebook_bytes, submission
from tests.support.paths import ASSIGNMENTS, ROOT, SUBMISSIONS

RIGHT = read_submission((SUBMISSIONS / "right_the_whole_homework").glob("*.ipynb"))
MADE = {
    "honest": RIGHT,
    "errors and addresses": submission(
        "import torch\nfrom torch import nn",
        "print(object())\nraise ValueError(object(), lambda x: x, torch.rand(2), {'b', 'a', 'c'})",
        "def corr2d(X, K)\n    return X",
        "def corr2d(X, K): raise TypeError(f'{object()} {hash(\"text\")} {torch.rand(3)} {nn.Linear(2, 2).weight}')",
        "class Thing: pass\ndef pool2d(X, pool_size, mode='max'): raise KeyError(Thing(), Thing)",
        "layer = nn.Conv2d(1, 1, (1, 2))\nlayer",
    ),
    "a killed kernel": submission(
        CORR2D, "import os\nos._exit(7)", "import signal\nos.kill(os.getpid(), signal.SIGKILL)", "x = 1"
    ),
    "wrong on random inputs": submission(
        "import torch, random\ndef corr2d(X, K): return torch.rand(X.shape[0] - K.shape[0] + 1, 2)",
        "def pool2d(X, pool_size, mode='max'): return X[pool_size[0] - 1:, pool_size[1] - 1:] + random.random()",
        "class Conv2D(torch.nn.Module):\n"
        "    def __init__(self, size):\n"
        "        super().__init__()\n"
        "        self.weight = torch.nn.Parameter(torch.rand(size))\n"
        "        self.bias = torch.nn.Parameter(torch.rand(1))\n"
        "    def forward(self, X): return X * torch.rand(1)",
        "X = torch.ones(6, 8)\nX[:, 2:6] = 0\nY = torch.rand(6, 7)",
        "conv2d = torch.nn.Conv2d(1, 1, (1, 2))",
    ),
}  # fmt: skip


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_two_runs_agree_byte_for_byte(made: Submission, zygote: Zygote, hw2: Assignment) -> None:
    first, second = (grade(made, hw2, zygote) for _ in range(2))
    assert first.canonical() == second.canonical()
    assert "timing" not in json.loads(first.canonical())
    assert "0x7" not in first.canonical()


def test_another_key_draws_other_inputs_and_gives_the_same_verdicts(zygote: Zygote, hw2: Assignment) -> None:
    keys = [KEY, InstallationKey.generate()]
    wrong = submission(CORR2D.replace("i:i + h", "i:i + 1"), "import torch\nraise ValueError(torch.initial_seed())")
    first, second = (grade(wrong, hw2, zygote, key=key) for key in keys)
    assert [first.key, second.key] == [key.id for key in keys]
    assert [item.verdict for item in first.items] == [item.verdict for item in second.items]
    assert first.cells[1].message != second.cells[1].message  # the seed of the kernel
    assert [item.message for item in first.items] != [item.message for item in second.items]


def test_a_key_where_students_could_read_it_is_refused(
    zygote: Zygote, hw2: Assignment, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.grading.out_of_sight.find_readable", lambda: (key_file.parent,))
    with pytest.raises(InputError, match="students could read the key file"):
        grade(submission(CORR2D), hw2, zygote)


def test_an_honest_report_is_complete(zygote: Zygote, hw2: Assignment) -> None:
    told: list[str] = []
    report = grade(RIGHT, hw2, zygote, progress=told.append)
    jsonschema.validate(json.loads(report.to_json()), load_report_schema())
    assert Report.from_json(report.to_json()) == dataclasses.replace(report, timing=report.timing)
    assert report.passed
    waiting = sum(item.points for item in (*hw2.trained, *hw2.by_person))
    assert (report.score, report.max_score, report.pending_points) == (hw2.points - waiting, hw2.points, waiting)
    assert (report.assignment, report.title, report.revision) == (hw2.name, hw2.title, hw2.revision)
    assert [item.id for item in report.items] == [item.id for item in hw2.items]
    code = [cell.index for cell in RIGHT.notebooks[0].cells if cell.kind == "code"]
    assert [cell.cell for cell in report.cells] == code
    assert {cell.status for cell in report.cells} == {"ok", "training withheld"}
    assert report.layers
    assert told
    assert all(told)


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_the_points_of_the_items_add_up(made: Submission, zygote: Zygote, hw2: Assignment) -> None:
    report = grade(made, hw2, zygote)
    assert report.score == sum(item.points for item in report.items)
    assert report.max_score == hw2.points
    for item in report.items:
        assert 0 <= item.points <= item.max_points
        assert (item.points == item.max_points) is (item.verdict is Verdict.PASSED)
        assert item.points == 0 or item.verdict in {Verdict.PASSED, Verdict.PARTIAL}


SCALED = "import torch\nscale = torch.ones(1)\n" + CORR2D.replace("return Y", "return scale * Y")
SPOILED = {
    "a tensor that is changed in place": (SCALED, "scale.zero_()"),
    "a list that is changed in place": (
        SCALED.replace("torch.ones(1)", "[1]").replace("scale *", "scale[0] *"),
        "scale[0] = 0",
    ),
    "a function of torch": (CORR2D, "torch.zeros = torch.ones"),
    "torch itself": (CORR2D, "torch.set_default_dtype(torch.float16)"),
}


def count_runs(told: Sequence[str]) -> int:
    """Return how often the notebook was run, by what was told of the progress."""
    return sum(line.startswith("running") and ", cell" not in line for line in told)


@pytest.mark.parametrize(("defined", "spoiler"), SPOILED.values(), ids=SPOILED)
def test_what_a_later_cell_spoils_in_place_is_judged_as_it_stood(
    defined: str, spoiler: str, zygote: Zygote, hw2: Assignment
) -> None:
    told: list[str] = []
    report = grade(submission(defined, spoiler, "x = 1"), hw2, zygote, progress=told.append)
    assert report.score == CORR2D_POINTS
    assert count_runs(told) == 2


def test_an_answer_that_a_later_cell_spoiled_breaks_no_test(tmp_path: Path, zygote: Zygote) -> None:
    shutil.copytree(ASSIGNMENTS / "doubled", tmp_path / "doubled")
    with open(tmp_path / "doubled" / "test_doubled.py", "a") as file:
        file.write(
            "\n\n@item('double')\ndef test_frail(student: Student) -> None:\n    student.double(torch.ones(1)) + 1\n"
        )
    assignment = load_assignment(tmp_path / "doubled")
    defined = "kept = [2.0]\ndef double(X): return kept[0] * X if kept else 'spoiled'"
    report = grade(submission(defined, "kept.clear()", "x = 1"), assignment, zygote)
    assert [item.verdict for item in report.items] == [Verdict.PASSED, Verdict.ABSENT]
    with pytest.raises(RubricFault, match="test_frail: TypeError"):
        grade(submission(defined.replace("[2.0]", "[]")), assignment, zygote)


@pytest.mark.parametrize(
    "cells",
    [
        (CORR2D, "def corr2d(X, K): return X"),
        ("def corr2d(X, K): return helper(X, K)", CORR2D.replace("corr2d", "helper"), "def helper(X, K): return X"),
        ("def corr2d(X, K): return X", "def pool2d(X, pool_size, mode='max'): raise ValueError"),
        ("x = 1",),
    ],
    ids=["right at first", "with a helper that changes", "wrong", "nothing"],
)
def test_what_names_alone_can_put_back_is_run_once(cells: tuple[str, ...], zygote: Zygote, hw2: Assignment) -> None:
    told: list[str] = []
    grade(submission(*cells), hw2, zygote, progress=told.append)
    assert count_runs(told) == 1


def test_files_are_named_with_the_hash_of_their_bytes(tmp_path: Path, zygote: Zygote, hw2: Assignment) -> None:
    paths = [tmp_path / "b.ipynb", tmp_path / "a.ipynb"]
    for number, path in enumerate(paths):
        path.write_bytes(notebook_bytes(f"x = {number}"))
    report = grade(read_submission(paths), hw2, zygote)
    found = [(file.name, file.sha256) for file in report.files]
    assert found == [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths]


@pytest.mark.slow
def test_neither_the_order_nor_the_names_of_notebooks_change_a_verdict(zygote: Zygote, hw2: Assignment) -> None:
    wrong = "import torch\ndef pool2d(X, pool_size, mode='max'): return torch.rand(2, 2)"
    first, second = notebook_bytes(CORR2D), notebook_bytes("def corr2d(X, K): return X", wrong)
    results = []
    for names in (("one.ipynb", "two.ipynb"), ("과제.ipynb", "1.ipynb")):
        notebooks = (read_notebook(names[0], first), read_notebook(names[1], second))
        for order in (notebooks, notebooks[::-1]):
            report = grade(Submission(order), hw2, zygote)
            assert report.score == CORR2D_POINTS
            numbers = {None: None, names[0]: "first", names[1]: "second"}
            results.append([(item.id, item.verdict, item.points, numbers[item.file]) for item in report.items])
    assert all(result == results[0] for result in results)


@pytest.mark.slow
def test_a_report_shows_no_rubric_no_reference_and_nothing_of_this_machine(zygote: Zygote, hw2: Assignment) -> None:
    """Neither their paths nor any of their lines."""
    texts = [grade(made, hw2, zygote).to_json() for made in MADE.values()]
    assert hw2.reference is not None
    files = [*hw2.folder.rglob("*"), *hw2.reference.rglob("*.py")]
    root = ROOT
    secret = {path.name for path in files if path.suffix in {".py", ".toml"} and path.name != "__init__.py"}
    secret |= {str(hw2.folder), str(hw2.reference), str(root), str(root.parent), str(Path.home()), socket.gethostname()}
    secret |= {str(Path.cwd()), "rubrics/", "reference/", "site-packages", f"/proc/{os.getpid()}"}
    for path in files:
        if path.suffix == ".py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            lines = {line.strip() for line in ast.unparse(tree).splitlines()}
            secret |= {line for line in lines if len(line) > 30}
            secret |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and "_" in node.name}
    secret -= {"__init__"}
    secret -= {item.names[0] for item in hw2.items if item.names}  # what the student is asked to write
    # A report quotes lines of the submission, and some are as in the book.
    quoted = [cell.source for made in MADE.values() for notebook in made.notebooks for cell in notebook.cells]
    secret -= {line.strip() for source in quoted for line in source.splitlines()}
    for text in texts:
        assert [each for each in secret if each in text] == []


@pytest.mark.slow
def test_where_items_are_hidden_no_expected_value_and_no_input_is_told(zygote: Zygote, hw2: Assignment) -> None:
    hidden = dataclasses.replace(hw2, items=tuple(dataclasses.replace(item, visible=False) for item in hw2.items))
    for made in MADE.values():
        report, shown = grade(made, hidden, zygote), grade(made, hw2, zygote)
        assert [item.verdict for item in report.items] == [item.verdict for item in shown.items]
        by_person = {item.id for item in hw2.by_person}  # these show what the student wrote
        for item in (item for item in report.items if item.id not in by_person):
            assert item.evidence == {}
            assert not any(word in item.message for word in ("expected", "found", "image of", "book's"))


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("@item('one')\ndef test_one(student): 1 / 0", "broke"),
        ("@item('one')\ndef test_one(student): student.no_such_thing.values()", "broke"),
        ("@item('two')\ndef test_two(student): pass", "no such item"),
        ("def test_one(student): pass", "judges no item"),
        ("x = 1", "has no test"),
        ("import nothing_like_this", "cannot be imported"),
        ("def test_one(student) pass", "line 2"),
        ("@item('one')\ndef test_one(): pass", "student"),
    ],
)
def test_a_broken_rubric_is_an_error_and_never_a_zero(test: str, reason: str, tmp_path: Path, zygote: Zygote) -> None:
    rubric = tmp_path / "hw"
    rubric.mkdir()
    (rubric / "rubric.toml").write_text(
        'title = "t"\npoints = 1\n[sections]\n"1" = "s"\n'
        '[[items]]\nid = "one"\nsection = "1"\ntitle = "t"\npoints = 1\nnames = ["corr2d"]\n'
    )
    (rubric / "test_one.py").write_text(f"from grader.testing import item\n{test}\n")
    with pytest.raises((AssignmentError, RubricFault), match=reason) as error:
        grade(submission(CORR2D), load_assignment(rubric), zygote)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_warm_process_that_is_killed_while_judging_is_no_mistake_of_the_student_s(hw2: Assignment) -> None:
    def told(what: str) -> None:
        if what == "judging":
            os.kill(own.pid, signal.SIGKILL)

    with Zygote(hw2.packages) as own, pytest.raises(SystemFault):
        grade(submission(CORR2D), hw2, own, progress=told)
