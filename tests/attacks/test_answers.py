"""Forged and malformed responses of a student's process to a rubric's tests."""

from __future__ import annotations

import pytest

from grader.results.report import Report
from tests.support.attacks import Attack
from tests.support.notebooks import CORR2D, CORR2D_POINTS

_BOOK_ONLY = """
import torch
def corr2d(X, K):
    {body}
"""


def _item(report: Report, name: str) -> tuple[str, float, str]:
    item = next(item for item in report.items if item.id == name)
    return item.verdict, item.points, item.message


_BODIES = {
    "a huge shape": "return torch.empty(2**21, 0)",
    "a shape past all bounds": "return torch.empty(0, 2**26, 2**10)",
    "a number": "return 5",
    "nothing": "return None",
    "an empty tensor": "return torch.empty(0)",
    "a shape that broadcasts": "return torch.zeros(1)",
    "a shape with one dimension more": "return torch.zeros(1, X.shape[0] - len(K) + 1, X.shape[1] - K.shape[1] + 1)",
    "complex numbers": "return X.to(torch.complex64)",
    "truth values": "return X > 0",
    "a sparse tensor": "return X.to_sparse()",
    "a quantised tensor": "return torch.quantize_per_tensor(X, 0.1, 0, torch.qint8)",
    "a tensor on no device": "return torch.empty(2, 2, device='meta')",
    "long lists": "return ['x' * 500] * 9999",
    "deep lists": "x = []\n    for _ in range(10_000): x = [x]\n    return x",
    "a list that holds itself": "x = []; x.append(x); return x",
    "a huge dictionary key": "return {'k' * 50_000_000: 1}",
    "a huge number": "return 10 ** 10_000_000",
    "a huge text": "return 'x' * 200_000_000",
    "itself": "return corr2d",
    "a generator": "return (x for x in [1])",
    "exit": "import os; os._exit(0)",
    "a system exit": "raise SystemExit(0)",
    "an exception whose text raises": "raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})()",
    "an exception named like a verdict": "raise type('passed' * 1000, (BaseException,), {})('x' * 10**7)",
    "a segmentation fault": "import ctypes; ctypes.string_at(0)",
    "sleep": "import time; time.sleep(3600)",
    "5 GB": "return torch.ones(5 * 10**9 // 4)",
    "its argument": "return X",
    "its argument, changed": "X *= 0; return X",
    "a fork of which both answer": "import os; os.fork(); return torch.zeros(2, 2)",
    "garbage on its line": """
    import os
    for fd in range(3, 64):
        try: os.write(fd, os.urandom(500))
        except OSError: pass
    return X""",
    "an endless stream": """
    import os
    while True:
        for fd in range(3, 64):
            try: os.write(fd, bytes(1000))
            except OSError: pass""",
    "a frame of 4 GB announced": """
    import os
    for fd in range(3, 64):
        try: os.write(fd, b'\\xff' * 4)
        except OSError: pass
    import time; time.sleep(3600)""",
}


@pytest.mark.slow
@pytest.mark.parametrize("body", _BODIES.values(), ids=_BODIES.keys())
def test_a_wrong_answer_of_any_form_is_worth_nothing(attack: Attack, body: str) -> None:
    report = attack(_BOOK_ONLY.format(body=body))
    verdict, points, message = _item(report, "corr2d.values")
    assert verdict in ("failed", "error")
    assert points == report.score == 0
    assert message


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e38"])
def test_numbers_that_are_none_equal_nothing(attack: Attack, value: str) -> None:
    body = f"return torch.full((X.shape[0] - K.shape[0] + 1, X.shape[1] - K.shape[1] + 1), float('{value}'))"
    report = attack(_BOOK_ONLY.format(body=body))
    assert _item(report, "corr2d.values")[:2] == ("failed", 0)
    assert report.score == 3  # the shape is right, and that is an item of its own


