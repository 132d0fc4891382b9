"""Maps, reductions, recursion and transforms instead of loops; SciPy's correlation."""

import functools
import operator

import numpy as np
import torch
from scipy import ndimage, signal
from torch import nn


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
