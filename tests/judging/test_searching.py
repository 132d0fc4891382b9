"""A search tries what may be meant, within a budget of its own, and all items of a name judge the same model."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.assignment import Assignment, Item, load_assignment
from grader.judging import outcome as outcomes
from grader.judging.item_evaluation import ItemEvaluation
from grader.judging.judge import judge
from grader.judging.searching import Searching
from grader.judging.states import CandidateState
from grader.results.report import ItemResult, Verdict
from grader.sandbox.protocol.limits import Limits
from grader.student import Definition, Fault
from tests.support.in_process_work import InProcessWork

SHAPES, NUMBERS = (Item(name, "1", name, 3, names=("Net",), search=True) for name in ("shapes", "numbers"))
RIGHT, WRONG = outcomes.TestOutcome(Verdict.PASSED), outcomes.TestOutcome(Verdict.FAILED)
HANGS = outcomes.TestOutcome(Verdict.ERROR, fault=Fault.TIMED_OUT)
RAISES = outcomes.TestOutcome(Verdict.ERROR, fault=Fault.RAISED)
NO_MODEL = outcomes.TestOutcome(Verdict.FAILED, is_no_model=True)


def states(*names: str) -> list[CandidateState]:
    return [CandidateState(Definition("hw.ipynb", 0, frozenset({name})), {"Net": name}, name) for name in names]


class Tries:
    """What becomes of each try, by the student's name and the item; and the tries that were made."""

    def __init__(self, by_name: dict[str, tuple[outcomes.TestOutcome, ...]], seconds: float = 0.0) -> None:
        self.outcomes = by_name
        self.made: list[tuple[str | None, str]] = []
        self.allowed: list[float] = []
        self.seconds = seconds

    def __call__(self, state: CandidateState, item: Item, *, at_most: float) -> ItemEvaluation:
        self.made.append((state.found_as, item.id))
        self.allowed.append(at_most)
        time.sleep(self.seconds)
        outcome = self.outcomes[state.found_as or ""][item.id == "numbers"]
        return ItemEvaluation(state, {"test": outcome}, {"test": ()})


def test_the_first_that_passes_all_items_ends_the_search() -> None:
    tries = Tries({"a": (WRONG, WRONG), "b": (RIGHT, RIGHT), "c": (RIGHT, RIGHT)})
    best = Searching(Limits(), tries).run((SHAPES, NUMBERS), states("a", "b", "c"))
    assert {found.state.found_as for found in best.values()} == {"b"}
    assert "c" not in {name for name, _ in tries.made}


def test_what_earns_most_is_judged_in_all_items() -> None:
    tries = Tries({"a": (WRONG, WRONG), "b": (WRONG, RIGHT), "c": (WRONG, RIGHT)})
    best = Searching(Limits(), tries).run((SHAPES, NUMBERS), states("a", "b", "c"))
    assert [(name, found.passed, found.state.found_as) for name, found in best.items()] == [
        ("shapes", False, "b"),
        ("numbers", True, "b"),
    ]


def test_nothing_is_found_where_nothing_earns_points() -> None:
    tries = Tries({"a": (WRONG, WRONG), "b": (RAISES, RIGHT)})
    assert Searching(Limits(), tries).run((SHAPES, NUMBERS), states("a", "b")) == {}
    assert ("b", "numbers") not in tries.made  # there is no model for the second item


@pytest.mark.parametrize("outcome", [HANGS, NO_MODEL])
def test_what_is_no_model_or_hangs_is_not_called_again(outcome: outcomes.TestOutcome) -> None:
    tries = Tries({"a": (outcome, RIGHT), "b": (WRONG, WRONG)})
    searching = Searching(Limits(), tries)
    for _ in range(2):
        searching.run((SHAPES,), states("a", "b"))
    assert tries.made == [("a", "shapes"), ("b", "shapes"), ("b", "shapes")]


def test_all_searches_share_a_budget_and_what_was_not_tried_is_counted() -> None:
    tries = Tries(dict.fromkeys("abcd", (WRONG, WRONG)), seconds=0.2)
    limits = dataclasses.replace(Limits(), search_seconds=0.3, candidate_seconds=0.25)
    searching = Searching(limits, tries)
    searching.run((SHAPES,), states("a", "b", "c", "d"))
    other = dataclasses.replace(SHAPES, names=("Other",))
    searching.run((other,), states("a", "b"))
    assert [name for name, _ in tries.made] == ["a", "b"]
    assert tries.allowed[0] == 0.25
    assert tries.allowed[1] <= 0.1
    assert searching.untried == {"Net": 2, "Other": 2}