_FORGERIES = {
    "of every operation, a number": "for name in operations: setattr(test, name, lambda self, request: 5)",
    "of every operation, nothing": "for name in operations: setattr(test, name, lambda self, request: None)",
    "of every operation, lists": "for name in operations: setattr(test, name, lambda self, request: ((1, 2, 3), 'x'))",
    "of every operation, dictionaries": "for name in operations: setattr(test, name, lambda self, request: {'x': 5})",
    "of every operation, arrays": """
for name in operations:
    setattr(test, name, lambda self, request: wire.Array("float32", (2,), bytes(8)))""",
    "of every operation, odd shapes": """
for name in operations:
    setattr(test, name, lambda self, request: wire.Array("float32", (0, *[2**26] * 15), b""))""",
    "of every operation, classes": """
for name in operations:
    setattr(test, name, lambda self, request: wire.Handle(7, "class", "x" * 10**6))""",
    "of every operation, modules": """
for name in operations:
    setattr(test, name, lambda self, request: wire.Handle(2**32 - 1, "module", "x"))""",
    "of every operation, failures": """
for name in operations:
    setattr(test, name, lambda self, request: wire.Failure("x" * 10**6, "0x" * 10**6))""",
    "an unknown tag": "channels.Channel.send = lambda self, value, seconds=None: self.socket.sendall(b'\\0\\0\\0\\1Z')",
    "too many entries": """
channels.Channel.send = lambda self, value, seconds=None: self.socket.sendall(b"\\0\\0\\0\\5(" + b"\\xff" * 4)""",
    "a negative shape": """
body = b"a\\x08\\x01" + b"\\xff" * 8 + bytes(8)
channels.Channel.send = lambda self, value, seconds=None: self.socket.sendall(len(body).to_bytes(4, "big") + body)""",
    "a shape whose product wraps": """
body = b"a\\x08\\x02" + (2**33).to_bytes(8, "big") + (2**31).to_bytes(8, "big") + bytes(8)
channels.Channel.send = lambda self, value, seconds=None: self.socket.sendall(len(body).to_bytes(4, "big") + body)""",
    "a nested bomb": """
body = b"(\\0\\0\\0\\1" * 5000 + b"N"
channels.Channel.send = lambda self, value, seconds=None: self.socket.sendall(len(body).to_bytes(4, "big") + body)""",
    "a wide bomb": """
body = b"(" + (60 * 2**20).to_bytes(4, "big") + b"N" * (60 * 2**20)
channels.Channel.send = lambda self, value, seconds=None: self.socket.sendall(len(body).to_bytes(4, "big") + body)""",
    "every answer ten times": """
send = channels.Channel.send
channels.Channel.send = lambda self, value, seconds=None: [send(self, value) for _ in range(10)]""",
    "one byte at a time": """
import time
def send(self, value, seconds=None):
    self.socket.sendall(b"\\0\\1\\0\\0")
    while True:
        time.sleep(0.05)
        self.socket.sendall(b"x")
channels.Channel.send = send""",
    "an end in the middle": """
def send(self, value, seconds=None):
    self.socket.sendall(b"\\0\\1\\0\\0xx")
    self.socket.close()
channels.Channel.send = send""",
    "no answer": "channels.Channel.send = lambda self, value, seconds=None: None",
    "a snapshot that does not serve": "snapshot.serve_snapshot = lambda *_: __import__('time').sleep(3600)",
    "a snapshot that ends": "snapshot.serve_snapshot = lambda *_: None",
}
_PATCH = """
import grader.sandbox.guest.snapshot as snapshot
import grader.sandbox.protocol.channels as channels
import grader.sandbox.protocol.encoding as wire
test = snapshot._TestProcess
operations = [name for name in vars(test) if name.startswith("_do_")]
assert len(operations) > 5 and callable(snapshot.serve_snapshot) and callable(channels.Channel.send)
"""
_WORK = """
import torch
from torch import nn
def corr2d(X, K): return X
def comp_conv2d(conv2d, X): return X
def pool2d(X, size, mode="max"): return X
class Conv2D(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(size)), nn.Parameter(torch.zeros(1))
    def forward(self, X): return X
class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)
    def forward(self, X): return X
"""


@pytest.mark.parametrize("forgery", _FORGERIES.values(), ids=_FORGERIES.keys())
def test_forged_answers_are_worth_nothing(attack: Attack, forgery: str) -> None:
    report = attack(_PATCH + forgery, _WORK, test_seconds=0.5)
    assert report.cells[0].status == "ok"  # else nothing was forged
    assert report.score == 0
    # Nothing is trained in these runs, so what is earned by training stays pending.
    assert {item.verdict for item in report.items} <= {"failed", "error", "absent", "pending"}


