"""The nine questions of chapter 7. Each is a function that fails on a wrong answer; parameters are the student's names.

otter-grader and nbgrader get the source of these functions, the fork floor executes it; this grader has its own rubric,
which asks more.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["QUESTIONS", "BenchmarkQuestion"]

# Imports of the functions below.
_IMPORTS = "from typing import Any\nimport torch\nfrom torch import nn\nfrom torch.nn import functional as F\n"


@dataclass(frozen=True)
class BenchmarkQuestion:
    """One question: its name, which a cell of the notebook has as metadata, its points, and its check."""

    name: str
    points: int
    check: Callable[..., None]

    @property
    def definition(self) -> str:
        """The check as source, with its imports."""
        return f"{_IMPORTS}\n{inspect.getsource(self.check)}"

    @property
    def call(self) -> str:
        """The line that checks the answer in the same namespace."""
        return f"{self.check.__name__}({', '.join(inspect.signature(self.check).parameters)})"


def check_corr2d(corr2d: Any) -> None:
    """Compare with torch's own convolution in several sizes."""
    for height, width in ((1, 1), (2, 2), (1, 3), (3, 2)):
        X, K = torch.randn(6, 7), torch.randn(height, width)
        assert torch.allclose(corr2d(X, K), F.conv2d(X[None, None], K[None, None])[0, 0], atol=1e-5)


def check_layer(Conv2D: Any, corr2d: Any) -> None:
    """Check that weight and bias are learned and used."""
    layer, X = Conv2D((2, 3)), torch.randn(5, 5)
    assert sorted(name for name, _ in layer.named_parameters()) == ["bias", "weight"]
    assert torch.allclose(layer(X), corr2d(X, layer.weight) + layer.bias, atol=1e-5)


def check_edges(Y: Any) -> None:
    """Compare with the edges of the image of section 7.2.3."""
    expected = torch.zeros(6, 7)
    expected[:, 1], expected[:, 5] = 1, -1
    assert torch.allclose(Y.reshape(6, 7), expected)


def check_learned_kernel(learned: Any) -> None:
    """Compare with the kernel that made the data."""
    assert torch.allclose(learned.weight.data.reshape(1, 2), torch.tensor([[1.0, -1.0]]), atol=0.15)


def check_comp_conv2d(comp_conv2d: Any) -> None:
    """Compare shapes for several paddings and strides."""
    X = torch.rand(8, 8)
    assert comp_conv2d(nn.Conv2d(1, 1, 3, padding=1), X).shape == (8, 8)
    assert comp_conv2d(nn.Conv2d(1, 1, (5, 3), padding=(2, 1)), X).shape == (8, 8)
    assert comp_conv2d(nn.Conv2d(1, 1, 3, padding=1, stride=2), X).shape == (4, 4)
    assert comp_conv2d(nn.Conv2d(1, 1, (3, 5), padding=(0, 1), stride=(3, 4)), X).shape == (2, 2)


def check_corr2d_multi_in(corr2d_multi_in: Any) -> None:
    """Compare with torch's own convolution for several numbers of channels."""
    for channels in (1, 2, 3):
        X, K = torch.randn(channels, 5, 6), torch.randn(channels, 2, 3)
        assert torch.allclose(corr2d_multi_in(X, K), F.conv2d(X[None], K[None])[0, 0], atol=1e-5)


def check_corr2d_multi_in_out(corr2d_multi_in_out: Any) -> None:
    """Compare with torch's own convolution for several numbers of output channels."""
    for channels in (1, 2, 4):
        X, K = torch.randn(2, 5, 6), torch.randn(channels, 2, 2, 3)
        assert torch.allclose(corr2d_multi_in_out(X, K), F.conv2d(X[None], K)[0], atol=1e-5)


def check_corr2d_1x1(corr2d_multi_in_out_1x1: Any) -> None:
    """Compare with torch's own convolution with a window of 1x1."""
    for channels in (1, 2, 4):
        X, K = torch.randn(3, 5, 6), torch.randn(channels, 3, 1, 1)
        assert torch.allclose(corr2d_multi_in_out_1x1(X, K), F.conv2d(X[None], K)[0], atol=1e-5)


def check_pool2d(pool2d: Any) -> None:
    """Compare with torch's own pooling, of negative numbers too."""
    for size in ((1, 1), (2, 2), (3, 2)):
        X = torch.randn(5, 6) - 1
        assert torch.allclose(pool2d(X, size), F.max_pool2d(X[None, None], size, 1)[0, 0])
        assert torch.allclose(pool2d(X, size, "avg"), F.avg_pool2d(X[None, None], size, 1)[0, 0], atol=1e-5)


QUESTIONS = (
    BenchmarkQuestion("corr2d", 4, check_corr2d),
    BenchmarkQuestion("layer", 2, check_layer),
    BenchmarkQuestion("edges", 2, check_edges),
    BenchmarkQuestion("learned_kernel", 2, check_learned_kernel),
    BenchmarkQuestion("comp_conv2d", 2, check_comp_conv2d),
    BenchmarkQuestion("corr2d_multi_in", 2, check_corr2d_multi_in),
    BenchmarkQuestion("corr2d_multi_in_out", 2, check_corr2d_multi_in_out),
    BenchmarkQuestion("corr2d_1x1", 2, check_corr2d_1x1),
    BenchmarkQuestion("pool2d", 2, check_pool2d),
)
