"""Integers in, integers out: the image and the kernel of the edges are whole numbers, too."""

import torch
from torch import nn


def corr2d(X, K):
    h, w = K.shape
    Y = torch.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1), dtype=torch.promote_types(X.dtype, K.dtype))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


def edge_image():
    return torch.tensor([[1, 1, 0, 0, 0, 0, 1, 1]] * 6)


def edge_kernel():
    return torch.tensor([[1, -1]])


def learn_kernel(X, Y):
    layer = nn.Conv2d(1, 1, (1, 2), bias=False)
    X, Y = X.float().view(1, 1, 6, 8), Y.float().view(1, 1, 6, 7)
    for _ in range(15):
        loss = (layer(X) - Y).pow(2).sum()
        layer.zero_grad()
        loss.backward()
        layer.weight.data -= 0.03 * layer.weight.grad
    return layer


def corr2d_multi_in(X, K):
    Y = corr2d(X[0], K[0])
    for x, k in zip(X[1:], K[1:], strict=True):
        Y += corr2d(x, k)
    return Y


def corr2d_multi_in_out_1x1(X, K):
    return (K * X).sum(dim=1)  # (c_o, c_i, 1, 1) * (c_i, h, w)


def pool2d(X, pool_size, mode="max"):
    h, w = pool_size
    Y = torch.zeros_like(X[h - 1 :, w - 1 :])
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            window = X[i : i + h, j : j + w]
            Y[i, j] = window.max() if mode == "max" else window.sum() / window.numel()
    return Y
