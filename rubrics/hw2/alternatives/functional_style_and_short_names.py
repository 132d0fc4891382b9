"""Maps, reductions, recursion and transforms instead of loops; SciPy's correlation.

Parameters with short names, which say little about what they are for.
"""

import functools
import operator

import numpy as np
import torch
from scipy import ndimage, signal
from torch import nn
from torch.nn import functional as F


def corr2d(X, K):
    return torch.from_numpy(signal.correlate2d(X.detach().numpy(), K.detach().numpy(), mode="valid"))


class Conv2D(nn.Module):
    def __init__(self, kernel_size):
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.rand(*shape)) for shape in (kernel_size, (1,)))

    def forward(self, x):
        h, w = (n - k + 1 for n, k in zip(x.shape, self.weight.shape, strict=True))
        rows = [
            torch.stack([(x[i:, j:] * 1)[:h, :w] for j in range(self.weight.shape[1])]) for i in range(len(self.weight))
        ]
        return (torch.stack(rows) * self.weight[..., None, None]).sum((0, 1)) + self.bias


def corr2d_multi_in(X, K):
    return functools.reduce(operator.add, map(corr2d, X, K))


def corr2d_multi_in_out(X, K):
    first = corr2d_multi_in(X, K[0]).unsqueeze(0)
    return first if len(K) == 1 else torch.cat([first, corr2d_multi_in_out(X, K[1:])])


def corr2d_multi_in_out_1x1(X, K):
    pixel = functools.partial(torch.mv, K.flatten(1))
    return torch.vmap(torch.vmap(pixel, in_dims=1, out_dims=1), in_dims=2, out_dims=2)(X)


def pool2d(X, pool_size, mode="max"):
    p_h, p_w = pool_size
    image = X.numpy()
    if mode == "avg":
        sums = np.pad(image.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        windows = sums[p_h:, p_w:] - sums[:-p_h, p_w:] - sums[p_h:, :-p_w] + sums[:-p_h, :-p_w]
        return torch.tensor(windows / (p_h * p_w), dtype=X.dtype)
    same = ndimage.maximum_filter(image, size=pool_size, origin=(-(p_h // 2), -(p_w // 2)), mode="nearest")
    return torch.from_numpy(same[: image.shape[0] - p_h + 1, : image.shape[1] - p_w + 1])


def vgg_block(n, in_c, out_c):
    convolutions = [nn.Conv2d(in_c if i == 0 else out_c, out_c, 3, 1, 1) for i in range(n)]
    return nn.Sequential(*[layer for conv in convolutions for layer in (conv, nn.ReLU())], nn.MaxPool2d(2))


class VGG(nn.Module):
    def __init__(self, a, k=10):
        super().__init__()
        c, blocks = 1, []
        for n, out_c in a:
            blocks.append(vgg_block(n, c, out_c))
            c = out_c
        self.f = nn.Sequential(*blocks, nn.Flatten())
        self.g = nn.Sequential(nn.Linear(c * 49, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, k))

    def forward(self, x):
        return self.g(self.f(x))


class Residual(nn.Module):
    def __init__(self, in_c, out_c, s=1):
        super().__init__()
        self.f = nn.Sequential(
            *(nn.Conv2d(in_c, out_c, 3, s, 1), nn.BatchNorm2d(out_c), nn.ReLU()),
            *(nn.Conv2d(out_c, out_c, 3, 1, 1), nn.BatchNorm2d(out_c)),
        )
        self.g = nn.Conv2d(in_c, out_c, 1, s) if s > 1 or in_c != out_c else nn.Identity()

    def forward(self, x):
        return F.relu(self.f(x) + self.g(x))


class ResNet18(nn.Module):
    def __init__(self, k=10):
        super().__init__()
        self.f = nn.Sequential(nn.Conv2d(1, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        for i, o, s in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)):
            self.f.append(Residual(i, o, s)).append(Residual(o, o))
        self.g = nn.Linear(512, k)

    def forward(self, x):
        return self.g(self.f(x).mean((2, 3)))
