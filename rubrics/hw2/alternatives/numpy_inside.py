"""NumPy inside: some functions give arrays back, others turn them into tensors again."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def corr2d(X, K):
    X, K = np.asarray(X), np.asarray(K)
    h, w = K.shape
    Y = np.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = np.sum(X[i : i + h, j : j + w] * K)
    return Y


class Conv2D(nn.Module):
    # NumPy has no gradients: the layer itself uses torch.
    def __init__(self, kernel_size):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return F.conv2d(x[None, None], self.weight[None, None], self.bias)[0, 0]


def edge_image():
    X = np.ones((6, 8))
    X[:, 2:6] = 0.0
    return X


def edge_kernel():
    return np.array([[1.0, -1.0]])


def learn_kernel(X, Y):
    X = torch.tensor(X, dtype=torch.float32).reshape(1, 1, 6, 8)
    Y = torch.tensor(Y, dtype=torch.float32).reshape(1, 1, 6, 7)
    conv2d = nn.Conv2d(1, 1, kernel_size=(1, 2), bias=False)
    for _ in range(10):
        loss = ((conv2d(X) - Y) ** 2).sum()
        conv2d.zero_grad()
        loss.backward()
        with torch.no_grad():
            conv2d.weight -= 3e-2 * conv2d.weight.grad
    return conv2d


def comp_conv2d(conv2d, X):
    return conv2d(torch.as_tensor(np.asarray(X)[np.newaxis, np.newaxis])).detach().numpy()[0, 0]


def corr2d_multi_in(X, K):
    return sum(corr2d(x, k) for x, k in zip(X, K, strict=True))


def corr2d_multi_in_out(X, K):
    return torch.from_numpy(np.stack([corr2d_multi_in(X, k) for k in K])).float()


def corr2d_multi_in_out_1x1(X, K):
    X, K = X.numpy(), K.numpy()
    c, h, w = X.shape
    return torch.from_numpy(np.dot(K.reshape(-1, c), X.reshape(c, -1)).reshape(-1, h, w))


def pool2d(X, pool_size, mode="max"):
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(X), pool_size)
    return {"max": np.max, "avg": np.mean}[mode](windows, axis=(2, 3))
