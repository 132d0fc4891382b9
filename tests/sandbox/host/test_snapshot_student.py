"""The trusted end of a student's work, over real snapshots."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy
import pytest
import torch

from grader.models.recipe import Recipe
from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.host.snapshot_student import SnapshotStudent
from grader.sandbox.host.snapshot_work import SnapshotWork
from grader.student import Fault, Parameter, StudentFault
from tests.support.sandbox_runs import LIMITS, SEED, Ran, fault_of, ran

HOMEWORK = """
import ctypes, functools, os, random, signal, time
import numpy as np
import torch
from torch import nn

count = 0
number, text, shape, tensor = 3, "합성곱", torch.Size([2, 3]), torch.arange(3.0)

def same(*args, **kwargs): return (args, kwargs) if kwargs else args if len(args) > 1 else args[0]
def doubled(X): return X * 2
def kind_of(thing): return type(thing).__name__
def pair(X): return {"sum": X.sum(), "both": [X, (X, "text")]}
def numpy_out(X): return X.numpy() * 2
def unknown(X): return {1, 2}
def adds_in_place(X): X += 1; return X - 1
def right_but_zeroes(X, K): out = X * K; X.zero_(); return out
def reaches_in(pair): pair[1][0].add_(1); return pair[0]
def counts():
    global count
    count += 1
    return count
def raises(X): raise ValueError(f"no {object()}")
def raises_by_hand(): raise MemoryError("mine")
def raises_strangely():
    class Odd(BaseException):
        def __str__(self): raise RuntimeError("nothing to say")
    raise Odd()
def exits(): os._exit(0)
def calls_sys_exit(): raise SystemExit(0)
def dies(): os.kill(os.getpid(), signal.SIGKILL)
def segfaults(): ctypes.string_at(0)
def recurses(): return recurses()
def loops():
    while True:
        try:
            time.sleep(100)
        except BaseException:
            pass