RUBRIC = """
title = "T"
points = 6
[sections]
1 = "One"
[[items]]
id = "shapes"
section = "1"
title = "Shapes"
points = 3
names = ["Net"]
search = true
[[items]]
id = "numbers"
section = "1"
title = "Numbers"
points = 2
names = ["Net"]
search = true
[[items]]
id = "double"
section = "1"
title = "Doubles"
points = 1
names = ["double_it"]
"""

TESTS = """
from grader.testing import Argument, Layer, assert_layers, assert_parameters, item, run

@item("shapes", (Argument(2, ("width",)),))
def test_shapes(student, draw):
    with run(student.Net, (Argument(2, ("width",)),), "Net()", (4,), draw) as model:
        assert_layers(model.layers, [Layer("linear", (2,))])

@item("numbers", (Argument(2, ("width",)),))
def test_numbers(student, draw):
    with run(student.Net, (Argument(2, ("width",)),), "Net()", (4,), draw) as model:
        assert_parameters(model, 10)

@item("double")
def test_double(student):
    assert student.double_it(2) == 4, "is not twice"
"""

TORCH = "import torch\nfrom torch import nn\n"

Judge = Callable[..., dict[str, ItemResult]]


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    (tmp_path / "rubric.toml").write_text(RUBRIC)
    (tmp_path / "test_net.py").write_text(TESTS)
    return load_assignment(tmp_path)


@pytest.fixture
def judged(assignment: Assignment) -> Judge:
    def run(*cells: str) -> dict[str, ItemResult]:
        return {item.id: item for item in judge(assignment, InProcessWork(TORCH, *cells), "a submission")}

    return run


def test_a_model_that_was_bound_to_something_else_since_is_found_where_it_was(judged: Judge) -> None:
    results = judged("model = nn.Sequential(nn.Linear(4, 2))", "model = nn.Sequential(nn.Linear(4, 3))")
    for name in ("shapes", "numbers"):
        assert (results[name].verdict, results[name].message) == (Verdict.PASSED, "found as model in cell 2")


def test_items_of_one_name_say_of_one_model_what_is_wrong(judged: Judge) -> None:
    results = judged("model = nn.Sequential(nn.Linear(4, 2, bias=False))")
    assert results["shapes"].message == "found as model in cell 2"
    assert (results["numbers"].verdict, results["numbers"].cell) == (Verdict.FAILED, 1)
    assert results["numbers"].message == "found as model in cell 2: expected 10 parameters, found 8"


def test_a_class_with_arguments_of_its_own_is_judged_by_the_models_made_of_it(judged: Judge) -> None:
    net = """
class Net(nn.Module):
    def __init__(self, size, device_name):
        super().__init__()
        self.layer = nn.Linear(*size)
    def forward(self, X):
        return self.layer(X)
"""
    results = judged(net, "first = Net((4, 3), 'cpu')", "second = Net((4, 2), 'cpu')")
    assert (results["shapes"].verdict, results["shapes"].message) == (Verdict.PASSED, "found as second in cell 4")
    results = judged(net)
    assert results["shapes"].verdict is Verdict.ERROR
    assert "bind a model to a name (net = Net(...))" in results["shapes"].message


def test_a_name_that_is_nearly_the_items_is_judged_and_named(judged: Judge) -> None:
    results = judged("def doubleIt(x): return 2 * x", "net = nn.Sequential(nn.Linear(4, 2))")
    assert results["double"].message == "found as doubleIt in cell 2, expected double_it"
    assert results["numbers"].message == "found as net in cell 3, expected Net"
    wrong = judged("def double_It(x): return x")["double"]
    assert (wrong.verdict, wrong.points) == (Verdict.FAILED, 0)
    assert wrong.message == "found as double_It in cell 2, expected double_it: is not twice"


def test_which_of_two_nearly_right_names_is_meant_is_not_guessed(judged: Judge) -> None:
    result = judged("def doubleIt(x): return 2 * x", "def double_its(x): return 2 * x")["double"]
    assert result.verdict is Verdict.ABSENT


def test_a_function_that_makes_no_model_is_no_wrong_model(judged: Judge) -> None:
    results = judged("def net(): return 5")
    assert [results[name].verdict for name in ("shapes", "numbers")] == [Verdict.ABSENT] * 2
    assert judged("class Net: pass")["shapes"].verdict is Verdict.FAILED


def test_an_item_says_so_if_the_search_ran_out_of_time(assignment: Assignment) -> None:
    limits = dataclasses.replace(assignment.limits, search_seconds=1e-9)
    hurried = dataclasses.replace(assignment, limits=limits)
    results = judge(hurried, InProcessWork(TORCH, "a = nn.Sequential()\nb = nn.Sequential()"), "a submission")
    assert results[0].verdict is Verdict.ABSENT
    assert results[0].message.endswith("; the search for it ran out of time, so 1 other definition was not tried")
