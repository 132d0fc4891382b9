"""The effect of a change is never underestimated, and rarely overestimated."""

from __future__ import annotations

import pytest

from grader.assignment import Item
from grader.self_check.changes import compare_notebooks
from tests.support.notebooks import submission

NAMES = ("first", "second", "third")
ITEMS = (
    Item("first", "1", "", 1, names=("first",)),
    Item("second", "1", "", 1, names=("second", "first")),
    Item("third", "1", "", 1, names=("third",)),
    Item("shown", "1", "", 1),
)
EVERYTHING = {"first", "second", "third", "shown"}

IMPORTS = "%matplotlib inline\nimport torch\nfrom d2l import torch as d2l\nfrom torch import nn\nlimit = 3\nseen = []"
FIRST = "def first(x):\n    return torch.relu(x) + limit"
SECOND = "def second(x):\n    return first(x) * 2"
THIRD = "def third(x):\n    y = x.clone()\n    y[0] = 1\n    return y"
CELLS = (IMPORTS, FIRST, SECOND, THIRD)


def concerned(before: tuple[str, ...], after: tuple[str, ...]) -> set[str]:
    return set(compare_notebooks(submission(*before), submission(*after), ITEMS).items)


def with_cell(number: int, source: str) -> tuple[str, ...]:
    return (*CELLS[:number], source, *CELLS[number + 1 :])


def test_equal_notebooks_affect_nothing() -> None:
    assert concerned(CELLS, CELLS) == set()


@pytest.mark.parametrize(
    ("number", "source", "expected"),
    [
        (3, THIRD.replace("1", "2"), {"third", "shown"}),
        (2, SECOND.replace("2", "3"), {"second", "shown"}),
        (1, FIRST.replace("relu", "exp"), {"first", "second", "shown"}),  # what uses it is built on it
        (0, IMPORTS.replace("3", "4"), {"first", "second", "shown"}),  # a number that a function uses
        (3, f"# a comment\n{THIRD}  ", {"shown"}),
    ],
)
def test_a_change_affects_what_is_built_on_it(number: int, source: str, expected: set[str]) -> None:
    assert concerned(CELLS, with_cell(number, source)) == expected
    assert concerned(with_cell(number, source), CELLS) == expected  # taking it back is a change as well


def test_one_function_of_a_cell_with_several_affects_only_itself() -> None:
    together = f"{FIRST}\n{SECOND}\n{THIRD}"
    assert concerned((IMPORTS, together), (IMPORTS, together.replace("y[0] = 1", "y[0] = 2"))) == {"third", "shown"}


@pytest.mark.parametrize(
    "addition",
    [
        "import numpy",
        "from math import *",
        "torch.relu = torch.exp",
        "def change(module):\n    module.relu = None\nchange(torch)",
        "@d2l.add_to_class(torch.Tensor)\ndef relu(self):\n    return self",
        "nn.Module.__call__ = None",
        "setattr(torch, 'relu', None)",
        "torch.set_default_dtype(torch.float64)",
        "torch.manual_seed(3)",
        "exec('x = 1')",
        "globals()['first'] = third",
        "get_ipython().run_cell('1')",
        "t = torch\nt.relu = None",
        "T = torch.Tensor\nT.relu = None",
        "type(second).__call__ = None",
        "%run other.py",
        "def first(:",
    ],
)
def test_a_change_without_bounds_affects_everything(addition: str) -> None:
    before, after = (*CELLS, "pass"), (*CELLS, addition)
    assert concerned(before, after) == EVERYTHING
    assert concerned(after, before) == EVERYTHING


def test_calling_a_patching_function_with_a_module_affects_everything() -> None:
    before = (*CELLS, "def patched(x):\n    x.relu = None\nready = 1", "patched(third)")
    after = (*before[:-1], "patched(torch)")
    assert concerned(before, after) == EVERYTHING


@pytest.mark.parametrize(
    "put",
    [
        "def put(x):\n    seen.append(x)",
        "put = lambda x: seen.append(x)",
        "@torch.no_grad()\ndef put(x):\n    seen.append(x)",
        "def add(x):\n    global seen\n    seen = [x]\ndef put(x):\n    add(x)",
        "class put:\n    def __init__(self, x):\n        seen[0] = x",
    ],
)
def test_calling_a_function_that_changes_shared_state_affects_its_users(put: str) -> None:
    cells = (*CELLS, put, "def third(x):\n    return len(seen)", "put(1)")
    assert concerned(cells, (*cells[:-1], "put(2)")) == {"third", "shown"}
    assert concerned(cells, (*cells[:-1], "pass")) == {"third", "shown"}
    assert concerned(cells, (*cells[:-1], "class Unused:\n    one = put(1)")) == {"third", "shown"}


def test_a_class_with_a_method_added_later_is_affected() -> None:
    cells = (IMPORTS, "class third:\n    pass", "@add_to(third)\ndef forward(self):\n    return 1")
    changed = (*cells[:2], cells[2].replace("1", "2"))
    assert concerned(cells, changed) == {"third", "shown"}


def test_an_added_or_removed_cell_affects_everything() -> None:
    assert concerned(CELLS, (*CELLS, "1 + 1")) == EVERYTHING
    assert concerned(CELLS, CELLS[:-1]) == EVERYTHING


def test_a_change_of_nearly_the_name_that_is_not_bound_is_judged_again() -> None:
    item = Item("lenet", "1", "", 1, names=("LeNet",))
    before, after = submission("def Lenet():\n    return 1"), submission("def Lenet():\n    return 2")
    assert compare_notebooks(before, after, [item]).items == {"lenet"}
    before, after = submission("def other():\n    return 1"), submission("def other():\n    return 2")
    assert compare_notebooks(before, after, [item]).items == set()


def test_a_search_is_repeated_after_any_change_if_the_name_is_not_bound() -> None:
    item = Item("lenet", "1", "", 1, names=("LeNet",), search=True)
    before, after = submission("net = 1", "class LeNet:\n    pass"), submission("net = 2", "class LeNet:\n    pass")
    assert compare_notebooks(before, after, [item]).items == set()
    before, after = submission("net = 1", "pass"), submission("net = 2", "pass")
    assert compare_notebooks(before, after, [item]).items == {"lenet"}


def test_affected_cells_are_listed() -> None:
    change = compare_notebooks(submission(*CELLS), submission(*with_cell(1, "def first(x):\n    return x")), ITEMS)
    assert change.cells == {("homework.ipynb", 1), ("homework.ipynb", 2)}
