"""Processes that tests share: what tests see of each other, when sharing ends, and what a state offers."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch

from grader.assignment import load_assignment
from grader.judging.judge import judge
from grader.results.report import Verdict
from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.host.snapshot_student import SnapshotStudent
from grader.sandbox.host.snapshot_work import SnapshotWork
from grader.student import Definition, Fault, Student, StudentFault
from tests.support.sandbox_runs import LIMITS, Ran, fault_of, ran

HOMEWORK = """
import os
import torch
from torch import nn

calls = 0

def count():
    global calls
    calls += 1
    return calls

def double(x):
    if count() > 7:
        raise RuntimeError("worn out")
    return 2 * x

def leave():
    os._exit(0)

def draw():
    return torch.rand(3)

class Net(nn.Linear):
    pass

def make():
    return Net(2, 2)

net = make()
"""
NAMES = ("count", "double", "leave", "draw", "make", "net")

RUBRIC = """
    title = "T"
    points = 2
    [sections]
    1 = "One"
    [[items]]
    id = "first"
    section = "1"
    title = "Doubles"
    points = 1
    names = ["double"]
    [[items]]
    id = "second"
    section = "1"
    title = "Doubles again"
    points = 1
    names = ["double"]
"""
TESTS = """
    from grader.testing import Case, assert_close, given, item

    def numbers(draw):
        for number in range(5):
            yield Case(f"the number {number}", number=float(number))

    @item("first")
    @given(numbers)
    def test_first(student, case):
        assert_close(student.double(case.number), 2 * case.number)

    @item("second")
    @given(numbers)
    def test_second(student, case):
        assert_close(student.double(case.number), 2 * case.number)
"""


@pytest.fixture(scope="module")
def homework(zygote: Zygote) -> Iterator[Ran]:
    with ran(zygote, HOMEWORK, "calls = 8  # double is worn out at the end of the notebook", names=NAMES) as run:
        yield run


def test_an_opening_has_a_process_of_its_own(homework: Ran) -> None:
    for _ in range(2):
        with homework.student("count") as student:
            assert (student.used, student.count()) == (False, 1)


def test_openings_that_are_shared_ask_one_process(homework: Ran) -> None:
    definition = homework.definition("count")
    seen = []
    for _ in range(3):
        with homework.work.open(definition, shared=True) as student:
            seen.append((student.used, student.count()))
    assert seen == [(False, 1), (True, 2), (True, 3)]
    with homework.work.open(definition) as student:
        assert (student.used, student.count()) == (False, 1)


def test_the_generators_begin_anew_in_a_shared_process(homework: Ran) -> None:
    drawn = []
    for _ in range(2):
        with homework.work.open(homework.definition("draw"), shared=True) as student:
            drawn.append(student.draw())
    assert torch.equal(*drawn)


def test_a_shared_process_takes_the_names_of_the_test_that_asks(homework: Ran) -> None:
    definition = homework.definition("make")
    with homework.work.open(definition, {"double": "make"}, shared=True) as student:
        assert student.double().kind == "module"
    with homework.work.open(definition, {"draw": "make"}, shared=True) as student:
        assert student.used
        assert student.draw().kind == "module"


@pytest.mark.parametrize(("name", "shared"), [("net", False), ("make", True)])
def test_a_process_is_shared_until_a_model_of_the_notebook_s_own_is_changed(
    homework: Ran, name: str, shared: bool
) -> None:
    definition = homework.definition("net")
    with homework.work.open(definition, shared=True) as student:
        model = student.make() if name == "make" else student.net
        model.load({each: torch.zeros(shape) for each, shape in model.parameter_shapes().items()})
    with homework.work.open(definition, shared=True) as student:
        assert student.used is shared


def test_looking_at_a_model_leaves_its_process_shared(homework: Ran) -> None:
    definition = homework.definition("net")
    with homework.work.open(definition, shared=True) as student:
        assert list(student.net.parameters()) == ["weight", "bias"]
    with homework.work.open(definition, shared=True) as student:
        assert student.used
        student.net(torch.zeros(1, 2))
    with homework.work.open(definition, shared=True) as student:
        assert not student.used


def test_a_process_that_did_not_answer_is_shared_no_more(homework: Ran) -> None:
    definition = homework.definition("leave")
    with homework.work.open(definition, shared=True) as student:
        assert fault_of(student.leave)[0] is Fault.CRASHED
    with homework.work.open(definition, shared=True) as student:
        assert not student.used


def test_what_earlier_tests_left_behind_costs_an_item_nothing(homework: Ran, tmp_path: Path) -> None:
    (tmp_path / "rubric.toml").write_text(dedent(RUBRIC))
    (tmp_path / "test_doubles.py").write_text(dedent(TESTS))
    results = judge(load_assignment(tmp_path), homework.work, "a submission")
    assert [result.verdict for result in results] == [Verdict.PASSED, Verdict.PASSED]


class Noting:
    """A submission's work that records for each opened state whether it is the end of the notebook."""

    def __init__(self, work: SnapshotWork) -> None:
        self._work = work
        self.ends: list[bool] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)

    def open(self, definition: Definition | None, *args: Any, **kwargs: Any) -> AbstractContextManager[Student]:
        self.ends.append(definition is not None and definition.at_end)
        return self._work.open(definition, *args, **kwargs)


