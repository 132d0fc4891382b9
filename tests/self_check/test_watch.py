"""After a save the verdicts are those of the saved files: of the changed part at once, of all items a moment later."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from grader.assignment import Assignment
from grader.collection import read_submission
from grader.errors import RubricFault, SubmissionError
from grader.grading.grade import grade
from grader.results.report import Report, Verdict
from grader.sandbox.host.sandbox import Zygote
from grader.self_check.watch import CheckedState, Grade, watch_submission
from grader.submission.submission import Submission
from tests.support.notebooks import CORR2D, notebook_bytes
from tests.support.paths import EXAMPLE

GRADER = Path(sys.executable).with_name("grader")
IMPORTS = "import torch\nfrom torch import nn"
HELPED = """
def total(window, K):
    return (window * K).sum()
def corr2d(X, K):
    h, w = K.shape
    Y = torch.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = total(X[i:i + h, j:j + w], K)
    return Y
"""
POOL2D = """
def pool2d(X, pool_size, mode='max'):
    p_h, p_w = pool_size
    Y = torch.zeros((X.shape[0] - p_h + 1, X.shape[1] - p_w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            window = X[i:i + p_h, j:j + p_w]
            Y[i, j] = window.max() if mode == 'max' else window.mean()
    return Y
"""
CELLS = (IMPORTS, "pass", HELPED, POOL2D, "pass")
# Changes that make corr2d wrong, by the number of the cell.
DISTANT = {
    "a helper in the same cell": {2: HELPED.replace(".sum()", ".mean()")},
    "an import of something else under the same name": {0: "import os as torch"},
    "a patched library": {1: "torch.zeros = None"},
    "a library that a function patches": {1: "def patch(x):\n    x.zeros = None\npatch(torch)"},
    "an interrupt before it in its cell": {2: f"raise KeyboardInterrupt\n{HELPED}"},
}


class Watching:
    """A notebook on disk, and the events of watching it."""

    def __init__(self, path: Path, assignment: Assignment, zygote: Zygote, names: Collection[str]) -> None:
        self.path = path
        self.judged: list[frozenset[str]] = []
        self.assignment, self.zygote = assignment, zygote
        self.items = [item for item in assignment.items if item.id.split(".")[0] in names]

    def grade(self, submission: Submission, only: Collection[str], progress: object = None) -> Report:
        self.judged.append(frozenset(only))
        return grade(submission, self.assignment, self.zygote, only=only)

    def save(self, *cells: str) -> None:
        self.path.write_bytes(notebook_bytes(*cells))

    def events(self, quiet: float = 0.0) -> Iterator[CheckedState | RubricFault | SubmissionError]:
        graded: Grade = self.grade
        return watch_submission([self.path], self.items, graded, poll=0.01, quiet=quiet)


@pytest.fixture
def watching(tmp_path: Path, hw2: Assignment, zygote: Zygote) -> Watching:
    made = Watching(tmp_path / "homework.ipynb", hw2, zygote, {"corr2d", "pool2d", "learned_kernel"})
    made.save(*CELLS)
    return made


def following(events: Iterator[CheckedState | RubricFault | SubmissionError]) -> CheckedState:
    checked = next(events)
    assert isinstance(checked, CheckedState)
    return checked


def verdicts(report: Report) -> dict[str, Verdict]:
    return {item.id: item.verdict for item in report.items}


@pytest.mark.slow
def test_a_changed_function_is_judged_at_once_and_other_items_keep_their_verdicts(watching: Watching) -> None:
    events = watching.events(quiet=60)
    first = following(events)
    assert first.kept == frozenset()
    watching.save(*CELLS[:3], POOL2D.replace("window.max()", "window.min()"), CELLS[4])
    second = following(events)
    assert second.judged == watching.judged[-1] == {"pool2d.max", "pool2d.avg", "pool2d.shape", "learned_kernel"}
    assert second.kept == {"corr2d.values", "corr2d.shape"}
    assert verdicts(second.report) == {**verdicts(first.report), "pool2d.max": Verdict.FAILED}
    assert [item.id for item in second.report.items] == [item.id for item in first.report.items]


@pytest.mark.parametrize("distance", DISTANT)
def test_no_verdict_is_older_than_the_file(watching: Watching, distance: str) -> None:
    events = watching.events(quiet=60)
    next(events)
    watching.save(*(DISTANT[distance].get(number, cell) for number, cell in enumerate(CELLS)))
    second = following(events)
    fresh = watching.grade(second.submission, [item.id for item in watching.items])
    assert verdicts(second.report) == verdicts(fresh)
    assert verdicts(fresh)["corr2d.values"] is not Verdict.PASSED


@pytest.mark.slow
def test_effects_that_the_analysis_misses_are_found_a_moment_later(watching: Watching) -> None:
    events = watching.events()
    first = following(events)
    watching.save(CELLS[0], "for each in [torch]:\n    each.zeros = None", *CELLS[2:])
    second = following(events)
    assert second.kept == {item.id for item in watching.items} - {"learned_kernel"}
    assert verdicts(second.report) == verdicts(first.report)
    third = following(events)
    assert third.kept == frozenset()
    assert verdicts(third.report)["corr2d.values"] is Verdict.ERROR
    assert third.report.canonical() == watching.grade(third.submission, third.judged).canonical()


def test_a_half_written_file_is_reported_and_the_next_save_awaited(watching: Watching) -> None:
    events = watching.events()
    first = following(events)
    whole = watching.path.read_bytes()
    watching.path.write_bytes(whole[:100])
    error = next(events)
    assert isinstance(error, SubmissionError)
    assert "no valid JSON" in str(error)
    watching.path.unlink()
    assert "there is no such file" in str(next(events))
    watching.path.write_bytes(whole)
    last = following(events)
    assert verdicts(last.report) == verdicts(first.report)
    assert last.judged == frozenset()  # what it holds was judged already


@pytest.mark.slow
def test_a_test_that_broke_is_reported_and_the_next_save_awaited(watching: Watching) -> None:
    grade_right = watching.grade

    def break_once(submission: Submission, only: Collection[str], progress: object = None) -> Report:
        if b"pool2d = 3" in watching.path.read_bytes():
            raise RubricFault("a test of pool2d.max broke")
        return grade_right(submission, only, progress)

    watching.grade = break_once  # type: ignore[method-assign]
    events = watching.events()
    first = following(events)
    watching.save(*CELLS, "pool2d = 3")
    assert isinstance(next(events), RubricFault)
    watching.save(*CELLS)
    assert verdicts(following(events).report) == verdicts(first.report)


def test_outputs_alone_are_no_change(watching: Watching) -> None:
    events = watching.events()
    next(events)
    content = json.loads(watching.path.read_bytes())
    content["cells"][1]["execution_count"] = 7
    watching.path.write_text(json.dumps(content))
    assert following(events).judged == frozenset()
    assert len(watching.judged) == 1


def test_a_file_that_is_not_a_notebook_at_the_start_is_refused(watching: Watching) -> None:
    watching.path.write_text("{")
    with pytest.raises(SubmissionError, match="no valid JSON"):
        next(watching.events())


def test_a_save_interrupts_the_second_check(watching: Watching) -> None:
    saves = iter([CELLS[:4], CELLS[:3]])

    def graded(submission: Submission, only: Collection[str], progress: object) -> Report:
        assert callable(progress)
        if len(watching.judged) == 2:  # the third call: a save while the kept items are judged
            watching.judged.append(frozenset())
            watching.save(*next(saves), "1")
            progress("judging")
        return watching.grade(submission, only)

    events = watch_submission([watching.path], watching.items, graded, poll=0.01, quiet=0)
    next(events)
    watching.save(*CELLS[:3], POOL2D.replace("window.max()", "window.min()"), CELLS[4])
    assert following(events).kept
    third = following(events)
    assert len(third.submission.notebooks[0].cells) == 5
    assert third.submission == read_submission([watching.path])


@pytest.mark.slow
def test_a_file_beside_the_notebook_is_watched_too(watching: Watching) -> None:
    module = watching.path.with_name("my_layers.py")
    module.write_text(IMPORTS + HELPED)
    watching.save("from my_layers import corr2d")
    graded: Grade = watching.grade
    events = watch_submission([watching.path.parent], watching.items, graded, poll=0.01, quiet=60)
    assert verdicts(following(events).report)["corr2d.values"] is Verdict.PASSED
    module.write_text(IMPORTS + HELPED.replace(".sum()", ".mean()"))
    second = following(events)
    assert (second.kept, verdicts(second.report)["corr2d.values"]) == (frozenset(), Verdict.FAILED)


def test_only_the_items_that_are_watched_are_judged(watching: Watching) -> None:
    watching.items = [item for item in watching.items if item.id == "pool2d.max"]
    events = watching.events(quiet=60)
    assert following(events).judged == {"pool2d.max"}
    watching.save(*CELLS[:2], HELPED.replace(".sum()", ".mean()"), *CELLS[3:])
    assert following(events).judged == frozenset()


@pytest.mark.slow
def test_an_item_has_the_same_result_alone_and_among_all(hw2: Assignment, zygote: Zygote) -> None:
    example = read_submission([EXAMPLE])
    whole = {item.id: item for item in grade(example, hw2, zygote).items}
    for only in (
        {"pool2d.max", "edge_detection"},
        {"equivalence_1x1", "lenet.params", "resnet18.shapes"},
        {"residual"},
    ):
        alone = {item.id: item for item in grade(example, hw2, zygote, only=only).items}
        assert alone == {name: whole[name] for name in only}


def ignore_interrupts() -> None:
    """Ignore SIGINT like a background job of a shell; the command must end at SIGINT all the same."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.slow
def test_the_command_prints_a_line_for_each_save_and_exits_with_the_last_verdict(tmp_path: Path) -> None:
    path = tmp_path / "homework.ipynb"
    path.write_bytes(notebook_bytes(CORR2D))
    command = [str(GRADER), "check", path.name, "--watch", "--item", "corr2d"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=ignore_interrupts,
    ) as process:
        assert process.stdout
        try:
            lines = [process.stdout.readline()]
            path.write_bytes(notebook_bytes(CORR2D.replace("* K", "+ K")))
            lines.append(process.stdout.readline())
            os.kill(process.pid, signal.SIGINT)
            rest, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert lines[0].startswith("9 / 9 points")
    assert lines[0].endswith(": nothing is wrong\n")
    assert lines[1].startswith("3 / 9 points")
    assert lines[1].endswith(": corr2d.values passed -> failed\n")
    assert process.returncode == 1
    assert errors == ""
    assert rest == ""
