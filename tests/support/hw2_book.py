"""The book's notebook in cells that a test can change, judged in this process."""

from __future__ import annotations

from collections.abc import Mapping

from grader.assignment import find_assignment
from grader.judging.judge import judge
from grader.results.report import ItemResult, Verdict
from tests.support.in_process_work import InProcessWork

HW2 = find_assignment("hw2")

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
MULTI_IN = """
def corr2d_multi_in(X, K):
    return F.conv2d(X[None], K[None])[0, 0]
"""  # without corr2d, so that a mistake there shows nowhere else
MULTI_IN_OUT = """
def corr2d_multi_in_out(X, K):
    return torch.stack([corr2d_multi_in(X, k) for k in K], 0)
"""
POINTWISE = """
def corr2d_multi_in_out_1x1(X, K):
    c_i, h, w = X.shape
    c_o = K.shape[0]
    Y = K.reshape(c_o, c_i) @ X.reshape(c_i, h * w)
    return Y.reshape(c_o, h, w)
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
INIT = """
def init_cnn(module):
    if type(module) == nn.Linear or type(module) == nn.Conv2d:
        nn.init.xavier_uniform_(module.weight)
"""
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
VGG_BLOCK = """
def vgg_block(num_convs, out_channels):
    layers = []
    for _ in range(num_convs):
        layers += [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))
"""
VGG = """
class VGG(nn.Module):
    def __init__(self, arch, lr=0.1, num_classes=10):
        super().__init__()
        self.net = nn.Sequential(*[vgg_block(n, c) for n, c in arch], nn.Flatten(),
            nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5), nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5),
            nn.LazyLinear(num_classes))
    def forward(self, X):
        return self.net(X)
"""
RESIDUAL = """
class Residual(nn.Module):
    def __init__(self, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()
    def forward(self, X):
        Y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(X)))))
        if self.conv3 is not None:
            X = self.conv3(X)
        return F.relu(Y + X)
"""
RESNET = """
class ResNet(nn.Module):
    def stage(self, number, c, first):
        return [Residual(c) if i or first else Residual(c, use_1x1conv=True, strides=2) for i in range(number)]
    def __init__(self, arch, lr=0.1, num_classes=10):
        super().__init__()
        self.net = nn.Sequential(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1))
        for i, (number, c) in enumerate(arch):
            self.net.extend(self.stage(number, c, first=i == 0))
        self.net.extend([nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)])
    def forward(self, X):
        return self.net(X)
"""
RESNET18 = """
class ResNet18(ResNet):
    def __init__(self, lr=0.1, num_classes=10):
        super().__init__(((2, 64), (2, 128), (2, 256), (2, 512)), lr, num_classes)
"""
CHAPTER_7 = {
    "imports": IMPORTS,
    "corr2d": CORR2D,
    "conv2d": CONV2D,
    "image": IMAGE,
    "edges": EDGES,
    "turned": TURNED,
    "learn": LEARN,
    "comp": COMP,
    "multi_in": MULTI_IN,
    "multi_in_out": MULTI_IN_OUT,
    "pointwise": POINTWISE,
    "pool": POOL,
    "rebound": REBOUND,
    "init": INIT,
    "lenet": LENET,
}
CHAPTER_8 = {
    "vgg_block": VGG_BLOCK,
    "vgg": VGG,
    "residual": RESIDUAL,
    "resnet": RESNET,
    "resnet18": RESNET18,
}
BOOK = CHAPTER_7 | CHAPTER_8


def graded(**changed: str) -> Mapping[str, ItemResult]:
    """Judge the book's notebook with some cells changed."""
    assert set(changed) <= set(BOOK)
    return {result.id: result for result in judge(HW2, InProcessWork(*(BOOK | changed).values()), "a submission")}


def lost(results: Mapping[str, ItemResult]) -> dict[str, str]:
    """Return the verdicts of what did not pass; nothing is trained here."""
    trained = {item.id for item in HW2.trained}
    assert {results[name].verdict for name in trained & results.keys()} <= {
        Verdict.ABSENT,
        Verdict.ERROR,
        Verdict.PENDING,
    }
    return {
        result.id: result.verdict.value
        for result in results.values()
        if result.verdict is not Verdict.PASSED and result.id not in trained
    }
