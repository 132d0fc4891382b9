"""The HW2 rubric against solutions of many kinds and typical mistakes, run in this process."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from grader.assignment import find_assignment
from grader.report import ItemResult, Verdict
from grader.testing.judge import judge
from tests.in_process import InProcessWork

HW2 = find_assignment("hw2")
ITEMS = [item.id for item in HW2.items]

IMPORTS = """
import torch
import numpy as np
from torch import nn
from torch.nn import functional as F
"""
CORR2D = """
def corr2d(X, K):
    h, w = K.shape
    Y = torch.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i:i + h, j:j + w] * K).sum()
    return Y
"""
CONV2D = """
class Conv2D(nn.Module):
    def __init__(self, kernel_size):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size))
        self.bias = nn.Parameter(torch.zeros(1))
    def forward(self, x):
        return corr2d(x, self.weight) + self.bias
"""
IMAGE = "X = torch.ones((6, 8))\nX[:, 2:6] = 0\nX"
EDGES = "K = torch.tensor([[1.0, -1.0]])\nY = corr2d(X, K)\nY"
TURNED = "corr2d(X.t(), K)"
LEARN = """
conv2d = nn.LazyConv2d(1, kernel_size=(1, 2), bias=False)
X, Y = X.reshape((1, 1, 6, 8)), Y.reshape((1, 1, 6, 7))
for i in range(10):
    l = (conv2d(X) - Y) ** 2
    conv2d.zero_grad()
    l.sum().backward()
    conv2d.weight.data[:] -= 3e-2 * conv2d.weight.grad
"""
COMP = """
def comp_conv2d(conv2d, X):
    Y = conv2d(X.reshape((1, 1) + X.shape))
    return Y.reshape(Y.shape[2:])