def test_what_hangs_at_the_end_is_waited_for_there_by_one_item_alone(zygote: Zygote, tmp_path: Path) -> None:
    (tmp_path / "rubric.toml").write_text(dedent(RUBRIC))
    (tmp_path / "test_doubles.py").write_text(dedent(TESTS))
    cells = ("hangs = False\ndef double(x):\n    while hangs: pass\n    return 2 * x", "hangs = True")
    with ran(zygote, *cells, names=("double",), limits=dataclasses.replace(LIMITS, test_seconds=1.0)) as run:
        work = Noting(run.work)
        results = judge(load_assignment(tmp_path), work, "a submission")
    assert [result.verdict for result in results] == [Verdict.PASSED, Verdict.PASSED]
    assert work.ends == [True, False, False]


TOGETHER = TESTS.replace("@given(numbers)", '@given(numbers, ahead=lambda case: [("double", case.number)])')


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the operations that are sent to students' processes."""
    operations: list[str] = []
    ask = SnapshotStudent.ask

    def noted(self: SnapshotStudent, request: dict[str, Any], *bounds: float) -> Any:
        operations.append(request["operation"])
        return ask(self, request, *bounds)

    monkeypatch.setattr(SnapshotStudent, "ask", noted)
    return operations


COUNTING = "calls = 0\ndef count(x):\n    global calls\n    calls += 1\n    return calls\ndef double(x): return 2 * x"


def test_calls_ahead_are_one_question_and_answer_the_calls_that_follow(run: Any, asked: list[str]) -> None:
    made = run(COUNTING, names=("count", "double"))
    one, other = torch.ones(2), torch.ones(2)
    with made.work.open(made.definition("double"), shared=True) as student:
        student.ahead([("double", one), ("count", one), ("double", (one, 2.5)), ("count", other)])
        assert student.used  # so that a test that goes wrong is tried once more
        assert student.double(one).tolist() == [2, 2]
        assert student.count(one) == 1
        assert len(student.double((one, 2.5))) == 4
        assert asked == ["get", "get", "calls"]
        assert student.count(one) == 3  # another tensor than the one that was told of, whatever its values are
        assert student.count(other) == 2
        assert student.count(other) == 4
    assert asked == ["get", "get", "calls", "call", "call"]


@pytest.mark.parametrize(("aliases", "shared"), [({}, False), ({"double": "count"}, True)])
def test_nothing_is_called_ahead_where_nothing_is_tried_once_more(
    run: Any, aliases: dict[str, str], shared: bool
) -> None:
    made = run(COUNTING, names=("count", "double"))
    with made.work.open(made.definition("count"), aliases, shared=shared) as student:
        student.ahead([("count", 1)] * 3)
        assert (student.used, student.count(1)) == (False, 1)


@pytest.mark.parametrize(
    "last",
    [
        "return 2 * x",
        "return 2 * x + (x == 3)",
        "raise ValueError(f'no {x}')",
        "os._exit(0)",
        "return object()",
        "return {1, x}",
        "return x.real",
        "while x == 3: pass",
    ],
)
def test_an_item_comes_to_the_same_whether_it_is_called_ahead_or_not(zygote: Zygote, tmp_path: Path, last: str) -> None:
    cell = f"import os\ndef double(x):\n    if x < 3: return 2 * x\n    {last}"
    results = []
    with ran(zygote, cell, names=("double",), limits=dataclasses.replace(LIMITS, test_seconds=2.0)) as run:
        for number, tests in enumerate((TESTS, TOGETHER)):
            folder = tmp_path / str(number)
            folder.mkdir()
            (folder / "rubric.toml").write_text(dedent(RUBRIC))
            (folder / "test_doubles.py").write_text(dedent(tests))
            results.append(judge(load_assignment(folder), run.work, "a submission"))
    assert results[0] == results[1]


