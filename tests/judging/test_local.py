"""A student of this very process answers as one of the sandbox does: the same questions are put to both."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from grader.judging.interruption import limit_computing
from grader.judging.local import LocalRemote, LocalStudent
from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.host.snapshot_student import SnapshotStudent
from grader.student import Fault, Recorded, StudentFault
from tests.support.sandbox_runs import LIMITS, ran

WORK = """
import numpy as np
import torch
from torch import nn

def same(*args, **kwargs): return (args, kwargs) if kwargs else args if len(args) > 1 else args[0]
def doubled(X): return X * 2
def kind_of(thing): return type(thing).__name__
def pair(X): return {"sum": X.sum(), "both": [X, (X, "text")], 3: None}
def with_gradient(X): return X.requires_grad_() * 2
def numpy_out(X): return X.numpy() * 2
def numpy_objects(): return np.array([None, "text"], dtype=object)
def sparse(X): return X.to_sparse()
def without_numbers(X): return X.to("meta")
def holds_itself(): found = []; found.append(found); return found
def long(): return [0] * 10_001
def huge(): return 2 ** 2000
number = 3
def numpy_number(X): return np.float32(X.sum().item()), np.int64(3), np.bool_(True)
def size(X): return X.shape
def unknown(): return {1, 2}
def a_dtype(): return torch.float64
def a_parameter(): return nn.Parameter(torch.ones(2))
def subclassed(X): return X.as_subclass(Lying)
def adds_in_place(X): X += 1; return X - 1
def right_but_zeroes(X, K): out = X * K; X.zero_(); return out
def changes_a_keyword(*, X): X[0] = 7; return X
def reaches_in(pair): pair[1][0].add_(1); return pair[0]
def resizes(X): X.resize_(1); return 1
def raises(X): raise ValueError(f"no {X}")
def raises_nothing(): raise KeyError
def exits(): raise SystemExit(3)
def recurses(): return recurses()
def signed(a, b, c=1, *rest, d, e=2, **more): ...
def positional(a, /, b): ...
def makes(width=2): return Net(width)
def makes_nothing(): return None
def maker(): return Net

class Lying(torch.Tensor):
    pass

class Net(nn.Module):
    def __init__(self, width=2):
        super().__init__()
        self.first = nn.Linear(3, width, bias=False)
        self.frozen = nn.Parameter(torch.ones(1), requires_grad=False)
        self.unused = nn.Parameter(torch.ones(1))
        nn.init.constant_(self.first.weight, 0.5)
    def forward(self, X):
        return torch.sigmoid(self.first(X)) * self.frozen

class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.LazyConv2d(2, kernel_size=3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))
    def forward(self, X):
        return self.net(X)