def sleeps(seconds): time.sleep(seconds)
def takes_numpy(): return np.ones(300 * 2**20 // 8, dtype=np.float64).sum()
def takes_torch(): return torch.ones(300 * 2**20 // 4).sum()
def takes_lists():
    kept = []
    while True:
        kept.append("x" * 1_000_000 + str(len(kept)))
def large(): return torch.zeros(2**26 + 1, dtype=torch.uint8)
def odd_dtype(): return torch.zeros(2, dtype=torch.uint16)
def test_line():
    import socket
    for name in os.listdir("/proc/self/fd"):
        try:
            line = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        if line.type == socket.SOCK_STREAM:
            return line
def sends(frame):
    test_line().sendall(bytes(frame.tolist()))
    time.sleep(100)
def numbers(): return random.random(), np.random.rand(), torch.rand(2)
def signed(a, b, c=1, *rest, d, e=2, **more): ...
partial = functools.partial(doubled)

class Net(nn.Module):
    def __init__(self, width=2):
        super().__init__()
        self.first = nn.Linear(3, width, bias=False)
        self.frozen = nn.Parameter(torch.ones(1), requires_grad=False)
        self.unused = nn.Parameter(torch.ones(1))
    def forward(self, X):
        return torch.sigmoid(self.first(X)) * self.frozen

def f(): return "here"
"""


@pytest.fixture(scope="module")
def homework(zygote: Zygote) -> Iterator[Ran]:
    with ran(zygote, HOMEWORK, limits=dataclasses.replace(LIMITS, test_memory_bytes=200 * 2**20)) as run:
        assert run.statuses() == ["ok"]
        yield run


@pytest.fixture
def student(homework: Ran) -> Iterator[SnapshotStudent]:
    """A fresh process for every test."""
    with homework.student("f") as opened:
        yield opened


@contextmanager
def _within(homework: Ran, **limits: Any) -> Iterator[SnapshotStudent]:
    """Open the state of `f` with other limits."""
    work = SnapshotWork(homework.execution, homework.names, dataclasses.replace(LIMITS, **limits), SEED)
    with work.open(homework.definition("f")) as opened:
        yield opened


@pytest.mark.parametrize("name", ["number", "text", "shape", "tensor"])
def test_globals_that_are_data_are_no_definitions(student: SnapshotStudent, name: str) -> None:
    assert fault_of(getattr, student, name) == (Fault.MALFORMED, f"{name} is no function, class or model")


def test_globals_that_are_none_come_as_remotes(student: SnapshotStudent) -> None:
    assert [getattr(student, name).kind for name in ("doubled", "Net", "partial")] == ["function", "class", "function"]
    assert student.Net().kind == "module"
    assert student.unknown(1).kind == "object"
    assert repr(student.Net()) == "a Net object"


def test_a_name_that_is_not_there_is_missing_which_is_no_exception(student: SnapshotStudent, homework: Ran) -> None:
    assert fault_of(getattr, student, "nothing") == (Fault.MISSING, "nothing is not defined")
    assert student.f() == "here"
    with homework.work.open(homework.definition("f"), {"same": "nothing"}) as other:
        assert fault_of(getattr, other, "same") == (Fault.MISSING, "nothing is not defined")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool])
def test_tensors_go_there_and_back(student: SnapshotStudent, dtype: torch.dtype) -> None:
    for sent in (torch.tensor([[1, 0], [0, 1]]).to(dtype), torch.tensor(1).to(dtype), torch.zeros(0, 2).to(dtype)):
        back = student.same(sent)
        assert back.dtype == dtype
        assert torch.equal(back, sent)


def test_views_and_gradients_stay_behind(student: SnapshotStudent) -> None:
    sent = torch.arange(6.0, requires_grad=True).reshape(2, 3).T[1:]
    back = student.doubled(sent)
    assert torch.equal(back, sent.detach() * 2)
    assert not back.requires_grad


def test_all_kinds_of_data_go_there_and_back(student: SnapshotStudent) -> None:
    assert student.same(1, "two", 3.0, None, (4, (5,)), {"six": 6}) == (1, "two", 3.0, None, (4, (5,)), {"six": 6})
    args, kwargs = student.same(1, padding=(1, 2))
    assert (args, kwargs) == ((1,), {"padding": (1, 2)})
    answer = student.pair(torch.ones(2))
    assert answer["sum"] == 2
    assert answer["both"][1][1] == "text"
    assert torch.equal(student.numpy_out(torch.ones(2)), torch.tensor([2.0, 2.0]))


def test_a_remote_can_be_handed_back(student: SnapshotStudent) -> None:
    assert student.kind_of(student.unknown(1)) == "set"
    assert student.kind_of(student.layer("Conv2d", 1, 1, kernel_size=(1, 2))) == "Conv2d"


def test_another_name_stands_in_for_the_one_asked_for(homework: Ran) -> None:
    with homework.work.open(homework.definition("f"), {"same": "doubled"}) as student:
        assert torch.equal(student.same(torch.ones(1)), torch.tensor([2.0]))
        assert student.f() == "here"


def test_arguments_changed_in_place_are_a_fault_even_where_the_answer_is_right(student: SnapshotStudent) -> None:
    message = "changes the tensor it is given; work on a copy"
    assert fault_of(student.adds_in_place, torch.ones(2)) == (Fault.CHANGED_ARGUMENT, message)
    assert fault_of(student.right_but_zeroes, torch.ones(2), torch.ones(2)) == (Fault.CHANGED_ARGUMENT, message)
    assert fault_of(student.reaches_in, (1, (torch.ones(2), 2))) == (Fault.CHANGED_ARGUMENT, message)
    assert student.right_but_zeroes(torch.zeros(2), torch.ones(2)).tolist() == [0, 0]


def test_an_exception_is_a_fault_with_its_name_and_no_address(student: SnapshotStudent) -> None:
    fault, message = fault_of(student.raises, 1)
    assert (fault, message) == (Fault.RAISED, "raises ValueError: no <object object at 0x…>")
    assert fault_of(student.raises_by_hand) == (Fault.RAISED, "raises MemoryError: mine")
    assert fault_of(student.raises_strangely) == (Fault.RAISED, "raises Odd")
    assert fault_of(student.calls_sys_exit)[0] == Fault.RAISED
    assert fault_of(student.recurses)[1].startswith("raises RecursionError")
    assert fault_of(student.f, 1, 2)[1].startswith("raises TypeError")
    assert student.f() == "here"


@pytest.mark.parametrize("name", ["exits", "dies", "segfaults"])
def test_a_process_that_ends_is_a_fault_and_only_this_test_s(homework: Ran, name: str) -> None:
    with homework.student("f") as student:
        assert fault_of(getattr(student, name)) == (Fault.CRASHED, "ended its process instead of returning")
        assert fault_of(getattr, student, "f")[0] == Fault.CRASHED
    assert homework.call("f") == "here"


def test_running_past_the_time_is_a_fault_and_only_this_test_s(homework: Ran) -> None:
    with _within(homework, test_seconds=1.5) as student:
        assert fault_of(student.loops) == (Fault.TIMED_OUT, "did not end within 1.5 s")
    assert homework.call("f") == "here"


@pytest.mark.parametrize("name", ["takes_numpy", "takes_torch", "takes_lists"])
def test_asking_for_too_much_memory_is_a_fault_and_only_this_test_s(homework: Ran, name: str) -> None:
    message = "asked for more memory than a test may use"
    with homework.student("f") as student:
        assert fault_of(getattr(student, name)) == (Fault.OUT_OF_MEMORY, message)
    assert homework.call("f") == "here"


def test_results_that_are_no_plain_data_are_malformed(student: SnapshotStudent) -> None:
    assert fault_of(student.odd_dtype) == (Fault.MALFORMED, "a tensor of dtype torch.uint16 is no plain data")


def test_a_result_that_is_too_large_is_malformed(homework: Ran) -> None:
    with _within(homework, test_memory_bytes=2**30) as student:
        fault, message = fault_of(student.large)
        assert fault == Fault.MALFORMED
        assert "not plain data" in message
        assert student.f() == "here"


FORGED = {
    "no frame": b"\0\0\0\x03\x80\x04.",
    "a frame of four gigabytes": b"\xff\xff\xff\xff",
    "a frame of nothing": b"\0\0\0\0",
    "an array without its bytes": b"\0\0\0\x13a\x01\x01" + b"\0" * 6 + b"\1\0" + b"\0" * 6 + b"\1\0",
    "an array of a shape that overflows": b"\0\0\0\x2ba\x08\x04"
    + b"\0" * 8
    + (b"\0" * 4 + b"\4\0\0\0") * 3
    + b"\0" * 8,
}


@pytest.mark.parametrize("frame", FORGED.values(), ids=FORGED.keys())
def test_forged_answers_are_malformed_and_only_this_test_s(homework: Ran, frame: bytes) -> None:
    with _within(homework, test_seconds=1.5) as student:
        assert fault_of(student.sends, torch.tensor(list(frame)))[0] == Fault.MALFORMED
    assert homework.call("f") == "here"


ODD_ANSWERS = {
    "signature": ["(1, 2, 3)", "5", "((1,),)", "(('a', torch.ones(2)),)", "None", "{'a': 1}"],
    "parameters": ["5", "(1, 2)", "{'a': 1}", "{'a': object()}", "None"],
    "parameter_shapes": [
        "5",
        "(1, 2)",
        "{'a': 1}",
        "{'a': ('b',)}",
        "{'a': (float('inf'),)}",
        "{'a': object()}",
        "None",
    ],
    "gradients": ["5", "None", "{'a': 'text'}", "(1,)"],
    "operations": [
        "5",
        "((1, 2, 3),)",
        "(('a', (1,)),)",
        "(('a', ('b',), ()),)",
        "(('a', (float('inf'),), ()),)",
        "(('a', (torch.ones(2),), ()),)",
        "(('a', (1,), 5),)",
        "(('a', (1,), None),)",
    ],
}


@pytest.mark.parametrize("operation", ODD_ANSWERS)
def test_answers_of_the_wrong_form_are_malformed(run: Any, operation: str) -> None:
    answers = ODD_ANSWERS[operation]
    forging = f"""
    import torch
    from grader.sandbox.guest import snapshot
    answers = iter([{", ".join(answers)}])
    def forged(self, request): return self._objects.pack(next(answers))
    assert hasattr(snapshot._TestProcess, "_do_{operation}")
    snapshot._TestProcess._do_{operation} = forged
    def f(X): return X
    """
    inputs = (1,) if operation in ("gradients", "operations") else ()
    with run(forging).student("f") as student:
        ask = getattr(student.f, operation)
        assert [fault_of(ask, *inputs)[0] for _ in answers] == [Fault.MALFORMED] * len(answers)


def test_a_forged_sketch_is_whatever_it_says_and_is_asked_like_anything_else(run: Any) -> None:
    forging = """
    from grader.sandbox.guest import snapshot
    from grader.sandbox.protocol import encoding
    handles = encoding.Handle(10**6, "module", "Net"), encoding.Handle(0, "module", "Net")
    answers = iter([5, "text", None, (1, 2), {"a": 1}, *handles])
    def forged(self, request): return next(answers)
    assert hasattr(snapshot._TestProcess, "_do_sketch")
    snapshot._TestProcess._do_sketch = forged
    def f(X): return X
    """
    with run(forging).student("f") as student:
        assert [student.f.sketch() for _ in range(5)] == [5, "text", None, (1, 2), {"a": 1}]
        for _ in range(2):  # a handle of nothing, and one of something else
            forged = student.f.sketch()
            assert forged.kind == "module"
            assert fault_of(forged.parameter_shapes)[0] is Fault.RAISED
        assert student.f(1) == 1


def test_what_one_test_changes_no_other_test_sees(homework: Ran) -> None:
    for _ in range(2):
        with homework.student("f") as student:
            assert [student.counts(), student.counts()] == [1, 2]
    assert homework.call("f") == "here"


def test_every_test_draws_the_same_random_numbers(homework: Ran, zygote: Zygote) -> None:
    random.seed(SEED)
    numpy.random.seed(SEED)
    torch.manual_seed(SEED)
    expected = (random.random(), float(numpy.random.rand()), torch.rand(2).tolist())

    def drawn(run: Ran) -> Any:
        with run.student("f") as student:
            first, second, third = student.numbers()
        return first, second, third.tolist()

    with ran(zygote, "import torch; torch.rand(100)", HOMEWORK) as again:
        assert [drawn(homework), drawn(homework), drawn(again)] == [expected] * 3


def test_signatures_tell_what_must_be_given(student: SnapshotStudent) -> None:
    anywhere = (Parameter("a", True), Parameter("b", True), Parameter("c", False))
    by_name = (Parameter("d", True, keyword_only=True), Parameter("e", False, keyword_only=True))
    assert student.signed.signature() == (*anywhere, *by_name)
    assert student.Net.signature() == (Parameter("width", False),)
    assert student.partial.signature() == (Parameter("X", True),)


def test_private_names_are_not_asked_for(student: SnapshotStudent) -> None:
    with pytest.raises(AttributeError):
        _ = student._private


def test_all_tests_together_have_a_bound(run: Any) -> None:
    made = run("def f(): return 1", limits=dataclasses.replace(LIMITS, judge_seconds=0.0))
    with pytest.raises(StudentFault, match="all tests together") as caught, made.student("f"):
        pass
    assert caught.value.fault is Fault.TIMED_OUT


@pytest.mark.slow
def test_a_training_may_take_longer_than_a_test_and_takes_no_time_from_the_tests(run: Any) -> None:
    slow = (
        "import time\nfrom torch import nn\nclass Slow(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.net = nn.Linear(784, 10)\n"
        "    def forward(self, X):\n        time.sleep(0.25)\n        return self.net(X.flatten(1))"
    )
    limits = dataclasses.replace(LIMITS, test_seconds=1.5, judge_seconds=2.5)
    made = run(slow, names=("Slow",), limits=limits)
    recipe = Recipe(images=40, epochs=1, batch=4, optimizer="sgd", lr=0.1, side=28, threshold=0.5)
    images, labels = torch.zeros(40, 28, 28, dtype=torch.uint8), torch.zeros(40, dtype=torch.int64)
    with made.work.open(made.definition("Slow"), seconds=20.0) as student:
        own = student.Slow().train(recipe, 0, images, labels, images[:2])
        assert own.classes.tolist() == [0, 0]
    with made.work.open(made.definition("Slow")) as student:
        assert student.Slow().kind == "module"


def test_what_is_no_training_has_a_test_s_time_in_a_state_that_lives_longer(homework: Ran) -> None:
    work = SnapshotWork(homework.execution, homework.names, dataclasses.replace(LIMITS, test_seconds=1.0), SEED)
    with work.open(homework.definition("f"), seconds=20.0) as student:
        assert fault_of(student.sleeps, 5) == (Fault.TIMED_OUT, "did not end within 1 s")


def test_a_state_of_recorded_values_runs_no_code(homework: Ran) -> None:
    with homework.work.open(None) as student:
        assert student.recorded() is not None
        assert fault_of(getattr, student, "f")[0] == Fault.CRASHED


def test_a_signature_is_asked_once_a_test(student: SnapshotStudent, monkeypatch: pytest.MonkeyPatch) -> None:
    first = student.signed.signature()
    monkeypatch.setattr(SnapshotStudent, "ask", lambda self, request: pytest.fail("asked again"))
    assert student.signed.signature() == first
