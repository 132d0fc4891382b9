"""Functions that are wrong when a cell calls them, and right after some calls or if they see that they are tested."""

from __future__ import annotations

import pytest

from tests.support.attacks import Attack

_WORK = """
import os, sys
import torch
import torch.nn.functional as F
from torch import nn

{setup}

def corr2d(X, K):
    if {is_wrong}:
        return X
    return F.conv2d(X[None, None].float(), K[None, None].float())[0, 0]

def pool2d(X, size, mode="max"):
    if {is_wrong}:
        return X
    pool = F.max_pool2d if mode == "max" else F.avg_pool2d
    return pool(X[None].float(), tuple(size), stride=1)[0]
"""

_GLOBAL = """
calls = []
def count():
    calls.append(0)
    return len(calls)
"""
_FILE = """
def count():
    with open({path!r}, "a") as file:
        return file.write("x") and file.tell()
"""

# The setup, and when a call is wrong.
_COUNTERS = {
    "a global": (_GLOBAL, "count() < {}"),
    "a default argument": ("def count(calls=[]):\n    calls.append(0)\n    return len(calls)", "count() < {}"),
    "an attribute": (
        "def count():\n    count.calls += 1\n    return count.calls\ncount.calls = 0",
        "count() < {}",
    ),
    "a closure": ("import itertools\ncount = itertools.count(1).__next__", "count() < {}"),
    "a class": (
        "class Counter(nn.Module):\n    calls = 0\n    def forward(self):\n        Counter.calls += 1\n"
        "        return Counter.calls\ncount = Counter()",
        "count() < {}",
    ),
    "a file in the working folder": (_FILE.format(path="calls.txt"), "count() < {}"),
    "a file in /tmp": (_FILE.format(path="/tmp/calls"), "count() < {}"),
    "a file in shared memory": (_FILE.format(path="/dev/shm/calls"), "count() < {}"),
    "a shared value": (
        "import multiprocessing\nshared = multiprocessing.Value('i', 0)\ndef count():\n    shared.value += 1\n"
        "    return shared.value",
        "count() < {}",
    ),
    "a shared mapping": (
        "import mmap\nshared = mmap.mmap(-1, 4)\ndef count():\n    shared[0] = min(shared[0] + 1, 255)\n"
        "    return shared[0]",
        "count() < {}",
    ),
    "the number of the process": ("start = os.getpid()", "os.getpid() < start + {} // 4"),
    "forks": (
        "forks = [0]\nos.register_at_fork(before=lambda: forks.append(0))",
        "len(forks) < {} // 3",
    ),
}


def _grade(attack: Attack, setup: str, is_wrong: str) -> float:
    return attack(_WORK.format(setup=setup, is_wrong=is_wrong)).score


@pytest.mark.parametrize("kind", _COUNTERS)
def test_what_is_wrong_until_its_twelfth_call_earns_nothing(attack: Attack, kind: str) -> None:
    setup, is_wrong = _COUNTERS[kind]
    assert _grade(attack, setup, is_wrong.format(12)) == 0


@pytest.mark.parametrize("calls", [2, 5, 30])
def test_what_is_wrong_until_some_call_earns_nothing(attack: Attack, calls: int) -> None:
    assert _grade(attack, _GLOBAL, f"count() < {calls}") == 0


def test_what_is_wrong_in_every_second_call_earns_nothing(attack: Attack) -> None:
    assert _grade(attack, _GLOBAL, "count() % 2 == 0") == 0


_MODELS = """
import torch
from torch import nn

made = []

class Conv2D(nn.Module):
    def __init__(self, size):
        super().__init__()
        made.append(0)
        self.is_right = len(made) > 3
        self.weight, self.bias = nn.Parameter(torch.rand(size)), nn.Parameter(torch.zeros(1))

    def forward(self, X):
        Y = nn.functional.conv2d(X[None, None], self.weight[None, None])[0, 0] + self.bias
        return Y if self.is_right else Y + 1

class LeNet(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        made.append(0)
        size = 5 if len(made) > 3 else 3
        self.net = nn.Sequential(
            nn.Conv2d(1, 6, size, padding=2), nn.Sigmoid(), nn.AvgPool2d(2, 2),
            nn.Conv2d(6, 16, size), nn.Sigmoid(), nn.AvgPool2d(2, 2),
            nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(),
            nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, num_classes),
        )

    def forward(self, X):
        return self.net(X)
"""


def test_classes_whose_first_models_are_wrong_earn_nothing(attack: Attack) -> None:
    assert attack(_MODELS).score == 0


_SIGNS = {
    "the type of sys.stdout": "type(sys.stdout).__name__ == 'OutStream'",
    "the name of sys.stdout": "sys.stdout.name == 'stdout'",
    "what calls it": "sys._getframe(1).f_code.co_name == '<module>'",
    "the file of what calls it": "'ipykernel' in sys._getframe(1).f_code.co_filename",
    "the globals of what calls it": "sys._getframe(1).f_globals is sys._getframe(1).f_locals is globals()",
    "frames of the snapshot": "not any('snapshot' in entry.filename for entry in traceback.extract_stack())",
    "the whole stack": "stack() == found",
    "the number of its process": "os.getpid() == found_process",
    "its parent": "os.getppid() == found_parent",
    "its parent by /proc": "open('/proc/self/stat').read().split()[3] == str(found_parent)",
    "what handles an interrupt": "signal.getsignal(signal.SIGINT) is found_handler",
}
_LOOK = """
import signal, traceback
def stack():
    return [entry.name for entry in traceback.extract_stack()[:-2]]
def look():
    return stack()
found = look()
found_process, found_parent = os.getpid(), os.getppid()
found_handler = signal.getsignal(signal.SIGINT)
"""


@pytest.mark.parametrize("sign", _SIGNS)
def test_what_is_wrong_in_a_cell_earns_nothing(attack: Attack, sign: str) -> None:
    assert _grade(attack, _LOOK, _SIGNS[sign]) == 0