def test_what_is_right_is_called_together(run: Any, tmp_path: Path, asked: list[str]) -> None:
    (tmp_path / "rubric.toml").write_text(dedent(RUBRIC))
    (tmp_path / "test_doubles.py").write_text(dedent(TOGETHER))
    results = judge(
        load_assignment(tmp_path), run("def double(x): return 2 * x", names=("double",)).work, "a submission"
    )
    assert [result.verdict for result in results] == [Verdict.PASSED, Verdict.PASSED]
    assert asked == ["get", "calls"] * 2


def test_candidates_are_the_students_own_models_classes_and_functions(run: Any) -> None:
    cells = (
        "from torch import nn\nimport d2l.torch as d2l\nfrom math import sin\nnet = d2l.LeNet()",
        "def make_lenet(num_classes=10): return nn.Linear(1, num_classes)\ndef corr2d(X, K): return X",
        "class ResNet18(nn.Module): pass\nnet = nn.Sequential(nn.Linear(1, 1))\n_hidden = nn.Linear(1, 1)",
        "def vgg(Conv_Arch, *rest, lr=0.1, **more): pass",
        "class Block(ResNet18): pass\nclass Timer: pass\nblock = Block()",
    )
    made = run(*cells, names=("LeNet",))
    found = [(c.definition.cell, c.name, c.kind, c.class_name, c.builds) for c in made.work.candidates()]
    assert found == [
        (1, "make_lenet", "function", "", True),
        (1, "corr2d", "function", "", False),
        (2, "ResNet18", "class", "", True),
        (2, "net", "module", "Sequential", True),
        (3, "vgg", "function", "", False),
        (4, "Block", "class", "", True),
        (4, "Timer", "class", "", False),
        (4, "block", "module", "Block", True),
    ]
    assert [sorted(c.required) for c in made.work.candidates() if c.name in ("corr2d", "vgg")] == [
        ["k", "x"],
        ["convarch"],
    ]


@pytest.mark.parametrize("deferred", [False, True])
def test_a_candidate_is_opened_as_it_stood_when_its_name_was_bound(run: Any, deferred: bool) -> None:
    cells = (
        "from torch import nn\nnet = nn.Linear\nnet = nn.Sequential(nn.Linear(1, 2))",
        "def helper(): return 1\ndef make(): return helper()",
        "def later(): return helper()\nnet = nn.Sequential(nn.Linear(1, 3))",
        "def helper(): return 2\ndel later",
    )
    made = run(*cells, names=("LeNet",), deferred_snapshots=deferred)
    answers = []
    for candidate in made.work.candidates():
        with made.work.open(candidate.definition, {"LeNet": candidate.name}, shared=True) as student:
            thing = student.LeNet
            answer = [*thing.parameter_shapes().values()][-1] if thing.kind == "module" else thing()
        answers.append((candidate.name, candidate.definition.cell, candidate.definition.at_end, answer))
    assert answers == [
        ("net", 0, False, (2,)),
        ("helper", 1, False, 1),
        ("make", 1, True, 2),
        ("make", 1, False, 1),
        ("later", 2, False, 1),
        ("net", 2, True, (3,)),
        ("helper", 3, True, 2),
        ("helper", 3, False, 2),  # when `later` was there
    ]


def test_what_a_state_has_to_offer_is_asked_once(run: Any, asked: list[str]) -> None:
    made = run("def make(): pass\ndef make_of(width): pass", names=("LeNet",))
    assert [c.name for _ in range(2) for c in made.work.candidates()] == ["make", "make_of"] * 2
    assert asked == ["candidates"]


def test_a_try_takes_its_own_time_and_none_of_the_tests(run: Any) -> None:
    made = run(
        "def slow():\n    while True: pass", names=("slow",), limits=dataclasses.replace(LIMITS, judge_seconds=3)
    )
    (definition,) = (d for d in made.work.definitions(["slow"]) if d.at_end)
    started = time.monotonic()
    for _ in range(3):
        with (
            made.work.open(definition, at_most=0.4) as student,
            pytest.raises(StudentFault, match=r"did not end within 0.4 s"),
        ):
            student.slow()
    with made.work.open(definition) as student:
        assert student.slow.kind == "function"
    assert time.monotonic() - started > 1.2


@pytest.mark.parametrize(
    "answer",
    ["5", "None", "((1, 2, 3),)", "('name',)", "(('make', 0, None, 'thing', (), '', True),)", "{'make': ()}"],
)
def test_forged_candidates_offer_nothing(run: Any, answer: str) -> None:
    forging = f"""
    from grader.sandbox.guest import snapshot
    assert hasattr(snapshot._TestProcess, "_do_candidates")
    snapshot._TestProcess._do_candidates = lambda self, request: {answer}
    def make(): pass
    """
    made = run(forging, names=("LeNet",))
    assert made.statuses() == ["ok"]
    assert made.work.candidates() == []
