"""An exception in the sandbox is told with its line, and in words that a student understands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from grader.place import Place
from grader.sandbox.host.faults import FaultReader
from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.protocol.encoding import Failure
from grader.student import StudentFault
from tests.support.notebooks import submission
from tests.support.sandbox_runs import FILE, LIMITS, Ran, ran

CELLS = (
    """
import torch
from torch import nn
import torch.nn.functional as F
from d2l import torch as d2l

class Small(nn.Module):
    def __init__(self, convolution=1, flattens=True, width=256):
        super().__init__()
        self.conv1 = nn.Conv2d(convolution, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.flattens = flattens
        self.fc1 = nn.Linear(width, 120)
        self.fc2 = nn.Linear(120, 10)
    def forward(self, x):
        x = F.max_pool2d(self.conv1(x), 2)
        x = F.max_pool2d(self.conv2(x), 2)
        if self.flattens:
            x = x.flatten(1)
        return self.fc2(self.fc1(x))

class Book(d2l.Classifier):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.ReLU(), nn.Linear(5, 2))
""",
    """

def corr2d(X, K):
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        Y[i] = (X[i:i + h, :w] * k).sum()
    return Y
""",
    """%%time
def timed(X):
    total = 0

    for x in X:
        total += x.summ()
    return total
""",
    """!echo one \\
  two
def shell(X):
    return [x + undefined_there for x in X]
""",
    """
def calls(X): return corr2d(X, X)
def uses(X): return calls(X)
def deep(X): return d2l.relu_of_nothing(X) if X.dim() > 9 else Book()(X[None])
def unknown(X): return nn.Conv2d(1, 1, kernal_size=3)
def attribute(X): return X.reshap(-1)
def module(X): return nn.Lineer(3, 4)
def nothing(X):
    X * 2
def uses_nothing(X): return nothing(X).shape
def adds_nothing(X): return X + nothing(X)
def import_inside(X):
    from torch.nn import Lineer
def numpy_missing(X): return np.array(X)
def unlike(X): return np_totally_other_name
def unbound(X):
    if X.dim() > 9:
        Y = X
    return Y
def residual(X):
    Y = torch.zeros(2, 8, 4, 4)
    X = torch.zeros(2, 4, 4, 4)
    Y += X
    return Y
def entry(X):
    Y = torch.zeros(2, 2)
    Y[0, 0] = X[:2, :2]
def past(X): return X[X.shape[0]]
def product(X): return torch.matmul(torch.zeros(2, 3), torch.zeros(2, 9))
def small(X): return Small()(torch.zeros(1, 1, 32, 32))
def unflattened(X): return Small(width=400, flattens=False)(torch.zeros(1, 1, 32, 32))
def channels(X): return Small(3)(torch.zeros(1, 1, 32, 32))
def tiny(X): return Small()(torch.zeros(1, 1, 6, 6))
def called(X): return X.shape(0)
def looping(X):
    n = 0
    while n < 10:
        n = n
def sleeping(X):
    import time
    time.sleep(60)
def nested(X):
    def inner(x):
        return missing_one(x)
    return [inner(x) for x in X]