class Strange(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
    def forward(self, X):
        return X, self.scale

class Double(Net):
    def __init__(self):
        super().__init__()
        self.double()

class LooksAtNumbers(Net):
    def __init__(self):
        super().__init__()
        self.value = self.first.weight[0, 0].item()

model = Net(1)

def f(): return "here"
"""
X, K = torch.arange(6.0).reshape(2, 3), torch.tensor([[2.0, 0.5, 1.0], [0.0, 1.0, 1.0]])
IMAGE = torch.ones(2, 1, 5, 5)


def filled(student: Any) -> Any:
    net = student.Net(2)
    net.load({"first.weight": K})
    return net


def lazy(student: Any) -> Any:
    net = student.Lazy()
    before = net.parameter_shapes()
    return before, net.operations(IMAGE), net.parameter_shapes()


def ranks(student: Any) -> Any:
    return [getattr(student, name).kind for name in ("f", "Net", "model")] + [student.unknown().kind]


QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "text": lambda s: s.f(),
    "data": lambda s: s.same(1, "two", 3.0, None, True, (4, (5,)), {"six": 6}),
    "keywords": lambda s: s.same(1, padding=(1, 2), X=X),
    "a list": lambda s: s.same([1, [X]]),
    "a tensor": lambda s: s.doubled(X),
    "integers": lambda s: s.same(X.long()),
    "truths": lambda s: s.same(X > 2),
    "half": lambda s: s.same(X.half()),
    "no entries": lambda s: s.same(torch.zeros(0, 3)),
    "no dimensions": lambda s: s.same(torch.tensor(3)),
    "a view": lambda s: s.doubled(X.T[1:]),
    "a gradient": lambda s: s.with_gradient(X).requires_grad,
    "parts": lambda s: s.pair(X),
    "numpy": lambda s: s.numpy_out(X),
    "numbers of numpy": lambda s: s.numpy_number(X),
    "objects of numpy": lambda s: s.numpy_objects().kind,
    "a sparse tensor": lambda s: s.sparse(X),
    "a tensor without numbers": lambda s: s.without_numbers(X),
    "a list that holds itself": lambda s: str(s.holds_itself()).count("("),
    "a long list": lambda s: s.long().kind,
    "a huge number": lambda s: s.huge().kind,
    "a name that is a number": lambda s: s.number,
    "a size": lambda s: s.size(X),
    "a parameter": lambda s: s.a_parameter(),
    "a subclass": lambda s: type(s.subclassed(X)),
    "kinds": ranks,
    "a dtype": lambda s: s.a_dtype().kind,
    "parts that are no data": lambda s: s.same(1, s.unknown())[1].kind,
    "handed back": lambda s: s.kind_of(s.unknown()),
    "handed back within": lambda s: s.same((s.model, 1), {"a": s.model})[1]["a"].kind,
    "a layer": lambda s: s.layer("Conv2d", 1, 2, kernel_size=(1, 2), bias=False).parameter_shapes(),
    "a layer around a layer": lambda s: s.layer("Sequential", s.Net())(X),
    "no such layer": lambda s: s.layer("NoSuchLayer"),
    "a layer with too little": lambda s: s.layer("Conv2d", 1),
    "changes in place": lambda s: s.adds_in_place(X),
    "right and changes": lambda s: s.right_but_zeroes(X, K),
    "changes nothing": lambda s: s.right_but_zeroes(torch.zeros(2), torch.ones(2)),
    "changes a keyword": lambda s: s.changes_a_keyword(X=X),
    "reaches in": lambda s: s.reaches_in((1, (X, 2))),
    "resizes": lambda s: s.resizes(X),
    "nan": lambda s: s.doubled(torch.tensor([float("nan"), 1.0])),
    "raises": lambda s: s.raises(1),
    "raises without words": lambda s: s.raises_nothing(),
    "exits": lambda s: s.exits(),
    "recurses": lambda s: s.recurses(),
    "too many arguments": lambda s: s.f(1),
    "missing": lambda s: s.no_such_name,
    "a signature": lambda s: s.signed.signature(),
    "a positional signature": lambda s: s.positional.signature(),
    "a constructor": lambda s: s.Net.signature(),
    "an instance's signature": lambda s: s.model.signature(),
    "parameters": lambda s: s.Net(2).parameters(),
    "parameters of no module": lambda s: s.f.parameters(),
    "shapes": lambda s: s.Net(4).parameter_shapes(),
    "shapes of no module": lambda s: s.f.parameter_shapes(),
    "loaded": lambda s: filled(s).parameters(),
    "loaded and called": lambda s: filled(s)(X),
    "a wrong shape": lambda s: s.model.load({"first.weight": torch.ones(2, 2)}),
    "a wrong name": lambda s: s.model.load({"nothing": torch.ones(1)}),
    "gradients": lambda s: filled(s).gradients(X, cotangent=K[:, :2]),
    "gradients of the sum": lambda s: filled(s).gradients(X),
    "gradients twice": lambda s: (s.model.gradients(X), s.model.gradients(X)),
    "gradients of a strange output": lambda s: s.Strange().gradients(X),
    "gradients of no module": lambda s: s.doubled.gradients(X),
    "operations": lambda s: s.model.operations(X),
    "operations of a function": lambda s: s.doubled.operations(X),
    "operations of lazy layers": lazy,
    "operations of doubles": lambda s: s.Double().operations(X),
    "operations that fail": lambda s: s.model.operations(IMAGE),
    "a sketch": lambda s: s.Net.sketch(3).parameter_shapes(),
    "a sketch's operations": lambda s: s.makes.sketch(width=3).operations(X),
    "a lazy sketch": lambda s: s.Lazy.sketch().operations(IMAGE),
    "a sketch that looks at numbers": lambda s: s.LooksAtNumbers.sketch(),
    "a sketch of nothing": lambda s: s.makes_nothing.sketch(),
    "a sketch of a class": lambda s: s.maker.sketch().kind,
    "a sketch's numbers": lambda s: s.Net.sketch().parameters(),
    "a sketch called": lambda s: s.Net.sketch()(X),
}


@pytest.fixture(scope="module")
def opened(zygote: Zygote) -> Iterator[Callable[[], Any]]:
    """Open the work in the sandbox."""
    with ran(zygote, WORK, limits=dataclasses.replace(LIMITS, judge_seconds=600)) as run:
        assert run.statuses() == ["ok"]

        @contextmanager
        def student() -> Iterator[SnapshotStudent]:
            with run.student("f") as found:
                yield found

        yield student


def local() -> LocalStudent:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(WORK, namespace)
    return LocalStudent(namespace)


def answered(student: Any, question: Callable[[Any], Any]) -> Any:
    """Return the answer in a form that can be compared exactly."""
    try:
        return comparable(question(student))
    except StudentFault as fault:
        return fault.fault, fault.message


def comparable(value: Any) -> Any:
    if isinstance(value, Tensor):
        return str(value.dtype), tuple(value.shape), str(value.tolist())
    if isinstance(value, dict):
        return [(name, comparable(each)) for name, each in value.items()]
    if isinstance(value, tuple | list):
        return type(value).__name__, [comparable(each) for each in value]
    return f"a {value.kind}" if hasattr(value, "kind") else value


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_both_students_answer_alike(opened: Callable[[], Any], question: Callable[[Any], Any]) -> None:
    with opened() as student:
        expected = answered(student, question)
    assert answered(local(), question) == expected


def test_what_is_sent_stays_as_it_is() -> None:
    sent = torch.ones(2)
    with pytest.raises(StudentFault, match="changes the tensor it is given; work on a copy"):
        local().adds_in_place(sent)
    assert sent.tolist() == [1, 1]


def test_what_comes_back_is_a_copy() -> None:
    student = local()
    weight = student.model.parameters()["first.weight"]
    weight.zero_()
    assert student.model.parameters()["first.weight"].tolist() == [[0.5, 0.5, 0.5]]
    kept = student.same(X)
    kept.zero_()
    assert X.sum() == 15


def test_recorded_values_are_those_it_was_given() -> None:
    records = [Recorded("homework.ipynb", 0, "x", torch.ones(1))]
    assert LocalStudent({}, recorded=records).recorded() == records
    assert list(local().recorded()) == []


def test_all_of_its_code_runs_in_the_context_it_was_given() -> None:
    inside, seen = [False], []

    @contextmanager
    def entered() -> Iterator[None]:
        inside[0] = True
        try:
            yield
        finally:
            inside[0] = False

    class Net(torch.nn.Linear):
        def __init__(self) -> None:
            seen.append(inside[0])
            super().__init__(2, 1)

        def forward(self, X: Tensor) -> Tensor:
            seen.append(inside[0])
            return super().forward(X)

    student = LocalStudent({"Net": Net, "raises": lambda: 1 / 0}, entered)
    net = student.Net()
    for ask in (net, net.operations, net.gradients, student.Net.sketch().operations, student.layer("ReLU")):
        ask(torch.ones(1, 2))
    assert seen == [True] * len(seen)
    assert len(seen) == 6
    with pytest.raises(StudentFault) as raised:
        student.raises()
    assert raised.value.fault is Fault.RAISED
    assert inside == [False]


def test_a_remote_has_the_value_it_stands_for() -> None:
    value = torch.nn.ReLU()
    remote = LocalRemote(value)
    assert (remote.value, remote.kind) == (value, "module")


def test_code_that_computes_for_the_whole_time_of_a_test_ran_past_its_time() -> None:
    def endless() -> None:
        while True:
            pass

    with pytest.raises(StudentFault) as caught, limit_computing(0.05):
        LocalStudent({"f": endless}).f()
    assert caught.value.fault is Fault.TIMED_OUT
