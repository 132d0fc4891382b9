"""Imported assignments give real submissions the same points as the original grader."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from grader.assignment import Assignment, load_assignment
from grader.authoring.importing import import_assignment
from grader.grading.grade import grade
from grader.results.report import Report, Verdict
from grader.sandbox.host.sandbox import Zygote
from grader.submission.notebook_json import DEFAULT_BOUNDS, parse
from grader.submission.submission import Submission, read_notebook
from tests.support.foreign_assignments import ASSIGNMENTS, answer, code, judging, notebook, provided, written
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "importing.md"
GRADER = Path(sys.executable).with_name("grader")

TOTAL = "import math\ndef total(numbers):\n    return sum(numbers)"
SQUARES = """
squares = [n * n for n in range(10)]
def root_mean_square(numbers):
    if not numbers: raise ValueError("no numbers")
    return math.sqrt(sum(n * n for n in numbers) / len(numbers))
"""
FROM_ONE = SQUARES.replace("range(10)", "range(1, 11)")
STEPS = """
def steps(n):
    count = 0
    while n != 1:
        n, count = (n // 2 if n % 2 == 0 else 3 * n + 1), count + 1
    return count
"""


@pytest.fixture(scope="module")
def temperatures(tmp_path_factory: pytest.TempPathFactory) -> Assignment:
    folder = tmp_path_factory.mktemp("imported") / "temperatures"
    import_assignment(ASSIGNMENTS / "temperatures.ipynb", "temperatures", folder)
    return load_assignment(folder)


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> Assignment:
    folder = tmp_path_factory.mktemp("imported") / "loops"
    import_assignment(ASSIGNMENTS / "loops", "loops", folder, hidden=True)
    return load_assignment(folder)


def sample(found: str = "", replacement: str = "") -> list[str]:
    """Return the code cells of nbgrader's sample with its solution in them, a piece of it replaced."""
    document = parse("hw.ipynb", (ASSIGNMENTS / "temperatures.ipynb").read_bytes(), DEFAULT_BOUNDS)
    sources = [str(cell["source"]) for cell in document.cells if cell["cell_type"] == "code"]
    return [source.replace(found, replacement) for source in sources] if found else sources


def submitted(*sources: str) -> Submission:
    """Return a submission of one notebook with these cells."""
    return Submission((read_notebook("hw.ipynb", notebook(*map(code, sources)).encode()),))


def block(kind: str) -> str:
    """Return the page's block of this kind."""
    found = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def points(report: Report) -> dict[str, float]:
    return {item.id: item.points for item in report.items}


# What nbgrader 0.9.6 gives for the visible tests of the same notebooks, run once by hand.
@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (sample(), {"celsius": 2, "celsius_errors": 1, "week_tests": 1.5, "thermometer_tests": 2}),
        (sample("* 5 / 9", "* 9 / 5"), {"celsius": 0, "celsius_errors": 1, "week_tests": 0, "thermometer_tests": 2}),
    ],
    ids=["right", "wrong"],
)
def test_an_assignment_of_nbgrader_gives_its_points(
    temperatures: Assignment, zygote: Zygote, sources: list[str], expected: dict[str, float]
) -> None:
    report = grade(submitted(*sources), temperatures, zygote)
    assert points(report) == {**expected, "plot": 0, "kelvin": 0}
    assert {item.id for item in report.items if item.verdict is Verdict.PENDING} == {"plot", "kelvin"}


# What otter-grader 7.0.0 gives for all cases of the same notebooks, run once by hand.
@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ((TOTAL, SQUARES, STEPS), [2, 1, 2, 0.5, 1, 1, 1, 1]),
        (
            (TOTAL, FROM_ONE.replace("no numbers", "empty"), "def steps(n): return n - 1"),
            [2, 0, 2, 0, 1, 1, 0, 0],
        ),
        ((TOTAL.replace("sum(numbers)", "abs(sum(numbers))"),), [0, 0, 0, 0, 0, 0, 0, 0]),
    ],
    ids=["right", "wrong", "a hidden case"],
)
def test_an_assignment_of_otter_grader_gives_its_points(
    loops: Assignment, zygote: Zygote, sources: tuple[str, ...], expected: list[float]
) -> None:
    report = grade(submitted(*sources), loops, zygote)
    assert list(points(report).values()) == expected


def test_a_report_quotes_visible_tests_and_no_hidden_one(loops: Assignment, zygote: Zygote) -> None:
    wrong = submitted(TOTAL, FROM_ONE, STEPS.replace("count + 1", "count + 2"))
    report = grade(wrong, loops, zygote)
    messages = {item.id: item.message for item in report.items}
    assert messages["q2.1"] == "squares[:4]: expected [0, 1, 4, 9], found [1, 4, 9, 16]"
    assert messages["q3.2"] == "16 steps, and 8 are right"
    assert messages["q3.3"] == "does not give the right result"
    assert "111" not in str([(item.message, item.evidence) for item in report.items])


def test_an_answer_that_equals_everything_earns_nothing(temperatures: Assignment, zygote: Zygote) -> None:
    liar = """
class Same(float):
    def __eq__(self, other): return True
    __lt__ = __le__ = __gt__ = __ge__ = __ne__ = __eq__
    __sub__ = __rsub__ = __abs__ = lambda self, *_: self
    __hash__ = float.__hash__
def to_celsius(fahrenheit): return Same(1)
warmest, by_day = Same(1), {0: Same(1)}
near = lambda a, b: True
"""
    assert grade(submitted(liar), temperatures, zygote).score == 0


def test_the_author_s_functions_do_not_run_in_the_student_s_process(zygote: Zygote, tmp_path: Path) -> None:
    cells = (
        provided("def check(f):\n    assert f(2) == 4"),
        answer("def square(x): return x * x"),
        judging("check(square)"),
    )
    path = written(tmp_path / "hw.ipynb", notebook(*cells))
    import_assignment(path, "first", tmp_path / "first")
    assignment = load_assignment(tmp_path / "first")
    cheat = "def square(x): return 0\ndef check(f): pass"
    assert grade(submitted(cheat), assignment, zygote).score == 0
    assert grade(submitted("def square(x): return x * x"), assignment, zygote).score == 1


def test_each_definition_counts_as_it_stood(temperatures: Assignment, zygote: Zygote) -> None:
    rebound = "warmest = by_day = 0\nto_celsius = Thermometer = None"
    assert grade(submitted(*sample(), rebound), temperatures, zygote).score == 6.5


@pytest.mark.slow
def test_the_command_does_what_the_page_shows(tmp_path: Path) -> None:
    source = str(ASSIGNMENTS / "temperatures.ipynb")
    first, again = (
        subprocess.run(
            [GRADER, "assignment", "import", source, "--name", "temperatures"],
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
        for _ in range(2)
    )
    assert (first.returncode, first.stderr) == (0, "")
    shown = [line for line in block("console").splitlines() if not line.startswith("$")]
    assert [line for line in first.stdout.splitlines() if line][: len(shown)] == shown
    assert block("python") in (tmp_path / "temperatures" / "test_temperatures.py").read_text(encoding="utf-8")
    assert (again.returncode, again.stdout) == (2, "")
    assert "exists already, and nothing was changed" in again.stderr
