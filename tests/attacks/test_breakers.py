"""Layers, models, functions and values of unexpected forms: each item has a verdict, and grading goes on."""

from __future__ import annotations

import pytest

from grader.results.report import Verdict
from tests.support.attacks import Attack
from tests.support.notebooks import CORR2D, CORR2D_POINTS

_IMPORTS = """
import numpy as np
import torch
from torch import nn
"""
_BREAKERS = {
    "an own nn.Linear": """
class MyLinear(nn.Module):
    def __init__(self, inputs, outputs, bias=True):
        super().__init__()
        self.W = nn.Parameter(torch.randn(outputs, inputs))
        self.b = nn.Parameter(torch.zeros(outputs))
    def forward(self, X): return X @ self.W.T + self.b
nn.Linear = MyLinear
def init_cnn(module):
    if type(module) in (nn.Linear, nn.Conv2d):
        nn.init.xavier_uniform_(module.W if hasattr(module, "W") else module.weight)
""",
    "an own nn.Conv2d with a complex parameter": """
class MyConv2d(nn.Module):
    def __init__(self, *args, **named):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, dtype=torch.complex64))
    def forward(self, X): return X
nn.Conv2d = nn.LazyConv2d = MyConv2d
def comp_conv2d(conv2d, X): return conv2d(X)
def init_cnn(module):
    for parameter in module.parameters(): nn.init.uniform_(parameter.data.real)
""",
    "layers that are none": """
nn.Linear, nn.Conv2d, nn.BatchNorm2d = (lambda *args, **named: None), (lambda *args, **named: "text"), print
def init_cnn(module): return module
def comp_conv2d(conv2d, X): return X
""",
    "a weight that is deleted": """
def init_cnn(module):
    if hasattr(module, "weight"): del module.weight
""",
    "a weight that never had a shape": """
def init_cnn(module): module._parameters["weight"] = nn.UninitializedParameter()
""",
    "a module that becomes another one": """
class Other(nn.Module):
    def named_parameters(self, *args, **named): return iter([("weight", None), (3, torch.ones(1))])
def init_cnn(module): module.__class__ = Other
LeNet = VGG = ResNet18 = Residual = Other
""",
    "objects that have every attribute": """
class Everything:
    def __getattr__(self, name): return self
    def __call__(self, *args, **named): return self
    def __iter__(self): return self
    def __next__(self): return self
    def __bool__(self): raise ValueError
LeNet = VGG = ResNet18 = Residual = Conv2D = pool2d = comp_conv2d = init_cnn = vgg_block = Everything()
""",
    "names that are bound to strange things": """
K, LeNet, VGG, ResNet18 = "text", lambda: None, lambda *args: 5, lambda *args, **named: [1]
Residual, Conv2D, vgg_block = lambda *args, **named: (1, 2), dict, lambda *args, **named: {"a": torch.ones(1)}
comp_conv2d, pool2d, init_cnn = print, max, []
X, Y = np.array([[None] * 8] * 6), [np.arange(3), np.arange(2)]
""",
    "models whose results are no tensors": """
class Odd(nn.Module):
    def __init__(self, *args, **named):
        super().__init__()
        self.first = nn.Conv2d(1, 6, 5)
        self.second = self.first
        self.third = nn.Parameter(torch.tensor(1, dtype=torch.complex64))
    def forward(self, X): return {"out": self.first(X[:, :1]), "more": (i for i in range(3))}
LeNet = VGG = ResNet18 = Odd
def vgg_block(*args, **named): return Odd()
def Residual(*args, **named): return Odd()
class Conv2D(Odd):
    def __init__(self, size):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(size)), nn.Parameter(torch.zeros(1))
    def forward(self, X): return None
""",
    "signatures that are none": """
class Odd:
    __signature__ = "no signature"
    def __call__(self, *args, **named): return None
pool2d = LeNet = vgg_block = Odd()
""",
    "generators, texts and numbers": """
def pool2d(X, size, mode="max"): return (X for _ in iter(int, 1))
def corr2d_multi_in(X, K): return "\\ud800\\x1b[31m"
def corr2d_multi_in_out(X, K): return 10 ** 600
def corr2d_multi_in_out_1x1(X, K): return [float("nan"), [1j, {"\\ud800": b""}]]
def comp_conv2d(conv2d, X): return {"\\ud800": float("inf")}
""",
    "values of odd dtypes": """
X = torch.ones(6, 8); X[:, 2:6] = 0
Y = torch.zeros(6, 7, dtype=torch.complex64)
K = torch.tensor([[1, -1]], dtype=torch.int8)
conv2d = nn.Conv2d(1, 1, (1, 2), bias=False).to(torch.complex64)
learned = nn.Conv2d(1, 1, (1, 2), bias=False); learned.weight.data.fill_(float("nan"))
X.bool()
""",
}


@pytest.mark.parametrize("cell", _BREAKERS.values(), ids=_BREAKERS.keys())
def test_what_no_rubric_expects_breaks_nothing(attack: Attack, cell: str) -> None:
    report = attack(_IMPORTS, CORR2D, cell, test_seconds=5, judge_seconds=60)
    assert report.score == CORR2D_POINTS
    assert all(item.message for item in report.items)
    assert any(item.verdict in (Verdict.FAILED, Verdict.ERROR, Verdict.ABSENT) for item in report.items)