X = torch.rand(8, 8)
comp_conv2d(nn.LazyConv2d(1, kernel_size=3, padding=1), X).shape
"""
POOL = """
def pool2d(X, pool_size, mode='max'):
    p_h, p_w = pool_size
    Y = torch.zeros((X.shape[0] - p_h + 1, X.shape[1] - p_w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            window = X[i: i + p_h, j: j + p_w]
            Y[i, j] = window.max() if mode == 'max' else window.mean()
    return Y
"""
REBOUND = "pool2d = nn.MaxPool2d(3)\npool2d(torch.rand(1, 1, 4, 4))"
LENET = """
def net(c1=6, c2=16, act=nn.Sigmoid, pool=nn.AvgPool2d, padding=2, num_classes=10):
    return nn.Sequential(nn.LazyConv2d(c1, 5, padding=padding), act(), pool(2), nn.LazyConv2d(c2, 5), act(), pool(2),
        nn.Flatten(), nn.LazyLinear(120), act(), nn.LazyLinear(84), act(), nn.LazyLinear(num_classes))
class LeNet(nn.Module):
    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.net = net(num_classes=num_classes)
    def forward(self, X):
        return self.net(X)
"""
NET = LENET[: LENET.index("class LeNet")]
BOOK = {
    "imports": IMPORTS,
    "corr2d": CORR2D,
    "conv2d": CONV2D,
    "image": IMAGE,
    "edges": EDGES,
    "turned": TURNED,
    "learn": LEARN,
    "comp": COMP,
    "pool": POOL,
    "rebound": REBOUND,
    "lenet": LENET,
}


def graded(**changed: str) -> Mapping[str, ItemResult]:
    """Judge the book's notebook with some cells changed."""
    assert set(changed) <= set(BOOK)
    return {result.id: result for result in judge(HW2, InProcessWork(*(BOOK | changed).values()), "a submission")}


def lost(results: Mapping[str, ItemResult]) -> dict[str, str]:
    return {result.id: result.verdict.value for result in results.values() if result.verdict is not Verdict.PASSED}


def plain_lenet(forward: str) -> str:
    return f"""
class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.c, self.d, self.e = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)
    def forward(self, x):
        {forward}
"""


LOOP_OF = "def corr2d(X, K):\n    h, w = K.shape\n    n, m = X.shape[0] - h + 1, X.shape[1] - w + 1\n    "
RIGHT = {
    "the book's": {},
    "unfold": {"corr2d": LOOP_OF + "return torch.einsum('ijab,ab->ij', X.unfold(0, h, 1).unfold(1, w, 1), K)"},
    "torch's convolution": {"corr2d": "def corr2d(X, K): return F.conv2d(X[None, None], K[None, None])[0, 0]"},
    "NumPy inside": {
        "corr2d": LOOP_OF + "A, B = X.detach().numpy(), K.detach().numpy()\n    "
        "return np.array([[(A[i:i+h, j:j+w] * B).sum() for j in range(m)] for i in range(n)])",
        "conv2d": CONV2D.replace("corr2d(x, self.weight)", "F.conv2d(x[None, None], self.weight[None, None])[0, 0]"),
        "learn": LEARN.replace("X, Y =", "Y = torch.from_numpy(Y)\nX, Y ="),
        "turned": "print(corr2d(X.t(), K))",
    },
    "extra defaults": {"corr2d": CORR2D.replace("(X, K):", "(X, K, stride=1, verbose=False):")},
    "keeps the dtype of integers": {
        "corr2d": CORR2D.replace("w + 1))", "w + 1), dtype=torch.result_type(X, K))"),
        "image": IMAGE.replace("(6, 8)", "(6, 8), dtype=torch.int64"),
        "edges": EDGES.replace("1.0, -1.0", "1, -1"),
        "learn": LEARN.replace("(conv2d(X) - Y)", "(conv2d(X.float()) - Y)"),
    },
    "float64 by default": {"imports": IMPORTS + "torch.set_default_dtype(torch.float64)"},
    "other attribute names": {"conv2d": CONV2D.replace("weight", "W").replace("bias", "b")},
    "other names for the edges": {
        "image": "img = torch.ones(6, 8)\nimg[:, 2:6] = 0",
        "edges": "K = torch.tensor([[1.0, -1.0]])\nedges = corr2d(img, K)",
        "turned": "corr2d(img.T, K)",
        "learn": LEARN.replace("X, Y = X.re", "X, Y = img.re").replace("Y.reshape", "edges.reshape"),
    },
    "a layer with a bias": {
        "learn": "conv2d = nn.LazyConv2d(1, kernel_size=(1, 2))\nwith torch.no_grad(): conv2d(X[None, None])\n"
        "optimizer = torch.optim.SGD(conv2d.parameters(), lr=1e-2)\n"
        "for _ in range(400):\n    optimizer.zero_grad()\n"
        "    ((conv2d(X[None, None]) - Y[None, None]) ** 2).sum().backward()\n    optimizer.step()"
    },
    "Conv2D before corr2d": {"corr2d": CONV2D, "conv2d": CORR2D},
    "redefined in an experiment": {
        "rebound": "def corr2d(X, K, stride): return X\ndef comp_conv2d(): pass\ndef pool2d(X): return X",
    },
    "broken cells": {"turned": "raise KeyError", "rebound": "undefined_name"},
    "plain LeNet, functional": {
        "lenet": plain_lenet("""x = F.avg_pool2d(torch.sigmoid(self.a(x)), 2)
        x = F.avg_pool2d(torch.sigmoid(self.b(x)), 2).view(-1, 400)
        return self.e(torch.sigmoid(self.d(torch.sigmoid(self.c(x)))))""")
    },
    "ReLU after max-pooling, softmax at the end": {
        "lenet": plain_lenet("""x = F.relu(F.max_pool2d(self.a(x), 2))
        x = F.relu(F.max_pool2d(self.b(x), 2)).flatten(1)
        return F.log_softmax(self.e(F.relu(self.d(F.relu(self.c(x))))), 1)""")
    },
    "padded by hand": {
        "lenet": plain_lenet("""x = F.avg_pool2d(torch.sigmoid(self.a(F.pad(x, (2, 2, 2, 2)))), 2)
        x = F.avg_pool2d(torch.sigmoid(self.b(x)), 2).flatten(1)
        return self.e(torch.sigmoid(self.d(torch.sigmoid(self.c(x)))))""").replace(", padding=2", "")
    },
    "in-place ReLU and dropout": {
        "lenet": LENET.replace("act=nn.Sigmoid", "act=lambda: nn.ReLU(inplace=True)").replace(
            "nn.Flatten(),", "nn.Flatten(), nn.Dropout(0.5),"
        )
    },
    "LeNet as a factory": {"lenet": NET.replace("def net(", "def LeNet(")},
    "LeNet with a required parameter": {"lenet": LENET.replace("lr=0.1, num_classes=10)", "num_classes)")},
    "LeNet as an instance": {"lenet": NET + "LeNet = net()"},
    "LeNet under another name": {"lenet": NET},
    "an instance under another name": {"lenet": NET + "my_model = net()\ndel net"},
}


@pytest.mark.parametrize("kind", RIGHT)
def test_a_right_solution_earns_everything(kind: str) -> None:
    results = graded(**RIGHT[kind])
    assert {name: results[name].message for name in lost(results)} == {}
    assert sum(result.points for result in results.values()) == HW2.points == 42


CORR2D_LOST = {
    "corr2d.values": "failed",
    "conv2d_layer": "failed",
    "edge_detection": "failed",
    "learned_kernel": "failed",
}
NO_LEARNING = {"edge_detection": "failed", "learned_kernel": "absent"}  # Y.reshape raises before the layer is built
NOTHING_COMPUTED = {"edge_detection": "absent", "learned_kernel": "absent"}
POOL_LOST = {"pool2d.max": "failed", "pool2d.avg": "failed", "pool2d.shape": "failed"}

WRONG: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "flipped kernel": (
        {"corr2d": CORR2D.replace("* K)", "* K.flip(0, 1))")},
        CORR2D_LOST,
    ),
    "swapped height and width": (
        {"corr2d": CORR2D.replace("h, w = K", "w, h = K")},
        {"corr2d.values": "error", "corr2d.shape": "error", "conv2d_layer": "failed"} | NO_LEARNING,
    ),
    "off by one": (
        {"corr2d": CORR2D.replace("- h + 1", "- h").replace("- w + 1", "- w")},
        {"corr2d.values": "failed", "corr2d.shape": "failed", "conv2d_layer": "failed"} | NO_LEARNING,
    ),
    "zeros": ({"corr2d": CORR2D.replace("* K)", "* 0 * K)")}, CORR2D_LOST),
    "one number for every place": (
        {"corr2d": "def corr2d(X, K): return (X[:K.shape[0], :K.shape[1]] * K).sum().reshape(1, 1)"},
        {"corr2d.values": "failed", "corr2d.shape": "failed", "conv2d_layer": "failed"} | NO_LEARNING,
    ),
    "NaN": (
        {"corr2d": CORR2D.replace("* K)", "* K * float('nan'))")},
        CORR2D_LOST,
    ),
    "a tensor that says it equals everything": (
        {
            "corr2d": "class Friendly(torch.Tensor):\n    def __eq__(self, other): return True\n"
            "    def __sub__(self, other): return torch.zeros(())\n"
            + CORR2D.replace("return Y", "return torch.zeros_like(Y).as_subclass(Friendly)")
        },
        {"corr2d.values": "failed", "conv2d_layer": "failed", "edge_detection": "failed", "learned_kernel": "failed"},
    ),
    "input changed in place": (  # the notebook's own image too, so that its kernel is another one
        {"corr2d": CORR2D.replace("    h, w", "    X = X.mul_(2) / 2\n    h, w")},
        {"corr2d.values": "failed", "corr2d.shape": "failed", "conv2d_layer": "failed", "learned_kernel": "failed"},
    ),
    "returns nothing": (
        {"corr2d": CORR2D.replace("return Y", "print(Y)")},
        {"corr2d.values": "failed", "corr2d.shape": "failed", "conv2d_layer": "error"} | NOTHING_COMPUTED,
    ),
    "returns a string": (
        {"corr2d": CORR2D.replace("return Y", "return str(Y)")},
        {"corr2d.values": "failed", "corr2d.shape": "failed", "conv2d_layer": "error"} | NOTHING_COMPUTED,
    ),
    "bias is no parameter": (
        {"conv2d": CONV2D.replace("nn.Parameter(torch.zeros(1))", "torch.zeros(1)")},
        {"conv2d_layer": "failed"},
    ),
    "bias is not added": ({"conv2d": CONV2D.replace(" + self.bias", "")}, {"conv2d_layer": "failed"}),
    "weight is cut off": (
        {"conv2d": CONV2D.replace("corr2d(x, self.weight)", "corr2d(x, self.weight.detach())")},
        {"conv2d_layer": "failed"},
    ),
    "Conv2D is a function": ({"conv2d": "def Conv2D(kernel_size): return None"}, {"conv2d_layer": "failed"}),
    "Conv2D is never written": ({"conv2d": ""}, {"conv2d_layer": "absent"}),
    "edges of another kernel": (
        {"edges": EDGES.replace("1.0, -1.0", "-1.0, 1.0")},
        {"edge_detection": "failed", "learned_kernel": "failed"},
    ),
    "no image": ({"image": "X = torch.rand(6, 8)"}, {"edge_detection": "absent", "learned_kernel": "failed"}),
    "no edges": ({"edges": "", "turned": ""}, {"edge_detection": "absent", "learned_kernel": "absent"}),
    "transposed result is not zero": ({"turned": "corr2d(X.t(), K) + 1"}, {"edge_detection": "failed"}),
    "learned too little": ({"learn": LEARN.replace("range(10)", "range(2)")}, {"learned_kernel": "failed"}),
    "padding ignored": (
        {"comp": COMP.replace("Y = conv2d(X", "conv2d.padding = (0, 0)\n    Y = conv2d(X")},
        {"comp_conv2d.shape": "partial"},
    ),
    "batch and channel kept": (
        {"comp": COMP.replace("return Y.reshape(Y.shape[2:])", "return Y")},
        {"comp_conv2d.shape": "failed"},
    ),
    "running maximum from zero": (
        {"pool": POOL.replace("window.max()", "window.max().clamp(min=0)")},
        {"pool2d.max": "failed"},
    ),
    "maximum and mean swapped": (
        {"pool": POOL.replace("== 'max'", "!= 'max'")},
        {"pool2d.max": "failed", "pool2d.avg": "failed"},
    ),
    "mode ignored": ({"pool": POOL.replace("if mode == 'max'", "if True")}, {"pool2d.avg": "failed"}),
    "pool2d returns nothing": ({"pool": POOL.replace("return Y", "")}, POOL_LOST),
    "pool2d is only torch's layer": (
        {"pool": ""},
        {"pool2d.max": "absent", "pool2d.avg": "absent", "pool2d.shape": "absent"},
    ),
    "LeNet of 8 and 20 channels": (
        {"lenet": LENET.replace("c1=6, c2=16", "c1=8, c2=20")},
        {"lenet.shapes": "failed", "lenet.params": "failed"},
    ),
    "LeNet without padding": (
        {"lenet": LENET.replace("padding=2", "padding=0")},
        {"lenet.shapes": "failed", "lenet.params": "failed"},
    ),
    "LeNet with tanh": ({"lenet": LENET.replace("act=nn.Sigmoid", "act=nn.Tanh")}, {"lenet.shapes": "failed"}),
    "LeNet without activations": (
        {"lenet": LENET.replace("act=nn.Sigmoid", "act=nn.Identity")},
        {"lenet.shapes": "failed"},
    ),
    "LeNet with strides for pooling": (
        {"lenet": LENET.replace("pool=nn.AvgPool2d", "pool=lambda n: nn.LazyConv2d(6, 2, stride=2)")},
        {"lenet.shapes": "failed", "lenet.params": "failed"},
    ),
    "LeNet without biases": (
        {"lenet": LENET.replace("nn.LazyLinear(84)", "nn.LazyLinear(84, bias=False)")},
        {"lenet.params": "failed"},
    ),
    "LeNet for 100 classes": (
        {"lenet": LENET.replace("num_classes=10", "num_classes=100")},
        {"lenet.shapes": "failed", "lenet.params": "failed"},
    ),
    "LeNet that cannot run": (
        {"lenet": LENET.replace("return self.net(X)", "return self.nets(X)")},
        {"lenet.shapes": "error", "lenet.params": "error"},
    ),
    "LeNet is a number": ({"lenet": "LeNet = 5"}, {"lenet.shapes": "absent", "lenet.params": "absent"}),
    "no LeNet by any name": (
        {"lenet": "def MLP(): return nn.LazyLinear(10)"},
        {"lenet.shapes": "absent", "lenet.params": "absent"},
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_loses_the_items_it_makes_wrong_and_no_other(mistake: str) -> None:
    changed, expected = WRONG[mistake]
    assert all(BOOK[cell] != source for cell, source in changed.items())
    assert lost(graded(**changed)) == expected


def test_an_empty_submission_has_nothing_and_is_told_what_is_missing() -> None:
    results = judge(HW2, InProcessWork(), "a submission")
    assert [result.id for result in results] == ITEMS
    assert {result.verdict for result in results} == {Verdict.ABSENT}
    assert results[0].message == "corr2d is not defined in this submission"


def test_a_wrong_result_is_shown_where_it_was_made() -> None:
    results = graded(corr2d=CORR2D.replace("* K)", "* 0 * K)"))
    assert results["edge_detection"].message == "in cell 4: the edges of the image are not right"
    assert (results["edge_detection"].cell, results["learned_kernel"].cell) == (4, 6)
    assert results["edge_detection"].evidence["expected"]["shape"] == [6, 7]


def test_the_first_stage_that_departs_is_named() -> None:
    assert graded(lenet=LENET.replace("c1=6", "c1=8"))["lenet.shapes"].message == (
        "expected (6, 28, 28) first, found (8, 28, 28)"
    )
    assert graded(lenet=LENET.replace("nn.LazyLinear(84)", "nn.LazyLinear(80)"))["lenet.shapes"].message == (
        "expected 84 after 120, found 80"
    )
    assert graded(lenet=LENET.replace("act=nn.Sigmoid", "act=nn.Tanh"))["lenet.shapes"].message == (
        "expected a sigmoid or ReLU after (6, 28, 28), found none"
    )


def test_padding_ignored_keeps_the_points_of_the_layers_without_padding() -> None:
    changed, _ = WRONG["padding ignored"]
    result = graded(**changed)["comp_conv2d.shape"]
    assert result.message.startswith("wrong in 10 of 14 cases, first with an image of 8x8")
    assert result.points == 2.25  # 8 points * 4 / 14, down to a quarter


def test_two_notebooks_are_one_submission() -> None:
    cells = list(BOOK.values())
    work = InProcessWork(files={"7.ipynb": cells[:7], "7b.ipynb": [IMPORTS, *cells[7:]]})
    results = {result.id: result for result in judge(HW2, work, "a submission")}
    assert lost(results) == {}
    assert (results["corr2d.values"].file, results["pool2d.max"].file) == ("7.ipynb", "7b.ipynb")


def test_the_verdicts_depend_on_nothing_but_submission_and_rubric() -> None:
    changed, _ = WRONG["running maximum from zero"]
    assert graded(**changed) == graded(**changed)