_PRETENDERS = {
    "a tensor that can be called": """
        class Pretender(torch.Tensor):
            def __call__(self, *_): return torch.zeros(2, 2)
        corr2d = pool2d = comp_conv2d = Conv2D = LeNet = Pretender()
        """,
    "a list that can be called": """
        class Pretender(list):
            def __call__(self, *_): return torch.zeros(2, 2)
        corr2d = pool2d = comp_conv2d = Conv2D = LeNet = Pretender()
        """,
    "an array that can be called": """
        class Pretender(numpy.ndarray):
            def __call__(self, *_): return torch.zeros(2, 2)
        corr2d = pool2d = comp_conv2d = Conv2D = LeNet = numpy.zeros(3).view(Pretender)
        """,
    "a number that can be called": """
        class Pretender(numpy.float64):
            def __call__(self, *_): return torch.zeros(2, 2)
        corr2d = pool2d = comp_conv2d = Conv2D = LeNet = Pretender(3)
        """,
    "parameters that change between two looks": """
        class Conv2D(nn.Module):
            looks = 0
            def __init__(self, size):
                super().__init__()
                self.weight, self.bias = nn.Parameter(torch.zeros(size)), nn.Parameter(torch.zeros(1))
            def named_parameters(self, *_, **__):
                Conv2D.looks += 1
                return iter([(f"w{Conv2D.looks}", self.weight), (f"b{Conv2D.looks}", self.bias)])
        """,
    "parameters of odd dtypes": """
        class Conv2D(nn.Module):
            def __init__(self, size):
                super().__init__()
                self.weight = nn.Parameter(torch.zeros(size, dtype=torch.uint8), requires_grad=False)
                self.bias = nn.Parameter(torch.zeros(1, dtype=torch.bool), requires_grad=False)
            def named_parameters(self, *_, **__):
                class Learnable(torch.Tensor): requires_grad = True
                named = (("weight", self.weight), ("bias", self.bias))
                return iter([(name, each.as_subclass(Learnable)) for name, each in named])
        """,
    "equal to everything": """
        class Equal(torch.Tensor):
            __eq__ = __ne__ = __lt__ = __le__ = lambda self, other: True
            shape = size = property(lambda self: Equal())
            def __torch_function__(self, *_, **__): return True
        corr2d = lambda X, K: torch.zeros(2, 2).as_subclass(Equal)
        """,
    "torch replaced": """
        torch.allclose = torch.equal = torch.isclose = lambda *_, **__: True
        torch.testing.assert_close = lambda *_, **__: None
        torch.Tensor.__eq__ = torch.Tensor.allclose = torch.Tensor.equal = lambda *_: True
        torch.Tensor.detach = torch.Tensor.cpu = lambda self: torch.ones(2, 2)
        numpy.testing.assert_allclose = numpy.allclose = numpy.array_equal = lambda *_, **__: True
        import builtins
        builtins.abs = builtins.all = builtins.bool = lambda *_: True
        def corr2d(X, K): return torch.zeros(2, 2)
        """,
}


@pytest.mark.parametrize("pretender", _PRETENDERS.values(), ids=_PRETENDERS.keys())
def test_pretending_is_worth_nothing(attack: Attack, pretender: str) -> None:
    report = attack("import numpy, torch\nfrom torch import nn", pretender)
    assert report.score == 0


def test_a_callers_frames_hold_no_expected_value(attack: Attack) -> None:
    """The function answers with the tensors of the right shape it finds in any frame or object of its process."""
    report = attack(
        """
        import gc, sys, torch
        def corr2d(X, K):
            shape = (X.shape[0] - K.shape[0] + 1, X.shape[1] - K.shape[1] + 1)
            found = []
            frame = sys._getframe()
            while frame:
                found += [v for v in frame.f_locals.values() if isinstance(v, torch.Tensor)]
                frame = frame.f_back
            found += [thing for thing in gc.get_objects() if type(thing) is torch.Tensor]
            right = [thing for thing in found if tuple(thing.shape) == shape and thing is not X and thing is not K]
            return right[0] if right else torch.zeros(shape)
        """
    )
    assert _item(report, "corr2d.values")[:2] == ("failed", 0)
    assert report.score == 3  # the shape is right, and that is an item of its own


def test_knowing_only_the_books_example_is_not_enough(attack: Attack) -> None:
    report = attack(
        """
        import torch
        def corr2d(X, K):
            return torch.tensor([[19.0, 25.0], [37.0, 43.0]])
        """
    )
    assert report.score == 0


def test_what_behaves_well_only_once_is_wrong(attack: Attack) -> None:
    report = attack(
        CORR2D,
        """
        right, calls = corr2d, []
        def corr2d(X, K):
            calls.append(1)
            return right(X, K) if len(calls) == 1 else torch.zeros(1)
        del right
        """.replace("        del right\n", ""),
        "first_definition_still_counts = (1, 2)",
    )
    assert report.score == CORR2D_POINTS
    alone = attack(
        CORR2D.replace("def corr2d", "calls = []\ndef right")
        + "def corr2d(X, K):\n    calls.append(1)\n    return right(X, K) if len(calls) == 1 else torch.zeros(1)"
    )
    assert alone.score == 0


def test_one_tests_changes_are_gone_in_the_next(attack: Attack) -> None:
    """What the first call leaves behind, in memory and on disk, is not there for the next test."""
    report = attack(
        CORR2D.replace("def corr2d(X, K):", "seen = set()\ndef corr2d(X, K):\n    seen.add(len(seen))")
        + "\ndef pool2d(X, size, mode='max'):\n    return seen.pop()",
    )
    assert report.score == CORR2D_POINTS
    assert "KeyError" in _item(report, "pool2d.max")[2]


def test_more_candidates_than_a_search_takes_are_left_out(attack: Attack) -> None:
    entries = "tuple((f'n{i}', 0, None, 'function', (), '', True) for i in range(20_000))"
    report = attack(_PATCH + f"test._do_candidates = lambda self, request: {entries}")
    assert report.score == 0