""",
)


@pytest.fixture(scope="module")
def homework(zygote: Zygote) -> Iterator[Ran]:
    with ran(zygote, *CELLS, limits=LIMITS, deferred_snapshots=True, names=("calls", "nested")) as made:
        yield made


def fault_in(homework: Ran, name: str) -> StudentFault:
    with homework.student("calls", at_end=True) as student, pytest.raises(StudentFault) as caught:
        getattr(student, name)(torch.ones(3, 3))
    return caught.value


def test_the_line_is_quoted_from_the_submission(homework: Ran) -> None:
    fault = fault_in(homework, "calls")
    assert fault.place == Place(FILE, 1, 5, "Y[i] = (X[i:i + h, :w] * k).sum()", "corr2d")
    assert fault.message == "raises NameError: name 'k' is not defined"
    assert fault.describe() == (
        "raises NameError in corr2d, cell 2, line 5 (`Y[i] = (X[i:i + h, :w] * k).sum()`): "
        "name 'k' is not defined; did you mean K?"
    )


def test_the_last_line_of_the_students_own_counts(homework: Ran) -> None:
    assert fault_in(homework, "uses").place == fault_in(homework, "calls").place
    deep = fault_in(homework, "deep")
    assert deep.place is not None
    assert (deep.place.function, deep.place.line) == ("deep", 3)  # the exception is raised in torch, called by d2l


def test_lines_are_those_of_the_cell_as_it_was_written(homework: Ran) -> None:
    timed, shell, nested = (fault_in(homework, name).place for name in ("timed", "shell", "nested"))
    assert timed == Place(FILE, 2, 6, "total += x.summ()", "timed")
    assert shell == Place(FILE, 3, 4, "return [x + undefined_there for x in X]", "shell")
    assert nested is not None
    assert (nested.code, nested.function) == ("return missing_one(x)", "nested.inner")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("timed", "did you mean sum?"),
        ("unknown", "unexpected keyword argument 'kernal_size'; did you mean kernel_size?"),
        ("attribute", "has no attribute 'reshap'; did you mean reshape?"),
        ("module", "did you mean Linear?"),
        ("import_inside", "did you mean Linear?"),
        ("numpy_missing", "name 'np' is not defined; is `import numpy as np` missing?"),
        ("unbound", "Y gets its value only further down in the function, or in a branch that was not taken"),
        ("uses_nothing", "nothing(X) is None: does nothing return its result? (in its own words: 'NoneType'"),
        ("adds_nothing", "nothing(X) is None: does nothing return its result?"),
        ("residual", "differ in dimension 1 (channels): 8 and 4; here Y is 2x8x4x4, X is 2x4x4x4"),
        ("entry", "a tensor of shape 2x2 is assigned to one entry: is a sum (or max, mean) missing?"),
        ("past", "index 3 is past the end: dimension 0 has 3 entries, 0 to 2; here X is 3x3"),
        ("product", "the first matrix has 3 columns and the second 2 rows"),
        ("small", "the first fully connected layer (fc1) takes 256 numbers, its input has 400 (16x5x5)"),
        ("unflattened", "(fc1) takes 400 numbers for an image, its input is a map of 16x5x5: flatten it first"),
        ("channels", "the first convolution (conv1) takes 3 channels, its input has 1 (1x32x32)"),
        ("tiny", "the kernel of the second convolution (conv2) is 5x5, larger than its padded input of 1x1"),
        ("deep", "the second fully connected layer takes 5 numbers, its input has 4"),
        ("called", "write [...] instead of (...)"),
    ],
)
def test_what_it_means_is_said_in_words(homework: Ran, name: str, said: str) -> None:
    assert said in fault_in(homework, name).describe()


def test_a_name_that_is_like_no_other_is_not_guessed_at(homework: Ran) -> None:
    assert fault_in(homework, "unlike").describe().endswith("name 'np_totally_other_name' is not defined")


@pytest.mark.parametrize(("name", "line"), [("looping", "while n < 10:"), ("sleeping", "time.sleep(60)")])
def test_the_line_that_was_running_is_named(homework: Ran, name: str, line: str) -> None:
    homework.work._limits = LIMITS.__class__(**{**vars(LIMITS), "test_seconds": 1})
    fault = fault_in(homework, name)
    homework.work._limits = LIMITS
    assert fault.place is not None
    assert fault.place.function == name
    assert fault.describe().startswith("did not end within 1 s: line ")
    assert f"of {name} was running (cell 5, `" in fault.describe()
    assert line in fault.describe() or fault.place.code == "n = n"


CLAIMS = (
    None,
    {"cell": 9, "line": 1, "function": "f"},
    {"cell": 0, "line": 3, "function": "f"},
    {"cell": 0, "line": 0, "function": "f"},
    {"cell": True, "line": 1, "function": "f"},
    {"cell": 0, "line": "1", "function": "f"},
    (0, 1, "f"),
)


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_place_that_is_not_in_the_submission_is_not_believed(claim: object) -> None:
    reader = FaultReader(submission("def f():\n    x").notebooks[0])
    assert reader.read(Failure("NameError", "name 'x' is not defined", claim)).place is None


def test_what_else_a_process_claims_is_bounded() -> None:
    reader = FaultReader(submission("def f():\n    x" + "y" * 1000).notebooks[0])
    claim = {
        "cell": 0,
        "line": 2,
        "function": "<b>no name</b>",
        "near": "x; DROP" * 100,
        "shapes": {"x": (10**30,)},
        "layer": {"kind": "bomb", "number": -1, "count": 0, "name": "", "takes": None},
        "columns": (-5, 10**9),
    }
    fault = reader.read(Failure("NameError", "name 'x' is not defined", claim))
    assert fault.place is not None
    assert (fault.place.function, len(fault.place.code)) == ("", 100)
    assert fault.advice == ""
    assert "did you mean" not in fault.describe()
